"""Each check fires on what it is for and on nothing else, and no failure ends in a green light."""

from __future__ import annotations

import copy
import math
import re
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from BottleneckOODLib.assessment.checks import (
    Check,
    calibrated_checks,
    input_checks,
    mask_checks,
    orientation_check,
    overall_light,
)
from BottleneckOODLib.imaging.body import BODY_LAYOUT_NAMES, body_layout
from BottleneckOODLib.imaging.mask_features import MASK_SHAPE_NAMES, MaskFeatures
from BottleneckOODLib.imaging.volume import Geometry, Modality, Volume
from BottleneckOODLib.reference.cases_file import ExtentRange
from BottleneckOODLib.reference.scoring import PartScore

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
AIR, FAT, SOFT = -1000.0, -100.0, 45.0
ORDER = ("green", "amber", "red")
RED_AT, AMBER_AT = 0.02, 0.10

checks_of_any_state = st.lists(
    st.builds(
        Check,
        st.sampled_from(["modality", "spacing", "mask_present", "bottleneck"]),
        st.sampled_from(["met", "soft", "hard", "not_assessed"]),
        st.just("A message."),
        calibrated=st.booleans(),
    ),
    max_size=6,
)
p_values = st.floats(0, 1, exclude_min=True) | st.sampled_from([RED_AT, AMBER_AT, 1.0, 1e-9])


def scan(
    *,
    extent_mm: tuple[float, float, float] = (320.0, 240.0, 200.0),
    size_ijk: tuple[int, int, int] = (80, 60, 40),
    direction: tuple[float, ...] = UPRIGHT,
    modality: Modality = "CT",
    slope: float = 1.0,
    intercept: float = 0.0,
) -> Volume:
    """A body of soft tissue and fat in air, as a scanner would give it."""
    i, j, k = (e / n for e, n in zip(extent_mm, size_ijk, strict=True))
    geometry = Geometry(size_ijk, (i, j, k), (0.0, 0.0, 0.0), direction)
    voxels = np.full(geometry.shape, AIR)
    inner = tuple(slice(n // 8, n - n // 8) for n in geometry.shape)
    voxels[inner] = SOFT
    voxels[inner][:, :, ::5] = FAT
    return Volume((voxels * slope + intercept).astype(np.float32), geometry, modality, "scan")


def failed_of(volume: Volume, model_modality: str = "CT") -> dict[str, str]:
    """The checks of an image that are not met, with their states."""
    return {check.name: check.state for check in input_checks(volume, model_modality) if check.state != "met"}


def voxels_of_5_mm(extent_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    i, j, k = (round(length / 5) for length in extent_mm)
    return i, j, k


def measured(**changes: float) -> MaskFeatures:
    facts: dict[str, float] = {"volume_ml": 1500.0, "n_components": 1, "largest_share": 1.0, "border_share": 0.0}
    return MaskFeatures(**{**facts, **changes}, shape=np.zeros(11), intensity=np.zeros(6))  # type: ignore[arg-type]


def test_a_usual_scan_meets_every_check_of_the_image() -> None:
    checks = input_checks(scan(), "CT")
    assert [check.name for check in checks] == ["modality", "intensity_scale", "field_of_view", "spacing"]
    assert {check.state for check in checks} == {"met"}
    assert not any(check.calibrated for check in checks)


@pytest.mark.parametrize(
    ("image", "model", "state"),
    [
        ("CT", "CT", None),
        ("MR", "MR", None),
        ("MR", "CT", "hard"),
        ("CT", "MR", "hard"),
        ("unknown", "CT", "not_assessed"),
    ],
)
def test_another_modality_is_hard_and_an_unknown_one_not_assessed(
    image: Modality, model: str, state: str | None
) -> None:
    assert failed_of(scan(modality=image), model).get("modality") == state


@pytest.mark.parametrize(
    ("slope", "intercept"), [(0.05, 60.0), (1.0, 1024.0), (1.0, 1000.0), (0.0005, 0.5), (-1.0, 500.0), (0.01, 0.0)]
)
def test_values_that_are_no_hounsfield_units_are_hard(slope: float, intercept: float) -> None:
    assert failed_of(scan(slope=slope, intercept=intercept)) == {"intensity_scale": "hard"}


@pytest.mark.parametrize("padding", [-1024.0, -2000.0, -2048.0, -3024.0])
def test_the_padding_that_scanners_use_is_met(padding: float) -> None:
    volume = scan()
    voxels = np.where(volume.voxels == AIR, padding, volume.voxels).astype(np.float32)
    assert failed_of(Volume(voxels, volume.geometry, "CT", "padded")) == {}


def test_values_far_below_air_are_hard_only_when_there_are_many() -> None:
    volume = scan()
    for rows, expected in ((1, {}), (20, {"intensity_scale": "hard"})):
        voxels = np.array(volume.voxels)
        voxels[:1, :rows] = -30000.0
        voxels[20:, :rows] = -30000.0 if rows > 1 else AIR
        assert failed_of(Volume(voxels, volume.geometry, "CT", "low")) == expected


def test_a_scan_with_metal_or_without_air_is_met() -> None:
    volume = scan()
    metal = np.array(volume.voxels)
    metal[10:14, 10:14, 10:14] = 30000.0
    no_air = np.where(volume.voxels == AIR, SOFT, volume.voxels).astype(np.float32)
    for voxels in (metal, no_air):
        assert failed_of(Volume(voxels, volume.geometry, "CT", "scan")) == {}


def test_intensities_without_a_fixed_scale_are_not_judged() -> None:
    assert failed_of(scan(modality="MR", intercept=5000.0), "MR") == {"intensity_scale": "not_assessed"}


@pytest.mark.parametrize(
    "extent", [(140, 240, 200), (320, 140, 200), (320, 240, 19), (1400, 240, 200), (320, 240, 1400)]
)
def test_a_field_of_view_that_holds_no_liver_is_soft(extent: tuple[float, float, float]) -> None:
    assert failed_of(scan(extent_mm=extent, size_ijk=voxels_of_5_mm(extent))) == {"field_of_view": "soft"}


@pytest.mark.parametrize("extent", [(160, 160, 200), (320, 240, 25), (1200, 1200, 1200), (500, 500, 140)])
def test_a_field_of_view_that_can_hold_a_liver_is_met(extent: tuple[float, float, float]) -> None:
    assert failed_of(scan(extent_mm=extent, size_ijk=voxels_of_5_mm(extent))) == {}


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
def test_the_field_of_view_does_not_depend_on_how_the_scan_is_stored(
    order: tuple[int, int, int], flips: tuple[int, int, int]
) -> None:
    for patient_extent, expected in (((320, 240, 60), {}), ((60, 240, 320), {"field_of_view": "soft"})):
        axes = np.eye(3)[:, order] * np.array(flips)
        stored = (patient_extent[order[0]], patient_extent[order[1]], patient_extent[order[2]])
        volume = scan(extent_mm=stored, size_ijk=(60, 60, 60), direction=tuple(axes.ravel()))
        assert failed_of(volume) == expected


def fires_on_one_odd_extent(direction: tuple[float, ...]) -> bool:
    """Whether a slab of 10 mm and a rod of 2 m are noticed, whichever axis is the odd one."""
    fired = [
        "field_of_view" in failed_of(scan(extent_mm=extent, size_ijk=(9, 9, 9), direction=direction))
        for odd in (10.0, 2000.0)
        for extent in ((odd, 300.0, 300.0), (300.0, odd, 300.0), (300.0, 300.0, odd))
    ]
    return all(fired)


@settings(deadline=None)
@given(st.tuples(*[st.floats(-25, 25)] * 3))
def test_an_odd_extent_is_noticed_in_a_tilted_scan(angles: tuple[float, float, float]) -> None:
    assert fires_on_one_odd_extent(tuple(Rotation.from_euler("xyz", angles, degrees=True).as_matrix().ravel()))


def test_an_odd_extent_is_noticed_at_any_angle() -> None:
    for seed in range(40):
        assert fires_on_one_odd_extent(tuple(Rotation.random(random_state=seed).as_matrix().ravel())), seed


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ((0.1, 1, 1), "soft"),
        ((1, 1, 9), "soft"),
        ((0.6, 0.6, 5), None),
        ((0.25, 0.25, 0.25), None),
        ((1, 1, 7.5), None),
    ],
)
def test_voxels_too_fine_or_too_coarse_are_soft(spacing: tuple[float, float, float], expected: str | None) -> None:
    geometry = Geometry((10, 10, 10), spacing, (0.0, 0.0, 0.0), UPRIGHT)
    volume = Volume(np.full(geometry.shape, AIR, np.float32), geometry, "CT", "scan")
    assert failed_of(volume).get("spacing") == expected


def test_no_mask_is_hard() -> None:
    assert [(check.name, check.state) for check in mask_checks(None)] == [("mask_present", "hard")]


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, {}),
        ({"volume_ml": 19.9}, {"mask_present": "hard"}),
        ({"volume_ml": 20.1}, {}),
        ({"n_components": 5, "largest_share": 0.74}, {"mask_components": "soft"}),
        ({"n_components": 5, "largest_share": 0.76}, {}),
        ({"border_share": 0.5}, {"mask_border": "soft"}),
        (
            {"volume_ml": 1.0, "n_components": 9, "largest_share": 0.1},
            {"mask_present": "hard", "mask_components": "soft"},
        ),
    ],
)
def test_a_mask_fails_the_check_that_is_meant(changes: dict[str, float], failed: dict[str, str]) -> None:
    checks = mask_checks(measured(**changes))
    assert {check.name: check.state for check in checks if check.state != "met"} == failed


def test_a_mask_at_the_edge_of_the_scan_is_told() -> None:
    told = {border: mask_checks(measured(border_share=border))[-1] for border in (0.0, 0.25, 1.0)}
    assert "25%" in told[0.25].message
    assert "100%" in told[1.0].message
    assert "may be missing" in told[1.0].message
    assert "within the scan" in told[0.0].message
    assert [check.state for check in told.values()] == ["met", "soft", "soft"]


def test_a_cut_mask_is_marked_but_counted_once() -> None:
    """The share of the edge is one of the features of the mask's form, and so a part of the p-value."""
    assert "border_share" in MASK_SHAPE_NAMES
    assert overall_light(0.5, mask_checks(measured(border_share=1.0))) == "green"


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["bottleneck", "mask_shape", "new"]), p_values))
def test_each_feature_space_is_told_once_and_counted_already(spaces: dict[str, float]) -> None:
    checks = calibrated_checks({name: PartScore(1.0, p, 37.0, 0.2) for name, p in spaces.items()})
    assert [check.name for check in checks] == list(spaces)
    for check in checks:
        assert check.calibrated
        assert check.state == ("soft" if spaces[check.name] <= RED_AT else "met")
        assert "37 of 100" in check.message


def test_every_message_is_one_sentence() -> None:
    images = [scan(), scan(modality="MR"), scan(intercept=2000.0), scan(extent_mm=(100, 100, 10))]
    masks = [None, measured(), measured(volume_ml=3.0), measured(n_components=3, largest_share=0.2, border_share=0.4)]
    said = [c.message for image in images for model in ("CT", "MR") for c in input_checks(image, model)]
    said += [c.message for mask in masks for c in mask_checks(mask)]
    for message in said:
        assert message.endswith(".")
        assert not re.search(r"[.!?]\s", message), message


@settings(deadline=None)
@given(p_values, checks_of_any_state)
def test_the_light_is_the_worst_of_p_value_and_checks(p_value: float, checks: list[Check]) -> None:
    light = overall_light(p_value, checks)
    own = {check.state for check in checks if not check.calibrated}
    if "hard" in own or p_value <= RED_AT:
        assert light == "red"
    elif "soft" in own or p_value <= AMBER_AT:
        assert light == "amber"
    else:
        assert light == "green"


@settings(deadline=None)
@given(p_values, checks_of_any_state, st.randoms())
def test_the_order_of_the_checks_does_not_matter(p_value: float, checks: list[Check], random: object) -> None:
    shuffled = list(checks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert overall_light(p_value, checks) == overall_light(p_value, iter(shuffled))


@settings(deadline=None)
@given(p_values, checks_of_any_state, checks_of_any_state)
def test_one_more_check_never_brings_a_better_light(p_value: float, checks: list[Check], more: list[Check]) -> None:
    before, after = overall_light(p_value, checks), overall_light(p_value, [*checks, *more])
    assert ORDER.index(after) >= ORDER.index(before)


@settings(deadline=None)
@given(p_values, p_values, checks_of_any_state)
def test_a_smaller_p_value_never_brings_a_better_light(one: float, other: float, checks: list[Check]) -> None:
    small, large = sorted((one, other))
    assert ORDER.index(overall_light(small, checks)) >= ORDER.index(overall_light(large, checks))


@settings(deadline=None)
@given(st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -0.5, 1.5]), checks_of_any_state)
def test_without_a_p_value_the_light_is_grey_whatever_the_checks(p_value: float | None, checks: list[Check]) -> None:
    assert overall_light(p_value, checks) == "grey"


def layout(**changes: float) -> np.ndarray:
    usual = {"air_share": 0.3, "air_superior": 0.2, "bone_share": 0.2, "bone_posterior": 0.15}
    return np.array([{**dict.fromkeys(BODY_LAYOUT_NAMES, 0.0), **usual, **changes}[name] for name in BODY_LAYOUT_NAMES])


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "met"),
        ({"bone_posterior": -0.12}, "soft"),
        ({"air_superior": -0.3}, "soft"),
        # Gas in the bowel of a scan without lungs.
        ({"air_superior": -0.3, "air_share": 0.1}, "met"),
        ({"bone_posterior": 0.0}, "not_assessed"),
    ],
)
def test_a_spine_in_front_or_lungs_below_are_noticed(changes: dict[str, float], state: str) -> None:
    check = orientation_check(layout(**changes))
    assert (check.name, check.state) == ("orientation", state)


def test_turning_an_image_round_turns_the_answer() -> None:
    z, y, x = np.ogrid[:30, :40, :60]
    body = ((x - 30) / 26) ** 2 + ((y - 20) / 16) ** 2 + 0 * z < 1
    spine = (x - 30) ** 2 + (y - 31) ** 2 + 0 * z < 9
    voxels = np.where(spine, 600.0, np.where(body, 40.0, -1000.0)).astype(np.float32)
    assert orientation_check(body_layout(voxels, body)).state == "met"
    turned = voxels[:, ::-1], body[:, ::-1]
    assert orientation_check(body_layout(*turned)).state == "soft"


def test_the_part_that_the_sentence_names_is_marked() -> None:
    parts = {"body_layout": PartScore(1.0, 0.06, 94.0, 0.9), "bottleneck": PartScore(1.0, 0.5, 50.0, 0.0)}
    assert {c.name: c.state for c in calibrated_checks(parts)} == {"body_layout": "met", "bottleneck": "met"}
    assert {c.name: c.state for c in calibrated_checks(parts, "body_layout")} == {
        "body_layout": "soft",
        "bottleneck": "met",
    }


def test_most_of_the_mask_is_not_told_as_all_of_it() -> None:
    told = mask_checks(measured(n_components=2, largest_share=0.999), largest_part_only=True)[1].message
    assert "99% of it, is kept" in told


NO_NUMBERS = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("name", ["volume_ml", "largest_share", "border_share"])
def test_a_mask_of_which_something_is_no_number_is_not_met(name: str, value: float) -> None:
    sound = MaskFeatures(900.0, 1, 1.0, 0.0, np.zeros(11), np.zeros(6))
    assert {check.state for check in mask_checks(sound)} == {"met"}
    states = {check.name: check.state for check in mask_checks(replace(sound, **{name: value}))}
    asked = {"volume_ml": "mask_present", "largest_share": "mask_components", "border_share": "mask_border"}
    assert states[asked[name]] != "met"


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("place", range(16))
def test_a_layout_that_is_no_number_is_not_met(place: int, value: float) -> None:
    layout = np.full(16, 0.1)
    assert orientation_check(layout).state == "met"
    layout[place] = value
    assert orientation_check(layout).state == "hard"


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_an_extent_or_a_spacing_that_is_no_number_is_not_met(value: float) -> None:
    """A comparison with it is false, so what asks whether a value is too small would be content."""
    for limits in (ExtentRange((value,) * 3, (400.0,) * 3), ExtentRange((150.0,) * 3, (value,) * 3)):
        for width in (100.0, 1400.0):
            assert input_checks(scan(extent_mm=(width, 240.0, 200.0)), "CT", limits)[2].state == "soft"
    volume = scan()
    broken = copy.copy(volume.geometry)
    object.__setattr__(broken, "spacing_mm", (value, 4.0, 5.0))
    object.__setattr__(volume, "geometry", broken)
    states = {check.name: check.state for check in input_checks(volume, "CT")}
    assert (states["field_of_view"], states["spacing"]) == ("soft", "soft")
