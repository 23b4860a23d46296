from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis, ledoit_wolf_shrinkage, score_among

SHAPES = [(60, 5), (20, 19), (20, 20), (20, 21), (15, 80)]


def correlated(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_shrinkage_is_scikit_learn_s(shape: tuple[int, int]) -> None:
    features = correlated(*shape)
    shrinkage, _ = ledoit_wolf_shrinkage(features - features.mean(axis=0))
    assert shrinkage == pytest.approx(LedoitWolf().fit(features).shrinkage_, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_distances_are_those_of_the_inverted_covariance(shape: tuple[int, int]) -> None:
    features, cases = correlated(*shape), correlated(6, shape[1], seed=1)
    theirs = np.sqrt(LedoitWolf().fit(features).mahalanobis(cases))
    np.testing.assert_allclose(ShrunkMahalanobis().fit(features).ood_score(cases), theirs, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_solve_gives_what_the_decomposition_gives(shape: tuple[int, int]) -> None:
    features, case = correlated(*shape), correlated(1, shape[1], seed=1)[0]
    assert score_among(features, case) == pytest.approx(ShrunkMahalanobis().fit(features).ood_score(case)[0], rel=1e-7)


def test_leaving_one_out_equals_a_new_fit() -> None:
    features = correlated(18, 30)
    scores = ShrunkMahalanobis().fit(features).leave_one_out_scores()
    others = ShrunkMahalanobis().fit(np.delete(features, 4, axis=0))
    assert scores[4] == pytest.approx(others.ood_score(features[4])[0], rel=1e-7)


def test_identical_cases_divide_nothing_by_zero() -> None:
    detector = ShrunkMahalanobis().fit(np.ones((5, 3)))
    assert detector.ood_score(np.ones(3))[0] == 0
    assert detector.ood_score(np.full(3, 1.1))[0] > 1e3
