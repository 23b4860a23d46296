from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from BottleneckOODLib.ood.upper_tail import UpperTail

RNG = np.random.default_rng(5)


def test_one_feature_is_its_standard_score() -> None:
    rows = RNG.normal(3, 2, size=(50, 1))
    score = UpperTail().fit(rows).ood_score(np.array([[7.0], [-9.0]]))
    np.testing.assert_allclose(score, (np.array([7.0, -9.0]) - rows.mean()) / rows.std())


def test_less_is_never_more_unusual() -> None:
    rows = RNG.normal(size=(40, 3))
    detector = UpperTail().fit(rows)
    far_below, near, far_above = detector.ood_score(np.array([[-50.0] * 3, [0.0] * 3, [50.0] * 3]))
    assert far_below < near < far_above


def test_leaving_one_out_is_a_fit_without_it() -> None:
    rows = RNG.normal(size=(12, 2))
    expected = [UpperTail().fit(np.delete(rows, i, axis=0)).ood_score(rows[i])[0] for i in range(12)]
    np.testing.assert_allclose(UpperTail().fit(rows).leave_one_out_scores(), expected)


def test_a_feature_without_spread_divides_by_nothing() -> None:
    assert UpperTail().fit(np.full((9, 1), 0.1)).ood_score(np.array([[1.1]]))[0] == pytest.approx(1.0)


def test_several_features_are_the_mean_of_their_standard_scores() -> None:
    rows, cases = RNG.normal([1, 20, -300], [1, 5, 70], size=(50, 3)), RNG.normal(size=(4, 3)) * 100
    expected = StandardScaler().fit(rows).transform(cases).mean(axis=1)
    np.testing.assert_allclose(UpperTail().fit(rows).ood_score(cases), expected, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-9, -123456.7])
def test_rounding_of_equal_numbers_is_no_spread(value: float) -> None:
    for n in range(3, 40):
        rows = np.full((n, 1), value)
        assert UpperTail().fit(rows).ood_score(np.array([[value + 1.0]]))[0] == pytest.approx(1.0), n


def test_a_small_spread_of_small_numbers_counts() -> None:
    rows = 1e-3 + 1e-12 * np.where(np.arange(50) % 2, 1.0, -1.0)[:, None]
    assert UpperTail().fit(rows).ood_score(np.array([[1e-3 + 1e-11]]))[0] == pytest.approx(10, rel=1e-4)


def test_single_precision_is_judged_in_double() -> None:
    rows = RNG.normal(3, 2, size=(50, 2)).astype(np.float32)
    narrow, wide = UpperTail().fit(rows), UpperTail().fit(rows.astype(np.float64))
    for name in ("features_", "mean_", "spread_"):
        np.testing.assert_array_equal(getattr(narrow, name), getattr(wide, name))


def test_it_is_known_by_its_name_and_has_nothing_to_set() -> None:
    assert UpperTail.name == "upper_tail"
    assert UpperTail().settings() == {}
