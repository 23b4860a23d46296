"""The quick way back gives the very mask that interpolating every class at full size gives."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from BottleneckOODLib.imaging.volume import Geometry, resampled
from BottleneckOODLib.model import restoring
from BottleneckOODLib.model.restoring import restored_labels

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ORIENTATIONS = (
    IDENTITY,
    (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0),
    (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    tuple(float(v) for v in Rotation.from_euler("xyz", [20, -35, 10], degrees=True).as_matrix().ravel()),
)


def the_plain_way(
    logits: np.ndarray, source: Geometry, target: Geometry, labels: list[int], leave_out: np.ndarray | None = None
) -> np.ndarray:
    """Every class at the volume's size, then the first of the largest."""
    if leave_out is not None:
        logits = logits.copy()
        logits[0] = np.where(leave_out, logits.max(axis=0) + 1, logits[0])
    if len(logits) == 2:
        winner = (resampled(logits[1] - logits[0], source, target) > 0).astype(np.uint8)
    else:
        winner = np.stack([resampled(logit, source, target) for logit in logits]).argmax(axis=0)
    return np.where(np.isin(winner, labels), winner, 0).astype(np.uint8)


def blobs(n_classes: int, shape: tuple[int, ...], seed: int, background: float) -> np.ndarray:
    """Smooth random logits, with background ahead by so much."""
    noise = np.random.default_rng(seed).normal(size=(n_classes, *shape)).astype(np.float32)
    smooth = np.stack([scipy.ndimage.gaussian_filter(field, 1.5) for field in noise])
    smooth /= smooth.std()
    smooth[0] += background
    return smooth.astype(np.float32)


def a_source(shape: tuple[int, ...], direction: tuple[float, ...]) -> Geometry:
    k, j, i = shape
    return Geometry((i, j, k), (4.0, 3.0, 5.0), (-31.5, 12.25, 7.0), direction)


def a_target(source: Geometry, direction: tuple[float, ...], factor: float, stretch: float) -> Geometry:
    """A finer or coarser grid about nearly the same centre, ``stretch`` times as long."""
    spacing = tuple(s * factor for s in (3.1, 4.2, 3.7))
    size = tuple(max(1, round(45.0 * stretch / s)) for s in spacing)
    # Half a voxel beyond the edge, to the bit, rounding decides between interpolating and taking the nearest.
    centre = source.ijk_to_lps((np.array([source.size_ijk]) - 1) / 2)[0] + [0.0137, -0.0071, 0.0193]
    axes = np.array(direction).reshape(3, 3)
    origin = centre - axes @ ((np.array(size) - 1) / 2 * spacing)
    return Geometry(size, spacing, tuple(float(v) for v in origin), direction)


@settings(max_examples=60, deadline=None)
@given(
    n_classes=st.sampled_from([2, 3, 5]),
    seed=st.integers(0, 10_000),
    background=st.sampled_from([-3.0, 0.0, 1.5, 3.0, 9.0]),
    of_source=st.sampled_from(ORIENTATIONS),
    of_target=st.sampled_from(ORIENTATIONS),
    factor=st.sampled_from([0.31, 1.0, 2.7]),
    stretch=st.sampled_from([0.5, 1.0, 2.5]),
    slab=st.sampled_from([1, 400, 10**9]),
    parts=st.booleans(),
)
def test_the_mask_is_that_of_the_plain_way(
    n_classes: int,
    seed: int,
    background: float,
    of_source: tuple[float, ...],
    of_target: tuple[float, ...],
    factor: float,
    stretch: float,
    slab: int,
    *,
    parts: bool,
) -> None:
    logits = blobs(n_classes, (9, 14, 11), seed, background)
    source = a_source(logits.shape[1:], of_source)
    target = a_target(source, of_target, factor, stretch)
    leave_out = (np.arange(14)[None, :, None] > 6) & (logits.argmax(axis=0) > 0) if parts else None
    labels = [1] if n_classes < 5 else [1, 3]
    expected = the_plain_way(logits, source, target, labels, leave_out)
    found = restored_labels(logits, source, target, labels, leave_out, slab_voxels=slab)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("corner", [(0, 0, 0), (-1, -1, -1), (0, -1, 4)])
def test_what_touches_the_edge_goes_on_beyond_it(corner: tuple[int, int, int]) -> None:
    logits = np.stack([np.ones((6, 7, 8)), np.zeros((6, 7, 8))]).astype(np.float32)
    logits[(1, *corner)] = 5
    source = a_source((6, 7, 8), IDENTITY)
    target = a_target(source, IDENTITY, 0.5, 2.0)
    expected = the_plain_way(logits, source, target, [1])
    assert expected.any()
    np.testing.assert_array_equal(restored_labels(logits, source, target, [1]), expected)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 4.0), (4.0, 0.5, 0.5)])
def test_far_beyond_a_small_grid_of_any_spacing_its_edge_goes_on(spacing: tuple[float, float, float]) -> None:
    logits = np.stack([np.zeros((2, 8, 8)), np.ones((2, 8, 8))]).astype(np.float32)
    source = Geometry((8, 8, 2), spacing, (0.0, 0.0, 0.0), IDENTITY)
    target = Geometry((1, 60, 1), (1.0, 1.0, 1.0), (1.0, -28.0, 1.0), IDENTITY)
    assert restored_labels(logits, source, target, [1]).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_that_does_not_reach_what_is_marked_holds_nothing_of_it(axis: int) -> None:
    logits = np.stack([np.ones((9, 9, 9)), np.zeros((9, 9, 9))]).astype(np.float32)
    place = [4, 4, 4]
    place[axis] = 7
    logits[(1, *place)] = 5
    source = Geometry((9, 9, 9), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), IDENTITY)
    target = Geometry((5, 5, 5), (1.0, 1.0, 1.0), (14.0, 14.0, 14.0), IDENTITY)
    assert not restored_labels(logits, source, target, [1]).any()


def test_a_third_class_between_two_others_is_not_lost() -> None:
    """It is the largest nowhere on the model's grid, and wins in the middle."""
    logits = np.full((4, 1, 1, 2), -9, dtype=np.float32)
    logits[1, 0, 0], logits[2, 0, 0], logits[3, 0, 0] = (5, 0), (0, 5), (4, 4)
    source = Geometry((2, 1, 1), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    target = Geometry((3, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    assert restored_labels(logits, source, target, [3]).ravel().tolist() == [0, 3, 0]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_what_is_as_likely_as_background_is_background(n_classes: int) -> None:
    logits = np.zeros((n_classes, 1, 1, 2), dtype=np.float32)
    logits[1:, 0, 0] = (2, -2)
    source = Geometry((2, 1, 1), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    target = Geometry((3, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    assert restored_labels(logits, source, target, [1]).ravel().tolist() == [1, 0, 0]


def test_only_the_box_of_what_is_marked_is_interpolated(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    parts: list[tuple[int, ...]] = []
    interpolate, image_of = restoring.image_on, restoring.to_sitk

    def watched(image: object, where: Geometry) -> np.ndarray:
        sizes.append(int(np.prod(where.size_ijk)))
        return interpolate(image, where)

    def noted(field: np.ndarray, geometry: Geometry) -> object:
        parts.append(field.shape)
        return image_of(field, geometry)

    monkeypatch.setattr(restoring, "image_on", watched)
    monkeypatch.setattr(restoring, "to_sitk", noted)
    logits = np.stack([np.ones((30, 30, 30)), np.zeros((30, 30, 30))]).astype(np.float32)
    source = Geometry((30, 30, 30), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), IDENTITY)
    target = Geometry((120, 120, 120), (1.0, 1.0, 1.0), (-1.5, -1.5, -1.5), IDENTITY)
    assert not restored_labels(logits, source, target, [1]).any()
    assert sizes == []
    logits[1, 10:13, 10:13, 10:13] = 3
    slab = 30 * 30 * 5
    assert restored_labels(logits, source, target, [1], slab_voxels=slab).any()
    # Three voxels and their neighbours.
    assert parts == [(5, 5, 5)]
    # From the model's voxel 9 to 13, which is 37.5 to 53.5 on the volume's grid: within its voxels 37 to 54.
    across = 18 * 18
    assert sizes == [slab // across * across, (18 - slab // across) * across]
    sizes.clear()
    assert restored_labels(logits, source, target, [1], slab_voxels=1).any()
    assert sizes == [across] * 18
    sizes.clear()
    # At the edges of the model's grid, all that lies beyond as well: up to 5.5, from 113.5, and the whole width.
    logits[1] = 0
    logits[1, 0, 29] = 3
    assert restored_labels(logits, source, target, [1])[0, -1].all()
    assert sizes == [7 * 7 * 120]
    sizes.clear()
    # What is left out, or as large as the background, takes no time.
    logits[1, 10:13, 10:13, 10:13] = 3
    logits[1, 20:] = 1
    aside = np.zeros(logits.shape[1:], dtype=bool)
    aside[0, 29] = True
    assert restored_labels(logits, source, target, [1], aside).any()
    assert sizes == [18**3]


def test_an_unknown_label_value_marks_nothing_and_the_logits_stay_as_they_are() -> None:
    logits = blobs(3, (5, 6, 7), 0, 0.0)
    before = logits.copy()
    source = a_source((5, 6, 7), IDENTITY)
    leave_out = np.ones((5, 6, 7), dtype=bool)
    assert not restored_labels(logits, source, source, [7, 3, 0, -1]).any()
    marked = restored_labels(logits, source, source, [1, 3])
    np.testing.assert_array_equal(marked, np.where(logits.argmax(axis=0) == 1, 1, 0))
    assert marked.any()
    assert not restored_labels(logits, source, source, [1, 2], leave_out).any()
    np.testing.assert_array_equal(logits, before)
