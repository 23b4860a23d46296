"""Distance to the k nearest reference cases."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def squared_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Squared Euclidean distances of the rows of ``a`` (n, d) to those of ``b`` (m, d), shape (n, m), by one product.

    >>> squared_distances(np.array([[0.0, 3.0]]), np.array([[4.0, 0.0], [0.0, 3.0]])).tolist()
    [[25.0, 0.0]]
    """
    # Centring keeps the cancellation of large offsets out of the difference.
    centre = b.mean(axis=0, dtype=np.float64)
    a, b = a - centre, b - centre
    squared = a @ b.T
    squared *= -2
    squared += np.einsum("ij,ij->i", a, a)[:, None]
    squared += np.einsum("ij,ij->i", b, b)
    return np.asarray(np.maximum(squared, 0.0, out=squared))


class KNearestNeighbours:
    """Mean distance to the k nearest reference cases, or distance to the k-th.

    Args:
        k: A count, or a share of the reference cases (between 0 and 1, exclusive). More than there are means all.
        statistic: ``"mean"``, ``"kth"``, or ``"paper"``: what the published code takes, the (k+1)-th.
        normalise: Bring each case to unit length first. It can help or destroy: decide it on validation cases.
    """

    name = "knn"

    def __init__(self, k: float = 0.1, statistic: str = "mean", *, normalise: bool = False) -> None:
        self.k = k
        self.statistic = statistic
        self.normalise = normalise

    def fit(self, features: FloatArray) -> KNearestNeighbours:
        """Keep the reference cases, shape (n, d)."""
        self.features_ = self._as_compared(features)
        return self

    def _as_compared(self, features: FloatArray) -> FloatArray:
        cases = np.array(np.atleast_2d(features), dtype=np.float64)
        if self.normalise:
            length = np.linalg.norm(cases, axis=1, keepdims=True)
            cases /= np.where(length > 0, length, 1.0)
        return cases

    @property
    def k_(self) -> int:
        """The effective number of neighbours."""
        n = len(self.features_)
        wanted = round(self.k * n) if isinstance(self.k, float) and self.k < 1 else int(self.k)
        return min(max(1, wanted + (self.statistic == "paper")), n)

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Distance of each case to its nearest reference cases; higher is more unusual.

        A reference case is compared with itself too: use ``leave_one_out_scores`` to calibrate.

        Args:
            features: Cases, shape (n_cases, d). Not modified.

        Returns:
            Euclidean distances, shape (n_cases,), >= 0.

        Source:
            Woodland et al., MELBA 2024:020. k counts from 1; the published code takes the (k+1)-th.
        """
        nearest = np.sort(squared_distances(self._as_compared(features), self.features_), axis=1)[:, : self.k_]
        return self._statistic(nearest)

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case among the others, shape (n,)."""
        squared = squared_distances(self.features_, self.features_)
        np.fill_diagonal(squared, np.inf)
        k = min(self.k_, len(self.features_) - 1)
        return self._statistic(np.sort(squared, axis=1)[:, :k])

    def _statistic(self, squared: FloatArray) -> FloatArray:
        distances = np.sqrt(squared)
        return np.asarray(distances.mean(axis=1) if self.statistic == "mean" else distances[:, -1])

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        normalise: dict[str, float | str] = {"normalise": 1.0} if self.normalise else {}
        return {"k": self.k, "statistic": self.statistic, **normalise}
