"""Mahalanobis distance with a shrunk covariance, in whichever of n x n and d x d is smaller."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.calibration import NotFiniteError

FloatArray = npt.NDArray[np.float64]

# Its inverse, times any squared distance, is still a finite number.
_SMALLEST_VARIANCE = 1e-100
# Many more features than cases: products of cases are much cheaper than a decomposition, and as good.
_WIDE = 4
# Below it a difference of two numbers near 1 has fewer than ten digits left.
_CANCELLED = 1e-6


def ledoit_wolf_shrinkage(centred: FloatArray) -> tuple[float, float]:
    """Shrinkage coefficient and mean variance of centred data (n, d), from the n x n products when d > n.

    Source:
        Ledoit and Wolf, J. Multivariate Analysis 88 (2004) 365-411; the same estimate as scikit-learn's.
    """
    n, d = centred.shape
    small = centred @ centred.T if d > n else centred.T @ centred
    lengths = (centred**2).sum(axis=1)
    return _shrinkage(float((small**2).sum()), float(np.trace(small)), float((lengths**2).sum()), n, d)


def _shrinkage(squares: float, total: float, fourth: float, n: int, d: int) -> tuple[float, float]:
    """From the sum of squared products, the sum of squared lengths, and the sum of their squares."""
    trace = total / n
    mean_variance = trace / d
    covariance_norm = squares / n**2
    beta = (fourth / n - covariance_norm) / (d * n)
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
        self.singular_, self.basis_ = _singular_values(centred)
        floor = _floor(self.shrinkage_, self.mean_variance_, n)
        _refuse_no_variance(floor)
        self.inverse_variances_ = 1 / ((1 - self.shrinkage_) * self.singular_**2 / n + floor)
        self.inverse_floor_ = 1 / floor

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
        """Score of each reference case by a fit to all the others, shape (n,); nothing is approximated.

        Leaving a case out takes one rank from the covariance and moves the mean along the case, so every refit,
        its own shrinkage included, follows from the one decomposition.

        Source:
            Sherman and Morrison (1950).
        """
        centred = self.features_ - self.mean_
        n, d = centred.shape
        shrinkage, mean_variance = _leave_one_out_shrinkage(centred @ centred.T, d)
        floors = np.array([_floor(s, m, n - 1) for s, m in zip(shrinkage, mean_variance, strict=True)])
        _refuse_no_variance(floors)
        kept = (1 - shrinkage) / (n - 1)
        inside = (centred @ self.basis_.T) ** 2
        outside = np.maximum((centred**2).sum(axis=1) - inside.sum(axis=1), 0.0)
        variances = kept[:, None] * self.singular_[None, :] ** 2 + floors[:, None]
        whole = (inside / variances).sum(axis=1) + outside / floors
        moved = n / (n - 1)
        left = 1 - kept * moved * whole
        squared = moved**2 * whole / np.where(left < _CANCELLED, 1.0, left)
        # What cancels to nearly nothing has lost its digits: those cases are refitted.
        for row in np.flatnonzero(left < _CANCELLED):
            squared[row] = score_among(np.delete(self.features_, row, axis=0), self.features_[row]) ** 2
        return np.asarray(np.sqrt(squared))

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {}


def score_among(others: FloatArray, case: FloatArray) -> float:
    """What ``ShrunkMahalanobis().fit(others)`` scores ``case``, without decomposing: one solve in the smaller space.

    Args:
        others: Reference cases, shape (n, d).
        case: Features of one case, shape (d,).

    Source:
        Woodbury's identity for d > n.
    """
    mean = others.mean(axis=0)
    centred, offset = others - mean, case - mean
    n, d = centred.shape
    shrinkage, mean_variance = ledoit_wolf_shrinkage(centred)
    floor = _floor(shrinkage, mean_variance, n)
    _refuse_no_variance(floor)
    kept = (1 - shrinkage) / n
    if d <= n:
        covariance = kept * (centred.T @ centred)
        covariance[np.diag_indices(d)] += floor
        squared = offset @ np.linalg.solve(covariance, offset)
    elif kept == 0:
        squared = offset @ offset / floor
    else:
        small = centred @ centred.T
        small[np.diag_indices(n)] += floor / kept
        along = centred @ offset
        squared = (offset @ offset - along @ np.linalg.solve(small, along)) / floor
    return float(np.sqrt(max(squared, 0.0)))


def _singular_values(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Singular values (r,) and directions (r, d) of centred data; from the n x n products when d is much larger."""
    n, d = centred.shape
    if d < _WIDE * n:
        _, singular, basis = np.linalg.svd(centred, full_matrices=False)
        return singular, basis
    values, vectors = np.linalg.eigh(centred @ centred.T)
    # Squaring costs half of the digits: what is below is rounding, and its directions count among those outside.
    seen = values > values.max() * n * np.finfo(np.float64).eps * _WIDE
    singular = np.sqrt(values[seen])
    return singular, (vectors[:, seen].T @ centred) / singular[:, None]


def _leave_one_out_shrinkage(gram: FloatArray, d: int) -> tuple[FloatArray, FloatArray]:
    """Shrinkage and mean variance of all the other cases, for each case, from the products of all, shape (n, n)."""
    n = len(gram)
    shrinkage, mean_variance = np.empty(n), np.empty(n)
    for row in range(n):
        # Products about the mean of the others.
        among = gram + (gram[row][:, None] + gram[row][None, :] + gram[row, row] / (n - 1)) / (n - 1)
        among = np.delete(np.delete(among, row, axis=0), row, axis=1)
        lengths = np.diagonal(among)
        shrinkage[row], mean_variance[row] = _shrinkage(
            float((among**2).sum()), float(lengths.sum()), float((lengths**2).sum()), n - 1, d
        )
    return shrinkage, mean_variance


def _floor(shrinkage: float, mean_variance: float, n: int) -> float:
    """Variance of directions in which the reference cases do not vary; never zero, so that nothing divides by it."""
    least = float(np.finfo(np.float64).eps) * mean_variance * n
    return max(shrinkage * mean_variance, least, _SMALLEST_VARIANCE)


def _refuse_no_variance(variances: FloatArray | float) -> None:
    """An infinite one would leave its direction out of every distance, and any case would look usual."""
    if not (np.isfinite(variances).all() and np.all(np.asarray(variances) > 0)):
        message = "the variance of a direction is no positive number"
        raise NotFiniteError(message)
