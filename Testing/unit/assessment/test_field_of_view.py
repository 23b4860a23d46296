"""A scan is told to be small only where it is smaller than the reference's cases: the light's false alarms stay few."""

from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.assessment.checks import input_checks
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.reference.cases_file import ExtentRange, ReferenceCase, extent_range

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
Extent = tuple[float, float, float]


def state_of(extent_mm: Extent, shown: ExtentRange | None) -> str:
    spacing = (extent_mm[0] / 8, extent_mm[1] / 8, extent_mm[2] / 8)
    voxels = np.full((8, 8, 8), -1000, np.float32)
    volume = Volume(voxels, Geometry((8, 8, 8), spacing, (0, 0, 0), IDENTITY), "CT", "a")
    return next(check.state for check in input_checks(volume, "CT", shown) if check.name == "field_of_view")


def the_range_of(*extents: Extent) -> ExtentRange | None:
    return extent_range([ReferenceCase(str(number), extent_mm=extent) for number, extent in enumerate(extents)])


@pytest.mark.parametrize(("height", "state"), [(25, "met"), (15, "met"), (12, "met"), (11.9, "soft")])
def test_a_slab_as_thin_as_a_training_case_is_not_told_of(height: float, state: str) -> None:
    assert state_of((300, 300, height), the_range_of((300, 300, 12), (300, 300, 400))) == state


def test_a_reference_of_large_scans_makes_no_other_scan_small() -> None:
    """What can hold a liver is never told to be too little, whatever the reference holds."""
    assert state_of((300, 300, 40), the_range_of((300, 300, 400))) == "met"
    assert state_of((300, 300, 15), the_range_of((300, 300, 400))) == "soft"


def test_a_scan_longer_than_any_body_is_told_of_unless_a_training_case_is() -> None:
    assert state_of((400, 400, 1500), None) == "soft"
    assert state_of((400, 400, 1500), the_range_of((400, 400, 1600))) == "met"


def test_where_nothing_is_known_of_the_reference_the_fixed_limits_stand() -> None:
    only_heights = extent_range([ReferenceCase("a", facts={"slices": "3", "slice_thickness_mm": "3"})])
    assert state_of((300, 300, 10), None) == "soft"
    assert state_of((300, 300, 10), only_heights) == "met"
    assert state_of((100, 300, 10), only_heights) == "soft"


def test_of_cases_alike_about_one_in_a_reference_s_number_is_told_of() -> None:
    rng = np.random.default_rng(0)
    n, told = 40, 0
    for _ in range(400):
        heights = np.exp(rng.uniform(np.log(8), np.log(40), n + 1))
        told += state_of((300, 300, heights[0]), the_range_of(*((300, 300, h) for h in heights[1:]))) == "soft"
    assert told / 400 <= 3 / (n + 1)
