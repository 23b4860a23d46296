"""A chart that stays quiet while cases are like the reference's, and climbs when they are not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from BottleneckOODLib.ood.drift import LEAST_CASES, batch_test, control_chart


@given(st.lists(st.floats(1e-9, 1.0), max_size=80).map(np.array))
def test_the_sums_are_the_recursion(p_values: np.ndarray) -> None:
    chart = control_chart(p_values)
    total, sums = 0.0, []
    for p in p_values:
        total = max(0.0, total + norm.ppf(1 - min(max(p, 1e-6), 0.999)) - 0.5)
        sums.append(total)
    assert np.allclose(chart.sums, sums, atol=1e-6)
    assert (chart.sums >= 0).all()
    assert (chart.alarm is None) == (not (chart.sums > 5).any())
    if chart.alarm is not None:
        assert chart.sums[chart.alarm] > 5 >= max([*chart.sums[: chart.alarm], 0])
        assert chart.begun is not None
        assert chart.begun == 0 or chart.sums[chart.begun - 1] == 0
        assert (chart.sums[chart.begun : chart.alarm + 1] > 0).all()


def test_usual_cases_give_an_alarm_about_every_930() -> None:
    rng = np.random.default_rng(0)
    runs = [control_chart(rng.uniform(size=6000)).alarm for _ in range(150)]
    assert 650 < np.mean([6000 if run is None else run for run in runs]) < 1250


def test_a_shift_by_one_deviation_is_seen_after_about_ten_and_dated() -> None:
    rng = np.random.default_rng(1)
    delays, begun = [], []
    for _ in range(200):
        p = np.concatenate([rng.uniform(size=50), norm.sf(rng.normal(1, 1, size=200))])
        chart = control_chart(p)
        if chart.alarm is not None and chart.alarm >= 50:
            delays.append(chart.alarm - 50)
            begun.append(chart.begun)
    assert 6 < np.mean(delays) < 14
    assert 40 < np.median(begun) < 56


def test_a_batch_like_the_reference_and_one_that_is_not() -> None:
    rng = np.random.default_rng(3)
    reference = rng.normal(size=150)
    alike = [batch_test(rng.normal(size=40), reference) for _ in range(200)]
    assert np.mean([test.p_value < 0.05 for test in alike if test is not None]) < 0.1
    moved = batch_test(rng.normal(1, 1, size=40), reference)
    assert moved is not None
    assert moved.p_value < 0.001
    assert moved.share_above_median > 0.7
    assert (moved.n_batch, moved.n_reference) == (40, 150)


def test_few_cases_say_nothing() -> None:
    assert batch_test(np.zeros(LEAST_CASES - 1), np.zeros(50)) is None
    assert batch_test(np.zeros(50), np.zeros(LEAST_CASES - 1)) is None
    assert control_chart(np.array([])).alarm is None
