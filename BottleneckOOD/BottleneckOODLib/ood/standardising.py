"""Features in units of the reference cases' spread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.pca import PrincipalComponents

FloatArray = npt.NDArray[np.float64]


class StandardisedComponents:
    """Standardise each feature by the reference cases, then project on their principal components.

    Args:
        n_components: How many directions; more than the cases or features allow means all of them.
    """

    name = "pca"

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, features: FloatArray) -> StandardisedComponents:
        """Learn mean, standard deviation and directions from the reference cases, shape (n, d), n >= 2."""
        self.mean_, self.scale_ = mean_and_scale(features)
        self.components_ = PrincipalComponents(self.n_components).fit((features - self.mean_) / self.scale_)
        return self

    def transform(self, features: FloatArray) -> FloatArray:
        """Coordinates of cases (n_cases, d), shape (n_cases, n_components). Not modified.

        Source:
            Woodland et al., MELBA 2024:020.
        """
        return self.components_.transform((features - self.mean_) / self.scale_)

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {"n_components": self.n_components}


def mean_and_scale(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation (over n, not n - 1) of each feature; 1 where a feature does not vary.

    Source:
        A constant feature is told from rounding as scikit-learn's ``StandardScaler`` does.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    return mean, _scale(features - mean, mean)


def standardised(train: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> tuple[FloatArray, FloatArray]:
    """Training cases (n, d) and others (m, d) in units of the training cases' spread, float64, each made once."""
    mean = train.mean(axis=0, dtype=np.float64)
    # In place: arrays of this size cost more to make than to compute.
    centred, new = train - mean, others - mean
    scale = _scale(centred, mean)
    centred /= scale
    new /= scale
    return centred, new


def _scale(centred: FloatArray, mean: FloatArray) -> FloatArray:
    n, eps = len(centred), np.finfo(np.float64).eps
    variance = np.einsum("ij,ij->j", centred, centred) / n
    rounding = n * eps * variance + (n * mean * eps) ** 2
    return np.where(variance <= rounding, 1.0, np.sqrt(variance))
