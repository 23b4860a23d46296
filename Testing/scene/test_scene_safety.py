"""What a result leaves in a scene when it is removed, undone, or the scene is closed: nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from everything_shown import alive, close_scene, node_ids, records_kept, show_everything
from scene_state import assessments_in
from slice_view import SliceView

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.regions import RegionMap
from BottleneckOODLib.imaging.volume import Geometry
from BottleneckOODLib.scene.corner_light import CornerLight
from BottleneckOODLib.scene.mask import show_surface
from BottleneckOODLib.scene.nodes import CASE_ATTRIBUTE, DECISIONS_ROLE, ROLE_ATTRIBUTE, VOLUME_REFERENCE
from BottleneckOODLib.scene.restore import cases_in
from BottleneckOODLib.scene.show import remove, show
from BottleneckOODLib.scene.volume_node import add_volume_node

MakeAssessment = Callable[..., Assessment]
LIGHTS = ("green", "amber", "red")
UNDONE = (
    "vtkMRMLTextNode",
    "vtkMRMLTableNode",
    "vtkMRMLPlotSeriesNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLSegmentationDisplayNode",
)


@pytest.fixture
def a_volume_node(a_scene: Any, an_assessment: Assessment) -> Any:
    assert an_assessment.volume is not None
    return add_volume_node(a_scene, an_assessment.volume)


@pytest.fixture
def a_scene_with_undo(a_scene: Any) -> Any:
    """As an application that offers undo sets its scene up."""
    for class_name in UNDONE:
        default = getattr(slicer, class_name)()
        default.SetUndoEnabled(True)
        a_scene.AddDefaultNode(default)
    a_scene.SetUndoOn()
    return a_scene


def change_voxel(node: Any) -> None:
    slicer.util.arrayFromVolume(node)[0, 0, 0] += 1


def change_mask(node: Any) -> None:
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    image.SetScalarComponentFromDouble(*image.GetExtent()[::2], 0, 1)


CHANGES: dict[str, Callable[[Any, Any], None]] = {
    "a voxel": lambda scene, _: change_voxel(scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")),
    "a voxel of the mask": lambda scene, _: change_mask(scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")),
    "a name": lambda _, shown: shown.chart.SetName("other"),
    "an attribute": lambda _, shown: shown.record.SetAttribute("note", "x"),
    "a text": lambda _, shown: shown.record.SetText("x"),
    "a colour": lambda _, shown: shown.case_series.SetColor(0, 0, 0),
    "a reference": lambda _, shown: shown.record.SetNodeReferenceID(VOLUME_REFERENCE, None),
    "a cell": lambda _, shown: shown.case_table.GetTable().GetColumnByName("x").SetValue(0, 7.0),
    "how it is drawn": lambda _, shown: shown.segmentation.GetDisplayNode().SetVisibility2DFill(False),
    "how the volume is drawn": lambda scene, _: scene.GetFirstNodeByClass("vtkMRMLVolumeDisplayNode").SetInterpolate(0),
    "a node more": lambda scene, _: scene.AddNewNodeByClass("vtkMRMLModelNode"),
    "a node less": lambda scene, shown: scene.RemoveNode(shown.chart),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_picture_of_a_scene_tells_every_change(
    a_scene: Any, an_assessment: Assessment, a_volume_node: Any, scene_state: Any, change: str
) -> None:
    shown = show(an_assessment, a_scene, a_volume_node)
    before = scene_state(a_scene)
    assert scene_state(a_scene) == before
    CHANGES[change](a_scene, shown)
    assert scene_state(a_scene) != before


@pytest.mark.parametrize("with_surface", [False, True])
def test_a_removed_result_leaves_the_scene_as_it_was(
    a_scene: Any, an_assessment: Assessment, a_volume_node: Any, scene_state: Any, with_surface: bool
) -> None:
    before = scene_state(a_scene)
    show(an_assessment, a_scene, a_volume_node)
    if with_surface:
        show_surface(a_scene, "case-7", True)
    remove(a_scene, "case-7")
    assert scene_state(a_scene) == before
    assert assessments_in(a_scene) == {}


def test_display_storage_and_colours_of_a_result_go_with_it(
    a_scene: Any, an_assessment: Assessment, a_volume_node: Any, scene_state: Any
) -> None:
    before = scene_state(a_scene)
    shown = show(an_assessment, a_scene, a_volume_node)
    for node in shown.nodes:
        if node.IsA("vtkMRMLStorableNode"):
            node.AddDefaultStorageNode()
    overlay = add_volume_node(a_scene, an_assessment.volume, "overlay")  # type: ignore[arg-type]
    colours = a_scene.AddNewNodeByClass("vtkMRMLColorTableNode")
    for node, role in ((overlay, "regions"), (colours, "regions colours")):
        node.SetAttribute(ROLE_ATTRIBUTE, role)
        node.SetAttribute(CASE_ATTRIBUTE, "case-7")
    overlay.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    remove(a_scene, "case-7")
    assert scene_state(a_scene) == before


def overlay_of(scene: Any, assessment: Assessment) -> Any:
    assert assessment.volume is not None
    overlay = add_volume_node(scene, assessment.volume, "overlay")
    overlay.SetAttribute(ROLE_ATTRIBUTE, "regions")
    overlay.SetAttribute(CASE_ATTRIBUTE, "case-7")
    return overlay


def test_what_else_was_made_of_a_result_stays_with_it_and_goes_with_the_next(
    a_scene: Any, make_assessment: MakeAssessment, scene_state: Any
) -> None:
    show(make_assessment("green"), a_scene)
    overlay = overlay_of(a_scene, make_assessment())
    before = scene_state(a_scene)
    show(assessments_in(a_scene)["case-7"], a_scene)
    assert scene_state(a_scene) == before
    show(make_assessment("red"), a_scene)
    assert overlay.GetScene() is None


def test_what_cannot_be_recorded_leaves_the_scene_as_it_was(
    a_scene: Any, make_assessment: MakeAssessment, a_volume_node: Any, scene_state: Any
) -> None:
    show(make_assessment("green"), a_scene, a_volume_node)
    before = scene_state(a_scene)
    with pytest.raises(ValueError, match="JSON"):
        show(make_assessment("red", volume_ml=float("nan")), a_scene, a_volume_node)
    with pytest.raises(ValueError, match="JSON"):
        show(make_assessment("red", case_id="new", volume_ml=float("nan")), a_scene, a_volume_node)
    assert scene_state(a_scene) == before


def test_one_case_is_removed_the_other_stays(
    a_scene: Any, make_assessment: MakeAssessment, a_volume_node: Any, scene_state: Any
) -> None:
    show(make_assessment(case_id="other"), a_scene, a_volume_node)
    before = scene_state(a_scene)
    show(make_assessment(case_id="this"), a_scene, a_volume_node)
    remove(a_scene, "this")
    assert scene_state(a_scene) == before
    remove(a_scene, "a case that is not there")
    assert scene_state(a_scene) == before


def test_decisions_stay_unless_they_are_to_go_as_well(
    a_scene: Any, an_assessment: Assessment, scene_state: Any
) -> None:
    before = scene_state(a_scene)
    show(an_assessment, a_scene)
    decisions = a_scene.AddNewNodeByClass("vtkMRMLTextNode", "case-7 decisions")
    decisions.SetAttribute(ROLE_ATTRIBUTE, DECISIONS_ROLE)
    decisions.SetAttribute(CASE_ATTRIBUTE, "case-7")
    remove(a_scene, "case-7")
    assert set(scene_state(a_scene)) - set(before) == {decisions.GetID()}
    remove(a_scene, "case-7", with_decisions=True)
    assert scene_state(a_scene) == before


def test_the_record_knows_its_volume(a_scene: Any, an_assessment: Assessment, a_volume_node: Any) -> None:
    show(an_assessment, a_scene, a_volume_node)
    found = cases_in(a_scene)["case-7"]
    assert found.volume_node is a_volume_node
    # Showing again what was restored must not make it forget.
    show(found.assessment, a_scene)
    assert cases_in(a_scene)["case-7"].volume_node is a_volume_node


def test_a_volume_that_the_user_removed_is_not_there(
    a_scene: Any, an_assessment: Assessment, a_volume_node: Any
) -> None:
    show(an_assessment, a_scene, a_volume_node)
    a_scene.RemoveNode(a_volume_node)
    found = cases_in(a_scene)["case-7"]
    assert found.volume_node is None
    assert found.assessment.light == "amber"


def test_a_shown_result_is_undone_in_one_step_and_done_again(
    a_scene_with_undo: Any, an_assessment: Assessment, scene_state: Any
) -> None:
    assert an_assessment.volume is not None
    volume_node = add_volume_node(a_scene_with_undo, an_assessment.volume)
    before = scene_state(a_scene_with_undo)
    show(an_assessment, a_scene_with_undo, volume_node)
    a_scene_with_undo.Undo()
    assert scene_state(a_scene_with_undo) == before
    a_scene_with_undo.Redo()
    assert assessments_in(a_scene_with_undo)["case-7"].light == "amber"


def test_a_removed_result_comes_back_by_undoing(a_scene_with_undo: Any, an_assessment: Assessment) -> None:
    show(an_assessment, a_scene_with_undo)
    remove(a_scene_with_undo, "case-7")
    assert assessments_in(a_scene_with_undo) == {}
    a_scene_with_undo.Undo()
    assert assessments_in(a_scene_with_undo)["case-7"].light == "amber"


def test_without_undo_nothing_is_kept_for_it(a_scene: Any, an_assessment: Assessment) -> None:
    show(an_assessment, a_scene)
    remove(a_scene, "case-7")
    assert a_scene.GetNumberOfUndoLevels() == 0


def test_a_closed_scene_holds_no_node_of_ours(
    a_scene: Any, an_assessment: Assessment, a_volume_node: Any, scene_state: Any
) -> None:
    show(an_assessment, a_scene, a_volume_node)
    a_scene.Clear(0)
    assert not any(state["attributes"].get(ROLE_ATTRIBUTE) for state in scene_state(a_scene).values())
    assert cases_in(a_scene) == {}


def test_fifty_times_shown_and_closed_leaves_nothing_alive(new_scene: Any, make_assessment: MakeAssessment) -> None:
    scene = new_scene()
    watched: list[Any] = []
    counts = []
    for number in range(50):
        assessment = make_assessment("red" if number % 2 else "green")
        assert assessment.volume is not None
        volume_node = add_volume_node(scene, assessment.volume)
        shown = show(assessment, scene, volume_node)
        show_surface(scene, "case-7", True)
        for thing in (*shown.nodes, volume_node, volume_node.GetImageData(), shown.tables[0].GetTable()):
            reference = vtk.vtkWeakReference()
            reference.Set(thing)
            watched.append(reference)
        del shown, volume_node, thing
        scene.Clear(0)
        counts.append(scene.GetNumberOfNodes())
    gc.collect()
    assert len(set(counts)) == 1
    alive = [reference.Get() for reference in watched]
    assert [thing.GetClassName() for thing in alive if thing is not None] == []


def test_a_closed_scene_leaves_nothing_of_all_that_the_module_makes(
    make_slice_view: Callable[..., SliceView], a_scene: Any, make_assessment: MakeAssessment
) -> None:
    """Mask, surface, overlay, map, decisions, the light in a view and what was read of the records."""
    view = make_slice_view(a_scene)
    corner = CornerLight(view.renderer)
    cells = Geometry((3, 3, 3), (16.0, 16.0, 16.0), (-17.5, 8.25, 120.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    regions = RegionMap(np.linspace(0.5, 1.8, 27, dtype=np.float32).reshape(3, 3, 3), cells)
    close_scene(view, corner)
    empty, props = node_ids(a_scene), view.renderer.GetViewProps().GetNumberOfItems()
    observers, kept = a_scene.GetReferenceCount(), records_kept()
    watched: list[list[Any]] = []
    for light in LIGHTS:
        watched.append(show_everything(view, corner, make_assessment(light, regions=regions)))
        assert len(watched[-1]) > 20
        assert records_kept() == kept + 1
        close_scene(view, corner)
        assert alive(*watched) == []
        assert node_ids(a_scene) == empty
        assert view.renderer.GetViewProps().GetNumberOfItems() == props
        assert records_kept() == kept
    assert a_scene.GetReferenceCount() == observers


def test_fifty_times_shown_again_keeps_one_set_of_nodes(a_scene: Any, make_assessment: MakeAssessment) -> None:
    assessment = make_assessment()
    assert assessment.volume is not None
    volume_node = add_volume_node(a_scene, assessment.volume)
    show(assessment, a_scene, volume_node)
    nodes = a_scene.GetNumberOfNodes()
    images = []
    for number in range(50):
        node = show(make_assessment(LIGHTS[number % 3]), a_scene, volume_node).segmentation
        assert node is not None
        reference = vtk.vtkWeakReference()
        reference.Set(node.GetSegmentation().GetSegment("liver").GetRepresentation("Binary labelmap"))
        images.append(reference)
        del node
    gc.collect()
    assert a_scene.GetNumberOfNodes() == nodes
    # Only the last mask is alive.
    assert np.count_nonzero([reference.Get() is not None for reference in images]) == 1
