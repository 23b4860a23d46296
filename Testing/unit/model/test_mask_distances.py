from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from BottleneckOODLib.model.mask_distances import surface_distances


def a_ball(shape: tuple[int, int, int], centre: tuple[float, float, float], radius: float) -> np.ndarray:
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    return np.asarray(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < radius**2)


def naive(mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float, float]) -> tuple[float, float]:
    """Both surfaces' distances to each other, from their voxels' centres."""
    edges = [m & ~ndimage.binary_erosion(m) for m in (mask, truth)]
    to = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    forth, back = to[1][edges[0]], to[0][edges[1]]
    return float(np.concatenate([forth, back]).mean()), max(np.percentile(forth, 95), np.percentile(back, 95))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.8, 0.8)])
def test_they_are_what_distances_between_surfaces_are(spacing: tuple[float, float, float]) -> None:
    mask, truth = a_ball((30, 40, 50), (14, 20, 24), 9), a_ball((30, 40, 50), (15, 18, 27), 8)
    mean, far = surface_distances(mask, truth, spacing)
    expected = naive(mask, truth, spacing)
    # MONAI's surfaces lie between voxels where ours are voxels.
    assert mean == pytest.approx(expected[0], abs=0.5 * max(spacing))
    assert far == pytest.approx(expected[1], abs=max(spacing))
    assert (mean, far) == pytest.approx(surface_distances(truth, mask, spacing))


def test_a_shift_by_one_slice_is_that_many_mm_away_at_most() -> None:
    mask = np.zeros((12, 20, 20), bool)
    mask[3:7, 5:15, 5:15] = True
    mean, far = surface_distances(mask, np.roll(mask, 1, axis=0), (4.0, 1.0, 1.0))
    assert 0 < mean < 4.0
    assert far == pytest.approx(4.0)
    assert surface_distances(mask, mask, (4.0, 1.0, 1.0)) == (0.0, 0.0)


def test_without_a_surface_there_is_no_distance() -> None:
    mask = a_ball((10, 10, 10), (5, 5, 5), 3)
    for pair in ((mask, np.zeros_like(mask)), (np.zeros_like(mask), mask)):
        assert all(math.isnan(value) for value in surface_distances(*pair, (1.0, 1.0, 1.0)))


def test_where_the_masks_lie_in_the_scan_changes_nothing() -> None:
    mask, truth = a_ball((12, 12, 12), (5, 6, 5), 4), a_ball((12, 12, 12), (6, 5, 6), 4)
    wide = [np.pad(m, ((3, 8), (9, 1), (0, 30))) for m in (mask, truth)]
    assert surface_distances(*wide, (2.0, 1.0, 1.5)) == surface_distances(mask, truth, (2.0, 1.0, 1.5))
