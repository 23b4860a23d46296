"""How far a case lies from the subspace that the reference cases span."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.pca import PrincipalComponents

FloatArray = npt.NDArray[np.float64]


class PrincipalResidual:
    """Distance to the subspace of the first principal components of the reference cases.

    Args:
        n_components: Dimension of the subspace; at most a third of the cases are used, so that something is left over.
    """

    name = "residual"

    def __init__(self, n_components: int = 32) -> None:
        self.n_components = n_components

    def fit(self, features: FloatArray) -> PrincipalResidual:
        """Find the subspace of the reference cases, shape (n, d), n >= 4."""
        self.features_ = np.array(features, dtype=np.float64)
        # A subspace that holds all cases, or all of space, leaves no residual to tell cases apart.
        most = min(max(1, len(features) // 3), max(0, features.shape[1] - 1))
        self.subspace_ = PrincipalComponents(min(self.n_components, most)).fit(self.features_)
        return self

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Distance of each case to the subspace; higher is more unusual.

        Args:
            features: Cases, shape (n_cases, d). Not modified.

        Returns:
            Euclidean distances, shape (n_cases,), >= 0.

        Source:
            Jackson and Mudholkar, Technometrics 21 (1979) 341-349 (the Q statistic); Wang et al., ViM, CVPR 2022.
        """
        centred = np.atleast_2d(features) - self.subspace_.mean_
        along = centred @ self.subspace_.components_.T
        return np.asarray(np.linalg.norm(centred - along @ self.subspace_.components_, axis=1))

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case by a new fit to all the others, shape (n,)."""
        rows = range(len(self.features_))
        fits = (PrincipalResidual(self.n_components).fit(np.delete(self.features_, row, axis=0)) for row in rows)
        return np.array([fit.ood_score(self.features_[row])[0] for row, fit in zip(rows, fits, strict=True)])

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {"n_components": self.n_components}
