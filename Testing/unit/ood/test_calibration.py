from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from BottleneckOODLib.ood.calibration import (
    NotFiniteError,
    conformal_p_value,
    largest_scaled,
    light_of,
    percentile_of,
    scaled_score,
    score_at_level,
)

numbers = st.floats(-1e6, 1e6)
samples = st.lists(numbers, min_size=1, max_size=60)


@given(numbers, samples)
def test_the_p_value_counts_the_cases_at_least_as_unusual(score: float, calibration: list[float]) -> None:
    counted = (1 + sum(other >= score for other in calibration)) / (len(calibration) + 1)
    assert conformal_p_value(score, np.array(calibration)) == pytest.approx(counted)


@given(numbers, numbers, samples)
def test_more_unusual_is_never_a_larger_p_value(a: float, b: float, calibration: list[float]) -> None:
    low, high = sorted((a, b))
    assert conformal_p_value(high, np.array(calibration)) <= conformal_p_value(low, np.array(calibration))


def test_new_cases_of_the_same_kind_are_flagged_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    p_values = np.array([conformal_p_value(rng.normal(), rng.normal(size=99)) for _ in range(4000)])
    for level in (0.02, 0.1, 0.5):
        # Four standard errors of a binomial share.
        assert abs((p_values <= level).mean() - level) < 4 * np.sqrt(level * (1 - level) / 4000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_is_concluded_from_what_is_no_number(value: float) -> None:
    with pytest.raises(NotFiniteError):
        conformal_p_value(value, np.array([1.0, 2.0]))
    with pytest.raises(NotFiniteError):
        conformal_p_value(1.0, np.array([1.0, value]))


@pytest.mark.parametrize(
    ("p_value", "light"),
    [(1.0, "green"), (0.1001, "green"), (0.1, "amber"), (0.0201, "amber"), (0.02, "red"), (0.001, "red"),
     (0.0, "grey"), (-1.0, "grey"), (1.5, "grey"), (np.nan, "grey"), (np.inf, "grey")],
)  # fmt: skip
def test_the_light_of_a_p_value(p_value: float, light: str) -> None:
    assert light_of(p_value) == light


@given(numbers, samples)
def test_the_percentile_is_a_share(score: float, calibration: list[float]) -> None:
    assert percentile_of(score, np.array(calibration)) == pytest.approx(
        100 * sum(c < score for c in calibration) / len(calibration)
    )


def test_scaling_puts_the_median_at_0_and_the_upper_quantile_at_1() -> None:
    calibration = np.random.default_rng(0).gamma(3, size=500)
    middle, high = np.quantile(calibration, [0.5, 0.95])
    np.testing.assert_allclose(scaled_score(np.array([middle, high]), calibration), [0, 1], atol=1e-12)
    assert np.isfinite(scaled_score(3.0, np.full(9, 2.0)))


def test_a_case_far_out_in_one_space_is_not_outvoted() -> None:
    rng = np.random.default_rng(1)
    calibrations = {name: rng.normal(size=200) for name in "abcd"}
    quiet = {name: float(np.median(c)) for name, c in calibrations.items()}
    assert conformal_p_value(*largest_scaled(quiet, calibrations)) > 0.5
    assert conformal_p_value(*largest_scaled(quiet | {"c": 50.0}, calibrations)) == pytest.approx(1 / 201)


def test_several_spaces_together_flag_no_more_than_one() -> None:
    """Five spaces at 2% each would flag nearly 10%; calibrated together they flag 2%."""
    rng = np.random.default_rng(2)
    flagged = 0
    for _ in range(1500):
        calibrations = {name: rng.normal(size=99) for name in "abcde"}
        scores = {name: float(rng.normal()) for name in "abcde"}
        flagged += conformal_p_value(*largest_scaled(scores, calibrations)) <= 0.1
    assert abs(flagged / 1500 - 0.1) < 0.035


@given(st.floats(0.001, 0.999), samples)
def test_beyond_the_score_at_a_level_p_values_are_that_small_and_no_earlier(
    level: float, calibration: list[float]
) -> None:
    kept = np.array(calibration)
    score = score_at_level(level, kept)
    if score is None:
        assert conformal_p_value(2e6, kept) > level
        return
    assert conformal_p_value(score, kept) > level
    assert conformal_p_value(np.nextafter(score, np.inf), kept) <= level + 1e-9


def test_several_cases_at_once_are_combined_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    scores, calibrations = ({name: rng.normal(size=n) for name in "ab"} for n in (5, 30))
    together = largest_scaled(scores, calibrations)[0]
    alone = [largest_scaled({name: s[row] for name, s in scores.items()}, calibrations)[0] for row in range(5)]
    np.testing.assert_array_equal(together, alone)
