"""What each check says at its limit and beside it, and by which words."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from BottleneckOODLib.assessment.checks import (
    Check,
    State,
    calibrated_checks,
    input_checks,
    mask_checks,
    orientation_check,
    overall_light,
)
from BottleneckOODLib.imaging.body import BODY_LAYOUT_NAMES
from BottleneckOODLib.imaging.mask_features import MaskFeatures
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.reference.cases_file import ExtentRange
from BottleneckOODLib.reference.scoring import PartScore

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
USUAL_MM = (320.0, 240.0, 200.0)
HARD = Check("modality", "hard", "A message.")
SOFT = Check("spacing", "soft", "A message.")
MET = Check("spacing", "met", "A message.")
NOT_ASSESSED = Check("orientation", "not_assessed", "A message.")
COUNTED = Check("bottleneck", "soft", "A message.", calibrated=True)


def of_voxels(voxels: np.ndarray, spacing_mm: tuple[float, float, float] = (4.0, 4.0, 4.0)) -> Volume:
    depth, rows, columns = voxels.shape
    geometry = Geometry((columns, rows, depth), spacing_mm, (0, 0, 0), UPRIGHT)
    return Volume(voxels.astype(np.float32), geometry, "CT", "a")


def of_extent(extent_mm: tuple[float, float, float]) -> Volume:
    """One voxel, so that the extent is its spacing to the last digit."""
    return of_voxels(np.full((1, 1, 1), -1000.0), extent_mm)


def field_of_view(extent_mm: tuple[float, float, float], shown: ExtentRange | None = None) -> Check:
    return input_checks(of_extent(extent_mm), "CT", shown)[2]


def measured(**changes: float) -> MaskFeatures:
    facts: dict[str, float] = {"volume_ml": 1500.0, "n_components": 1, "largest_share": 1.0, "border_share": 0.0}
    return MaskFeatures(**{**facts, **changes}, shape=np.zeros(11), intensity=np.zeros(6))  # type: ignore[arg-type]


def layout(**changes: float) -> np.ndarray:
    usual = {"air_share": 0.3, "air_superior": 0.2, "bone_share": 0.2, "bone_posterior": 0.15}
    return np.array([{**dict.fromkeys(BODY_LAYOUT_NAMES, 0.0), **usual, **changes}[name] for name in BODY_LAYOUT_NAMES])


@pytest.mark.parametrize(
    ("p_value", "checks", "light"),
    [
        (0.5, [], "green"),
        (0.5, [MET, NOT_ASSESSED, COUNTED], "green"),
        (0.5, [SOFT], "amber"),
        (0.5, [MET, SOFT, MET], "amber"),
        (0.5, [HARD], "red"),
        (0.5, [SOFT, HARD], "red"),
        (0.10, [MET], "amber"),
        (math.nextafter(0.10, 1), [MET], "green"),
        (0.05, [SOFT], "amber"),
        (0.05, [HARD], "red"),
        (math.nextafter(0.02, 1), [MET], "amber"),
        (0.02, [MET], "red"),
        (0.02, [SOFT], "red"),
        (1.0, [MET], "green"),
    ],
)
def test_the_light_at_and_beside_each_level(p_value: float, checks: list[Check], light: str) -> None:
    assert overall_light(p_value, checks) == light
    assert overall_light(p_value, reversed(checks)) == light


def intensity_scale(values: np.ndarray) -> Check:
    """Of one row and column, so that no voxel is passed over when they are sampled."""
    return input_checks(of_voxels(values.reshape(-1, 1, 1)), "CT")[1]


@pytest.mark.parametrize(("value", "state"), [(-41.0, "met"), (-40.0, "met"), (-39.0, "hard"), (-3100.0, "met")])
def test_fat_is_the_least_that_has_to_be_there(value: float, state: State) -> None:
    assert intensity_scale(np.full(100, value)).state == state


@pytest.mark.parametrize(("n_low", "state"), [(8, "hard"), (12, "met")])
def test_one_voxel_in_a_hundred_has_to_be_as_low_as_fat(n_low: int, state: State) -> None:
    assert intensity_scale(np.where(np.arange(1001) < n_low, -50.0, 40.0)).state == state


@pytest.mark.parametrize(("n_below", "state"), [(0, "met"), (1, "met"), (2, "hard")])
def test_more_than_one_voxel_in_a_hundred_below_anything_is_hard(n_below: int, state: State) -> None:
    below = np.arange(100) < n_below
    assert intensity_scale(np.where(below, -3101.0, -500.0)).state == state
    assert intensity_scale(np.where(below, -3100.0, -500.0)).state == "met"


def test_values_that_are_no_hounsfield_units_are_told_from_the_lowest_to_the_highest() -> None:
    assert "(100 to 900)" in intensity_scale(np.linspace(100, 900, 50)).message
    assert "(-9000 to 40)" in intensity_scale(np.where(np.arange(50) < 5, -9000.0, 40.0)).message


@pytest.mark.parametrize(("axis", "least", "greatest"), [(0, 150.0, 1300.0), (1, 150.0, 1300.0), (2, 20.0, 1300.0)])
def test_an_extent_is_compared_to_a_hundredth_of_a_millimetre(axis: int, least: float, greatest: float) -> None:
    def state(length: float) -> State:
        return field_of_view(tuple(length if a == axis else USUAL_MM[a] for a in range(3))).state  # type: ignore[arg-type]

    for length in (least, least - 0.008, least - 0.01, greatest, greatest + 0.008, greatest + 0.01):
        assert state(length) == "met", length
    for length in (least - 0.012, greatest + 0.012):
        assert state(length) == "soft", length


def test_what_is_no_length_of_a_training_case_widens_no_limit() -> None:
    for none in (0.0, -0.5):
        assert field_of_view((320.0, 240.0, 15.0), ExtentRange((none,) * 3, (400.0,) * 3)).state == "soft"
    assert field_of_view((320.0, 240.0, 0.6), ExtentRange((150.0, 150.0, 0.5), (400.0,) * 3)).state == "met"


@pytest.mark.parametrize("least_too", [True, False])
def test_a_range_of_another_number_of_axes_is_a_fault(least_too: bool) -> None:
    two, three = (100.0, 100.0), (100.0, 100.0, 100.0)
    damaged = ExtentRange(two, three) if least_too else ExtentRange(three, two)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="zip"):
        field_of_view(USUAL_MM, damaged)


def test_a_scan_is_told_to_be_smaller_than_the_training_cases_only_where_theirs_are_known() -> None:
    shown = ExtentRange((200.0, 200.0, 100.0), (400.0, 400.0, 400.0))
    assert field_of_view((100.0, 240.0, 200.0)).message.endswith("too little for a liver.")
    assert field_of_view((100.0, 240.0, 200.0), shown).message.endswith("and less than any training case.")
    assert "320 x 240 mm and 200 mm from head to foot" in field_of_view(USUAL_MM).message


@pytest.mark.parametrize(("spacing", "state"), [(0.2, "met"), (8.0, "met"), (0.199, "soft"), (8.01, "soft")])
@pytest.mark.parametrize("axis", range(3))
def test_a_spacing_at_its_limit_is_met(axis: int, spacing: float, state: State) -> None:
    spacing_mm = tuple(spacing if a == axis else 1.0 for a in range(3))
    check = input_checks(of_voxels(np.full((1, 1, 1), -1000.0), spacing_mm), "CT")[3]  # type: ignore[arg-type]
    assert (check.name, check.state) == ("spacing", state)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"bone_posterior": -0.05}, "met"),
        ({"bone_posterior": math.nextafter(-0.05, -1)}, "soft"),
        ({"air_superior": -0.15}, "met"),
        ({"air_superior": math.nextafter(-0.15, -1)}, "soft"),
        # The layout keeps roots of shares: 0.05 of the body lies between these two.
        ({"air_superior": -0.3, "air_share": 0.22}, "met"),
        ({"air_superior": -0.3, "air_share": 0.23}, "soft"),
        ({"air_superior": math.nan}, "hard"),
    ],
)
def test_the_orientation_at_and_beside_its_limits(changes: dict[str, float], state: State) -> None:
    check = orientation_check(layout(**changes))
    assert (check.name, check.state) == ("orientation", state)


def test_without_a_layout_or_outside_of_a_ct_the_orientation_is_not_assessed() -> None:
    upside_down = layout(bone_posterior=-0.5)
    for check in (orientation_check(None), orientation_check(None, "MR"), orientation_check(upside_down, "MR")):
        assert (check.name, check.state) == ("orientation", "not_assessed")
    assert orientation_check(upside_down, "CT").state == "soft"


def test_a_layout_of_another_length_is_a_fault_and_no_answer() -> None:
    for length in (15, 17):
        with pytest.raises(ValueError, match="zip"):
            orientation_check(np.full(length, 0.1))


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({"volume_ml": 20.0}, ("met", "met", "met")),
        ({"volume_ml": math.nextafter(20.0, 0)}, ("hard", "met", "met")),
        ({"largest_share": 0.75}, ("met", "met", "met")),
        ({"largest_share": math.nextafter(0.75, 0)}, ("met", "soft", "met")),
        ({"largest_share": 1.5}, ("met", "soft", "met")),
        ({"border_share": 0.02}, ("met", "met", "met")),
        ({"border_share": math.nextafter(0.02, 1)}, ("met", "met", "soft")),
        ({"border_share": 0.5}, ("met", "met", "soft")),
        ({"border_share": -0.5}, ("met", "met", "soft")),
    ],
)
def test_a_mask_at_and_beside_its_limits(changes: dict[str, float], states: tuple[State, ...]) -> None:
    checks = mask_checks(measured(**changes))
    assert [check.name for check in checks] == ["mask_present", "mask_components", "mask_border"]
    assert tuple(check.state for check in checks) == states


def test_a_mask_s_parts_are_told_with_what_became_of_the_others() -> None:
    def told(n: int, share: float, **options: bool) -> str:
        return mask_checks(measured(n_components=n, largest_share=share), **options)[1].message

    for options in ({}, {"largest_part_only": True}, {"largest_part_only": False}):
        assert told(1, 1.0, **options) == "The model marked one part."
    assert told(5, 0.8) == told(5, 0.8, largest_part_only=False)
    assert told(5, 0.8) == "The model marked 5 parts; the largest holds 80% of it."
    assert told(2, 0.8, largest_part_only=True) == "The model marked 2 parts; only the largest, 80% of it, is kept."


@pytest.mark.parametrize("share", [0.0, 0.015, 0.03, 1.0])
def test_a_cut_of_more_than_a_fiftieth_of_the_surface_is_told_and_counted_already(share: float) -> None:
    checks = mask_checks(measured(border_share=share))
    assert [check.calibrated for check in checks] == [False, False, True]
    assert ("edge cuts the mask" in checks[2].message) is (share > 0.02)
    assert ("lies within the scan" in checks[2].message) is (share <= 0.02)
    assert overall_light(0.5, checks) == "green"


@pytest.mark.parametrize(("p_value", "named"), list(product((0.02, math.nextafter(0.02, 1)), (None, "bottleneck"))))
def test_a_space_is_marked_at_the_red_level_or_where_it_is_the_reason(p_value: float, named: str | None) -> None:
    (check,) = calibrated_checks({"bottleneck": PartScore(1.0, p_value, 50.0, 0.5)}, named)
    assert check.state == ("soft" if p_value <= 0.02 or named else "met")
    assert check.message.startswith("What the network makes of the image: more unusual than 50 of 100")
