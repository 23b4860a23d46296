"""How far a case lies from the median of each feature, in units that single outliers cannot stretch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# So that a normal distribution's median absolute, or mean absolute, deviation is its standard deviation.
_FROM_MEDIAN_DEVIATION, _FROM_MEAN_DEVIATION = 1.482602218505602, 1.2533141373155003
STATISTICS = ("largest", "rms")


class RobustZ:
    """Median and median absolute deviation (MAD) of each feature; the largest |z| of a case, or their mean square.

    For few features that mean something, such as a mask's volume, its number of parts and its place.

    Args:
        statistic: ``"largest"``: one feature far out is enough; ``"rms"``: root mean square over features.

    Raises:
        ValueError: There is no such statistic.
    """

    name = "robust_z"

    def __init__(self, statistic: str = "largest") -> None:
        if statistic not in STATISTICS:
            message = f"unknown statistic {statistic}; choose one of {', '.join(STATISTICS)}"
            raise ValueError(message)
        self.statistic = statistic

    def fit(self, features: FloatArray) -> RobustZ:
        """Learn median and spread of each feature from the reference cases, shape (n, d), n >= 3.

        Where more than half of the cases share one value the MAD is 0; the mean absolute deviation takes its place, and
        where no case differs, the feature's own unit.
        """
        self.features_ = np.array(features, dtype=np.float64)
        self.median_ = np.median(self.features_, axis=0)
        deviations = np.abs(self.features_ - self.median_)
        spread = _FROM_MEDIAN_DEVIATION * np.median(deviations, axis=0)
        mean_spread = _FROM_MEAN_DEVIATION * deviations.mean(axis=0)
        # Rounding of equal numbers is no spread.
        least = np.finfo(np.float64).eps * len(features) * np.abs(self.median_)
        spread = np.where(spread > least, spread, mean_spread)
        self.spread_ = np.where(spread > least, spread, 1.0)
        return self

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Largest, or root mean square, robust z of each case; higher is more unusual.

        Args:
            features: Cases, shape (n_cases, d). Not modified.

        Returns:
            Shape (n_cases,), >= 0, in standard deviations where features are normally distributed.

        Source:
            Iglewicz and Hoaglin, How to detect and handle outliers (1993): the modified z-score.
        """
        z = (np.atleast_2d(features) - self.median_) / self.spread_
        if self.statistic == "largest":
            return np.asarray(np.abs(z).max(axis=1))
        return np.asarray(np.sqrt((z**2).mean(axis=1)))

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case by a new fit to all the others, shape (n,)."""
        rows = range(len(self.features_))
        fits = (RobustZ(self.statistic).fit(np.delete(self.features_, row, axis=0)) for row in rows)
        return np.array([fit.ood_score(self.features_[row])[0] for row, fit in zip(rows, fits, strict=True)])

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {"statistic": self.statistic}
