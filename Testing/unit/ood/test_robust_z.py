"""Robust z-scores: what one wild reference case, equal values and single features do to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.ood.robust_z import STATISTICS, RobustZ

FloatArray = npt.NDArray[np.float64]


def features(n: int = 41, d: int = 5, seed: int = 0) -> FloatArray:
    return np.asarray(np.random.default_rng(seed).normal(10, [1, 2, 3, 4, 100], size=(n, d)))


def test_it_is_the_modified_z_of_each_feature() -> None:
    reference, cases = features(), features(7, seed=1)
    spread = scipy.stats.median_abs_deviation(reference, axis=0, scale="normal")
    z = (cases - np.median(reference, axis=0)) / spread
    np.testing.assert_allclose(RobustZ().fit(reference).ood_score(cases), np.abs(z).max(axis=1), rtol=1e-12)
    rms = np.sqrt((z**2).mean(axis=1))
    np.testing.assert_allclose(RobustZ("rms").fit(reference).ood_score(cases), rms, rtol=1e-12)


def test_of_a_normal_feature_it_is_in_standard_deviations() -> None:
    reference = np.random.default_rng(2).normal(50, 7, size=(20_000, 1))
    found = RobustZ().fit(reference).ood_score(np.array([[50.0], [57.0], [29.0]]))
    np.testing.assert_allclose(found, [0, 1, 3], atol=0.05)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_few_wild_reference_cases_hide_nothing(statistic: str) -> None:
    """A mean and a standard deviation would be stretched until the case looks usual."""
    reference = features()
    case = np.median(reference, axis=0) + 10 * reference.std(axis=0)
    alone = RobustZ(statistic).fit(reference).ood_score(case)[0]
    wild = reference.copy()
    wild[:6] = 1e6
    assert RobustZ(statistic).fit(wild).ood_score(case)[0] > alone / 2
    assert np.abs((case - wild.mean(axis=0)) / wild.std(axis=0)).max() < 1


def test_one_feature_far_out_is_enough_for_the_largest_and_diluted_by_the_root_mean_square() -> None:
    reference = features()
    case = np.median(reference, axis=0)
    case[3] += 12 * RobustZ().fit(reference).spread_[3]
    assert RobustZ().fit(reference).ood_score(case)[0] == pytest.approx(12)
    assert RobustZ("rms").fit(reference).ood_score(case)[0] == pytest.approx(12 / np.sqrt(5))


def test_a_feature_that_seldom_varies_is_measured_by_its_mean_deviation() -> None:
    """Nearly every mask has one part: the MAD is 0, and a second part must not be infinitely unusual."""
    parts = np.array([[1.0]] * 18 + [[2.0]] * 2)
    fit = RobustZ().fit(parts)
    assert fit.spread_[0] == pytest.approx(np.sqrt(np.pi / 2) * 0.1)
    assert fit.ood_score(np.array([[1.0], [2.0], [3.0]])).tolist() == pytest.approx([0, 7.98, 15.96], rel=1e-3)


def test_a_feature_that_never_varies_counts_in_its_own_unit() -> None:
    fit = RobustZ().fit(np.full((9, 1), 0.1))
    assert fit.ood_score(np.array([[0.1], [3.1]])).tolist() == pytest.approx([0, 3])


def test_rounding_of_equal_numbers_is_no_spread() -> None:
    noise = 0.1 * (1 + np.finfo(float).eps * np.arange(-4, 5))
    assert RobustZ().fit(noise[:, None]).spread_[0] == 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3), offset=st.floats(-1e3, 1e3))
def test_units_and_offsets_of_a_feature_do_not_matter(seed: int, scale: float, offset: float) -> None:
    reference, case = features(seed=seed), features(1, seed=seed + 1)
    moved = RobustZ().fit(reference * scale + offset).ood_score(case * scale + offset)
    np.testing.assert_allclose(moved, RobustZ().fit(reference).ood_score(case), rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_largest_is_never_below_the_root_mean_square(seed: int) -> None:
    reference, cases = features(seed=seed), features(6, seed=seed + 1)
    largest, rms = (RobustZ(statistic).fit(reference).ood_score(cases) for statistic in STATISTICS)
    assert (largest >= rms * (1 - 1e-12)).all()


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown statistic median"):
        RobustZ("median")
