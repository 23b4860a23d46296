"""What is told of outcomes holds as often as it says, and is not told where too little is known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sklearn.isotonic
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.errors import ReferenceSetError
from BottleneckOODLib.reference.building import build_reference
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.outcome_fitting import expected_dice, fit_outcomes, operating_point
from BottleneckOODLib.reference.outcomes import Outcomes
from BottleneckOODLib.reference.reference_folder import REFERENCE_FILE, Reference


def cases_with_outcomes(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and Dice that fall with them and scatter more where they are larger."""
    scores = rng.gamma(2.0, 0.5, n)
    dice = np.clip(0.95 - 0.12 * scores + rng.normal(0, 0.02 + 0.04 * scores, n), 0, 1)
    return scores, dice


def test_the_interval_holds_the_dice_of_as_many_new_cases_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = []
    for _ in range(150):
        known = expected_dice(*cases_with_outcomes(rng, 80))
        assert known is not None
        for score, dice in zip(*cases_with_outcomes(rng, 60), strict=True):
            at = known.at(float(score))
            if at is not None:
                held.append(at[1] <= dice <= at[2])
    # Split conformal prediction promises at least the level, and with 40 cases at most 1/41 more.
    assert 0.9 - 0.01 <= np.mean(held) <= 0.9 + 1 / 41 + 0.02


@pytest.mark.parametrize("n", [40, 41, 75])
def test_the_curve_and_its_margin_come_from_two_halves_of_the_cases(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, held_out = [], []

    class Watched(sklearn.isotonic.IsotonicRegression):  # type: ignore[misc]
        def fit(self, scores: np.ndarray, dice: np.ndarray) -> Watched:
            fitted.extend(scores.tolist())
            super().fit(scores, dice)
            return self

        def predict(self, scores: np.ndarray) -> np.ndarray:
            held_out.extend(scores.tolist())
            return np.asarray(super().predict(scores))

    monkeypatch.setattr(sklearn.isotonic, "IsotonicRegression", Watched)
    scores, dice = cases_with_outcomes(np.random.default_rng(n), n)
    known = expected_dice(scores, dice)
    assert known is not None
    assert sorted(fitted + held_out) == sorted(scores.tolist())
    assert 0 <= len(held_out) - len(fitted) <= 1
    middle = np.interp(held_out, known.scores, known.dice)
    missed = np.abs([dice[scores.tolist().index(score)] for score in held_out] - middle)
    # Split conformal: of m cases and the new one, nine in ten.
    assert np.count_nonzero(missed <= known.margin + 1e-12) == np.ceil(0.9 * (len(held_out) + 1))


@pytest.mark.parametrize(("n", "is_told"), [(39, False), (40, True)])
def test_forty_known_outcomes_are_enough_for_a_curve(n: int, is_told: bool) -> None:
    scores, dice = cases_with_outcomes(np.random.default_rng(0), n)
    assert (expected_dice(scores, dice) is not None) == is_told


def test_scores_in_single_precision_are_fitted_in_double() -> None:
    scores, dice = cases_with_outcomes(np.random.default_rng(3), 60)
    single = scores.astype(np.float32)
    found = fit_outcomes(single, dice.tolist()).expected_dice  # type: ignore[arg-type]
    assert found == fit_outcomes(single.astype(np.float64), dice.tolist()).expected_dice
    assert found is not None
    assert found.scores[0] in single.astype(np.float64)


def test_without_cases_nothing_is_told_of_outcomes() -> None:
    assert len(fit_outcomes(np.zeros(0), []).reasons) == 2


@given(st.integers(0, 2**32 - 1), st.integers(40, 90))
@settings(max_examples=25, deadline=None)
def test_more_unusual_never_promises_more(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores, dice = cases_with_outcomes(rng, n)
    known = expected_dice(scores, dice)
    assert known is not None
    told = [known.at(float(score)) for score in np.linspace(scores.min() - 1, scores.max(), 50)]
    middles = [at[0] for at in told if at is not None]
    assert len(middles) == 50
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(middles))
    assert all(0 <= low <= middle <= high <= 1 for middle, low, high in told if told)  # type: ignore[misc]
    assert known.at(float(scores.max()) + 1e-6) is None
    assert known.n_cases == n


@given(st.integers(0, 2**32 - 1), st.integers(10, 30), st.integers(10, 60))
@settings(max_examples=40, deadline=None)
def test_the_operating_point_is_the_highest_that_catches_ninety_in_a_hundred(seed: int, failed: int, good: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(1, 1, failed), rng.normal(0, 1, good)]).round(1)
    dice = np.concatenate([np.full(failed, 0.8), np.full(good, 0.81)])
    point = operating_point(scores, dice, 0.8)
    assert point is not None
    assert (point.n_failed, point.n_other) == (failed, good)
    assert point.n_failed_beyond == sum(scores[:failed] >= point.threshold) >= 0.9 * failed - 1e-9
    assert point.n_other_beyond == sum(scores[failed:] >= point.threshold)
    higher = scores[scores > point.threshold]
    assert all(sum(scores[:failed] >= other) < 0.9 * failed - 1e-9 for other in higher)


@pytest.mark.parametrize(
    ("failed", "good", "said"),
    [(9, 60, ["of 69 cases with a known Dice 9 failed"]), (60, 9, ["60 failed"]), (10, 10, ["Dice of 20 cases"])],
)
def test_too_few_cases_are_told_with_their_number(failed: int, good: int, said: list[str]) -> None:
    dice = [0.5] * failed + [0.9] * good
    outcomes = fit_outcomes(np.arange(failed + good, dtype=float), dice)
    assert len(outcomes.reasons) == len(said)
    for reason, part in zip(outcomes.reasons, said, strict=True):
        assert part in reason
        assert reason.endswith(".")


def test_a_case_without_an_outcome_has_no_say() -> None:
    rng = np.random.default_rng(1)
    scores, dice = cases_with_outcomes(rng, 60)
    with_unknown = fit_outcomes(np.concatenate([[99.0, -99.0], scores]), [None, None, *dice.tolist()])
    assert with_unknown == fit_outcomes(scores, dice.tolist())
    assert fit_outcomes(scores, [None] * 60).expected_dice is None


def test_what_was_fitted_is_kept_in_the_reference(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(60, 4))
    dice = (0.95 - 0.1 * np.linalg.norm(rows, axis=1)).round(4)
    cases = [ReferenceCase(f"case-{n}", float(value)) for n, value in enumerate(dice)]
    built = build_reference("known", "f" * 64, {"bottleneck": rows}, cases, {}, failure_dice=0.75)
    assert built.outcomes is not None
    assert built.outcomes.operating_point is not None
    assert built.outcomes.operating_point.failure_dice == 0.75
    assert built.outcomes.operating_point.n_failed == int((dice <= 0.75).sum())
    assert built.settings["detector_choice"]["n_failed"] == built.outcomes.operating_point.n_failed
    loaded = built.save(tmp_path / "known")
    assert loaded.outcomes == built.outcomes


def test_a_reference_without_outcomes_opens_and_a_damaged_one_is_a_sentence(tmp_path: Path) -> None:
    rows = np.random.default_rng(2).normal(size=(60, 4))
    cases = [ReferenceCase(f"case-{n}", 0.9 - n / 200) for n in range(60)]
    built = build_reference("known", "f" * 64, {"bottleneck": rows}, cases, {})
    assert built.outcomes is not None
    document = built.outcomes.document()
    assert Outcomes.of_document(document) == built.outcomes
    for damage in ({"margin": float("nan")}, {"scores": [1.0]}, {"dice": []}, {"level": "0.9"}):
        with pytest.raises((ValueError, TypeError)):
            Outcomes.of_document({**document, "expected_dice": {**document["expected_dice"], **damage}})
    with pytest.raises(TypeError):
        Outcomes.of_document({**document, "operating_point": {"threshold": 1.0}})
    built.save(tmp_path / "known")
    text = (tmp_path / "known" / REFERENCE_FILE).read_text()
    (tmp_path / "known" / REFERENCE_FILE).write_text(text.replace('"margin"', '"margins"'))
    with pytest.raises(ReferenceSetError):
        Reference.load(tmp_path / "known")
