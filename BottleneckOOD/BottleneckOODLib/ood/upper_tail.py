"""How far a case lies above the reference cases, where only more of a feature is unusual."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class UpperTail:
    """Mean standard score over the features, with its sign: below the reference cases nothing is unusual.

    For features that have a bad side, such as how unsure a network is. A distance would flag the surest.
    """

    name = "upper_tail"

    def fit(self, features: FloatArray) -> UpperTail:
        """Learn mean and spread of each feature from the reference cases, shape (n, d), n >= 3."""
        self.features_ = np.array(features, dtype=np.float64)
        self.mean_ = self.features_.mean(axis=0)
        spread = self.features_.std(axis=0)
        # Rounding of equal numbers is no spread.
        least = np.finfo(np.float64).eps * len(self.features_) * np.abs(self.mean_)
        self.spread_ = np.where(spread > least, spread, 1.0)
        return self

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Mean standard score of each case; higher is more unusual, and negative is on the good side.

        Args:
            features: Cases, shape (n_cases, d). Not modified.

        Returns:
            Shape (n_cases,), in standard deviations for one feature.
        """
        return np.asarray(((np.atleast_2d(features) - self.mean_) / self.spread_).mean(axis=1))

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case by a new fit to all the others, shape (n,)."""
        rows = range(len(self.features_))
        fits = (UpperTail().fit(np.delete(self.features_, row, axis=0)) for row in rows)
        return np.array([fit.ood_score(self.features_[row])[0] for row, fit in zip(rows, fits, strict=True)])

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {}
