"""The body is found without its table, and how its tissues lie follows the patient and not the order of the voxels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.imaging.body import (
    BODY_LAYOUT_NAMES,
    MEASURING_SPACING_MM,
    body_layout,
    body_mask,
    intensity_histogram,
    thinned,
    thinned_array,
)
from BottleneckOODLib.imaging.volume import Geometry, Volume

Array = np.ndarray
ALL_AXES = [
    tuple(float(v) for v in (np.eye(3)[:, list(order)] * signs).ravel())
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]
LEFT = [n for n, name in enumerate(BODY_LAYOUT_NAMES) if name.endswith("_left")]
POSTERIOR = [n for n, name in enumerate(BODY_LAYOUT_NAMES) if name.endswith("_posterior")]
SUPERIOR = [n for n, name in enumerate(BODY_LAYOUT_NAMES) if name.endswith("_superior")]
TISSUES_HU = {"air": (-np.inf, -500), "fat": (-150, -30), "soft": (0, 150), "bone": (200, np.inf)}


def ellipse(shape: tuple[int, int, int], centre_yx: tuple[float, float], radii_yx: tuple[float, float]) -> Array:
    _, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    inside = ((y - centre_yx[0]) / radii_yx[0]) ** 2 + ((x - centre_yx[1]) / radii_yx[1]) ** 2 <= 1
    return np.broadcast_to(inside, shape).copy()


SHAPE = (24, 60, 80)
TRUNK = ellipse(SHAPE, (26, 40), (20, 32))
LUNGS = (ellipse(SHAPE, (24, 25), (10, 9)) | ellipse(SHAPE, (24, 56), (8, 6))) & (np.arange(24) > 12)[:, None, None]


def trunk_with_lungs() -> Array:
    """Lungs above, a spine behind, the liver on the right; a margin of fat."""
    voxels = np.full(SHAPE, -1000.0)
    voxels[TRUNK] = -100
    voxels[ellipse(SHAPE, (26, 40), (17, 28))] = 40
    voxels[ellipse(SHAPE, (38, 40), (4, 4))] = 500
    voxels[LUNGS] = -850
    voxels[:8][ellipse(SHAPE, (24, 28), (9, 11))[:8]] = 110
    return (voxels + np.random.default_rng(0).normal(0, 5, SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def a_trunk() -> Array:
    return trunk_with_lungs()


def test_the_body_is_the_trunk_with_its_lungs_filled(a_trunk: Array) -> None:
    assert np.array_equal(body_mask(a_trunk), TRUNK)


@pytest.mark.parametrize("gap", [1, 3])
def test_the_table_is_not_part_of_the_body(a_trunk: Array, gap: int) -> None:
    below = 46 + gap + 1
    with_table = a_trunk.copy()
    with_table[:, below : below + 4, 5:75] = 100
    with_table[:, below + 1 : below + 3, 6:74] = -600
    assert np.array_equal(body_mask(with_table), TRUNK)


def test_a_thin_bridge_to_the_table_is_cut(a_trunk: Array) -> None:
    with_table = a_trunk.copy()
    with_table[:, 50:54, 5:75] = 100
    with_table[:, 45:50, 40] = 100
    mask = body_mask(with_table)
    assert not mask[:, 50:].any()
    assert mask[TRUNK].all()
    assert np.count_nonzero(mask) <= np.count_nonzero(TRUNK) + 3 * SHAPE[0]


def test_a_body_that_touches_the_edge_of_the_scan_is_kept_whole() -> None:
    trunk = ellipse(SHAPE, (30, 40), (40, 55))
    voxels = np.where(trunk, 40, -1000).astype(np.float32)
    assert np.array_equal(body_mask(voxels), trunk)


def test_a_body_in_any_scale_is_found_where_air_is_dark() -> None:
    noise = np.random.default_rng(1).normal(0, 4, SHAPE)
    voxels = np.maximum(np.where(TRUNK, 300, 8) + noise, 0).astype(np.float32)
    assert np.array_equal(body_mask(voxels), TRUNK)


def test_without_a_body_everything_is_taken() -> None:
    voxels = np.full((4, 10, 10), -1000, np.float32)
    voxels[2, 5, 5] = 100
    assert body_mask(voxels).all()


@pytest.mark.parametrize("direction", ALL_AXES)
def test_the_thinned_grid_has_the_axes_that_itk_gives_it(direction: tuple[float, ...]) -> None:
    voxels = np.random.default_rng(2).normal(0, 300, (3, 4, 5)).astype(np.float32)
    geometry = Geometry((5, 4, 3), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0), direction)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(geometry.spacing_mm)
    image.SetDirection(direction)
    turned = sitk.DICOMOrient(image, "LPS")
    array, grid = thinned(Volume(voxels, geometry, "CT", "scan"))
    assert np.array_equal(array, sitk.GetArrayFromImage(turned))
    assert grid.spacing_mm == turned.GetSpacing()
    assert grid.size_ijk == turned.GetSize()
    assert grid.orientation == "LPS"


def test_an_oblique_grid_is_taken_as_the_nearest_upright_one(an_oblique_grid: Geometry) -> None:
    voxels = np.random.default_rng(2).normal(0, 300, an_oblique_grid.shape).astype(np.float32)
    turned = Geometry(
        an_oblique_grid.size_ijk, (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), tuple((-an_oblique_grid.axes).ravel())
    )
    assert np.array_equal(thinned(Volume(voxels, turned, "CT", "scan"))[0], voxels[::-1, ::-1, ::-1])


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(0.3, 9)] * 3), st.tuples(*[st.integers(1, 40)] * 3))
def test_thinning_keeps_the_grid_finer_than_the_measuring_spacing(
    spacing: tuple[float, float, float], size: tuple[int, int, int]
) -> None:
    geometry = Geometry(size, spacing, (0.0, 0.0, 0.0), ALL_AXES[0])
    voxels = np.arange(np.prod(size), dtype=np.float32).reshape(geometry.shape)
    array, grid = thinned(Volume(voxels, geometry, "CT", "scan"))
    assert array.shape == grid.shape
    assert min(array.shape) >= 1
    assert set(array.ravel()) <= set(voxels.ravel())
    for fine, coarse, few, many in zip(spacing, grid.spacing_mm, grid.size_ijk, size, strict=True):
        assert coarse == fine if fine > MEASURING_SPACING_MM / 2 else coarse <= MEASURING_SPACING_MM
        assert abs(few * coarse - many * fine) < max(coarse, MEASURING_SPACING_MM)


def test_labels_are_thinned_as_their_volume_is_and_not_copied() -> None:
    geometry = Geometry((40, 30, 20), (0.8, 1.1, 2.0), (5.0, -3.0, 8.0), ALL_AXES[13])
    labels = np.random.default_rng(0).integers(0, 3, geometry.shape).astype(np.uint8)
    thin, grid = thinned_array(labels, geometry)
    voxels, expected = thinned(Volume(labels.astype(np.float32), geometry, "CT", "x"))
    np.testing.assert_array_equal(thin, voxels)
    assert grid == expected
    assert np.shares_memory(thin, labels)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_grid_stored_backwards_is_thinned_to_the_same_voxels(axis: int) -> None:
    voxels = np.random.default_rng(2).normal(0, 300, (9, 12, 15)).astype(np.float32)
    backwards = np.eye(3)
    backwards[axis, axis] = -1
    there = Volume(voxels, Geometry((15, 12, 9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ALL_AXES[0]), "CT", "scan")
    turned = Geometry((15, 12, 9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(backwards.ravel()))
    back = Volume(np.flip(voxels, 2 - axis), turned, "CT", "scan")
    assert np.array_equal(thinned(there)[0], thinned(back)[0])


def layout_by_hand(voxels: Array, body: Array) -> list[float]:
    """Share and centre of each tissue from the coordinates of its voxels, one by one."""
    places = np.argwhere(body)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    features: list[float] = []
    for least, most in TISSUES_HU.values():
        tissue = [tuple(p) for p in places if least < voxels[tuple(p)] <= most]
        features.append(np.sqrt(len(tissue) / len(places)))
        if len(tissue) <= 0.002 * len(places):
            features += [0.0, 0.0, 0.0]
            continue
        centre = (np.mean(tissue, axis=0) + 0.5 - low) / (high - low) - 0.5
        features += list(centre[::-1])
    return features


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_layout_is_that_of_every_voxel_counted_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    voxels = rng.choice([-1000, -400, -100, -30, 0, 40, 150, 180, 300, 500], (3, 5, 6)).astype(np.float32)
    body = rng.random(voxels.shape) < rng.uniform(0.05, 1)
    body[1, 2, 3] = True
    assert body_layout(voxels, body) == pytest.approx(layout_by_hand(voxels, body), abs=1e-12)


def test_the_layout_of_a_trunk_is_as_anatomy_has_it(a_trunk: Array) -> None:
    layout = dict(zip(BODY_LAYOUT_NAMES, body_layout(a_trunk, body_mask(a_trunk)), strict=True))
    assert layout["air_superior"] > 0.1
    assert layout["bone_posterior"] > 0.1
    assert layout["soft_share"] > layout["air_share"] > 0
    assert all(-0.5 <= value <= 0.5 for name, value in layout.items() if not name.endswith("_share"))
    assert sum(value**2 for name, value in layout.items() if name.endswith("_share")) <= 1


@pytest.mark.parametrize(("axis", "negated"), [(2, LEFT), (1, POSTERIOR), (0, SUPERIOR)], ids=["left", "back", "up"])
def test_a_mirrored_image_negates_the_places_along_that_axis_alone(
    a_trunk: Array, axis: int, negated: list[int]
) -> None:
    layout = body_layout(a_trunk, body_mask(a_trunk))
    mirrored = np.ascontiguousarray(np.flip(a_trunk, axis))
    expected = layout.copy()
    expected[negated] *= -1
    assert body_layout(mirrored, body_mask(mirrored)) == pytest.approx(expected, abs=1e-12)
    assert np.abs(layout[negated]).max() > 0.01


def test_an_empty_body_is_measured_as_the_whole_image(a_trunk: Array) -> None:
    nothing, everything = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    assert np.array_equal(body_layout(a_trunk, nothing), body_layout(a_trunk, everything))
    assert np.array_equal(intensity_histogram(a_trunk, nothing), intensity_histogram(a_trunk, everything))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-3e4, 3e4, width=32), min_size=8, max_size=8), st.integers(0, 255))
def test_a_squared_histogram_sums_to_one(values: list[float], which: int) -> None:
    body = np.array([(which >> n) & 1 for n in range(8)], dtype=bool).reshape(2, 2, 2)
    histogram = intensity_histogram(np.array(values, np.float32).reshape(2, 2, 2), body)
    assert np.isfinite(histogram).all()
    assert np.sum(histogram**2) == pytest.approx(1, abs=1e-9)


def test_a_histogram_does_not_depend_on_where_the_voxels_lie(a_trunk: Array) -> None:
    body = body_mask(a_trunk)
    flipped = intensity_histogram(a_trunk[::-1, ::-1], body[::-1, ::-1])
    assert flipped == pytest.approx(intensity_histogram(a_trunk, body), abs=1e-12)
