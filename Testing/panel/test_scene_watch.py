"""The panel and the views speak of the case that the scene shows now, whoever changed the scene."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slicer
from panel_session import PanelSession

from BottleneckOODLib.scene.nodes import nodes_of
from BottleneckOODLib.scene.show import remove
from BottleneckOODLib.widgets.scene_watch import SceneWatch
from BottleneckOODLib.worker.client import Done

NOTHING = ["", "", ""]


@pytest.fixture
def a_browser(a_session: PanelSession) -> Iterator[Any]:
    """A sequence of three frames; a volume in all views, which is chosen, shows the first."""
    scene = a_session.scene
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    shown, sequence = a_session.a_ct_in_view("shown"), scene.AddNewNodeByClass("vtkMRMLSequenceNode", "CT")
    sequence.SetIndexName("time")
    for value in ("0", "1", "2"):
        sequence.SetDataNodeAtValue(shown, value)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(shown, sequence, False)
    logic.UpdateProxyNodesFromSequences(browser)
    yield browser
    logic.SetMRMLScene(None)


def test_another_frame_of_a_sequence_does_not_have_the_light_of_the_first(
    a_session: PanelSession, a_browser: Any
) -> None:
    panel = a_session
    panel.assess("green")
    assert panel.runner.asked[-1][0] == "CT [time 0]"
    assert "Similar" in panel.words_in_the_corners()[0]
    a_browser.SetSelectedItemNumber(1)
    assert panel.words_in_the_corners() == NOTHING
    assert panel.ui.wordLabel.text() == "No result yet"
    panel.assess("red")
    assert panel.runner.asked[-1][0] == "CT [time 1]"
    assert panel.ui.wordLabel.text() == "Very unusual"
    a_browser.SetSelectedItemNumber(0)
    assert panel.ui.wordLabel.text() == "Similar to the training cases"
    assert "Similar" in panel.words_in_the_corners()[0]


def test_a_frame_that_is_chosen_while_another_is_assessed_does_not_get_its_light(
    a_session: PanelSession, a_browser: Any
) -> None:
    panel = a_session
    panel.ui.assessButton.click()
    a_browser.SetSelectedItemNumber(2)
    panel.hear(Done(panel.result("green"), warm=False))
    assert panel.words_in_the_corners() == NOTHING
    assert panel.ui.wordLabel.text() == "No result yet"
    assert "another frame" in panel.ui.messageLabel.text()
    a_browser.SetSelectedItemNumber(0)
    assert panel.ui.wordLabel.text() == "Similar to the training cases"


@pytest.mark.parametrize("by", ["a script", "hand"])
def test_a_result_that_was_removed_elsewhere_is_told_no_longer(a_session: PanelSession, by: str) -> None:
    panel = a_session
    panel.a_ct_in_view()
    panel.assess("red", regions=True)
    if by == "hand":
        records = panel.scene.GetNodesByClass("vtkMRMLTextNode")
        panel.scene.RemoveNode(records.GetItemAsObject(0))
    else:
        remove(panel.scene, "abdomen")
    assert panel.words_in_the_corners() == NOTHING
    assert panel.ui.wordLabel.text() == "No result yet"
    assert not panel.ui.removeResultButton.isEnabled()
    panel.assess("green")
    assert "Similar" in panel.words_in_the_corners()[0]


def test_the_result_of_another_case_can_go_while_one_is_assessed(a_session: PanelSession) -> None:
    panel = a_session
    panel.choose(panel.add_ct("first"))
    panel.assess("red")
    panel.a_ct_in_view("second")
    panel.ui.assessButton.click()
    remove(panel.scene, "first")
    panel.hear(Done(panel.result("amber"), warm=False))
    assert panel.ui.wordLabel.text() == "Unusual"
    assert "Unusual" in panel.words_in_the_corners()[0]


def test_while_a_case_is_assessed_another_one_that_is_chosen_is_told_of(a_session: PanelSession) -> None:
    panel = a_session
    first = panel.choose(panel.add_ct("first"))
    panel.assess("red")
    second = panel.a_ct_in_view("second")
    panel.assess("green")
    panel.ui.assessButton.click()
    for node, words, can_be_removed in (
        (first, "Very unusual", True), (second, "No result yet", False), (first, "Very unusual", True)
    ):
        panel.choose(node)
        assert panel.ui.wordLabel.text() == words
        assert panel.ui.removeResultButton.isEnabled() == can_be_removed
    panel.ui.removeResultButton.click()
    assert panel.ui.wordLabel.text() == "No result yet"
    assert nodes_of(panel.scene, "first") == []
    panel.hear(Done(panel.result("amber"), warm=False))
    panel.choose(second)
    assert panel.ui.wordLabel.text() == "Unusual"


def test_undoing_a_result_takes_its_light_away_and_redoing_brings_it_back(a_session: PanelSession) -> None:
    panel = a_session
    for kind in ("vtkMRMLTextNode", "vtkMRMLSegmentationNode"):
        default = panel.scene.CreateNodeByClass(kind)
        default.SetUndoEnabled(True)
        panel.scene.AddDefaultNode(default)
    panel.scene.SetUndoOn()
    try:
        panel.a_ct_in_view()
        panel.assess("red", map_points=())
        panel.scene.Undo()
        assert panel.words_in_the_corners() == NOTHING
        assert panel.ui.wordLabel.text() == "No result yet"
        panel.scene.Redo()
        assert panel.ui.wordLabel.text() == "Very unusual"
        assert "Very unusual" in panel.words_in_the_corners()[0]
    finally:
        panel.scene.SetUndoOff()
        panel.scene.ClearUndoStack()
        panel.scene.ClearRedoStack()
        panel.scene.RemoveAllDefaultNodes()


def test_a_closed_panel_watches_the_scene_no_longer(a_session: PanelSession, a_browser: Any) -> None:
    a_session.assess("green")
    word = a_session.ui.wordLabel
    a_session.widget.cleanup()
    a_browser.SetSelectedItemNumber(1)
    remove(a_session.scene, "CT [time 0]")
    assert word.text() == "Similar to the training cases"


def test_a_sequence_browser_that_was_removed_is_heard_no_longer(a_session: PanelSession, a_browser: Any) -> None:
    told: list[None] = []
    watch = SceneWatch(a_session.scene, lambda: told.append(None))
    a_browser.Modified()
    assert told
    a_session.scene.RemoveNode(a_browser)
    told.clear()
    a_browser.Modified()
    assert told == []
    # Back by undoing, say, it is heard again, once.
    a_session.scene.AddNode(a_browser)
    told.clear()
    a_browser.Modified()
    assert told == [None]
    watch.close()


def test_nothing_of_a_panel_is_kept_when_its_module_is_closed(the_application: Any, repository: Path) -> None:
    panel = weakref.ref(the_application.open_module(repository / "BottleneckOOD" / "BottleneckOOD.py").panel)
    assert panel() is not None
    the_application.close_module("BottleneckOOD")
    gc.collect()
    assert panel() is None
