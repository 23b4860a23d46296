"""Under a transform the image is taken as the user sees it, the mask lies where it is seen, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import vtk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.scene.grids import array_from_image_data, vtk_matrix
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.volume_node import add_volume_node, volume_from_node

MakeAssessment = Callable[..., Any]
FloatArray = npt.NDArray[np.float64]
GRIDS = {
    "upright": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    "oblique": (-0.8, 0.6, 0.0, -0.6, -0.8, 0.0, 0.0, 0.0, -1.0),
    "left-handed": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    "lying": (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
}
BALL_LPS = np.array([8.0, -14.0, 40.0])


def a_ball_on(direction: tuple[float, ...], radius_mm: float = 22.0) -> Volume:
    """A bright ball at ``BALL_LPS``, soft at its rim, on a grid round it."""
    size, spacing = np.array([34, 30, 26]), np.array([2.5, 3.0, 3.5])
    axes = np.array(direction).reshape(3, 3)
    origin = BALL_LPS - axes @ ((size - 1) / 2 * spacing)
    geometry = Geometry(
        (34, 30, 26), (2.5, 3.0, 3.5), (float(origin[0]), float(origin[1]), float(origin[2])), direction
    )
    k, j, i = np.indices(geometry.shape).reshape(3, -1)
    away = np.linalg.norm(geometry.ijk_to_lps(np.stack([i, j, k], axis=1).astype(float)) - BALL_LPS, axis=1)
    voxels = -1000 + 1040 / (1 + np.exp((away - radius_mm) / 1.5))
    return Volume(voxels.reshape(geometry.shape).astype(np.float32), geometry, "CT", "ball")


def mask_of(volume: Volume) -> LabelVolume:
    return LabelVolume((volume.voxels > -480).astype(np.uint8), volume.geometry, {1: "liver"})


def matrix_of(turn_deg: tuple[float, float, float], move_mm: tuple[float, float, float], scale: FloatArray) -> Any:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix() @ scale
    matrix[:3, 3] = move_mm
    return vtk_matrix(matrix)


def put_under(scene: Any, node: Any, matrix: Any) -> Any:
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def put_under_a_warp(scene: Any, node: Any) -> Any:
    """A smooth push of up to 12 mm around the ball, other in each direction."""
    target = np.array([-BALL_LPS[0], -BALL_LPS[1], BALL_LPS[2]])
    source_points, target_points = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.array(np.meshgrid(*[[-90, 0, 90]] * 3)).reshape(3, -1).T:
        source_points.InsertNextPoint(*(target + corner))
        target_points.InsertNextPoint(*(target + corner + (np.array([12, -8, 10]) if not corner.any() else 0)))
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source_points)
    spline.SetTargetLandmarks(target_points)
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warped")
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def to_world(node: Any, points_ras: FloatArray) -> FloatArray:
    """Independent of the code: asked of the node, point by point."""
    found = []
    for point in points_ras:
        world = [0.0, 0.0, 0.0]
        node.TransformPointToWorld([float(value) for value in point], world)
        found.append(world)
    return np.array(found)


def value_at(volume: Volume, ras: FloatArray) -> FloatArray:
    from scipy.ndimage import map_coordinates

    ijk = volume.geometry.lps_to_ijk(ras * np.array([-1.0, -1.0, 1.0]))
    return np.asarray(map_coordinates(volume.voxels.astype(float), ijk.T[::-1], order=1, mode="nearest"))


def probes() -> FloatArray:
    """Points in and around the ball, in RAS before any transform."""
    return np.random.default_rng(1).uniform(-20, 20, (60, 3)) + np.array([-BALL_LPS[0], -BALL_LPS[1], BALL_LPS[2]])


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("kind", ["moved", "turned", "mirrored", "scaled", "sheared", "warped", "warped and turned"])
def test_each_point_has_the_value_that_the_user_sees_there(
    a_scene: Any, scene_state: Any, direction: tuple[float, ...], kind: str
) -> None:
    before = a_ball_on(direction)
    node = add_volume_node(a_scene, before)
    scales = {
        "mirrored": np.diag([-1.0, 1.0, 1.0]),
        "scaled": np.diag([1.2, 1.2, 1.2]),
        "sheared": np.array([[1.0, 0.25, 0.0], [0.0, 1.0, 0.1], [0.0, 0.0, 1.0]]),
    }
    turn = (0.0, 0.0, 0.0) if kind == "moved" else (20.0, -35.0, 70.0)
    matrix = matrix_of(turn, (13.0, -40.0, 25.5), scales.get(kind, np.eye(3)))
    transform = put_under_a_warp(a_scene, node) if "warped" in kind else put_under(a_scene, node, matrix)
    if kind == "warped and turned":
        put_under(a_scene, transform, matrix)
    state = scene_state(a_scene)
    after = volume_from_node(node, "CT")
    assert scene_state(a_scene) == state
    world = to_world(node, probes())
    # Slopes at the ball's rim are 170 HU a mm; the tolerance is half a millimetre there.
    interpolated = {"sheared": 90, "warped": 90, "warped and turned": 90}
    np.testing.assert_allclose(value_at(after, world), value_at(before, probes()), atol=interpolated.get(kind, 2))
    assert after.modality == "CT"
    assert after.voxels.size < 3.5 * before.voxels.size
    assert after.voxels.min() >= before.voxels.min() - 1


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_a_turn_takes_the_voxels_as_they_are(a_scene: Any, direction: tuple[float, ...]) -> None:
    before = a_ball_on(direction)
    node = add_volume_node(a_scene, before)
    put_under(a_scene, node, matrix_of((10.0, 20.0, 30.0), (1.0, 2.0, 3.0), np.eye(3)))
    after = volume_from_node(node)
    np.testing.assert_array_equal(after.voxels, before.voxels)
    np.testing.assert_allclose(after.geometry.spacing_mm, before.geometry.spacing_mm)
    assert not after.geometry.is_close(before.geometry, 5.0)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.floats(-300, 300)] * 3), st.sampled_from(sorted(GRIDS))
)
def test_the_mask_of_a_moved_volume_lies_on_the_volume_s_own_voxels(
    a_scene: Any,
    make_assessment: MakeAssessment,
    turn: tuple[float, float, float],
    move: tuple[float, float, float],
    grid: str,
) -> None:
    node = add_volume_node(a_scene, a_ball_on(GRIDS[grid]))
    transform = put_under(a_scene, node, matrix_of(turn, move, np.eye(3)))
    seen = volume_from_node(node)
    segmentation = show(make_assessment(segmentation=mask_of(seen)), a_scene, node).segmentation
    assert segmentation is not None
    assert segmentation.GetTransformNodeID() == transform.GetID()
    image = segmentation.GetSegmentation().GetSegment("liver").GetRepresentation("Binary labelmap")
    own, its = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(own)
    image.GetImageToWorldMatrix(its)
    for row in range(4):
        for column in range(4):
            assert its.GetElement(row, column) == pytest.approx(own.GetElement(row, column), abs=1e-6)
    np.testing.assert_array_equal(array_from_image_data(image), mask_of(seen).labels)
    for made in (node, transform):
        a_scene.RemoveNode(made)


def centre_of(segmentation: Any) -> FloatArray:
    """Middle of the box around the marked voxels, in the world."""
    image = segmentation.GetSegmentation().GetSegment("liver").GetRepresentation("Binary labelmap")
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    marked = np.argwhere(array_from_image_data(image))[:, ::-1]
    places = to_world(segmentation, np.array([matrix.MultiplyPoint((*index, 1.0))[:3] for index in marked.tolist()]))
    return np.asarray(places.min(axis=0) + places.max(axis=0)) / 2


@pytest.mark.parametrize("kind", ["none", "moved", "scaled", "sheared", "warped"])
def test_the_mask_is_seen_where_the_ball_is_seen(a_scene: Any, make_assessment: MakeAssessment, kind: str) -> None:
    node = add_volume_node(a_scene, a_ball_on(GRIDS["oblique"]))
    scales = {"scaled": np.diag([1.3, 1.3, 1.3]), "sheared": np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]])}
    if kind == "warped":
        put_under_a_warp(a_scene, node)
    elif kind != "none":
        put_under(a_scene, node, matrix_of((15.0, 25.0, -40.0), (30.0, 0.0, -10.0), scales.get(kind, np.eye(3))))
    seen = volume_from_node(node)
    segmentation = show(make_assessment(segmentation=mask_of(seen)), a_scene, node).segmentation
    surface = np.random.default_rng(2).normal(size=(2000, 3))
    surface = 22 * surface / np.linalg.norm(surface, axis=1)[:, None] + [-BALL_LPS[0], -BALL_LPS[1], BALL_LPS[2]]
    ball = to_world(node, surface)
    np.testing.assert_allclose(centre_of(segmentation), (ball.min(axis=0) + ball.max(axis=0)) / 2, atol=2.0)
    assert segmentation is not None
    follows = segmentation.GetTransformNodeID() is not None
    # A mask of a resampled image has no voxels of the volume to follow.
    assert follows is (kind in ("moved", "scaled"))


def test_the_mask_follows_when_the_volume_is_moved_after(a_scene: Any, make_assessment: MakeAssessment) -> None:
    node = add_volume_node(a_scene, a_ball_on(GRIDS["oblique"]))
    transform = put_under(a_scene, node, matrix_of((0.0, 0.0, 0.0), (5.0, 0.0, 0.0), np.eye(3)))
    segmentation = show(make_assessment(segmentation=mask_of(volume_from_node(node))), a_scene, node).segmentation
    before = centre_of(segmentation)
    transform.SetMatrixTransformToParent(matrix_of((0.0, 0.0, 0.0), (5.0, 70.0, 0.0), np.eye(3)))
    np.testing.assert_allclose(centre_of(segmentation) - before, (0, 70, 0), atol=1e-6)


@pytest.mark.parametrize("after", ["moved on", "taken out", "hardened"])
def test_the_volume_may_be_moved_while_the_case_is_computed(
    a_scene: Any, make_assessment: MakeAssessment, after: str
) -> None:
    node = add_volume_node(a_scene, a_ball_on(GRIDS["oblique"]))
    transform = put_under(a_scene, node, matrix_of((5.0, 10.0, 15.0), (5.0, 6.0, 7.0), np.eye(3)))
    mask = mask_of(volume_from_node(node))
    if after == "moved on":
        transform.SetMatrixTransformToParent(matrix_of((-60.0, 3.0, 2.0), (0.0, -80.0, 0.0), np.eye(3)))
    elif after == "taken out":
        node.SetAndObserveTransformNodeID(None)
    else:
        node.HardenTransform()
    segmentation = show(make_assessment(segmentation=mask), a_scene, node).segmentation
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    middle = np.array(bounds).reshape(3, 2).mean(axis=1)
    np.testing.assert_allclose(centre_of(segmentation), middle, atol=2.0)


def test_a_mask_of_another_grid_stays_where_it_says(a_scene: Any, make_assessment: MakeAssessment) -> None:
    node = add_volume_node(a_scene, a_ball_on(GRIDS["upright"]))
    put_under(a_scene, node, matrix_of((0.0, 0.0, 0.0), (100.0, 0.0, 0.0), np.eye(3)))
    segmentation = show(make_assessment(), a_scene, node).segmentation
    assert segmentation is not None
    assert segmentation.GetTransformNodeID() is None


def test_a_transform_that_flattens_is_refused(a_scene: Any, scene_state: Any) -> None:
    node = add_volume_node(a_scene, a_ball_on(GRIDS["upright"]))
    put_under(a_scene, node, matrix_of((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), np.diag([1.0, 1.0, 0.0])))
    before = scene_state(a_scene)
    with pytest.raises(InputError, match=r"transform of the volume ball cannot be inverted.*\.$"):
        volume_from_node(node)
    assert scene_state(a_scene) == before


def test_a_tilted_gantry_that_its_transform_rights_is_read(a_scene: Any) -> None:
    """Slicer loads such series with a transform above them."""
    node = add_volume_node(a_scene, a_ball_on(GRIDS["upright"]))
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]])
    own = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(own)
    tilted = np.eye(4)
    tilted[:3, :3] = tilt
    tilted_own = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Multiply4x4(vtk_matrix(np.linalg.inv(tilted)), own, tilted_own)
    node.SetIJKToRASMatrix(tilted_own)
    with pytest.raises(InputError, match="perpendicular"):
        volume_from_node(node)
    put_under(a_scene, node, vtk_matrix(tilted))
    after = volume_from_node(node)
    assert after.geometry.is_close(a_ball_on(GRIDS["upright"]).geometry, 1e-6)
