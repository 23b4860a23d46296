"""Rate first, then see the light: until the rating is saved nothing on the screen tells what the light says."""

from __future__ import annotations

import pytest
import slicer
from panel_session import PanelSession
from PySide6 import QtGui

from BottleneckOODLib.assessment.wording import BEYOND_MAP, preliminary_sentence
from BottleneckOODLib.worker.client import Done, Failed
from BottleneckOODLib.worker.protocol import Working

LIGHTS = ("green", "amber", "red", "grey")
EARLIER, LATER = "2026-01-02T03:04:05+00:00", "2026-02-03T04:05:06+00:00"
TELLING = ("usual", "Similar to the training", "Could not be assessed", "of 100", "p-value", "Hounsfield", BEYOND_MAP)


def tells(words: str, without_a_result: str = "") -> list[str]:
    """The lines that tell something of a light, and that do not stand there without a result."""
    # The overlay has that name whatever the light is.
    new = set(words.splitlines()) - {*without_a_result.splitlines(), "abdomen unusual regions"}
    return [line for line in new if any(word in line for word in TELLING)]


@pytest.fixture
def a_blind_session(a_session: PanelSession) -> PanelSession:
    a_session.ui.blindFirstCheckBox.click()
    a_session.ui.readerEdit.setText("Zoë")
    a_session.a_ct_in_view()
    return a_session


def rate(session: PanelSession, button: int = 3) -> None:
    getattr(session.ui, f"ratingButton{button}").click()
    session.ui.saveDecisionButton.click()


@pytest.mark.parametrize("light", LIGHTS)
def test_nothing_tells_the_light_before_the_rating_and_everything_after(
    a_blind_session: PanelSession, light: str
) -> None:
    panel = a_blind_session
    before = panel.words_on_the_panel()
    panel.assess(light, regions=True)
    assert panel.ui.wordLabel.text() == "Light hidden"
    for switch in ("layoutButton", "regionsCheckBox", "jumpUnusualButton", "jumpLiverButton", "copyReportButton"):
        getattr(panel.ui, switch).click()
    for key in ("Ctrl+Shift+U", "Ctrl+Shift+J", "Ctrl+Shift+P", "Ctrl+Shift+P", "1"):
        panel.widget.panel._actions()[key]()
    assert panel.titles_of_the_maps()
    assert tells(panel.words_on_the_panel(), before) == []
    assert tells("\n".join(panel.titles_of_the_maps())) == []
    assert panel.words_in_the_corners() == ["", "", ""]
    assert panel.foregrounds() == ["", "", ""]
    assert tells(QtGui.QGuiApplication.clipboard().text()) == []
    rate(panel)
    assert panel.ui.wordLabel.text() != "Light hidden"
    assert panel.ui.wordLabel.text() in panel.words_in_the_corners()[0]
    assert panel.ui.wordLabel.text() in panel.titles_of_the_maps()[0]


def test_a_map_that_is_shown_already_does_not_tell_the_new_light(a_session: PanelSession) -> None:
    panel = a_session
    panel.a_ct_in_view()
    panel.ui.layoutButton.click()
    panel.assess("green", created=EARLIER)
    assert panel.titles_of_the_maps() == ["Similar to the training cases: abdomen"]
    panel.ui.blindFirstCheckBox.click()
    panel.assess("red", created=LATER)
    assert panel.titles_of_the_maps() == [""]
    assert panel.words_in_the_corners() == ["", "", ""]


def test_the_map_of_a_case_goes_when_a_hidden_one_is_chosen(a_session: PanelSession) -> None:
    panel = a_session
    seen = panel.a_ct_in_view("seen")
    panel.ui.layoutButton.click()
    panel.assess("red")
    panel.ui.blindFirstCheckBox.click()
    panel.a_ct_in_view("hidden")
    panel.assess("green")
    assert panel.titles_of_the_maps() == [""]
    panel.choose(seen)
    assert panel.titles_of_the_maps() == ["Very unusual: seen"]


def test_a_preliminary_light_is_told_nowhere(a_blind_session: PanelSession) -> None:
    panel = a_blind_session
    before = panel.words_on_the_panel()
    panel.ui.assessButton.click()
    panel.hear(Working(1, "Segmenting", 0.4, 9.0, preliminary_sentence("red")))
    panel.ui.copyReportButton.click()
    assert tells(panel.words_on_the_panel(), before) == []
    assert tells(QtGui.QGuiApplication.clipboard().text()) == []
    panel.hear(Failed("It failed; assess the case again."))
    assert panel.ui.messageLabel.text() == "It failed; assess the case again."


def test_without_the_switch_a_preliminary_light_is_told_and_then_replaced(a_session: PanelSession) -> None:
    panel = a_session
    panel.a_ct_in_view()
    panel.ui.assessButton.click()
    panel.hear(Working(1, "Segmenting", 0.4, 9.0, preliminary_sentence("red")))
    assert "Very unusual" in panel.ui.messageLabel.text()
    panel.hear(Done(panel.result("green", warnings=()), warm=False))
    assert panel.ui.messageLabel.text() == ""
    assert panel.ui.wordLabel.text() == "Similar to the training cases"


def test_a_view_of_another_case_that_was_not_rated_tells_nothing_either(a_session: PanelSession) -> None:
    panel = a_session
    other = panel.choose(panel.add_ct("another"))
    panel.assess("red")
    panel.widget.panel.review_model.forget()
    panel.ui.blindFirstCheckBox.click()
    panel.a_ct_in_view()
    red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    red.SetBackgroundVolumeID(other.GetID())
    assert panel.words_in_the_corners() == ["", "", ""]
