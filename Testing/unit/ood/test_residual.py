from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from BottleneckOODLib.ood.residual import PrincipalResidual
from BottleneckOODLib.ood.standardising import StandardisedComponents, mean_and_scale


@pytest.mark.parametrize("shape", [(60, 12), (30, 80)], ids=str)
def test_the_residual_is_what_scikit_learn_s_components_leave(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    train, new = rng.normal(size=shape), rng.normal(size=(5, shape[1]))
    pca = PCA(4, svd_solver="full").fit(train)
    theirs = np.linalg.norm(new - pca.inverse_transform(pca.transform(new)), axis=1)
    np.testing.assert_allclose(PrincipalResidual(4).fit(train).ood_score(new), theirs, rtol=1e-9)


def test_a_subspace_never_holds_everything() -> None:
    train = np.random.default_rng(0).normal(size=(9, 40))
    fit = PrincipalResidual(500).fit(train)
    assert len(fit.subspace_.components_) == 3
    assert fit.leave_one_out_scores().min() > 0


@pytest.mark.parametrize("shape", [(60, 12), (30, 80)], ids=str)
def test_standardised_components_are_scikit_learn_s(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    train, new = rng.normal(size=shape) * 5 + 3, rng.normal(size=(5, shape[1]))
    train[:, 2] = 7.3  # a feature that does not vary
    scaler = StandardScaler().fit(train)
    pca = PCA(6, svd_solver="full").fit(scaler.transform(train))
    ours = StandardisedComponents(6).fit(train).transform(new)
    # The sign of a direction is nobody's.
    np.testing.assert_allclose(np.abs(ours), np.abs(pca.transform(scaler.transform(new))), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(mean_and_scale(train)[1], scaler.scale_)
