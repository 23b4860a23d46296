from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from BottleneckOODLib.ood.pca import PrincipalComponents


@pytest.mark.parametrize("shape", [(30, 8), (12, 40)], ids=str)
def test_coordinates_are_scikit_learn_s_up_to_their_signs(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    features, cases = rng.normal(size=shape) + 3, rng.normal(size=(5, shape[1]))
    ours = PrincipalComponents(4).fit(features).transform(cases)
    theirs = PCA(4, svd_solver="full").fit(features).transform(cases)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-10)


def test_all_components_keep_the_distances_between_cases() -> None:
    features = np.random.default_rng(1).normal(size=(20, 6))
    reduced = PrincipalComponents(6).fit(features).transform(features)
    for a, b in [(0, 1), (3, 17), (9, 10)]:
        assert np.linalg.norm(reduced[a] - reduced[b]) == pytest.approx(np.linalg.norm(features[a] - features[b]))


def test_no_more_components_are_made_than_the_cases_allow() -> None:
    features = np.random.default_rng(2).normal(size=(10, 30))
    assert PrincipalComponents(256).fit(features).transform(features).shape == (10, 9)


def test_the_first_component_varies_most() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(200, 3)) * [1.0, 10.0, 0.1]
    spread = PrincipalComponents(3).fit(features).transform(features).std(axis=0)
    assert list(spread) == sorted(spread, reverse=True)
    np.testing.assert_allclose(spread, [10, 1, 0.1], rtol=0.15)
