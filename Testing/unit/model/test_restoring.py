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


def test_a_third_class_between_two_others_is_not_lost() -> None:
    """It is the largest nowhere on the model's grid, and wins in the middle."""
    logits = np.full((4, 1, 1, 2), -9, dtype=np.float32)
    logits[1, 0, 0], logits[2, 0, 0], logits[3, 0, 0] = (5, 0), (0, 5), (4, 4)
    source = Geometry((2, 1, 1), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    target = Geometry((3, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    assert restored_labels(logits, source, target, [3]).ravel().tolist() == [0, 3, 0]


def test_only_the_box_of_what_is_marked_is_interpolated(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    interpolate = restoring.image_on

    def watched(image: object, where: Geometry) -> np.ndarray:
        sizes.append(int(np.prod(where.size_ijk)))
        return interpolate(image, where)

    monkeypatch.setattr(restoring, "image_on", watched)
    logits = np.stack([np.ones((30, 30, 30)), np.zeros((30, 30, 30))]).astype(np.float32)
    source = Geometry((30, 30, 30), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), IDENTITY)
    target = Geometry((120, 120, 120), (1.0, 1.0, 1.0), (-1.5, -1.5, -1.5), IDENTITY)
    assert not restored_labels(logits, source, target, [1]).any()
    assert sizes == []
    logits[1, 10:13, 10:13, 10:13] = 3
    slab = 30 * 30 * 5
    assert restored_labels(logits, source, target, [1], slab_voxels=slab).any()
    assert max(sizes) <= slab
    assert sum(sizes) < 25**3


def test_an_unknown_label_value_marks_nothing_and_the_logits_stay_as_they_are() -> None:
    logits = blobs(3, (5, 6, 7), 0, 0.0)
    before = logits.copy()
    source = a_source((5, 6, 7), IDENTITY)
    leave_out = np.ones((5, 6, 7), dtype=bool)
    assert not restored_labels(logits, source, source, [7, 0]).any()
    assert not restored_labels(logits, source, source, [1, 2], leave_out).any()
    np.testing.assert_array_equal(logits, before)
