"""Dice and surface distances against a plain re-statement with a tree of points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial import cKDTree

from BottleneckOODLib.model.mask_performance import mask_performance

SPACING = (5.0, 0.8, 1.5)


def a_ball(centre: tuple[float, float, float], radius_mm: float, shape: tuple[int, ...] = (24, 60, 50)) -> np.ndarray:
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grids, centre, SPACING, strict=True))
    return np.asarray(squared < radius_mm**2)


def surface_mm(mask: np.ndarray) -> np.ndarray:
    inner = binary_erosion(mask, generate_binary_structure(3, 1))
    return np.argwhere(mask & ~inner) * np.array(SPACING)


def test_distances_are_those_of_the_surfaces_points() -> None:
    mask, truth = a_ball((12, 30, 25), 18), a_ball((13, 34, 24), 15)
    found = mask_performance(mask, truth, SPACING)
    one, other = surface_mm(mask), surface_mm(truth)
    there, back = cKDTree(other).query(one)[0], cKDTree(one).query(other)[0]
    assert found["hd"] == pytest.approx(max(there.max(), back.max()), abs=1e-3)
    assert found["sd"] == pytest.approx(np.concatenate([there, back]).mean(), abs=1e-3)
    assert found["dice"] == pytest.approx(2 * (mask & truth).sum() / (mask.sum() + truth.sum()), abs=1e-6)


def test_the_same_mask_has_no_distance() -> None:
    mask = a_ball((12, 30, 25), 18)
    assert mask_performance(mask, mask, SPACING) == {"dice": 1.0, "hd": 0.0, "sd": 0.0}


def test_a_slice_s_shift_is_a_slice_s_distance() -> None:
    block = np.zeros((20, 20, 20), bool)
    block[5:10, 5:10, 5:10] = True
    assert mask_performance(block, np.roll(block, 2, axis=0), SPACING)["hd"] == pytest.approx(10.0)
    assert mask_performance(block, np.roll(block, 2, axis=2), SPACING)["hd"] == pytest.approx(3.0)


def test_what_lies_on_the_side_of_the_scan_has_a_surface_too() -> None:
    mask = np.zeros((8, 8, 8), bool)
    mask[:, :, :4] = True
    found = mask_performance(mask, np.ones((8, 8, 8), bool), SPACING)
    assert found["hd"] == pytest.approx(4 * SPACING[2])


@pytest.mark.parametrize("empty", ["mask", "truth", "both"])
def test_an_empty_mask_has_no_surface(empty: str) -> None:
    ball, nothing = a_ball((12, 30, 25), 18), np.zeros((24, 60, 50), bool)
    mask, truth = (nothing if empty in (which, "both") else ball for which in ("mask", "truth"))
    found = mask_performance(mask, truth, SPACING)
    assert (found["hd"], found["sd"]) == (None, None)
    assert found["dice"] == (1.0 if empty == "both" else 0.0)
