"""Each limit by which an image is measured, from both of its sides.

The features of kept references were measured by these very limits: whoever moves one has to raise ``MEASUREMENTS``.
"""

from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.imaging.body import BODY_LAYOUT_NAMES, body_layout, body_mask, intensity_histogram, thinned
from BottleneckOODLib.imaging.volume import Geometry, Volume

Array = np.ndarray
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
EDGES_HU = [-900, -700, -500, -300, -200, *range(-150, 0, 25), *range(0, 121, 15), *range(140, 201, 20), 230, 260, 300,
            400, 550, 800]  # fmt: skip
AIR, TISSUE = -1000.0, 40.0


@pytest.mark.parametrize(("place", "edge"), [*enumerate(EDGES_HU)])
def test_a_value_at_an_edge_belongs_to_the_bin_above_it(place: int, edge: int) -> None:
    body = np.zeros((1, 3, 3), bool)
    body[0, 1, 1] = True
    voxels = np.full(body.shape, 2000.0 if place < 15 else -2000.0, np.float32)
    for value, own in ((np.float32(edge), place + 1), (np.nextafter(np.float32(edge), np.float32(-9e9)), place)):
        voxels[body] = value
        expected = np.zeros(len(EDGES_HU) + 1)
        expected[own] = 0.5
        # Of the first and the last bin the share of the neighbour that is not there stays.
        for next_one in (own - 1, own + 1):
            expected[min(max(next_one, 0), len(EDGES_HU))] += 0.25
        assert intensity_histogram(voxels, body) == pytest.approx(np.sqrt(expected))


def test_every_feature_of_the_layout_has_its_name() -> None:
    places = ("share", "left", "posterior", "superior")
    assert [f"{tissue}_{what}" for tissue in ("air", "fat", "soft", "bone") for what in places] == [*BODY_LAYOUT_NAMES]


@pytest.mark.parametrize(
    ("tissue", "inside", "outside"),
    [
        (0, [-3000, -500], [-499, -300]),
        (1, [-149, -30], [-150, -200, -29, -20]),
        (2, [0.5, 1, 150], [0, -1, 151]),
        (3, [201, 300, 3000], [200, 180]),
    ],
    ids=["air", "fat", "soft", "bone"],
)
def test_a_tissue_ends_where_its_values_end(tissue: int, inside: list[float], outside: list[float]) -> None:
    for values, share in ((inside, 1.0), (outside, 0.0)):
        for value in values:
            voxels = np.full((2, 3, 4), value, np.float32)
            assert body_layout(voxels, np.ones(voxels.shape, bool))[4 * tissue] == share


@pytest.mark.parametrize(("count", "is_placed"), [(1, False), (2, False), (3, True), (4, True)])
def test_a_tissue_has_a_place_when_it_is_more_than_two_in_a_thousand(count: int, is_placed: bool) -> None:
    voxels = np.zeros((10, 10, 10), np.float32)
    voxels[9, 9, :count] = 500
    layout = dict(zip(BODY_LAYOUT_NAMES, body_layout(voxels, np.ones(voxels.shape, bool)), strict=True))
    assert layout["bone_share"] == pytest.approx(np.sqrt(count / 1000))
    place = 0.45 if is_placed else 0.0
    assert (layout["bone_superior"], layout["bone_posterior"]) == pytest.approx((place, place))


@pytest.mark.parametrize(
    ("spacing", "n", "taken"),
    [(3.5, 4, [0, 1, 2, 3]), (1.76, 4, [0, 1, 2, 3]), (1.75, 7, [1, 3, 5]), (0.5, 20, [3, 10, 17]), (0.5, 2, [1])],
)
def test_samples_stand_in_the_middle_of_steps_of_three_and_a_half_millimetres(
    spacing: float, n: int, taken: list[int]
) -> None:
    voxels = np.arange(n, dtype=np.float32).reshape(1, 1, n)
    volume = Volume(voxels, Geometry((n, 1, 1), (spacing, 5.0, 6.0), (7.0, 8.0, 9.0), IDENTITY), "CT", "scan")
    array, grid = thinned(volume)
    assert array.ravel().tolist() == taken
    step = spacing if len(taken) == n else spacing * int(3.5 / spacing)
    assert grid == Geometry((len(taken), 1, 1), (step, 5.0, 6.0), (0.0, 0.0, 0.0), IDENTITY)


def test_an_oblique_grid_that_lies_the_right_way_round_is_not_turned(an_oblique_grid: Geometry) -> None:
    voxels = np.random.default_rng(2).normal(0, 300, an_oblique_grid.shape).astype(np.float32)
    coarse = Geometry(an_oblique_grid.size_ijk, (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), an_oblique_grid.direction)
    assert np.array_equal(thinned(Volume(voxels, coarse, "CT", "scan"))[0], voxels)


def a_block(rim: float, air: float = AIR) -> tuple[Array, Array]:
    """A block of tissue in air with a rim on one side, three voxels wide; the block with its rim."""
    voxels = np.full((3, 14, 16), air, np.float32)
    voxels[:, 3:9, 3:9] = TISSUE
    voxels[:, 3:9, 9:12] = rim
    whole = np.zeros(voxels.shape, bool)
    whole[:, 3:9, 3:12] = True
    return voxels, whole


@pytest.mark.parametrize(("rim", "belongs"), [(-300, True), (-399, True), (-400, False), (-700, False)])
def test_the_body_is_what_is_denser_than_four_hundred_below_water(rim: float, belongs: bool) -> None:
    voxels, whole = a_block(rim)
    assert np.array_equal(body_mask(voxels), whole if belongs else whole & (voxels == TISSUE))


def test_where_nothing_is_below_that_limit_the_darkest_tells_where_air_ends() -> None:
    voxels, whole = a_block(-399, air=-400)
    assert np.array_equal(body_mask(voxels), whole & (voxels == TISSUE))


def test_in_any_scale_air_ends_a_little_above_the_darkest() -> None:
    """At 15% of the way from the 1st to the 90th percentile."""
    rng = np.random.default_rng(5)
    voxels = rng.uniform(0, 20, (1, 40, 25)).astype(np.float32)
    voxels[:, :16] = rng.uniform(200, 400, (1, 16, 25))
    above, below = (slice(0, 1), slice(16, 19), slice(2, 8)), (slice(0, 1), slice(16, 19), slice(14, 20))
    voxels[above] = voxels[below] = 100
    ordered = np.sort(voxels.ravel()).astype(float)
    low, high = (np.interp(share * 999, np.arange(1000), ordered) for share in (0.01, 0.90))
    limit = low + 0.15 * (high - low)
    voxels[above], voxels[below] = limit + 0.1, limit - 0.1
    expected = np.zeros(voxels.shape, bool)
    expected[:, :16] = expected[above] = True
    assert np.array_equal(body_mask(voxels), expected)


def test_values_that_are_no_numbers_have_no_body() -> None:
    with pytest.raises(ValueError, match="between air and body"):
        body_mask(np.full((2, 4, 4), np.nan, np.float32))


def test_three_by_three_voxels_in_one_slice_are_a_body() -> None:
    expected = np.zeros((3, 9, 9), bool)
    expected[1, 3:6, 4:7] = True
    assert np.array_equal(body_mask(np.where(expected, TISSUE, AIR).astype(np.float32)), expected)
    narrower = expected.copy()
    narrower[1, 5] = False
    assert body_mask(np.where(narrower, TISSUE, AIR).astype(np.float32)).all()


def test_what_touches_the_body_at_a_corner_belongs_to_it() -> None:
    expected = np.zeros((1, 12, 12), bool)
    expected[0, 2:8, 2:8] = True
    expected[0, 8, 8] = True
    assert np.array_equal(body_mask(np.where(expected, TISSUE, AIR).astype(np.float32)), expected)
