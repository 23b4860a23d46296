"""Principal components of the reference cases."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class PrincipalComponents:
    """Projection on the directions in which the reference cases vary most.

    Args:
        n_components: How many directions; more than n - 1 cases or d features allow means all of them.
    """

    name = "pca"

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, features: FloatArray) -> PrincipalComponents:
        """Find the directions of the reference cases, shape (n, d), n >= 2."""
        self.mean_ = features.mean(axis=0)
        _, _, directions = np.linalg.svd(features - self.mean_, full_matrices=False)
        self.components_ = directions[: min(self.n_components, len(features) - 1, features.shape[1])]
        return self

    def transform(self, features: FloatArray) -> FloatArray:
        """Coordinates of cases (n_cases, d) along the directions, shape (n_cases, n_components). Not modified.

        Source:
            Woodland et al., MELBA 2024:020, who standardise first; so does the reference.
        """
        return np.asarray((features - self.mean_) @ self.components_.T)

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {"n_components": self.n_components}
