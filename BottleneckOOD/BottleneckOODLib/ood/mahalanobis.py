"""Mahalanobis distance with a shrunk covariance, in whichever of n x n and d x d is smaller."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def ledoit_wolf_shrinkage(centred: FloatArray) -> tuple[float, float]:
    """Shrinkage coefficient and mean variance of centred data (n, d), from the n x n products when d > n.

    Source:
        Ledoit and Wolf, J. Multivariate Analysis 88 (2004) 365-411; the same estimate as scikit-learn's.
    """
    n, d = centred.shape
    small = centred @ centred.T if d > n else centred.T @ centred
    trace = float(np.trace(small)) / n
    mean_variance = trace / d
    covariance_norm = float((small**2).sum()) / n**2
    beta = (float(((centred**2).sum(axis=1) ** 2).sum()) / n - covariance_norm) / (d * n)
    delta = (covariance_norm - 2 * mean_variance * trace + d * mean_variance**2) / d
    beta = min(max(beta, 0.0), delta)
    return (0.0 if beta == 0 else beta / delta), mean_variance


class ShrunkMahalanobis:
    """Distance to the mean of the reference cases, in units of their (Ledoit-Wolf shrunk) spread.

    With fewer cases than features the plain covariance is singular and its inverse is rounding noise; the shrunk one
    has the same eigenvectors as the data, so its inverse is known from the singular values of the n x d matrix.
    """

    name = "md"

    def fit(self, features: FloatArray) -> ShrunkMahalanobis:
        """Fit to the reference cases, shape (n, d), n >= 3."""
        self.features_ = np.array(features, dtype=np.float64)
        self.mean_ = self.features_.mean(axis=0)
        self._prepare(self.features_ - self.mean_)
        return self

    def _prepare(self, centred: FloatArray) -> None:
        self.shrinkage_, self.mean_variance_ = ledoit_wolf_shrinkage(centred)
        n = len(centred)
        _, singular, self.basis_ = np.linalg.svd(centred, full_matrices=False)
        floor = self.shrinkage_ * self.mean_variance_
        variances = (1 - self.shrinkage_) * singular**2 / n + floor
        # Directions without any variance and without shrinkage tell nothing; they must not divide by zero.
        least = np.finfo(np.float64).eps * max(self.mean_variance_, np.finfo(np.float64).tiny) * n
        self.inverse_variances_ = 1 / np.maximum(variances, least)
        self.inverse_floor_ = 1 / max(floor, least)

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Shrunk Mahalanobis distance of each case; higher is more unusual.

        Args:
            features: Cases, shape (n_cases, d). Not modified.

        Returns:
            Distances, shape (n_cases,), >= 0.
        """
        centred = np.atleast_2d(features) - self.mean_
        inside = centred @ self.basis_.T
        outside = np.maximum((centred**2).sum(axis=1) - (inside**2).sum(axis=1), 0.0)
        return np.asarray(np.sqrt((inside**2) @ self.inverse_variances_ + outside * self.inverse_floor_))

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case by a fit to the others, shape (n,); every fit is made anew, nothing is approximated.

        The fits run in the coordinates of the span of all cases, where they are n x n at most.
        """
        centred = self.features_ - self.mean_
        n, d = centred.shape
        _, singular, basis = np.linalg.svd(centred, full_matrices=False)
        kept = singular > singular.max(initial=0.0) * 1e-12
        coordinates = centred @ basis[kept].T
        return np.array([_left_out_score(coordinates, index, d) for index in range(n)])

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {}


def _left_out_score(coordinates: FloatArray, index: int, n_features: int) -> float:
    """Distance of row ``index`` to a fit of the other rows; trailing features without variance count in the shrinkage."""
    others = np.delete(coordinates, index, axis=0)
    mean = others.mean(axis=0)
    centred = others - mean
    n, d = centred.shape
    small = centred.T @ centred
    trace = float(np.trace(small)) / n
    mean_variance = trace / n_features
    norm = float((small**2).sum()) / n**2
    beta = (float(((centred**2).sum(axis=1) ** 2).sum()) / n - norm) / (n_features * n)
    delta = (norm - 2 * mean_variance * trace + n_features * mean_variance**2) / n_features
    beta = min(max(beta, 0.0), delta)
    shrinkage = 0.0 if beta == 0 else beta / delta
    covariance = (1 - shrinkage) * small / n
    floor = max(shrinkage * mean_variance, np.finfo(np.float64).eps * max(mean_variance, np.finfo(np.float64).tiny) * n)
    covariance[np.diag_indices(d)] += floor
    offset = coordinates[index] - mean
    return float(np.sqrt(max(offset @ np.linalg.solve(covariance, offset), 0.0)))
