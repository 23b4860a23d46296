from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.synthesis.anatomy import Anatomy
from BottleneckOODLib.synthesis.appearance import Style
from BottleneckOODLib.synthesis.body import LIVER_LABEL, BodyStyle, SyntheticCase, generate_body

QUIET = Style(phase="portal", noise_hu=4)


@pytest.fixture(scope="module")
def a_case() -> SyntheticCase:
    return generate_body(5, spacing_mm=(5.0, 5.0, 6.0), style=BodyStyle("whole abdomen", QUIET, 20.0))


def test_a_case_is_a_ct_with_its_liver_on_the_same_grid(a_case: SyntheticCase) -> None:
    assert a_case.volume.modality == "CT"
    assert a_case.volume.geometry == a_case.liver.geometry
    assert a_case.volume.geometry.orientation == "LPS"
    assert a_case.volume.geometry.spacing_mm == (5.0, 5.0, 6.0)
    assert 500 < a_case.liver.volume_ml(LIVER_LABEL) < 3000


def test_the_liver_lies_on_the_patient_s_right_and_looks_enhanced(a_case: SyntheticCase) -> None:
    inside = a_case.liver.labels == LIVER_LABEL
    assert np.argwhere(inside)[:, 2].mean() < a_case.liver.labels.shape[2] / 2
    assert 60 < np.median(a_case.volume.voxels[inside]) < 160
    assert a_case.volume.voxels[0, 0, 0] < -800


def test_the_same_seed_gives_the_same_case(a_case: SyntheticCase) -> None:
    again = generate_body(5, spacing_mm=(5.0, 5.0, 6.0), style=BodyStyle("whole abdomen", QUIET, 20.0))
    np.testing.assert_array_equal(again.volume.voxels, a_case.volume.voxels)
    assert again.liver == a_case.liver
    assert again.facts == a_case.facts


def test_the_facts_tell_the_scan(a_case: SyntheticCase) -> None:
    assert a_case.facts["field_of_view"] == "whole abdomen"
    assert a_case.facts["contrast_phase"] == "portal"
    assert a_case.facts["slices"] == a_case.volume.geometry.size_ijk[2]
    assert a_case.facts["slice_thickness_mm"] == 6
    assert a_case.facts["arms"] in ("up", "down")
    assert all(isinstance(value, str | float | int) for value in a_case.facts.values())


def test_a_slab_is_thin() -> None:
    case = generate_body(6, spacing_mm=(4.0, 4.0, 5.0), style=BodyStyle("liver slab", QUIET))
    assert 1 <= case.volume.geometry.size_ijk[2] <= 12


def test_a_sharp_body_is_drawn_on_the_scan_s_own_grid() -> None:
    case = generate_body(7, spacing_mm=(6.0, 6.0, 8.0), style=BodyStyle("upper abdomen", QUIET, 10.0, sharp=True))
    assert case.liver.volume_ml(LIVER_LABEL) > 300


def test_a_negative_margin_cuts_into_the_body() -> None:
    wide = generate_body(8, spacing_mm=(5.0, 5.0, 8.0), style=BodyStyle("upper abdomen", QUIET, 30.0))
    tight = generate_body(8, spacing_mm=(5.0, 5.0, 8.0), style=BodyStyle("upper abdomen", QUIET, -40.0))
    assert tight.volume.geometry.size_ijk[0] < wide.volume.geometry.size_ijk[0]


def test_a_given_anatomy_is_deformed_and_scanned(a_scanned_body: Anatomy) -> None:
    case = generate_body(1, style=BodyStyle("liver slab", QUIET), anatomy=a_scanned_body, name="mine")
    assert case.volume.name == "mine"
    assert case.facts["anatomy"] == "block"
