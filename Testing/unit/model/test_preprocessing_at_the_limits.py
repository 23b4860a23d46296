"""Where grids end, meet and hardly differ: every voxel is what an independent interpolation gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from BottleneckOODLib.imaging.volume import Geometry, Volume, to_sitk
from BottleneckOODLib.model.intensity import IntensitySettings
from BottleneckOODLib.model.model_folder import ModelFolder, PreprocessingSettings, Resampling
from BottleneckOODLib.model.preprocessing import Grid, Preprocessing, _with_margin

AS_IT_IS = IntensitySettings((-1e3, 1e3), (-1e3, 1e3))
TURNED = Rotation.from_euler("xyz", [8, -5, 12], degrees=True).as_matrix().ravel()
STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def a_volume(size: tuple[int, int, int], spacing: tuple[float, float, float], direction: Any = STRAIGHT) -> Volume:
    geometry = Geometry(size, spacing, (-31.0, 7.5, 120.0), tuple(float(value) for value in direction))
    voxels = np.random.default_rng(4).normal(0, 100, geometry.shape).astype(np.float32)
    return Volume(voxels, geometry, "CT", "x")


def applied(
    volume: Volume, spacing: tuple[float, float, float], resampling: Resampling = "centred"
) -> tuple[np.ndarray, Grid]:
    return Preprocessing(PreprocessingSettings("LPS", spacing, AS_IT_IS, resampling)).apply(volume)


def nearest_beyond(volume: Volume, grid: Grid) -> np.ndarray:
    """The volume at the grid's points, linear between voxels, its edge repeated beyond them."""
    k, j, i = np.indices(tuple(reversed(grid.size_ijk)))
    points = grid.in_cells(1).ijk_to_lps(np.stack([i, j, k], axis=-1).reshape(-1, 3).astype(float))
    at = volume.geometry.lps_to_ijk(points)[:, ::-1].T
    return map_coordinates(volume.voxels, at, order=1, mode="nearest").reshape(i.shape)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 5.0), (3.0, 1.0, 5.0), (2.0, 4.0, 10.0), (1.0, 1.0, 5.0)])
def test_whole_voxels_are_averaged_along_the_axes_where_the_model_s_are_larger(
    spacing: tuple[float, float, float],
) -> None:
    volume = a_volume((12, 8, 6), (1.0, 1.0, 5.0))
    tensor, grid = applied(volume, spacing)
    fi, fj, fk = (int(new / old) for new, old in zip(spacing, (1.0, 1.0, 5.0), strict=True))
    assert grid.size_ijk == (12 // fi, 8 // fj, 6 // fk)
    blocks = volume.voxels.reshape(6 // fk, fk, 8 // fj, fj, 12 // fi, fi).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(tensor, blocks, atol=2e-3)


def test_what_is_left_between_whole_voxels_is_linear() -> None:
    volume = a_volume((10, 1, 1), (1.0, 2.5, 2.5))
    tensor, _ = applied(volume, (2.5, 2.5, 2.5))
    pairs = volume.voxels.reshape(5, 2).mean(axis=1)
    at = 4.5 + 2.5 * np.array([-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(tensor.ravel(), np.interp(at, np.arange(0.5, 9, 2), pairs), atol=2e-3)


def test_where_the_voxels_do_not_come_out_even_nothing_of_another_value_appears() -> None:
    volume = a_volume((7, 9, 5), (1.0, 1.0, 1.0))
    volume = Volume(np.full_like(volume.voxels, 40.0), volume.geometry, "CT", "x")
    tensor, grid = applied(volume, (2.0, 2.0, 2.0))
    assert grid.size_ijk == (4, 4, 2)
    np.testing.assert_allclose(tensor, 40.0, atol=1e-3)


def test_a_volume_thinner_than_half_a_voxel_of_the_model_is_one_voxel() -> None:
    volume = a_volume((6, 6, 1), (2.0, 2.0, 1.0))
    tensor, grid = applied(volume, (2.0, 2.0, 5.0))
    assert grid.size_ijk == (6, 6, 1)
    np.testing.assert_allclose(tensor, volume.voxels, atol=2e-3)


@pytest.mark.parametrize(("differs_by", "stays"), [(0.0008, True), (-0.0008, True), (0.0015, False), (-0.0015, False)])
def test_spacings_are_the_same_within_a_thousandth_of_a_millimetre(differs_by: float, stays: bool) -> None:
    volume = a_volume((9, 9, 9), (2.0 + differs_by, 2.0, 2.0))
    _, grid = applied(volume, (2.0, 2.0, 2.0), "first_voxel")
    assert grid.spacing_mm == ((2.0 + differs_by if stays else 2.0), 2.0, 2.0)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("spacing", [(1.7, 2.5, 3.1), (4.0, 2.0, 3.0), (7.0, 7.0, 7.0)])
def test_a_grid_that_shares_the_first_voxel_holds_what_lies_at_its_points(
    spacing: tuple[float, float, float], turned: bool
) -> None:
    volume = a_volume((21, 18, 15), (2.0, 3.0, 4.0), TURNED if turned else STRAIGHT)
    tensor, grid = applied(volume, spacing, "first_voxel")
    np.testing.assert_allclose(tensor, nearest_beyond(volume, grid), atol=2e-3)


BEYOND = [
    ((2, 0, 0), (0, 0, 0)),
    ((0, 2, 0), (0, 0, 0)),
    ((0, 0, 2), (0, 0, 0)),
    ((0, 0, 0), (2, 0, 0)),
    ((0, 0, 0), (0, 2, 0)),
    ((0, 0, 0), (0, 0, 2)),
    ((1, 1, 1), (1, 1, 1)),
    ((0, 0, 0), (0, 0, 0)),
    ((-2, -1, -2), (-1, -2, -1)),
]
"""Voxels by which a grid reaches beyond an image before its first and after its last one; within it where negative."""


@pytest.mark.parametrize("half", [0.0, 0.5])
@pytest.mark.parametrize(("before", "after"), BEYOND)
def test_an_image_is_widened_as_far_as_the_grid_reaches(
    before: tuple[int, int, int], after: tuple[int, int, int], half: float
) -> None:
    volume = a_volume((7, 6, 5), (2.0, 3.0, 4.0), TURNED)
    image = to_sitk(volume.voxels, volume.geometry)
    first = -np.array(before) - half
    size = np.array((7, 6, 5)) + before + after + (half > 0)
    i, j, k = (int(n) for n in size)
    x, y, z = volume.geometry.ijk_to_lps(first[None].astype(float))[0]
    grid = Grid(volume, (i, j, k), (2.0, 3.0, 4.0), (float(x), float(y), float(z)), volume.geometry.direction)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(grid.size_ijk)
    resampler.SetOutputSpacing(grid.spacing_mm)
    resampler.SetOutputOrigin(grid.origin_lps_mm)
    resampler.SetOutputDirection(grid.direction)
    # What no voxel of the widened image reaches would be seen.
    resampler.SetDefaultPixelValue(1e6)
    widened = sitk.GetArrayFromImage(resampler.Execute(_with_margin(image, grid)))
    np.testing.assert_allclose(widened, nearest_beyond(volume, grid), atol=2e-3)


@pytest.mark.parametrize("cell", [1, 2, 3])
def test_a_cell_lies_in_the_middle_of_its_voxels(cell: int) -> None:
    volume = a_volume((6, 12, 6), (2.0, 3.0, 4.0), TURNED)
    _, grid = applied(volume, (2.0, 3.0, 4.0))
    cells = grid.in_cells(cell)
    assert cells.size_ijk == tuple(n // cell for n in grid.size_ijk)
    for number in ((0, 0, 0), (1, 0, 1), (0, 2, 1)):
        within = np.indices((cell, cell, cell)).reshape(3, -1).T + np.array(number) * cell
        middle = grid.in_cells(1).ijk_to_lps(within.astype(float)).mean(axis=0)
        np.testing.assert_allclose(cells.ijk_to_lps(np.array([number], float))[0], middle, atol=1e-9)


def test_cells_that_do_not_come_out_even_hold_the_rest_too() -> None:
    _, grid = applied(a_volume((7, 8, 9), (2.0, 2.0, 2.0)), (2.0, 2.0, 2.0))
    assert grid.in_cells(4).size_ijk == (2, 2, 3)


def test_a_voxel_of_the_model_s_grid_in_ml() -> None:
    _, grid = applied(a_volume((6, 6, 6), (2.0, 3.0, 5.0)), (2.0, 3.0, 5.0))
    assert grid.voxel_volume_ml == pytest.approx(0.03, rel=1e-12)


def test_a_model_s_own_settings_are_taken(a_model_of_each_family: ModelFolder) -> None:
    preprocessing = Preprocessing.of_model(a_model_of_each_family)
    assert preprocessing.settings == a_model_of_each_family.preprocessing
    assert preprocessing.air == a_model_of_each_family.preprocessing.intensity.air
