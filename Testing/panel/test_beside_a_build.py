"""A reference is built while the scene goes on, and whatever goes wrong is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import slicer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import DependencyError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.scene.grids import image_data
from BottleneckOODLib.scene.show import remove, show
from BottleneckOODLib.scene.volume_node import add_volume_node
from BottleneckOODLib.worker.client import Done, Failed

MakeAssessment = Callable[..., Assessment]


@pytest.fixture
def ready() -> list[Any]:
    """What the question before a job answers; an exception is raised."""
    return [True]


@pytest.fixture
def a_panel_of(
    a_runner: Any, ready: list[Any], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Any:
    def installed() -> bool:
        if isinstance(ready[0], Exception):
            raise ready[0]
        return bool(ready[0])

    monkeypatch.setattr("BottleneckOODLib.worker.client.WorkerClient", lambda _python: a_runner)
    monkeypatch.setattr("BottleneckOODLib.widgets.installation.installed", installed)
    return request.getfixturevalue("a_module_widget")


@pytest.fixture
def a_shown_case(
    a_panel_of: Any, the_application: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> Any:
    """A chosen CT with a green light."""
    node = add_volume_node(the_application.scene, a_small_ct, "abdomen")
    show(make_assessment("green", geometry=a_small_ct.geometry, case_id="abdomen"), the_application.scene, node)
    a_panel_of.ui.volumeSelector.setCurrentNode(node)
    assert a_panel_of.ui.wordLabel.text() == "Similar to the training cases"
    return node


def start_building(panel: Any) -> None:
    panel.ui.casesEdit.setProperty("currentPath", "cases.csv")
    panel.ui.referenceNameEdit.setText("mine")
    panel.ui.buildButton.click()
    assert panel.ui.buildButton.text() == "Cancel"


def test_a_scene_that_is_closed_takes_its_light_along_while_a_reference_is_built(
    a_panel_of: Any, a_shown_case: Any, a_runner: Any, the_application: Any
) -> None:
    start_building(a_panel_of)
    the_application.scene.Clear()
    assert a_panel_of.ui.wordLabel.text() == "No result yet"
    assert a_runner.stops == 0
    assert a_panel_of.ui.buildButton.text() == "Cancel"


def test_a_result_can_be_removed_while_a_reference_is_built(
    a_panel_of: Any, a_shown_case: Any, a_runner: Any, the_application: Any
) -> None:
    start_building(a_panel_of)
    a_panel_of.ui.removeResultButton.click()
    assert a_panel_of.ui.wordLabel.text() == "No result yet"
    assert the_application.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert a_panel_of.ui.buildButton.text() == "Cancel"


def test_a_result_that_is_removed_elsewhere_is_told_no_longer_while_a_reference_is_built(
    a_panel_of: Any, a_shown_case: Any, the_application: Any
) -> None:
    start_building(a_panel_of)
    remove(the_application.scene, "abdomen")
    assert a_panel_of.ui.wordLabel.text() == "No result yet"


def test_after_a_stopped_case_a_closed_scene_does_not_stop_the_build(
    a_panel_of: Any, a_shown_case: Any, a_runner: Any, the_application: Any
) -> None:
    a_panel_of.ui.modalitySelector.setCurrentIndex(a_panel_of.ui.modalitySelector.findData("CT"))
    a_panel_of.ui.assessButton.click()
    a_runner.coming = [Failed("The run was stopped; nothing was changed.", stopped=True)]
    a_panel_of.panel._tick()
    start_building(a_panel_of)
    the_application.scene.Clear()
    assert a_runner.stops == 0


def test_what_goes_wrong_while_a_result_is_shown_is_one_sentence_and_the_panel_goes_on(
    a_panel_of: Any,
    a_shown_case: Any,
    a_runner: Any,
    a_small_ct: Volume,
    make_assessment: MakeAssessment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_unused: Any, **_named: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("BottleneckOODLib.widgets.panel.show", fail)
    a_panel_of.ui.modalitySelector.setCurrentIndex(a_panel_of.ui.modalitySelector.findData("CT"))
    a_panel_of.ui.assessButton.click()
    a_runner.coming = [Done(make_assessment("green", geometry=a_small_ct.geometry, case_id="abdomen"), warm=True)]
    a_panel_of.panel._tick()
    assert "could not be shown" in a_panel_of.ui.messageLabel.text()
    assert "MemoryError" in a_panel_of.ui.detailsText.toPlainText()
    assert a_panel_of.ui.assessButton.text() == "Assess"
    assert a_panel_of.ui.volumeSelector.isEnabled()


def test_what_the_question_before_a_job_meets_is_one_sentence(
    a_panel_of: Any, a_shown_case: Any, a_runner: Any, ready: list[Any]
) -> None:
    ready[0] = DependencyError("The file requirements.txt of the extension is damaged; install the extension again.")
    a_panel_of.ui.modalitySelector.setCurrentIndex(a_panel_of.ui.modalitySelector.findData("CT"))
    for button in (a_panel_of.ui.assessButton, a_panel_of.ui.findDevicesButton):
        button.click()
        assert a_panel_of.ui.messageLabel.text() == str(ready[0])
    assert (a_runner.asked, a_runner.looked) == ([], 0)


def test_a_volume_that_gets_its_voxels_later_can_be_assessed_then(
    a_panel_of: Any, the_application: Any, a_small_ct: Volume
) -> None:
    node = the_application.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "late")
    a_panel_of.ui.volumeSelector.setCurrentNode(node)
    assert "holds no voxels" in a_panel_of.ui.messageLabel.text()
    node.SetAndObserveImageData(image_data(a_small_ct.voxels))
    assert "holds no voxels" not in a_panel_of.ui.messageLabel.text()
    a_panel_of.ui.modalitySelector.setCurrentIndex(a_panel_of.ui.modalitySelector.findData("CT"))
    assert a_panel_of.ui.assessButton.isEnabled()


def test_an_image_that_says_it_is_neither_ct_nor_mr_is_refused(
    a_panel_of: Any, the_application: Any, a_small_ct: Volume
) -> None:
    scene = the_application.scene
    node = add_volume_node(scene, a_small_ct, "whole body")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    hierarchy.SetItemAttribute(hierarchy.CreateItem(hierarchy.GetSceneItemID(), node), "DICOM.Modality", "PT")
    a_panel_of.ui.volumeSelector.setCurrentNode(node)
    assert "PT" in a_panel_of.ui.messageLabel.text()
    assert not a_panel_of.ui.assessButton.isEnabled()


def test_a_volume_that_is_edited_while_it_is_assessed_is_told_of(
    a_panel_of: Any, a_shown_case: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    a_panel_of.ui.modalitySelector.setCurrentIndex(a_panel_of.ui.modalitySelector.findData("CT"))
    a_panel_of.ui.assessButton.click()
    a_shown_case.SetAndObserveImageData(image_data(a_small_ct.voxels * 0))
    a_runner.coming = [
        Done(make_assessment("red", geometry=a_small_ct.geometry, case_id="abdomen", warnings=()), warm=True)
    ]
    a_panel_of.panel._tick()
    assert a_panel_of.ui.wordLabel.text() == "Very unusual"
    assert "was changed while it was assessed" in a_panel_of.ui.messageLabel.text()
