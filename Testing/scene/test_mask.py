"""How the mask is drawn, its surface in 3D, and the way to the liver."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume
from BottleneckOODLib.scene.mask import (
    jump_to,
    liver_centre_ras,
    set_drawn,
    show_surface,
)
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.volume_node import add_volume_node

MakeAssessment = Callable[..., Assessment]
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def ball(radius_mm: float = 30.0) -> LabelVolume:
    z, y, x = np.mgrid[:40, :40, :40] * 2.0
    labels = (((x - 36) ** 2 + (y - 44) ** 2 + (z - 40) ** 2) < radius_mm**2).astype(np.uint8)
    return LabelVolume(labels, Geometry((40, 40, 40), (2.0, 2.0, 2.0), (10.0, 20.0, 30.0), UPRIGHT), {1: "liver"})


def display_of(scene: Any) -> Any:
    return scene.GetNthNodeByClass(0, "vtkMRMLSegmentationNode").GetDisplayNode()


@pytest.mark.parametrize("drawn", list(product([False, True], repeat=3)))
def test_mask_contour_and_fill_are_switched_each_on_its_own(
    a_scene: Any, an_assessment: Assessment, drawn: tuple[bool, bool, bool]
) -> None:
    show(an_assessment, a_scene)
    visible, outline, fill = drawn
    assert set_drawn(a_scene, "case-7", visible=visible, outline=outline, fill=fill)
    display = display_of(a_scene)
    assert (display.GetVisibility(), display.GetVisibility2DOutline(), display.GetVisibility2DFill()) == drawn


def test_assessed_again_the_mask_is_drawn_as_the_user_had_it(a_scene: Any, make_assessment: MakeAssessment) -> None:
    show(make_assessment(segmentation=ball()), a_scene)
    set_drawn(a_scene, "case-7", visible=True, outline=True, fill=False)
    show_surface(a_scene, "case-7", True)
    node = show(make_assessment("red", segmentation=ball(20.0)), a_scene).segmentation
    assert node is not None
    assert not display_of(a_scene).GetVisibility2DFill()
    surface = node.GetClosedSurfaceInternalRepresentation("liver")
    # The surface is the new mask's: 20 mm, not 30.
    low, high = surface.GetBounds()[:2]
    assert 34 < high - low < 42


def test_without_a_mask_there_is_nothing_to_switch(
    a_scene: Any, make_assessment: MakeAssessment, scene_state: Any
) -> None:
    show(make_assessment(segmentation=None), a_scene)
    show(make_assessment(case_id="other"), a_scene)
    before = scene_state(a_scene)
    assert set_drawn(a_scene, "case-7", visible=False, outline=False, fill=False) is False
    assert show_surface(a_scene, "case-7", False) is False
    assert scene_state(a_scene) == before


def test_the_surface_is_smooth_closed_and_where_the_mask_is(a_scene: Any, make_assessment: MakeAssessment) -> None:
    mask = ball()
    node = show(make_assessment(segmentation=mask), a_scene).segmentation
    assert node is not None
    assert show_surface(a_scene, "case-7", True)
    surface = node.GetClosedSurfaceInternalRepresentation("liver")
    edges = vtk.vtkFeatureEdges()
    edges.SetInputData(surface)
    edges.FeatureEdgesOff()
    edges.ManifoldEdgesOff()
    edges.Update()
    assert edges.GetOutput().GetNumberOfCells() == 0
    weight = vtk.vtkMassProperties()
    weight.SetInputData(surface)
    weight.Update()
    assert weight.GetVolume() / 1000 == pytest.approx(mask.volume_ml(1), rel=0.05)
    # A staircase of voxels has half as much surface again as the ball.
    assert weight.GetSurfaceArea() == pytest.approx(4 * np.pi * 30**2, rel=0.08)
    np.testing.assert_allclose(surface.GetCenter(), (-46, -64, 70), atol=2.1)
    assert display_of(a_scene).GetVisibility3D()


def test_the_surface_goes_again(a_scene: Any, make_assessment: MakeAssessment) -> None:
    node = show(make_assessment(segmentation=ball()), a_scene).segmentation
    assert node is not None
    show_surface(a_scene, "case-7", True)
    assert show_surface(a_scene, "case-7", False) is False
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert not display_of(a_scene).GetVisibility3D()


def test_the_centre_lies_in_the_middle_of_a_ball(a_scene: Any, make_assessment: MakeAssessment) -> None:
    node = show(make_assessment(segmentation=ball()), a_scene).segmentation
    centre = liver_centre_ras(node)
    assert centre is not None
    np.testing.assert_allclose(centre, (-46.0, -64.0, 70.0), atol=1e-6)


def test_the_centre_of_a_bent_mask_lies_in_the_mask(a_scene: Any, make_assessment: MakeAssessment) -> None:
    full = ball()
    z, y, x = np.mgrid[:40, :40, :40] * 2.0
    hollow = full.labels * (((x - 36) ** 2 + (y - 44) ** 2 + (z - 40) ** 2) > 26**2)
    mask = LabelVolume(hollow, full.geometry, full.names)
    centre = liver_centre_ras(show(make_assessment(segmentation=mask), a_scene).segmentation)
    assert centre is not None
    i, j, k = mask.geometry.lps_to_ijk(np.array([[-centre[0], -centre[1], centre[2]]])).round().astype(int)[0]
    assert mask.labels[k, j, i] == 1


def test_the_centre_moves_with_the_mask(a_scene: Any, make_assessment: MakeAssessment) -> None:
    node = show(make_assessment(segmentation=ball()), a_scene).segmentation
    assert node is not None
    before = liver_centre_ras(node)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 3, 50.0)
    transform = a_scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    after = liver_centre_ras(node)
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(np.subtract(after, before), (0, 0, 50), atol=1e-6)


def test_an_empty_mask_has_no_centre(a_scene: Any, make_assessment: MakeAssessment) -> None:
    mask = ball()
    empty = LabelVolume(np.zeros_like(mask.labels), mask.geometry, mask.names)
    assert liver_centre_ras(show(make_assessment(segmentation=empty), a_scene).segmentation) is None
    bare = a_scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert liver_centre_ras(bare) is None


def test_every_slice_view_jumps_and_nothing_else_is_made(a_scene: Any, scene_state: Any) -> None:
    assert jump_to(a_scene, (1.0, 2.0, 3.0)) == 0
    slices = []
    for number, orientation in enumerate(("Axial", "Sagittal", "Coronal")):
        node = slicer.vtkMRMLSliceNode()
        node.SetLayoutName(f"view {number}")
        a_scene.AddNode(node)
        node.SetOrientation(orientation)
        slices.append(node)
    nodes = set(scene_state(a_scene))
    assert jump_to(a_scene, (11.0, -22.0, 33.0)) == 3
    assert set(scene_state(a_scene)) == nodes
    for node in slices:
        matrix = node.GetSliceToRAS()
        np.testing.assert_allclose([matrix.GetElement(row, 3) for row in range(3)], (11, -22, 33))


def test_the_liver_stands_in_the_middle_of_the_view(
    a_scene: Any, make_assessment: MakeAssessment, a_slice_view: Any
) -> None:
    assessment = make_assessment()
    assert assessment.volume is not None
    volume = add_volume_node(a_scene, assessment.volume)
    centre = liver_centre_ras(show(assessment, a_scene, volume).segmentation)
    assert centre is not None
    a_slice_view.show(volume)
    jump_to(a_scene, centre)
    height, width = a_slice_view.picture().shape[:2]
    np.testing.assert_allclose(a_slice_view.pixel_of(centre), (height / 2, width / 2), atol=1.0)
