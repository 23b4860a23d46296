"""How good a mask or a score is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Dice coefficient of two masks of one shape, 0 to 1; 1 when both are empty.

    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 1.0 if total == 0 else float(2 * np.count_nonzero(a & b) / total)


def auroc(scores: npt.NDArray[np.float64], is_positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ties count half; NaN when there is only one class.

    >>> auroc(np.array([1.0, 2.0, 3.0]), np.array([False, True, True]))
    1.0
    """
    positives = int(np.count_nonzero(is_positive))
    negatives = len(is_positive) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = scipy.stats.rankdata(scores)
    return float((ranks[is_positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))
