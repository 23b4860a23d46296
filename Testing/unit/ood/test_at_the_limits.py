"""What holds exactly at a limit, a tie, or with nothing to divide by: found by mutants that no other test noticed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf
from sklearn.preprocessing import StandardScaler

from BottleneckOODLib.ood.calibration import NotFiniteError, scaled_score
from BottleneckOODLib.ood.drift import ALLOWANCE, LEAST_CASES, batch_test, control_chart
from BottleneckOODLib.ood.false_alarms import flagged_at
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis, ledoit_wolf_shrinkage, score_among
from BottleneckOODLib.ood.pca import PrincipalComponents
from BottleneckOODLib.ood.pooling import pool_moments, pool_tokens
from BottleneckOODLib.ood.standardising import StandardisedComponents, mean_and_scale, standardised


def test_two_points_leave_nothing_to_shrink() -> None:
    points = np.array([[3.0, 0.0], [-3.0, 0.0]])
    shrinkage, variance = ledoit_wolf_shrinkage(points)
    assert shrinkage == ledoit_wolf(points, assume_centered=True)[1] == 0
    assert variance == 4.5


def test_where_everything_is_shrunk_the_distance_is_euclidean() -> None:
    others, case = np.random.default_rng(0).normal(size=(6, 5)), np.arange(5.0)
    centred = others - others.mean(axis=0)
    shrinkage, variance = ledoit_wolf_shrinkage(centred)
    assert shrinkage == 1
    expected = np.linalg.norm(case - others.mean(axis=0)) / np.sqrt(variance)
    assert score_among(others, case) == pytest.approx(expected, rel=1e-12)
    assert ShrunkMahalanobis().fit(others).ood_score(case[None])[0] == pytest.approx(expected, rel=1e-9)


def test_unit_length_brings_short_and_long_alike_and_leaves_zero_alone() -> None:
    cases = np.array([[0.3, 0.4], [30.0, 40.0], [0.0, 0.0]])
    fitted = KNearestNeighbours(1, "kth", normalise=True).fit(cases)
    np.testing.assert_allclose(fitted.features_, [[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]])
    assert fitted.settings() == {"k": 1, "statistic": "kth", "normalise": 1.0}
    assert KNearestNeighbours(1, "kth").settings() == {"k": 1, "statistic": "kth"}


@pytest.mark.parametrize(("k", "statistic", "effective"), [
    (1.0, "kth", 1), (1.5, "kth", 1), (5.0, "kth", 5), (0.5, "kth", 10), (3, "paper", 4), (0.01, "kth", 1),
    (1000, "paper", 20), (0.5, "paper", 11),
])  # fmt: skip
def test_a_share_is_below_one_and_the_paper_counts_one_more(k: float, statistic: str, effective: int) -> None:
    reference = np.arange(20.0)[:, None]
    fitted = KNearestNeighbours(k, statistic).fit(reference)
    assert fitted.k_ == effective
    assert fitted.ood_score(np.array([[-1.0]]))[0] == effective


@pytest.mark.parametrize(("middle", "unit"), [(0.25, 1e-12), (1.5, 1.5e-12), (100.0, 1e-10)])
def test_ties_are_scaled_by_rounding_alone(middle: float, unit: float) -> None:
    assert scaled_score(middle + 1, np.full(9, middle)) == pytest.approx(1 / unit, rel=1e-9)


def test_standardising_is_scikit_learn_s_and_changes_nothing_that_it_is_given() -> None:
    rng = np.random.default_rng(0)
    train, new = rng.normal(5, 3, (12, 4)).astype(np.float32), rng.normal(5, 3, (3, 4)).astype(np.float32)
    train[:, 2] = 7
    kept = train.copy(), new.copy()
    scaler = StandardScaler().fit(train.astype(np.float64))
    for ours, theirs in zip(standardised(train, new), (train, new), strict=True):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, scaler.transform(theirs.astype(np.float64)), rtol=1e-12, atol=1e-12)
    mean, scale = mean_and_scale(train)
    np.testing.assert_allclose(mean, scaler.mean_, rtol=1e-14)
    np.testing.assert_allclose(scale, scaler.scale_, rtol=1e-12)
    np.testing.assert_array_equal((train, new)[0], kept[0])
    np.testing.assert_array_equal((train, new)[1], kept[1])


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e6])
def test_a_feature_that_varies_by_more_than_rounding_counts(offset: float) -> None:
    wave = np.where(np.arange(40) % 2, 1.0, -1.0)[:, None]
    assert mean_and_scale(offset + 1e-6 * wave)[1][0] == pytest.approx(1e-6, rel=1e-3)
    assert mean_and_scale(np.full((40, 1), offset))[1][0] == 1


def test_names_and_settings_are_what_a_reference_keeps() -> None:
    assert PrincipalComponents.name == StandardisedComponents.name == "pca"
    assert PrincipalComponents(3).settings() == StandardisedComponents(3).settings() == {"n_components": 3}


def test_a_token_that_sees_a_twentieth_of_body_is_the_last_to_be_left_out() -> None:
    tokens = np.array([1.0, 3.0], np.float32).reshape(2, 1, 1, 1, 1)

    def pooled(weight: float) -> float:
        return float(pool_tokens(tokens, np.array([1.0, weight], np.float32).reshape(2, 1, 1, 1))[0])

    assert pooled(0.04) == pooled(0.05 - 1e-6) == 1
    assert pooled(0.06) == pytest.approx((1 + 3 * 0.06) / 1.06)
    with pytest.raises(NotFiniteError):
        pooled(float("nan"))


def test_moments_are_pooled_in_double_precision() -> None:
    mean = np.full((3, 1), 16_777_217.0, np.float64)
    mean[1] = 16_777_219.0
    pooled = pool_moments(mean.astype(np.float32), np.zeros((3, 1), np.float32), np.ones(3, np.float32))
    assert pooled.dtype == np.float64
    shares = np.array([1, 1, 1]) / 3
    np.testing.assert_allclose(pooled[0], shares @ mean.astype(np.float32).astype(np.float64)[:, 0], rtol=1e-12)


def test_of_no_cases_none_is_flagged() -> None:
    assert flagged_at(np.zeros(0), 0.1).dtype == bool


@pytest.mark.parametrize(("p_value", "bounded"), [(1.0, 0.999), (0.9995, 0.999), (0.9985, 0.9985), (1e-9, 1e-6)])
def test_one_case_moves_the_chart_by_no_more_than_its_bounds(p_value: float, bounded: float) -> None:
    chart = control_chart(np.array([1e-6, 1e-6, p_value]), limit=1e9)
    high = norm.isf(1e-6) - ALLOWANCE
    assert chart.sums[-1] == pytest.approx(max(0.0, 2 * high + norm.isf(bounded) - ALLOWANCE))


def test_the_alarm_is_beyond_the_limit_and_its_climb_begins_where_the_sum_left_zero() -> None:
    step = float(norm.isf(0.01)) - ALLOWANCE
    chart = control_chart(np.full(3, 0.01), limit=step)
    assert chart.sums[0] == pytest.approx(step)
    assert control_chart(np.full(3, 0.01), limit=float(chart.sums[0])).alarm == 1
    assert control_chart(np.full(3, 0.01), limit=0.0).begun == 0
    assert control_chart(np.array([0.9, 0.9, 0.01, 0.01]), limit=float(chart.sums[0])).begun == 2


def test_a_batch_is_told_from_its_least_number_on_and_a_tie_is_not_above() -> None:
    scores = np.arange(float(LEAST_CASES))
    assert LEAST_CASES == 8
    assert batch_test(scores[1:], scores) is None
    assert batch_test(scores, scores[1:]) is None
    found = batch_test(np.zeros(8), np.array([0.0] * 9))
    assert found is not None
    assert found.share_above_median == 0
