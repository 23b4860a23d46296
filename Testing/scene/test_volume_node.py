"""A voxel stays where it is in the patient, from a volume to the scene and back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import slicer
import vtk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.scene.grids import array_from_image_data, geometry_from_ras_matrix, ijk_to_ras_matrix, image_data
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.volume_node import add_volume_node, pending_volume, volume_from_node

MakeAssessment = Callable[..., Assessment]
FloatArray = npt.NDArray[np.float64]
Index = tuple[int, int, int]
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
in_one_scene = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Any place in the patient: oblique, anisotropic, axes permuted and flipped."""
    oblique = Rotation.from_euler("zyx", draw(st.tuples(*[st.floats(-180, 180)] * 3)), degrees=True).as_matrix()
    axes = oblique * np.array(draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)))
    axes = axes[:, draw(st.permutations(range(3)))]
    return Geometry(
        draw(st.tuples(*[st.integers(2, 7)] * 3)),
        draw(st.tuples(*[st.floats(0.2, 9)] * 3)),
        draw(st.tuples(*[st.floats(-1500, 1500)] * 3)),
        tuple(float(value) for value in axes.ravel()),
    )


@st.composite
def marked(draw: st.DrawFn) -> tuple[Geometry, Index]:
    """A grid and one of its voxels, as i, j, k."""
    geometry = draw(geometries())
    i, j, k = (draw(st.integers(0, n - 1)) for n in geometry.size_ijk)
    return geometry, (i, j, k)


def ras_of(geometry: Geometry, index: Index) -> FloatArray:
    """Where a voxel lies, written out from the definition: LPS first, then left and posterior change their sign."""
    x, y, z = geometry.origin_lps_mm
    for axis, (n, spacing) in enumerate(zip(index, geometry.spacing_mm, strict=True)):
        x += n * spacing * geometry.direction[axis]
        y += n * spacing * geometry.direction[3 + axis]
        z += n * spacing * geometry.direction[6 + axis]
    return np.array([-x, -y, z])


def volume_marked_at(geometry: Geometry, index: Index) -> Volume:
    voxels = np.full(geometry.shape, -1000.0, np.float32)
    i, j, k = index
    voxels[k, j, i] = 321.5
    return Volume(voxels, geometry, "CT", "marked")


def brightest(image: Any) -> Index:
    """Index of the largest voxel of an image, asked of VTK voxel by voxel."""
    low_i, high_i, low_j, high_j, low_k, high_k = image.GetExtent()
    grid = product(range(low_i, high_i + 1), range(low_j, high_j + 1), range(low_k, high_k + 1))
    return max(grid, key=lambda index: float(image.GetScalarComponentAsDouble(*index, 0)))


def through(matrix: Any, index: Index) -> FloatArray:
    return np.array(matrix.MultiplyPoint((*index, 1.0))[:3])


@in_one_scene
@given(marked())
@example((Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), UPRIGHT), (0, 0, 0)))
def test_a_marked_voxel_keeps_its_place_in_the_volume_node(a_scene: Any, case: tuple[Geometry, Index]) -> None:
    geometry, index = case
    node = add_volume_node(a_scene, volume_marked_at(geometry, index))
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    assert brightest(node.GetImageData()) == index
    np.testing.assert_allclose(through(matrix, index), ras_of(geometry, index), atol=1e-6)
    a_scene.RemoveNode(node)


@in_one_scene
@given(marked())
def test_a_marked_voxel_comes_back_as_it_went(a_scene: Any, case: tuple[Geometry, Index]) -> None:
    geometry, index = case
    before = volume_marked_at(geometry, index)
    node = add_volume_node(a_scene, before)
    after = volume_from_node(node, "CT")
    a_scene.RemoveNode(node)
    np.testing.assert_array_equal(after.voxels, before.voxels)
    assert after.geometry.size_ijk == geometry.size_ijk
    assert (after.modality, after.name) == ("CT", "marked")
    np.testing.assert_allclose(ras_of(after.geometry, index), ras_of(geometry, index), atol=1e-6)
    np.testing.assert_allclose(after.geometry.axes, geometry.axes, atol=1e-6)
    np.testing.assert_allclose(after.geometry.spacing_mm, geometry.spacing_mm, atol=1e-6)


@in_one_scene
@given(marked())
def test_a_marked_voxel_keeps_its_place_in_the_segmentation(
    a_scene: Any, make_assessment: MakeAssessment, case: tuple[Geometry, Index]
) -> None:
    geometry, index = case
    labels = (volume_marked_at(geometry, index).voxels > 0).astype(np.uint8)
    mask = LabelVolume(labels, geometry, {1: "liver"})
    node = show(make_assessment(segmentation=mask), a_scene).segmentation
    assert node is not None
    image = node.GetSegmentation().GetSegment("liver").GetRepresentation("Binary labelmap")
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    found = brightest(image)
    assert image.GetScalarComponentAsDouble(*found, 0) == 1
    assert array_from_image_data(image).sum() == 1
    np.testing.assert_allclose(through(matrix, found), ras_of(geometry, index), atol=1e-6)


@settings(deadline=None)
@given(geometries())
def test_the_matrix_and_the_geometry_are_each_other_s_inverse(geometry: Geometry) -> None:
    matrix = ijk_to_ras_matrix(geometry)
    np.testing.assert_array_equal(matrix[3], [0, 0, 0, 1])
    np.testing.assert_allclose(
        ijk_to_ras_matrix(geometry_from_ras_matrix(matrix, geometry.size_ijk)), matrix, atol=1e-9
    )


def test_an_upright_lps_volume_runs_to_the_right_and_to_the_back_in_ras() -> None:
    geometry = Geometry((4, 5, 6), (2.0, 3.0, 4.0), (10.0, 20.0, 30.0), UPRIGHT)
    wanted = [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]]
    np.testing.assert_array_equal(ijk_to_ras_matrix(geometry), wanted)


def test_slicer_reads_the_same_array(a_scene: Any, an_assessment: Assessment) -> None:
    assert an_assessment.volume is not None
    node = add_volume_node(a_scene, an_assessment.volume)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), an_assessment.volume.voxels)


def test_the_image_data_itself_has_no_geometry(a_scene: Any, an_assessment: Assessment) -> None:
    assert an_assessment.volume is not None
    image = add_volume_node(a_scene, an_assessment.volume).GetImageData()
    assert image.GetSpacing() == (1, 1, 1)
    assert image.GetOrigin() == (0, 0, 0)
    assert image.GetExtent() == (0, 8, 0, 7, 0, 6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_every_kind_of_voxel_is_read(a_scene: Any, dtype: npt.DTypeLike) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    node = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "any")
    node.SetAndObserveImageData(image_data(array))
    volume = volume_from_node(node)
    assert volume.voxels.dtype == np.float32
    assert volume.modality == "unknown"
    np.testing.assert_array_equal(volume.voxels, array)


def test_scene_and_volume_share_no_memory(a_scene: Any, an_assessment: Assessment) -> None:
    before = an_assessment.volume
    assert before is not None
    kept = before.voxels.copy()
    node = add_volume_node(a_scene, before)
    after = volume_from_node(node)
    slicer.util.arrayFromVolume(node)[:] = 7
    np.testing.assert_array_equal(before.voxels, kept)
    np.testing.assert_array_equal(after.voxels, kept)


def test_a_sheared_volume_is_refused(a_scene: Any) -> None:
    node = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "sheared")
    node.SetAndObserveImageData(image_data(np.zeros((2, 3, 4), np.int16)))
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 1, 0.5)
    node.SetIJKToRASMatrix(matrix)
    with pytest.raises(InputError, match="perpendicular"):
        volume_from_node(node)


def test_a_volume_without_voxels_is_refused(a_scene: Any) -> None:
    with pytest.raises(InputError):
        volume_from_node(a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))


def read_by_slicer(scene: Any, path: Path) -> Any:
    """A node as Slicer's own reader makes it."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", path.name)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    storage.SetSingleFile(1)
    assert storage.ReadData(node)
    return node


def assert_the_same_image(one: Volume, other: Volume) -> None:
    """The same values at the same places; readers may turn an axis round."""
    assert one.voxels.size == other.voxels.size
    index = np.random.default_rng(0).integers(0, one.geometry.size_ijk, (2000, 3))
    found = other.geometry.lps_to_ijk(one.geometry.ijk_to_lps(index.astype(float)))
    np.testing.assert_allclose(found, found.round(), atol=0.02)
    i, j, k = index.T
    x, y, z = found.round().astype(int).T
    np.testing.assert_allclose(other.voxels[z, y, x], one.voxels[k, j, i], atol=1e-3)


def test_a_file_that_slicer_read_is_the_one_that_we_read(a_scene: Any, a_ct_file: Path) -> None:
    assert_the_same_image(read_volume(a_ct_file), volume_from_node(read_by_slicer(a_scene, a_ct_file)))


SCANS = ("abdomen_ct_full/ct.nii.gz", "abdomen_mr/mr.nii.gz", "other/brain_mr.nrrd", "other/heart_ct.nii.gz")


@pytest.mark.parametrize("scan", SCANS)
def test_a_real_scan_that_slicer_read_is_the_one_that_we_read(a_scene: Any, real_data_folder: Path, scan: str) -> None:
    path = real_data_folder / scan
    assert_the_same_image(read_volume(path), volume_from_node(read_by_slicer(a_scene, path)))


def test_a_pending_volume_is_checked_now_and_copied_when_it_is_called_in_another_thread(
    a_scene: Any, an_assessment: Assessment
) -> None:
    with pytest.raises(InputError, match="holds no voxels"):
        pending_volume(a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    node = add_volume_node(a_scene, an_assessment.volume)
    pending = pending_volume(node, "CT")
    expected = volume_from_node(node, "CT")
    node.SetAndObserveImageData(None)
    with ThreadPoolExecutor(1) as threads:
        loaded = threads.submit(pending).result()
    np.testing.assert_array_equal(loaded.voxels, expected.voxels)
    assert (loaded.geometry, loaded.modality, loaded.name) == (expected.geometry, "CT", expected.name)
