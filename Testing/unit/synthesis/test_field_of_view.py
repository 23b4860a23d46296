from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.synthesis.field_of_view import FIELDS_OF_VIEW, patch_field_of_view, scan_range


def _mask() -> np.ndarray:
    mask = np.zeros((32, 32, 32), bool)
    mask[8:24, 8:24, 8:24] = True
    return mask


def test_patches_are_whole_cut_thin_and_tight() -> None:
    mask = _mask()
    heights, tight = [], 0
    for seed in range(200):
        seen = patch_field_of_view(np.random.default_rng(seed), mask)
        rows = seen.any(axis=(1, 2))
        heights.append(int(rows.sum()))
        tight += not seen[np.flatnonzero(rows)[0]].all()
    assert min(heights) <= 2, "slabs of one or two slices occur"
    assert max(heights) == 32
    assert 0.2 < np.mean(np.array(heights) <= 24) < 0.8
    assert 5 < tight < 80


def test_most_slabs_show_liver() -> None:
    mask = _mask()
    thin = [
        s
        for s in (patch_field_of_view(np.random.default_rng(i), mask) for i in range(200))
        if s.any(axis=(1, 2)).sum() < 6
    ]
    assert np.mean([(s & mask).any() for s in thin]) > 0.7


def test_a_mask_without_liver_is_no_error() -> None:
    for seed in range(20):
        patch_field_of_view(np.random.default_rng(seed), np.zeros((16, 16, 16), bool))


@pytest.mark.parametrize("kind", list(FIELDS_OF_VIEW))
def test_every_field_of_view_has_a_range_that_meets_the_liver(kind: str) -> None:
    for seed in range(20):
        low, high = scan_range(np.random.default_rng(seed), kind)
        assert low < high
        assert low < -5, "the liver lies below its own top"
        assert high > -160


def test_slabs_are_thin_and_trunks_are_tall() -> None:
    slabs = [np.subtract(*scan_range(np.random.default_rng(s), "liver slab")[::-1]) for s in range(20)]
    trunks = [np.subtract(*scan_range(np.random.default_rng(s), "trunk")[::-1]) for s in range(20)]
    assert max(slabs) <= 60
    assert min(trunks) >= 450


def test_the_odds_add_up() -> None:
    assert sum(FIELDS_OF_VIEW.values()) == pytest.approx(1)
