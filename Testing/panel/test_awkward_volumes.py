"""Volumes as they come: unknown kinds, equal names, names of any signs, volumes that go or change meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from panel_session import PanelSession
from PySide6 import QtCore

from BottleneckOODLib.scene.grids import image_data
from BottleneckOODLib.worker.client import Done

NAMES = ["<b>bold</b> <img src='x'>", "R&D &amp; ä", "line\nbreak", "ü" * 300, "C:\\scans/..\\ct", "腹部 CT", "%41 50%"]


def test_what_was_told_of_a_volume_is_not_asked_again(a_session: PanelSession) -> None:
    panel = a_session
    untold, other = panel.add_ct("untold", modality=""), panel.add_ct("other")
    panel.choose(untold)
    assert not panel.ui.assessButton.isEnabled()
    panel.ui.modalitySelector.setCurrentIndex(panel.ui.modalitySelector.findData("CT"))
    panel.assess("amber")
    panel.choose(other)
    panel.choose(untold)
    assert panel.ui.wordLabel.text() == "Unusual"
    assert panel.ui.modalitySelector.currentData() == "CT"
    panel.assess("red")
    assert panel.ui.wordLabel.text() == "Very unusual"


def test_an_answer_can_be_taken_back_and_the_result_stays(a_session: PanelSession) -> None:
    panel = a_session
    panel.choose(panel.add_ct("untold", modality=""))
    panel.ui.modalitySelector.setCurrentIndex(1)
    panel.assess("amber")
    panel.ui.modalitySelector.setCurrentIndex(0)
    assert not panel.ui.assessButton.isEnabled()
    assert panel.ui.wordLabel.text() == "Unusual"
    panel.ui.modalitySelector.setCurrentIndex(2)
    assert panel.ui.assessButton.isEnabled()


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_volume_is_called_its_result_is_shown_as_text_and_found_again(
    a_session: PanelSession, name: str
) -> None:
    panel = a_session
    node, other = panel.add_ct(name), panel.add_ct("other")
    panel.choose(node)
    panel.assess("red", regions=True)
    panel.ui.removeResultButton.click()
    panel.assess("amber", sentence=f"The case {name} is unusual; review the mask.")
    panel.choose(other)
    panel.choose(node)
    assert panel.ui.wordLabel.text() == "Unusual"
    assert name in panel.ui.sentenceLabel.text()


@pytest.mark.parametrize(
    "label",
    [
        *("messageLabel", "sentenceLabel", "cardLabel", "decisionsLabel", "reviewMessage", "referenceNote"),
        *("modelNote", "intendedUseLabel", "deviceNote", "progressLabel"),
    ],
)
def test_what_names_a_file_or_a_case_is_never_taken_for_markup(a_session: PanelSession, label: str) -> None:
    assert getattr(a_session.ui, label).textFormat() == QtCore.Qt.TextFormat.PlainText


def test_two_volumes_of_one_name_keep_their_own_lights(a_session: PanelSession) -> None:
    panel, lights = a_session, {}
    one, two = panel.add_ct("CT"), panel.add_ct("CT")
    for node, light in ((two, "red"), (one, "green")):
        panel.choose(node)
        panel.assess(light)
        lights[node] = panel.ui.wordLabel.text()
    assert {case for case, *_ in panel.runner.asked} == {"CT", "CT (2)"}
    for node in (one, two, one, two):
        panel.choose(node)
        assert panel.ui.wordLabel.text() == lights[node]


def test_a_volume_that_is_renamed_while_it_runs_and_after_keeps_its_result(a_session: PanelSession) -> None:
    panel = a_session
    node = panel.a_ct_in_view("before")
    panel.ui.assessButton.click()
    node.SetName("meanwhile")
    panel.hear(Done(panel.result("red"), warm=False))
    node.SetName("after")
    assert "Very unusual" in panel.words_in_the_corners()[0]
    panel.choose(panel.add_ct("other"))
    panel.choose(node)
    assert panel.ui.wordLabel.text() == "Very unusual"
    panel.assess("green")
    assert panel.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_a_scene_that_is_closed_and_another_volume_of_the_same_name_get_no_result(a_session: PanelSession) -> None:
    panel = a_session
    panel.a_ct_in_view()
    panel.ui.assessButton.click()
    panel.scene.Clear()
    panel.a_ct_in_view()
    panel.hear(Done(panel.result("green"), warm=False))
    assert panel.ui.wordLabel.text() == "No result yet"
    assert panel.words_in_the_corners() == ["", "", ""]
    assert panel.scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0
    assert panel.ui.assessButton.isEnabled()


def test_a_saved_scene_tells_its_light_in_the_views_without_a_click(a_session: PanelSession, tmp_path: Path) -> None:
    panel, bundle = a_session, str(tmp_path / "saved.mrb")
    panel.a_ct_in_view()
    panel.assess("red")
    assert panel.scene.WriteToMRB(bundle, None)
    panel.scene.Clear()
    assert panel.words_in_the_corners() == ["", "", ""]
    assert panel.scene.ReadFromMRB(bundle, True)
    panel.view(panel.scene.GetFirstNodeByName("abdomen"))
    assert "Very unusual" in panel.words_in_the_corners()[0]
    assert len(panel.runner.asked) == 1


def several_values(node: Any) -> None:
    image = vtk.vtkImageData()
    image.SetDimensions(9, 9, 9)
    image.AllocateScalars(vtk.VTK_SHORT, 4)
    node.SetAndObserveImageData(image)


def one_slice(node: Any) -> None:
    node.SetAndObserveImageData(image_data(np.zeros((1, 50, 50), np.int16)))


@pytest.mark.parametrize(
    ("change", "reason"), [(several_values, "several values"), (one_slice, "single slice"), (None, "no voxels")]
)
def test_4d_flat_and_empty_volumes_are_refused_when_they_are_chosen(
    a_session: PanelSession, change: Any, reason: str
) -> None:
    node = a_session.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "odd")
    if change is not None:
        change(node)
    before = a_session.scene.GetNumberOfNodes()
    a_session.choose(node)
    assert reason in a_session.ui.messageLabel.text()
    assert not a_session.ui.assessButton.isEnabled()
    a_session.ui.assessButton.click()
    a_session.widget.panel.view_model.press()
    assert a_session.runner.asked == []
    assert a_session.scene.GetNumberOfNodes() == before


def test_a_moved_volume_s_mask_and_overlay_move_with_it(a_session: PanelSession) -> None:
    panel = a_session
    node = panel.a_ct_in_view()
    transform = panel.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 50.0)
    transform.SetMatrixTransformToParent(matrix)
    panel.ui.assessButton.click()
    node.SetAndObserveTransformNodeID(transform.GetID())
    panel.hear(Done(panel.result("red", regions=True), warm=False))
    for kind in ("vtkMRMLSegmentationNode", "vtkMRMLScalarVolumeNode"):
        made = [n for n in slicer.util.getNodesByClass(kind) if n.GetAttribute("BottleneckOOD.Role")]
        assert [n.GetTransformNodeID() for n in made] == [transform.GetID()]
    assert node.GetTransformNodeID() == transform.GetID()
