from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from BottleneckOODLib.ood import mahalanobis
from BottleneckOODLib.ood.calibration import NotFiniteError
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


def refitted(features: np.ndarray) -> list[float]:
    return [score_among(np.delete(features, row, axis=0), features[row]) for row in range(len(features))]


@pytest.mark.parametrize("step", [1e-8, 1e-7, 1e-2, 1.0])
@pytest.mark.parametrize("d", [40, 100], ids=["decomposed", "by products of cases"])
def test_a_case_beside_what_the_others_span_is_scored_as_by_a_fit_to_them(step: float, d: int) -> None:
    """However small the step: squared, the smaller ones are below what the products of cases resolve."""
    half = np.random.default_rng(0).normal(size=(8, d))
    half[:, -1] = 0
    beside = np.zeros(d)
    beside[-1] = step
    features = np.vstack([half, -half, beside])
    scores = ShrunkMahalanobis().fit(features).leave_one_out_scores()
    np.testing.assert_allclose(scores, refitted(features), rtol=1e-7)
    shrinkage, variance = ledoit_wolf_shrinkage(features[:-1])
    assert scores[-1] == pytest.approx(step / np.sqrt(shrinkage * variance), rel=1e-7)


def test_a_case_left_out_of_others_that_need_no_shrinking() -> None:
    """Cases at two points: what the floor is then depends on how many they are."""
    d = 30
    features = np.zeros((9, d))
    features[:8, 0] = np.where(np.arange(8) % 2, 1.0, -1.0)
    features[8, 1] = 1e-7
    assert ledoit_wolf_shrinkage(features[:8])[0] == 0
    scores = ShrunkMahalanobis().fit(features).leave_one_out_scores()
    assert scores[8] == pytest.approx(refitted(features)[8], rel=1e-6)


def test_usual_cases_are_left_out_without_a_new_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    features = correlated(18, 30)
    expected = refitted(features)

    def never(_others: np.ndarray, _case: np.ndarray) -> float:
        raise AssertionError

    monkeypatch.setattr(mahalanobis, "score_among", never)
    np.testing.assert_allclose(ShrunkMahalanobis().fit(features).leave_one_out_scores(), expected, rtol=1e-7)


def test_where_everything_is_shrunk_and_features_are_more_than_cases_the_distance_is_euclidean() -> None:
    others, case = np.random.default_rng(11).normal(size=(6, 8)), np.arange(8.0)
    shrinkage, variance = ledoit_wolf_shrinkage(others - others.mean(axis=0))
    assert shrinkage == 1
    expected = np.linalg.norm(case - others.mean(axis=0)) / np.sqrt(variance)
    assert score_among(others, case) == pytest.approx(expected, rel=1e-12)


def test_single_precision_is_judged_in_double() -> None:
    features = correlated(15, 4).astype(np.float32)
    narrow, wide = ShrunkMahalanobis().fit(features), ShrunkMahalanobis().fit(features.astype(np.float64))
    for name in ("features_", "mean_", "inverse_variances_"):
        np.testing.assert_array_equal(getattr(narrow, name), getattr(wide, name))


@pytest.mark.parametrize("variance", [np.inf, -np.inf, np.nan, 0.0, -1.0])
def test_a_direction_whose_variance_is_no_positive_number_is_never_left_out(
    monkeypatch: pytest.MonkeyPatch, variance: float
) -> None:
    """Divided by infinity, every case would look usual in it."""
    features = np.random.default_rng(0).normal(size=(8, 12))
    fitted = ShrunkMahalanobis().fit(features)
    monkeypatch.setattr("BottleneckOODLib.ood.mahalanobis._floor", lambda *_: variance)
    for attempt in (
        lambda: ShrunkMahalanobis().fit(features),
        fitted.leave_one_out_scores,
        lambda: score_among(features[1:], features[0]),
    ):
        with pytest.raises(NotFiniteError):
            attempt()


@pytest.mark.parametrize("variance", [np.inf, np.nan, 0.0, -1.0])
@pytest.mark.parametrize("row", [0, 7, 14])
def test_one_case_left_out_of_others_without_a_variance_is_refused(
    monkeypatch: pytest.MonkeyPatch, variance: float, row: int
) -> None:
    fitted = ShrunkMahalanobis().fit(correlated(15, 4))
    floors = iter(np.where(np.arange(15) == row, variance, 0.1))
    monkeypatch.setattr(mahalanobis, "_floor", lambda *_: float(next(floors)))
    with pytest.raises(NotFiniteError, match="no positive number"):
        fitted.leave_one_out_scores()
