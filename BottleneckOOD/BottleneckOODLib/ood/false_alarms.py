"""Which cases of a batch to flag so that only a chosen share of the flagged ones is a false alarm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control

FloatArray = npt.NDArray[np.float64]


def flagged_at(p_values: FloatArray, rate: float) -> npt.NDArray[np.bool_]:
    """Flag by Benjamini and Hochberg: of the flagged cases, at most ``rate`` are false alarms on average.

    Conformal p-values of cases that share one calibration set depend on each other in the way under which the
    procedure stays valid.

    Args:
        p_values: Of every case that was judged, shape (n,), in (0, 1].
        rate: The share of false alarms that is accepted among the flagged, between 0 and 1.

    Returns:
        Which are flagged, shape (n,).

    Source:
        Benjamini and Hochberg, J. R. Statist. Soc. B 57:289 (1995); for conformal p-values Bates et al., Testing for
        outliers with conformal p-values, Annals of Statistics 51:149 (2023).

    >>> flagged_at(np.array([0.01, 0.02, 0.03, 0.9]), 0.05).tolist()
    [True, True, True, False]
    """
    if len(p_values) == 0:
        return np.zeros(0, dtype=bool)
    return np.asarray(false_discovery_control(p_values, method="bh") <= rate)
