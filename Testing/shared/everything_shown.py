"""A case in a scene with all that the module makes of it, and whether any of it outlives the scene's closing."""

from __future__ import annotations

import gc
from typing import Any

import vtk
from slice_view import SliceView

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.scene import nodes
from BottleneckOODLib.scene.corner_light import CornerLight
from BottleneckOODLib.scene.edited_mask import edits_in
from BottleneckOODLib.scene.mask import show_surface
from BottleneckOODLib.scene.masks_in_view import follow_the_views
from BottleneckOODLib.scene.overlay import set_overlay_visible
from BottleneckOODLib.scene.review import SceneDecisions
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.shown_case import shown_case
from BottleneckOODLib.scene.volume_node import add_volume_node


def show_everything(view: SliceView, corner: CornerLight, assessment: Assessment) -> list[Any]:
    """Mask, surface, overlay with its legend, map, corner light, an edit that is looked for, and decisions.

    Returns:
        A ``vtkWeakReference`` to each node that was made, and to what the nodes hold.
    """
    scene, case = view.scene, assessment.case_id
    before = node_ids(scene)
    assert assessment.volume is not None
    assert assessment.segmentation is not None
    volume_node = add_volume_node(scene, assessment.volume)
    shown = show(assessment, scene, volume_node)
    view.show(volume_node)
    follow_the_views(scene)
    assert shown.chart is not None
    assert set_overlay_visible(scene, case, True) == (assessment.regions is not None)
    assert show_surface(scene, case, True)
    assert edits_in(shown.segmentation, assessment.segmentation) is None
    decision = decide(assessment, "minor_edit", reader="R", reasons=("contour_off",), shown=shown_of(assessment))
    SceneDecisions(scene).add(decision)
    assert SceneDecisions(scene).decisions_of(case).decisions == (decision,)
    found = shown_case(view.composite)
    assert found is not None
    corner.show(found.light, found.percentile)
    view.picture()
    made = [node for node in _nodes(scene) if node.GetID() not in before]
    held = [volume_node.GetImageData(), *(table.GetTable() for table in shown.tables)]
    held.append(shown.segmentation.GetSegmentation().GetSegment("liver").GetRepresentation("Binary labelmap"))
    held += [] if shown.overlay is None else [shown.overlay.GetImageData()]
    return [_weak(thing) for thing in (*made, *held)]


def close_scene(view: SliceView, corner: CornerLight) -> None:
    """As *File > Close scene* does; the module then finds no case, and takes the light away."""
    view.scene.Clear(0)
    if shown_case(view.composite) is None:
        corner.clear()
    gc.collect()


def alive(*watched: list[Any]) -> list[str]:
    """Classes of what is still there, of several rounds.

    Slicer's slice view holds the images that it drew last until it draws others: those of the last round do not count.
    """
    things = [[reference.Get() for reference in of_one] for of_one in watched]
    names = [[thing.GetClassName() for thing in of_one if thing is not None] for of_one in things]
    return [*(name for of_one in names[:-1] for name in of_one), *(n for n in names[-1] if n != "vtkImageData")]


def records_kept() -> int:
    """Records whose content the library still holds."""
    return len(nodes._read)


def node_ids(scene: Any) -> set[str]:
    return {node.GetID() for node in _nodes(scene)}


def _nodes(scene: Any) -> list[Any]:
    return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]


def _weak(thing: Any) -> Any:
    reference = vtk.vtkWeakReference()
    reference.Set(thing)
    return reference
