"""Of the flagged cases, no more than the chosen share are false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from BottleneckOODLib.ood.calibration import conformal_p_value
from BottleneckOODLib.ood.false_alarms import flagged_at

p_values = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=60).map(np.array)


def naive(values: np.ndarray, rate: float) -> np.ndarray:
    """The largest k whose k-th smallest p-value is at most k / n times the rate; all up to it are flagged."""
    order = np.sort(values)
    k = max((i for i in range(1, len(values) + 1) if order[i - 1] <= rate * i / len(values)), default=0)
    return values <= order[k - 1] if k else np.zeros(len(values), dtype=bool)


@given(p_values, st.floats(0.01, 0.5))
def test_it_is_the_step_up_procedure(values: np.ndarray, rate: float) -> None:
    # A p-value that lies on the line is rounded to either side.
    on_the_line = np.isclose(np.sort(values), rate * np.arange(1, len(values) + 1) / len(values), rtol=1e-9)
    if not on_the_line.any():
        assert np.array_equal(flagged_at(values, rate), naive(values, rate))


@given(p_values)
def test_a_higher_rate_flags_no_fewer(values: np.ndarray) -> None:
    assert not np.any(flagged_at(values, 0.05) & ~flagged_at(values, 0.2))


def test_no_case_is_no_flag() -> None:
    assert flagged_at(np.array([]), 0.1).shape == (0,)


@pytest.mark.parametrize("rate", [0.1, 0.25])
def test_the_promise_holds_for_conformal_p_values(rate: float) -> None:
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(200):
        calibration = rng.normal(size=200)
        usual, unusual = rng.normal(size=80), rng.normal(4, 1, size=20)
        values = np.array([conformal_p_value(s, calibration) for s in (*usual, *unusual)])
        flags = flagged_at(values, rate)
        shares.append(flags[:80].sum() / max(1, flags.sum()))
    assert np.mean(shares) <= rate * 1.1
    assert np.mean(shares) > rate * 0.4
