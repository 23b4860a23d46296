"""The card of a reference tells whom it holds and what it can say, with numbers, and what it does not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from BottleneckOODLib.cli.reference_card import card_rows, outcome_rows, population_rows
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.feature_space import FeatureSpace
from BottleneckOODLib.reference.outcome_fitting import fit_outcomes
from BottleneckOODLib.reference.reference_folder import Reference

CASES = (
    ReferenceCase("a", 0.9, {"manufacturer": "North", "contrast_agent": "yes"}, modality="CT", spacing_mm=(0.7, 0.7, 5),
                  extent_mm=(300, 250, 200)),
    ReferenceCase("b", 0.8, {"manufacturer": "North", "contrast_phase": "portal"}, modality="CT", spacing_mm=(1, 1, 1),
                  extent_mm=(400, 380, 90)),
    ReferenceCase("c", None, {"manufacturer": "South"}, modality="unknown"),
)  # fmt: skip


def a_reference(cases: tuple[ReferenceCase, ...] = CASES) -> Reference:
    rows = np.random.default_rng(0).normal(size=(len(cases), 2))
    space = FeatureSpace.fitted("bottleneck", rows, ShrunkMahalanobis())
    settings = {
        "levels": {"amber": 0.1}, "pooling": "mean", "left_out": ["d: The file d is empty."],
        "detector_choice": {"detector": "md", "auroc": None, "reason": "too few"},
    }  # fmt: skip
    return Reference("three", "f" * 64, cases, {"bottleneck": space}, rows, settings, "a" * 64)


def test_whom_it_holds_is_counted() -> None:
    assert population_rows(CASES) == {
        "modality": "CT 2, unknown 1",
        "voxels, mm": "0.7 to 1 x 0.7 to 1 x 1 to 5",
        "extent, mm": "300 to 400 x 250 to 380 x 90 to 200",
        "manufacturer": "North 2, South 1",
        "contrast": "yes 1, portal 1, not known 1",
    }


def test_what_is_not_known_is_said() -> None:
    rows = population_rows([ReferenceCase("a"), ReferenceCase("b")])
    assert set(rows.values()) == {"not known", "not kept"}
    card = card_rows(a_reference())
    assert card["built"] == "not kept"
    assert "none of those" in card["intended use"]
    assert "build the reference again" in card["known outcomes"]


def test_many_kinds_are_shortened() -> None:
    cases = [ReferenceCase(str(n), facts={"manufacturer": f"maker {n}"}) for n in range(9)]
    assert population_rows(cases)["manufacturer"].endswith("3 other kinds")


def test_the_numbers_are_those_of_its_cases() -> None:
    card = card_rows(a_reference())
    assert card["cases"] == "3 training cases; 1 could not be used"
    assert card["smallest p-value"] == "0.2500"
    assert card["Dice of its cases"] == "mean 0.850, median 0.850, lowest 0.800, at least 0.9 in 50%, known for 2"
    assert card_rows(a_reference(tuple(replace(case, dice=None) for case in CASES)))["Dice of its cases"] == "unknown"


@pytest.mark.parametrize("n_failed", [30, 5])
def test_outcomes_are_told_with_the_cases_behind_them_or_why_they_are_not(n_failed: int) -> None:
    dice = [0.5] * n_failed + [0.9] * (60 - n_failed)
    rows = outcome_rows(fit_outcomes(np.arange(60.0)[::-1].copy(), dice))
    assert "60 training cases with a known Dice" in rows["expected Dice"]
    told = rows["operating point"]
    assert ("27 of 30 training cases" in told) if n_failed == 30 else told.startswith("none: of 60 training cases")
    few = outcome_rows(fit_outcomes(np.arange(5.0), [0.5] * 5))
    assert all(row.startswith("none: ") for row in few.values())
    assert len(few) == 2
