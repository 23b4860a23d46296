from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from BottleneckOODLib.ood.failure_metrics import (
    failure_metrics,
    gained_by_rejecting,
    interval,
    risk_coverage_curve,
    stratified_weights,
)

rows = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 100), st.booleans()), min_size=3, max_size=40)


def columns(drawn: list[tuple[int, int, bool]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([float(r[0]) for r in drawn]),
        np.array([r[1] / 100 for r in drawn]),
        np.array([r[2] for r in drawn]),
    )


@settings(deadline=None)
@given(rows)
def test_metrics_are_scikit_learn_s_and_scipy_s_with_ties(drawn: list[tuple[int, int, bool]]) -> None:
    scores, dice, failed = columns(drawn)
    ours = failure_metrics(scores, dice, failed)
    if failed.all() or not failed.any():
        assert np.isnan([ours.auroc[0], ours.auprc[0], ours.fpr90[0]]).all()
    else:
        assert ours.auroc[0] == pytest.approx(roc_auc_score(failed, scores))
        assert ours.auprc[0] == pytest.approx(average_precision_score(failed, scores))
        threshold = np.quantile(scores[failed], 1 - 0.90)
        assert ours.fpr90[0] == pytest.approx(np.mean(scores[~failed] >= threshold), abs=1e-12)
    if np.ptp(scores) and np.ptp(dice):
        assert ours.pearson[0] == pytest.approx(scipy.stats.pearsonr(scores, dice).statistic, abs=1e-9)
    else:
        assert np.isnan(ours.pearson[0])


@settings(deadline=None)
@given(rows)
def test_the_risk_coverage_area_is_the_mean_risk_over_all_thresholds(drawn: list[tuple[int, int, bool]]) -> None:
    scores, dice, failed = columns(drawn)
    ours = failure_metrics(scores, dice, failed)
    naive = np.mean([np.mean(1 - dice[scores <= threshold]) for threshold in scores])
    ideal = np.mean([np.mean(1 - dice[dice >= threshold]) for threshold in dice])
    assert ours.aurc[0] == pytest.approx(naive)
    assert ours.excess_aurc[0] == pytest.approx(naive - ideal, abs=1e-12)
    assert ours.excess_aurc[0] > -1e-12 or len(set(dice)) < len(dice)
    coverage, risk = risk_coverage_curve(scores, dice)
    assert coverage[-1] == pytest.approx(1)
    assert risk[-1] == pytest.approx(np.mean(1 - dice))
    assert (np.diff(coverage) > 0).all()


@settings(deadline=None, max_examples=40)
@given(rows, st.integers(0, 10_000))
def test_weights_are_the_sample_that_they_stand_for(drawn: list[tuple[int, int, bool]], seed: int) -> None:
    scores, dice, failed = columns(drawn)
    weights = stratified_weights(failed, 3, seed)
    together = failure_metrics(scores, dice, failed, weights)
    for row, counts in enumerate(weights.astype(int)):
        alone = failure_metrics(*(np.repeat(values, counts) for values in (scores, dice, failed)))
        for name, value in vars(alone).items():
            np.testing.assert_allclose(getattr(together, name)[row], value[0], atol=1e-7, err_msg=name)


def test_what_stands_twice_counts_twice_and_order_does_not() -> None:
    rng = np.random.default_rng(0)
    scores, dice, failed = rng.normal(size=30), rng.uniform(size=30), rng.uniform(size=30) < 0.4
    once = failure_metrics(scores, dice, failed)
    order = rng.permutation(60) % 30
    twice = failure_metrics(scores[order], dice[order], failed[order])
    for name in ("auroc", "auprc", "pearson", "aurc"):
        assert getattr(twice, name)[0] == pytest.approx(getattr(once, name)[0]), name


def test_samples_keep_the_number_of_each_class() -> None:
    failed = np.array([True] * 7 + [False] * 20)
    weights = stratified_weights(failed, 50)
    assert (weights[:, failed].sum(axis=1) == 7).all()
    assert (weights[:, ~failed].sum(axis=1) == 20).all()
    np.testing.assert_array_equal(weights, stratified_weights(failed, 50))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    failed = np.arange(80) >= 40
    truth = float(scipy.stats.norm.cdf(1 / np.sqrt(2)))
    held = 0
    for _ in range(120):
        scores = rng.normal(size=80) + failed
        low, high = interval(failure_metrics(scores, scores, failed, stratified_weights(failed, 200)).auroc)
        held += low <= truth <= high
    assert 0.86 < held / 120 <= 1


def test_rejecting_the_failed_gains_what_they_cost() -> None:
    dice = np.array([0.9, 0.8, 0.1])
    kept = np.array([True, True, False])
    assert gained_by_rejecting(dice, kept)[0] == pytest.approx(0.85 - 0.6)
    assert gained_by_rejecting(dice, kept, before=0.7)[0] == pytest.approx(0.15)
    assert np.isnan(gained_by_rejecting(dice, np.zeros(3, dtype=bool))[0])
    assert np.isnan(interval(np.array([np.nan]))).all()
