"""The overlay of unusual regions on the real MRML: where it lies, how it looks, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from scene_state import assessments_in

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.regions import RegionMap
from BottleneckOODLib.assessment.wording import REGIONS_LEGEND
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.scene.bundle import write_scene
from BottleneckOODLib.scene.grids import array_from_image_data
from BottleneckOODLib.scene.nodes import nodes_of
from BottleneckOODLib.scene.overlay import (
    FIRST_SHOWN,
    REGIONS_ROLE,
    USUAL_OPACITY,
    is_overlay_visible,
    most_unusual_place_shown,
    set_overlay_opacity,
    set_overlay_visible,
    show_overlay,
)
from BottleneckOODLib.scene.show import remove, show
from BottleneckOODLib.scene.volume_node import add_volume_node

MakeAssessment = Callable[..., Assessment]
OBLIQUE = (-0.8, 0.6, 0.0, -0.6, -0.8, 0.0, 0.0, 0.0, -1.0)
IMAGE = Geometry((60, 50, 24), (2.0, 2.5, 5.0), (-17.5, 8.25, 120.0), OBLIQUE)
# As the model's grid would have it: upright in LPS, around the oblique image.
CELLS = Geometry((6, 6, 5), (32.0, 32.0, 32.0), (-190.0, -140.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
CASE = "case-7"


def some_regions(peak: tuple[int, int, int] = (2, 3, 3)) -> RegionMap:
    values = np.full(CELLS.shape, 0.5, np.float32)
    values[peak] = 1.8
    return RegionMap(values, CELLS)


@pytest.fixture
def an_assessment(make_assessment: MakeAssessment) -> Assessment:
    image = Volume(np.zeros(IMAGE.shape, np.float32), IMAGE, "CT", "abdomen")
    return make_assessment(regions=some_regions(), volume=image, segmentation=None)


@pytest.fixture
def a_volume_node(a_scene: Any, an_assessment: Assessment) -> Any:
    assert an_assessment.volume is not None
    return add_volume_node(a_scene, an_assessment.volume)


def add_view(scene: Any, name: str, background: Any, foreground: Any = None, opacity: float = 0.0) -> Any:
    view = slicer.vtkMRMLSliceCompositeNode()
    view.SetLayoutName(name)
    view = scene.AddNode(view)
    view.SetBackgroundVolumeID(None if background is None else background.GetID())
    view.SetForegroundVolumeID(None if foreground is None else foreground.GetID())
    view.SetForegroundOpacity(opacity)
    return view


def world_of(node: Any, kji: tuple[int, int, int]) -> np.ndarray:
    matrix, world = vtk.vtkMatrix4x4(), [0.0, 0.0, 0.0]
    node.GetIJKToRASMatrix(matrix)
    k, j, i = kji
    node.TransformPointToWorld(matrix.MultiplyPoint((float(i), float(j), float(k), 1.0))[:3], world)
    return np.array(world)


def ras_bounds(node: Any) -> np.ndarray:
    k, j, i = array_from_image_data(node.GetImageData()).shape
    corners = [(a, b, c) for a in (-0.5, k - 0.5) for b in (-0.5, j - 0.5) for c in (-0.5, i - 0.5)]
    matrix = slicer.util.arrayFromVTKMatrix(_matrix(node))
    return np.array([(matrix @ [c, b, a, 1])[:3] for a, b, c in corners])


def _matrix(node: Any) -> Any:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_each_voxel_has_the_value_of_its_place_in_the_map(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any
) -> None:
    node = show_overlay(an_assessment, a_scene, a_volume_node)
    array = array_from_image_data(node.GetImageData())
    assert an_assessment.regions is not None
    for kji in [(0, 0, 0), (5, 20, 29), (11, 10, 3), tuple(n - 1 for n in array.shape)]:
        right, anterior, superior = world_of(node, kji)
        i, j, k = CELLS.lps_to_ijk(np.array([[-right, -anterior, superior]]))[0]
        low = np.clip(np.floor([k, j, i]).astype(int), 0, np.array(CELLS.shape) - 2)
        share = np.clip(np.array([k, j, i]) - low, 0, 1)
        expected = 0.0
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(np.array(corner) == 1, share, 1 - share))
            expected += weight * an_assessment.regions.values[tuple(low + corner)]
        assert array[kji] == pytest.approx(expected, abs=1e-3)


def test_it_covers_the_volume_in_steps_of_a_few_millimetres(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any
) -> None:
    node = show_overlay(an_assessment, a_scene, a_volume_node)
    assert node.GetSpacing() == pytest.approx((4.0, 2.5, 5.0))
    np.testing.assert_allclose(ras_bounds(node), ras_bounds(a_volume_node), atol=1e-6)


def test_a_volume_of_many_voxels_gets_an_overlay_of_few(make_assessment: MakeAssessment, a_scene: Any) -> None:
    fine = Geometry((200, 200, 100), (0.5, 0.5, 1.0), IMAGE.origin_lps_mm, OBLIQUE)
    image = Volume(np.zeros(fine.shape, np.float32), fine, "CT", "fine")
    assessment = make_assessment(regions=some_regions(), volume=image, segmentation=None)
    node = show_overlay(assessment, a_scene, add_volume_node(a_scene, image))
    assert node.GetImageData().GetDimensions() == (25, 25, 25)


def most_unusual_ras(assessment: Assessment) -> tuple[float, float, float]:
    """The most unusual place as the image lay when it was assessed."""
    place = None if assessment.regions is None else assessment.regions.most_unusual_place
    assert place is not None
    return -place[0], -place[1], place[2]


def test_the_most_unusual_place_is_the_same_in_the_map_and_in_the_scene(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any
) -> None:
    show_overlay(an_assessment, a_scene, a_volume_node)
    place = most_unusual_ras(an_assessment)
    k, j, i = 2, 3, 3
    assert place == pytest.approx((190.0 - 32 * i, 140.0 - 32 * j, 32.0 * k))
    shown = most_unusual_place_shown(a_scene, CASE)
    assert shown is not None
    assert np.abs(np.array(shown) - place).max() < 5


def test_a_lesser_cell_at_the_edge_is_not_the_most_unusual_place(
    make_assessment: MakeAssessment, a_scene: Any
) -> None:
    """Its value is continued to the image's edge, while the peak of a cell inside lies between two voxels."""
    values = np.zeros((4, 4, 4), np.float32)
    values[2, 1, 1], values[0, 0, 3] = 2.5, 2.45
    straight = Geometry((80, 80, 80), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), CELLS.direction)
    regions = RegionMap(values, Geometry((4, 4, 4), (75.0, 75.0, 75.0), (1.5, 1.5, 1.5), CELLS.direction))
    image = Volume(np.zeros(straight.shape, np.float32), straight, "CT", "image")
    assessment = make_assessment(regions=regions, volume=image, segmentation=None)
    show_overlay(assessment, a_scene, add_volume_node(a_scene, image))
    shown = most_unusual_place_shown(a_scene, CASE)
    assert shown == pytest.approx((-76.5, -76.5, 151.5), abs=2.01)


def test_it_moves_with_its_volume(an_assessment: Assessment, a_scene: Any, a_volume_node: Any) -> None:
    transform = a_scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node = show_overlay(an_assessment, a_scene, a_volume_node)
    before = most_unusual_place_shown(a_scene, CASE)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 25.0)
    transform.SetMatrixTransformToParent(matrix)
    a_volume_node.SetAndObserveTransformNodeID(transform.GetID())
    assert show_overlay(an_assessment, a_scene, a_volume_node) is node
    after = most_unusual_place_shown(a_scene, CASE)
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(np.array(after) - before, [25, 0, 0], atol=1e-6)


def test_it_is_transparent_where_nothing_is_unusual_and_has_a_legend(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any
) -> None:
    display = show_overlay(an_assessment, a_scene, a_volume_node).GetDisplayNode()
    assert display.GetApplyThreshold()
    assert display.GetLowerThreshold() == FIRST_SHOWN
    assert display.GetColorNode() is not None
    set_overlay_visible(a_scene, CASE, True)
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(display.GetDisplayableNode())
    assert legend.GetTitleText() == REGIONS_LEGEND
    assert legend.GetVisibility()
    set_overlay_visible(a_scene, CASE, True)
    assert slicer.vtkSlicerColorLogic.GetNumberOfColorLegendDisplayNodes(display.GetDisplayableNode()) == 1


def test_lighter_colours_are_more_unusual(an_assessment: Assessment, a_scene: Any, a_volume_node: Any) -> None:
    colours = show_overlay(an_assessment, a_scene, a_volume_node).GetDisplayNode().GetColorNode()
    rgba = [0.0] * 4
    lightness = []
    for index in range(0, colours.GetNumberOfColors(), 16):
        colours.GetColor(index, rgba)
        lightness.append(0.2126 * rgba[0] + 0.7152 * rgba[1] + 0.0722 * rgba[2])
    assert (np.diff(lightness) >= 0).all()
    assert lightness[-1] > lightness[0] + 0.5


def test_without_a_map_there_is_no_overlay(make_assessment: MakeAssessment, a_scene: Any) -> None:
    assert show_overlay(make_assessment(), a_scene) is None
    assert most_unusual_place_shown(a_scene, CASE) is None
    assert not set_overlay_visible(a_scene, CASE, True)
    assert not set_overlay_opacity(a_scene, CASE, 0.4)
    assert not is_overlay_visible(a_scene, CASE)


def test_only_views_of_that_volume_show_it_and_what_was_there_comes_back(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any
) -> None:
    other = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "other")
    pet = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "pet")
    plain = add_view(a_scene, "Red", a_volume_node)
    fused = add_view(a_scene, "Green", a_volume_node, pet, 0.3)
    elsewhere = add_view(a_scene, "Yellow", other, pet, 0.7)
    show(an_assessment, a_scene, a_volume_node)
    overlay = show_overlay(an_assessment, a_scene, a_volume_node)
    assert not is_overlay_visible(a_scene, CASE)

    assert set_overlay_visible(a_scene, CASE, True)
    assert set_overlay_visible(a_scene, CASE, True)  # twice is once
    assert is_overlay_visible(a_scene, CASE)
    assert [view.GetForegroundVolumeID() for view in (plain, fused)] == [overlay.GetID()] * 2
    assert plain.GetForegroundOpacity() == USUAL_OPACITY
    assert (elsewhere.GetForegroundVolumeID(), elsewhere.GetForegroundOpacity()) == (pet.GetID(), 0.7)
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(overlay).GetVisibility()

    set_overlay_visible(a_scene, CASE, False)
    assert (plain.GetForegroundVolumeID(), plain.GetForegroundOpacity()) == (None, 0.0)
    assert (fused.GetForegroundVolumeID(), fused.GetForegroundOpacity()) == (pet.GetID(), 0.3)
    assert not plain.GetAttributeNames()
    assert not slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(overlay).GetVisibility()


def test_a_foreground_that_the_user_chose_in_between_stays(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any
) -> None:
    view = add_view(a_scene, "Red", a_volume_node)
    show(an_assessment, a_scene, a_volume_node)
    show_overlay(an_assessment, a_scene, a_volume_node)
    set_overlay_visible(a_scene, CASE, True)
    pet = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "pet")
    view.SetForegroundVolumeID(pet.GetID())
    set_overlay_visible(a_scene, CASE, False)
    assert view.GetForegroundVolumeID() == pet.GetID()


@pytest.mark.parametrize(("asked", "given"), [(0.25, 0.25), (-1, 0), (7, 1)])
def test_the_opacity_is_kept_for_the_next_time(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any, asked: float, given: float
) -> None:
    view = add_view(a_scene, "Red", a_volume_node)
    show(an_assessment, a_scene, a_volume_node)
    show_overlay(an_assessment, a_scene, a_volume_node)
    set_overlay_opacity(a_scene, CASE, asked)
    assert view.GetForegroundOpacity() == 0.0
    set_overlay_visible(a_scene, CASE, True)
    assert view.GetForegroundOpacity() == pytest.approx(given)
    set_overlay_opacity(a_scene, CASE, 0.75)
    assert view.GetForegroundOpacity() == pytest.approx(0.75)


def test_showing_a_case_shows_its_overlay_once(an_assessment: Assessment, a_scene: Any, a_volume_node: Any) -> None:
    first = show(an_assessment, a_scene, a_volume_node)
    count = a_scene.GetNumberOfNodes()
    second = show(an_assessment, a_scene, a_volume_node)
    assert first.overlay is not None
    assert second.overlay is first.overlay
    assert a_scene.GetNumberOfNodes() == count


def test_a_new_result_without_a_map_takes_the_old_overlay_away(
    an_assessment: Assessment, make_assessment: MakeAssessment, a_scene: Any, a_volume_node: Any
) -> None:
    pet = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "pet")
    view = add_view(a_scene, "Red", a_volume_node, pet, 0.3)
    show(an_assessment, a_scene, a_volume_node)
    set_overlay_visible(a_scene, CASE, True)
    show(make_assessment("red", volume=an_assessment.volume), a_scene, a_volume_node)
    assert not [node for node in nodes_of(a_scene, CASE) if "region" in node.GetAttribute("BottleneckOOD.Role")]
    assert (view.GetForegroundVolumeID(), view.GetForegroundOpacity()) == (pet.GetID(), 0.3)


def test_removing_the_result_removes_overlay_colours_and_legend(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any
) -> None:
    view = add_view(a_scene, "Red", a_volume_node)
    before = a_scene.GetNumberOfNodes()
    show(an_assessment, a_scene, a_volume_node)
    set_overlay_visible(a_scene, CASE, True)
    remove(a_scene, CASE)
    assert a_scene.GetNumberOfNodes() == before
    assert view.GetForegroundVolumeID() is None


@pytest.mark.parametrize("visible", [False, True])
def test_a_saved_scene_opens_with_its_overlay(
    an_assessment: Assessment, a_scene: Any, a_volume_node: Any, read_bundle: Callable[[Path], Any], tmp_path: Path,
    visible: bool,
) -> None:  # fmt: skip
    show(an_assessment, a_scene, a_volume_node)
    add_view(a_scene, "Red", a_volume_node)
    set_overlay_visible(a_scene, CASE, visible)
    assert a_scene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    scene = read_bundle(tmp_path / "scene.mrb")
    place, expected = most_unusual_place_shown(scene, CASE), most_unusual_ras(an_assessment)
    assert place is not None
    assert np.abs(np.array(place) - expected).max() < 5
    assert is_overlay_visible(scene, CASE) == visible
    # Shown again from the record alone, without a map, the overlay stays, and can be hidden and shown.
    shown = show(assessments_in(scene)[CASE], scene)
    assert shown.overlay is not None
    assert shown.overlay.GetAttribute("BottleneckOOD.Role") == REGIONS_ROLE
    assert shown.overlay.GetDisplayNode().GetLowerThreshold() == FIRST_SHOWN
    assert shown.overlay.GetDisplayNode().GetColorNode().GetNumberOfColors() > 100
    for on in (True, False):
        set_overlay_visible(scene, CASE, on)
        assert is_overlay_visible(scene, CASE) == on
    assert slicer.vtkSlicerColorLogic.GetNumberOfColorLegendDisplayNodes(shown.overlay) == 1


def test_the_bundle_of_a_case_holds_its_overlay(
    an_assessment: Assessment, read_bundle: Callable[[Path], Any], tmp_path: Path
) -> None:
    write_scene(an_assessment, tmp_path / "scene.mrb")
    assert most_unusual_place_shown(read_bundle(tmp_path / "scene.mrb"), CASE) is not None
