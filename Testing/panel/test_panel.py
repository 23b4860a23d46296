"""The panel of the module, clicked through on the real scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shiboken6
import slicer
from PySide6 import QtCore, QtWidgets

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.scene.volume_node import add_volume_node
from BottleneckOODLib.worker.client import Done, Failed
from BottleneckOODLib.worker.protocol import DevicesFound, Working

MakeAssessment = Callable[..., Assessment]
SceneState = Callable[[Any], dict[str, Any]]
LIGHTS = ("green", "amber", "red", "grey")
CLICKABLE = (QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QLineEdit, QtWidgets.QAbstractItemView)


def a_ct(scene: Any, a_small_ct: Volume, name: str = "abdomen") -> Any:
    node = add_volume_node(scene, a_small_ct, name)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "CT")
    return node


@pytest.fixture
def a_chosen_ct(a_panel: Any, the_application: Any, a_small_ct: Volume) -> Any:
    node = a_ct(the_application.scene, a_small_ct)
    a_panel.ui.volumeSelector.setCurrentNode(node)
    return node


def beat(panel: Any) -> None:
    """What the timer does."""
    panel.panel._tick()


def finish(panel: Any, a_runner: Any, assessment: Assessment) -> None:
    panel.ui.assessButton.click()
    a_runner.coming = [Done(assessment, warm=False)]
    beat(panel)


def of(a_small_ct: Volume, make_assessment: MakeAssessment, light: str, **changes: Any) -> Assessment:
    return make_assessment(light, geometry=a_small_ct.geometry, case_id="abdomen", **changes)


def texts_in_the_slice_views() -> list[str]:
    """What is written into each slice view's corner."""
    manager = slicer.app.layoutManager()
    found = []
    for name in manager.sliceViewNames():
        renderer = manager.sliceWidget(name).sliceView().renderWindow().GetRenderers().GetFirstRenderer()
        actors = [renderer.GetViewProps().GetItemAsObject(n) for n in range(renderer.GetViewProps().GetNumberOfItems())]
        words = [actor.GetInput() for actor in actors if actor.IsA("vtkTextActor") and actor.GetInput()]
        found.append(" ".join(words))
    return found


def test_without_a_volume_nothing_can_be_run_and_the_button_says_why(a_panel: Any) -> None:
    assert not a_panel.ui.assessButton.isEnabled()
    assert "Choose a CT volume" in a_panel.ui.assessButton.toolTip()
    assert a_panel.ui.wordLabel.text() == "No result yet"


def test_one_click_runs_the_case_with_what_was_chosen(a_panel: Any, a_chosen_ct: Any, a_runner: Any) -> None:
    a_panel.ui.deviceSelector.setCurrentIndex(a_panel.ui.deviceSelector.findData("cpu"))
    a_panel.ui.assessButton.click()
    assert [(case, device) for case, _, _, device in a_runner.asked] == [("abdomen", "cpu")]
    assert Path(a_runner.asked[0][1]).name == Path(a_runner.asked[0][2]).name == "demo"
    assert a_panel.ui.assessButton.text() == "Cancel"
    assert not a_panel.ui.volumeSelector.isEnabled()
    a_runner.coming = [Working(1, "Segmenting", 0.4, 12.0, "")]
    beat(a_panel)
    assert a_panel.ui.progressLabel.text() == "Segmenting, about 12 s left"
    assert a_panel.ui.progressBar.value() == 400


@pytest.mark.parametrize("light", LIGHTS)
def test_every_light_has_its_picture_its_word_and_its_sentence(
    a_panel: Any,
    a_chosen_ct: Any,
    a_runner: Any,
    a_small_ct: Volume,
    make_assessment: MakeAssessment,
    grab: Any,
    light: str,
) -> None:
    assessment = of(a_small_ct, make_assessment, light)
    finish(a_panel, a_runner, assessment)
    ui = a_panel.ui
    assert ui.sentenceLabel.text() == assessment.sentence
    assert ui.lightPicture.accessibleName() in {
        "green": "circle: Similar to the training cases",
        "amber": "triangle: Unusual",
        "red": "octagon: Very unusual",
        "grey": "square: Could not be assessed",
    }[light]
    assert not ui.lightPicture.pixmap().isNull()
    assert "Not for clinical use" in ui.caveatLabel.text()
    assert ui.intendedUseLabel.text()
    assert bool(ui.percentileLabel.text()) == (light != "grey")
    for section in ("mapSection", "regionsSection", "reviewSection"):
        getattr(ui, section).setProperty("collapsed", False)
    a_panel.parent.resize(440, 1700)
    assert grab(a_panel.parent, f"panel-{light}").is_file()


def test_running_again_updates_the_case_s_nodes_rather_than_adding_a_second_set(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    scene = a_chosen_ct.GetScene()
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "green"))
    first = {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "red"))
    assert {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())} == first
    assert a_panel.ui.wordLabel.text() == "Very unusual"


@pytest.mark.parametrize("failed", [Failed("It failed; assess the case again."), Failed("Stopped.", stopped=True)])
def test_a_run_that_gave_nothing_leaves_the_scene_exactly_as_it_was(
    a_panel: Any,
    a_chosen_ct: Any,
    a_runner: Any,
    a_small_ct: Volume,
    make_assessment: MakeAssessment,
    scene_state: SceneState,
    failed: Failed,
) -> None:
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "amber"))
    before = scene_state(a_chosen_ct.GetScene())
    a_panel.ui.assessButton.click()
    assert a_panel.ui.wordLabel.text() == "No result yet"
    a_panel.ui.assessButton.click()
    assert a_runner.stops == 1
    assert a_panel.ui.assessButton.text() == "Stopping..."
    a_runner.coming = [failed]
    beat(a_panel)
    assert scene_state(a_chosen_ct.GetScene()) == before
    assert a_panel.ui.messageLabel.text() == failed.sentence
    assert a_panel.ui.wordLabel.text() == "Unusual"


def test_what_the_runner_refuses_leaves_the_scene_exactly_as_it_was(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, scene_state: SceneState
) -> None:
    before = scene_state(a_chosen_ct.GetScene())
    a_runner.refusal = InputError("A case is being assessed; wait for it, or stop it first.")
    a_panel.ui.assessButton.click()
    assert a_panel.ui.messageLabel.text() == str(a_runner.refusal)
    assert scene_state(a_chosen_ct.GetScene()) == before


def test_a_result_is_there_again_when_its_volume_is_chosen_again(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "red"))
    other = a_ct(a_chosen_ct.GetScene(), a_small_ct, "another")
    a_panel.ui.volumeSelector.setCurrentNode(other)
    assert a_panel.ui.wordLabel.text() == "No result yet"
    a_panel.ui.volumeSelector.setCurrentNode(a_chosen_ct)
    assert a_panel.ui.wordLabel.text() == "Very unusual"
    assert len(a_runner.asked) == 1


def test_a_saved_scene_shows_its_light_when_it_is_opened(
    a_panel: Any,
    a_chosen_ct: Any,
    a_runner: Any,
    a_small_ct: Volume,
    make_assessment: MakeAssessment,
    tmp_path: Path,
) -> None:
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "amber"))
    scene, bundle = a_chosen_ct.GetScene(), tmp_path / "saved.mrb"
    assert scene.WriteToMRB(str(bundle), None)
    scene.Clear()
    assert a_panel.ui.wordLabel.text() == "No result yet"
    assert scene.ReadFromMRB(str(bundle), True)
    a_panel.ui.volumeSelector.setCurrentNode(scene.GetFirstNodeByName("abdomen"))
    assert a_panel.ui.wordLabel.text() == "Unusual"
    assert len(a_runner.asked) == 1


def test_a_closed_scene_stops_the_run_and_leaves_nothing(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    scene = a_chosen_ct.GetScene()
    a_panel.ui.assessButton.click()
    scene.Clear()
    assert a_runner.stops == 1
    a_runner.coming = [Done(of(a_small_ct, make_assessment, "green"), warm=False)]
    beat(a_panel)
    assert "removed" in a_panel.ui.messageLabel.text()
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert not a_panel.ui.assessButton.isEnabled()


def test_a_volume_that_is_removed_while_it_is_assessed_is_one_sentence(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    scene = a_chosen_ct.GetScene()
    a_panel.ui.assessButton.click()
    scene.RemoveNode(a_chosen_ct)
    a_runner.coming = [Done(of(a_small_ct, make_assessment, "green"), warm=False)]
    beat(a_panel)
    assert a_panel.ui.messageLabel.text() == "The volume was removed while it was assessed; nothing was shown."
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0


def test_an_image_of_an_unknown_kind_is_asked_for(a_panel: Any, the_application: Any, a_small_ct: Volume) -> None:
    node = add_volume_node(the_application.scene, a_small_ct, "untold")
    a_panel.ui.volumeSelector.setCurrentNode(node)
    assert not a_panel.ui.modalitySelector.isHidden()
    assert not a_panel.ui.assessButton.isEnabled()
    a_panel.ui.modalitySelector.setCurrentIndex(a_panel.ui.modalitySelector.findData("CT"))
    assert a_panel.ui.assessButton.isEnabled()
    known = a_ct(the_application.scene, a_small_ct, "told")
    a_panel.ui.volumeSelector.setCurrentNode(known)
    assert a_panel.ui.modalitySelector.isHidden()


@pytest.mark.parametrize(
    ("class_name", "reason"),
    [("vtkMRMLLabelMapVolumeNode", "label map"), ("vtkMRMLVectorVolumeNode", "colours, vectors or tensors")],
)
def test_what_cannot_be_assessed_is_one_sentence_as_soon_as_it_is_chosen(
    a_panel: Any, the_application: Any, class_name: str, reason: str
) -> None:
    node = the_application.scene.AddNewNodeByClass(class_name, "odd")
    a_panel.ui.volumeSelector.setCurrentNode(node)
    assert reason in a_panel.ui.messageLabel.text()
    assert not a_panel.ui.assessButton.isEnabled()


def test_the_result_can_be_removed_and_only_the_volume_is_left(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "red"))
    scene = a_chosen_ct.GetScene()
    a_panel.ui.removeResultButton.click()
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 0
    assert scene.GetNodeByID(a_chosen_ct.GetID()) is a_chosen_ct
    assert a_panel.ui.wordLabel.text() == "No result yet"


def test_devices_are_offered_with_their_memory(a_panel: Any, a_runner: Any) -> None:
    from BottleneckOODLib.model.gpu_facts import DeviceFacts

    a_panel.ui.findDevicesButton.click()
    devices = (DeviceFacts("auto", "cuda:0", None, None), DeviceFacts("cuda:0", "A card", 5.5, 8.0))
    a_runner.coming = [DevicesFound(1, devices, "")]
    beat(a_panel)
    texts = [a_panel.ui.deviceSelector.itemText(i) for i in range(a_panel.ui.deviceSelector.count())]
    assert texts == ["auto: cuda:0", "cuda:0: A card, 5.5 of 8.0 GB free"]


def test_every_widget_has_a_tooltip_and_can_be_reached_with_the_keyboard(a_panel: Any) -> None:
    root = a_panel.ui.volumeSelector.window()
    bare, unreachable = [], []
    for widget in root.findChildren(QtWidgets.QWidget):
        if not isinstance(widget, CLICKABLE) or widget.objectName().startswith("qt_") or not widget.objectName():
            continue
        if not hasattr(a_panel.ui, widget.objectName()):
            continue
        if not widget.toolTip():
            bare.append(widget.objectName())
        if widget.focusPolicy() == QtCore.Qt.FocusPolicy.NoFocus:
            unreachable.append(widget.objectName())
    assert (bare, unreachable) == ([], [])


def test_every_switch_can_be_pressed_with_and_without_a_result(
    a_panel: Any,
    a_chosen_ct: Any,
    a_runner: Any,
    a_small_ct: Volume,
    make_assessment: MakeAssessment,
    the_application: Any,
) -> None:
    def press_everything() -> int:
        pressed = 0
        for name, widget in vars(a_panel.ui).items():
            if isinstance(widget, QtWidgets.QCheckBox) or name in (
                "jumpLiverButton", "layoutButton", "jumpUnusualButton", "explainButton", "copyReportButton",
                "saveDecisionButton", "undoDecisionButton", "buildButton", "ratingButton3",
            ):
                widget.click()
                widget.click()
                pressed += 1
        return pressed

    assert press_everything() >= 14
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "amber"))
    press_everything()
    assert the_application.errors == []


def test_the_layout_goes_to_slices_3d_and_map_and_back(a_panel: Any, the_application: Any) -> None:
    manager = slicer.app.layoutManager()
    before = manager.layout
    a_panel.ui.layoutButton.click()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView
    a_panel.ui.layoutButton.click()
    assert manager.layout == before


def test_the_mask_s_switches_reach_its_display(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "green"))
    display = a_chosen_ct.GetScene().GetFirstNodeByClass("vtkMRMLSegmentationNode").GetDisplayNode()
    for box, get in (
        ("maskCheckBox", display.GetVisibility),
        ("outlineCheckBox", display.GetVisibility2DOutline),
        ("fillCheckBox", display.GetVisibility2DFill),
    ):
        assert get()
        getattr(a_panel.ui, box).click()
        assert not get()
        getattr(a_panel.ui, box).click()
    a_panel.ui.surfaceCheckBox.click()
    mask = a_chosen_ct.GetScene().GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert mask.GetSegmentation().ContainsRepresentation("Closed surface")


def test_the_widget_ends_its_worker_and_leaves_the_views_as_they_were(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    slicer.util.setSliceViewerLayers(background=a_chosen_ct)
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "red"))
    assert all("Very unusual" in text for text in texts_in_the_slice_views())
    a_panel.cleanup()
    assert a_runner.closed >= 1
    assert texts_in_the_slice_views() == ["", "", ""]
    a_panel.cleanup()


def test_a_widget_that_a_script_has_made_and_deleted_is_cleaned_up_without_it(
    a_panel: Any, a_runner: Any, the_application: Any
) -> None:
    before = a_runner.closed
    shiboken6.delete(a_panel.root)
    the_application.about_to_quit()
    # By the panel and by the logic, which would both keep it.
    assert (a_runner.closed - before, a_panel.panel) == (2, None)


def test_the_corner_follows_the_case_that_the_views_show_and_goes_with_its_result(
    a_panel: Any, a_chosen_ct: Any, a_runner: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    other = a_ct(a_chosen_ct.GetScene(), a_small_ct, "another")
    slicer.util.setSliceViewerLayers(background=a_chosen_ct)
    finish(a_panel, a_runner, of(a_small_ct, make_assessment, "amber"))
    assert all("Unusual" in text for text in texts_in_the_slice_views())
    slicer.util.setSliceViewerLayers(background=other)
    assert texts_in_the_slice_views() == ["", "", ""]
    slicer.util.setSliceViewerLayers(background=a_chosen_ct)
    assert all("Unusual" in text for text in texts_in_the_slice_views())
    a_panel.ui.removeResultButton.click()
    assert texts_in_the_slice_views() == ["", "", ""]


def test_reloading_reads_the_whole_library_again(a_panel: Any, a_runner: Any) -> None:
    import sys

    old = sys.modules["BottleneckOODLib.widgets.panel"]
    a_panel.onReload()
    assert a_runner.closed >= 1
    new = slicer.modules.BottleneckOODWidget
    assert new is not a_panel
    assert sys.modules["BottleneckOODLib.widgets.panel"] is not old
    assert new.ui.wordLabel.text() == "No result yet"
