"""Building a reference in the panel: names that are no folder's, what the scene has to do with it, and its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from panel_session import PanelSession
from qt_harness.host import Host

from BottleneckOODLib.worker.client import Built, Failed
from BottleneckOODLib.worker.protocol import Working


@pytest.fixture
def a_build(a_session: PanelSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PanelSession:
    """A panel in which the cases for a reference are chosen."""
    a_session.ui.casesEdit.setProperty("currentPath", str(tmp_path))
    return a_session


def press(session: PanelSession, name: str) -> None:
    session.ui.referenceNameEdit.setText(name)
    session.ui.buildButton.click()


@pytest.mark.parametrize(
    "name", ["a/b", "a\\b", "../mine", "..", ".", "/tmp/mine", "con", "aux.x", "a:b", "a*b", "x" * 300, "a\nb", "mine."]
)
def test_a_name_that_is_no_folder_s_builds_nothing_and_says_so(a_build: PanelSession, name: str) -> None:
    press(a_build, name)
    assert a_build.runner.built == []
    # A line edit takes a line break for a space, which a name may have.
    if "\n" not in name:
        assert "cannot be named" in a_build.ui.referenceNote.text()
    assert len(a_build.ui.referenceNote.text()) < 200


@pytest.mark.parametrize("name", ["", "   "])
def test_no_name_is_asked_for(a_build: PanelSession, name: str) -> None:
    press(a_build, name)
    assert a_build.runner.built == []
    assert "give the reference a name" in a_build.ui.referenceNote.text()


@pytest.mark.parametrize("name", ["mine", "Klinik Süd 2026", "v1.2-portal_3mm"])
def test_a_reference_goes_into_the_user_s_own_folder(a_build: PanelSession, name: str) -> None:
    press(a_build, name)
    output = a_build.runner.built[0][2]
    assert (output.name, output.parent.name) == (name, "references")


def test_one_that_is_there_already_is_kept(a_build: PanelSession, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    a_build.widget.panel.view_model._references_folder = tmp_path
    press(a_build, "mine")
    assert a_build.runner.built == []
    assert "exists already and was kept" in a_build.ui.referenceNote.text()


def test_it_has_progress_and_can_be_stopped(a_build: PanelSession) -> None:
    press(a_build, "mine")
    a_build.hear(Working(1, "Case 3 of 20", 0.15, 100.0, ""))
    assert a_build.ui.progressLabel.text() == "Case 3 of 20, about 100 s left"
    assert a_build.ui.buildButton.text() == "Cancel"
    a_build.ui.buildButton.click()
    assert a_build.runner.stops == 1
    a_build.hear(Failed("The run was stopped; nothing was changed.", stopped=True))
    assert a_build.ui.referenceNote.text() == "The run was stopped; nothing was changed."
    assert a_build.ui.buildButton.text() == "Build reference"


def test_it_goes_on_when_the_scene_is_closed(a_build: PanelSession) -> None:
    press(a_build, "mine")
    a_build.scene.Clear()
    assert a_build.runner.stops == 0
    a_build.hear(Built(Path("references") / "mine", 21, 1, ("case-4: it is empty; copy it again.",)))
    assert "21 cases" in a_build.ui.referenceNote.text()
    assert a_build.ui.referenceNote.text().endswith(": case-4: it is empty; copy it again.")


def test_the_result_on_the_panel_stays_while_it_is_built(a_build: PanelSession) -> None:
    a_build.a_ct_in_view()
    a_build.assess("red")
    press(a_build, "mine")
    a_build.hear(Working(1, "Case 3 of 20", 0.15, 100.0, ""))
    assert a_build.ui.wordLabel.text() == "Very unusual"
    a_build.hear(Failed("It failed; build the reference again."))
    assert a_build.ui.wordLabel.text() == "Very unusual"
    assert a_build.ui.referenceNote.text() == "It failed; build the reference again."


def test_browsing_for_the_cases_chooses_a_folder(
    a_session: PanelSession, the_application: Host, tmp_path: Path
) -> None:
    """A dialog for files has no way to choose the folder that they lie in."""
    the_application.answers.append(str(tmp_path))
    a_session.ui.casesEdit.browse()
    assert [asked.title for asked in the_application.asked] == ["Select a directory..."]
    press(a_session, "mine")
    assert a_session.runner.built[0][0] == tmp_path
