from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.ood.token_map import stitched

CELL = 4


def importance(n: int) -> np.ndarray:
    axis = np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / 0.25) ** 2)
    return axis[:, None, None] * axis[None, :, None] * axis[None, None, :]


def stitched_voxel_by_voxel(
    values: np.ndarray, weights: np.ndarray, starts: np.ndarray, window: int, shape: tuple[int, int, int]
) -> np.ndarray:
    """The same by painting every token's voxels: slow, and plain to see."""
    padded = tuple(n + 4 * window for n in shape)
    total, weight_sum = np.zeros(padded), np.zeros(padded)
    token = window // values.shape[1]
    for value, weight, start in zip(values, weights * importance(values.shape[1]), starts, strict=True):
        where = tuple(slice(s + 2 * window, s + 3 * window) for s in start)
        block = np.ones((token, token, token))
        weight_sum[where] += np.kron(weight, block)
        total[where] += np.kron(weight * value, block)
    inside = tuple(slice(2 * window, 2 * window + n) for n in shape)
    total, weight_sum = total[inside], weight_sum[inside]
    cells = tuple(-(-n // CELL) for n in shape)
    result = np.zeros(cells)
    for index in np.ndindex(*cells):
        cell = tuple(slice(i * CELL, (i + 1) * CELL) for i in index)
        if weight_sum[cell].sum() > 0:
            result[index] = total[cell].sum() / weight_sum[cell].sum()
    return result


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(3, 30), st.integers(9, 30), st.integers(16, 30)),
    starts=st.lists(st.tuples(st.integers(-7, 9), st.integers(-5, 12), st.integers(0, 14)), min_size=1, max_size=4),
)
def test_windows_anywhere_are_stitched_as_if_each_voxel_were_painted(
    seed: int, shape: tuple[int, int, int], starts: list[tuple[int, int, int]]
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((len(starts), 4, 4, 4)).astype(np.float32)
    weights = rng.random(values.shape).astype(np.float32) * (rng.random(values.shape) > 0.3)
    first = np.array(starts, dtype=np.int64)
    found = stitched(values, weights, first, (16, 16, 16), shape, CELL)
    np.testing.assert_allclose(found, stitched_voxel_by_voxel(values, weights, first, 16, shape), atol=1e-5)


def test_what_all_windows_say_alike_stays() -> None:
    values = np.full((2, 4, 4, 4), 0.75, np.float32)
    first = np.array([[0, 0, 0], [0, 0, 10]])
    found = stitched(values, np.ones_like(values), first, (16, 16, 16), (16, 16, 26), CELL)
    assert found.shape == (4, 4, 7)
    np.testing.assert_allclose(found, 0.75, rtol=1e-6)


def test_one_window_on_the_cells_gives_back_its_values() -> None:
    values = np.random.default_rng(0).random((1, 4, 4, 4)).astype(np.float32)
    found = stitched(values, np.ones_like(values), np.zeros((1, 3), np.int64), (16, 16, 16), (16, 16, 16), CELL)
    np.testing.assert_allclose(found, values[0], rtol=1e-6)


def test_a_token_without_weight_has_no_say() -> None:
    values = np.ones((1, 2, 2, 2), np.float32)
    weights = np.ones_like(values)
    weights[0, 1] = 0
    found = stitched(values, weights, np.zeros((1, 3), np.int64), (8, 8, 8), (8, 8, 8), CELL)
    np.testing.assert_array_equal(found[:, 0, 0], [1, 0])


def test_the_middle_of_a_window_counts_more_than_the_edge_of_another() -> None:
    values = np.stack([np.full((4, 4, 4), 1.0), np.full((4, 4, 4), 3.0)]).astype(np.float32)
    first = np.array([[0, 0, 0], [0, 0, 8]])
    found = stitched(values, np.ones_like(values), first, (16, 16, 16), (16, 16, 24), CELL)
    assert found[0, 0, 2] < 2 < found[0, 0, 3]


@pytest.mark.parametrize("window", [12, 20])
def test_a_window_that_is_no_multiple_of_the_cell_is_shared_evenly(window: int) -> None:
    """Three tokens in 20 voxels: each covers six and two thirds."""
    values = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
    size = (window, window, window)
    found = stitched(values, np.ones_like(values), np.zeros((1, 3), np.int64), size, size, CELL)
    assert found.shape == (-(-window // CELL),) * 3
    assert found[0, 0, 0] == 0
    assert found[-1, -1, -1] == pytest.approx(26)
    assert (np.diff(found, axis=0) >= 0).all()
