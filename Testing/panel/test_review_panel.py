"""The reader's own rating, pressed and typed in the panel, kept with the scene."""

from __future__ import annotations

from pathlib import Path

import pytest
from panel_session import PanelSession
from PySide6 import QtCore, QtTest, QtWidgets

from BottleneckOODLib.scene.review import SceneDecisions

BUTTONS = {1: "accept", 2: "minor_edit", 3: "major_edit", 4: "reject", 5: "bad_image"}


@pytest.fixture
def a_red_case(a_session: PanelSession) -> PanelSession:
    """A case with a red light, and a reader who has typed their name."""
    a_session.a_ct_in_view()
    a_session.assess("red")
    a_session.ui.readerEdit.setText("Zoë")
    return a_session


def rows(session: PanelSession, case: str = "abdomen") -> list[tuple[str, str]]:
    log = SceneDecisions(session.scene).decisions_of(case)
    return [(row.rating, row.note) for row in log.decisions]


def buttons(session: PanelSession) -> list[QtWidgets.QPushButton]:
    return [getattr(session.ui, f"ratingButton{number}") for number in BUTTONS]


def test_no_light_fills_in_a_rating(a_session: PanelSession) -> None:
    assert not any(button.isEnabled() for button in buttons(a_session))
    for light in ("green", "amber", "red", "grey"):
        a_session.a_ct_in_view(light)
        a_session.assess(light)
        assert not any(button.isChecked() for button in buttons(a_session))
        assert not a_session.ui.saveDecisionButton.isEnabled()


@pytest.mark.parametrize("number", list(BUTTONS))
@pytest.mark.parametrize("by", ["button", "key"])
def test_a_rating_counts_once_it_is_saved(a_red_case: PanelSession, number: int, by: str) -> None:
    panel = a_red_case
    if by == "button":
        getattr(panel.ui, f"ratingButton{number}").click()
    else:
        panel.widget.panel._actions()[str(number)]()
    assert [button.isChecked() for button in buttons(panel)] == [n == number for n in BUTTONS]
    assert rows(panel) == []
    panel.ui.noteEdit.setPlainText("Beside the gallbladder <b>& more</b>")
    panel.ui.saveDecisionButton.click()
    assert rows(panel) == [(BUTTONS[number], "Beside the gallbladder <b>& more</b>")]
    assert panel.ui.noteEdit.toPlainText() == ""
    assert "Zoë" in panel.ui.decisionsLabel.text()


def test_whoever_overrules_a_red_light_says_why(a_red_case: PanelSession) -> None:
    panel = a_red_case
    panel.ui.ratingButton1.click()
    assert not panel.ui.saveDecisionButton.isEnabled()
    assert panel.ui.reviewMessage.text() == panel.ui.saveDecisionButton.toolTip() != ""
    panel.ui.reasonsList.item(5).setCheckState(QtCore.Qt.CheckState.Checked)
    assert panel.ui.saveDecisionButton.isEnabled()
    panel.ui.saveDecisionButton.click()
    assert [rating for rating, _ in rows(panel)] == ["accept"]
    assert panel.ui.reasonsList.item(5).checkState() == QtCore.Qt.CheckState.Unchecked


def test_without_a_name_nothing_is_kept(a_red_case: PanelSession) -> None:
    panel = a_red_case
    panel.ui.readerEdit.setText("  ")
    panel.ui.ratingButton4.click()
    panel.ui.saveDecisionButton.click()
    assert rows(panel) == []
    assert "name or initials" in panel.ui.reviewMessage.text()


def test_a_decision_is_withdrawn_by_a_row_more(a_red_case: PanelSession) -> None:
    panel = a_red_case
    assert not panel.ui.undoDecisionButton.isEnabled()
    panel.ui.ratingButton4.click()
    panel.ui.saveDecisionButton.click()
    panel.ui.undoDecisionButton.click()
    assert [rating for rating, _ in rows(panel)] == ["reject", "withdrawn"]
    assert "Withdrawn: Reject" in panel.ui.decisionsLabel.text()
    assert not panel.ui.undoDecisionButton.isEnabled()


def test_what_was_begun_on_a_case_waits_there(a_red_case: PanelSession) -> None:
    panel, first = a_red_case, a_red_case.ui.volumeSelector.currentNode()
    panel.ui.ratingButton2.click()
    panel.ui.noteEdit.setPlainText("left lobe")
    panel.a_ct_in_view("second")
    panel.assess("green")
    assert not any(button.isChecked() for button in buttons(panel))
    assert panel.ui.noteEdit.toPlainText() == ""
    panel.choose(first)
    assert panel.ui.ratingButton2.isChecked()
    assert panel.ui.noteEdit.toPlainText() == "left lobe"


def test_decisions_are_saved_with_the_scene_and_told_when_it_is_opened(
    a_red_case: PanelSession, tmp_path: Path
) -> None:
    panel, bundle = a_red_case, str(tmp_path / "saved.mrb")
    panel.ui.ratingButton4.click()
    panel.ui.saveDecisionButton.click()
    assert panel.scene.WriteToMRB(bundle, None)
    panel.scene.Clear()
    assert panel.ui.decisionsLabel.text() == ""
    assert panel.scene.ReadFromMRB(bundle, True)
    panel.choose(panel.scene.GetFirstNodeByName("abdomen"))
    assert "Reject" in panel.ui.decisionsLabel.text()
    assert rows(panel) == [("reject", "")]


def test_removing_the_result_keeps_what_was_decided(a_red_case: PanelSession) -> None:
    panel = a_red_case
    panel.ui.ratingButton4.click()
    panel.ui.saveDecisionButton.click()
    panel.ui.removeResultButton.click()
    assert rows(panel) == [("reject", "")]
    panel.assess("green", created="2026-03-01T00:00:00+00:00")
    assert "another assessment" in panel.ui.decisionsLabel.text()


def test_digits_that_are_typed_into_the_note_are_text(a_red_case: PanelSession) -> None:
    panel = a_red_case
    panel.ui.reviewSection.setProperty("collapsed", False)
    panel.widget.parent.show()
    panel.ui.noteEdit.setFocus()
    QtTest.QTest.keyClicks(panel.ui.noteEdit, "12 mm")
    assert panel.ui.noteEdit.toPlainText() == "12 mm"
    assert not any(button.isChecked() for button in buttons(panel))
