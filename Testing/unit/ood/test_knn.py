from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from BottleneckOODLib.ood.knn import KNearestNeighbours, squared_distances


def test_squared_distances_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 5)), rng.normal(size=(7, 5))
    looped = [[((x - y) ** 2).sum() for y in b] for x in a]
    np.testing.assert_allclose(squared_distances(a, b), looped, rtol=1e-12)


def test_a_large_offset_does_not_drown_the_distances() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(4, 5)), rng.normal(size=(7, 5))
    np.testing.assert_allclose(squared_distances(a + 1e6, b + 1e6), squared_distances(a, b), rtol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_scores_agree_with_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(2)
    reference, cases = rng.normal(size=(40, 6)), rng.normal(size=(9, 6))
    theirs = NearestNeighbors(n_neighbors=k).fit(reference).kneighbors(cases)[0]
    np.testing.assert_allclose(KNearestNeighbours(k, "mean").fit(reference).ood_score(cases), theirs.mean(axis=1))
    np.testing.assert_allclose(KNearestNeighbours(k, "kth").fit(reference).ood_score(cases), theirs[:, -1])


def test_leaving_one_out_skips_the_case_itself_even_when_it_stands_there_twice() -> None:
    reference = np.array([[0.0], [0.0], [1.0], [3.0]])
    scores = KNearestNeighbours(1).fit(reference).leave_one_out_scores()
    assert scores.tolist() == [0.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("k", "n", "effective"), [(0.1, 40, 4), (0.75, 160, 120), (0.01, 40, 1), (5, 3, 3), (1, 3, 1), (0.999, 2, 2)]
)
def test_k_is_a_count_or_a_share_and_never_more_than_there_are(k: float, n: int, effective: int) -> None:
    assert KNearestNeighbours(k).fit(np.zeros((n, 2))).k_ == effective


def test_single_precision_is_judged_in_double() -> None:
    features = np.random.default_rng(4).normal(size=(12, 3)).astype(np.float32)
    for normalise in (False, True):
        narrow, wide = (
            KNearestNeighbours(2, normalise=normalise).fit(f) for f in (features, features.astype(np.float64))
        )
        np.testing.assert_array_equal(narrow.features_, wide.features_)
