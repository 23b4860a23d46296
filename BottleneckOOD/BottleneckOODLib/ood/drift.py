"""Whether a stream of cases has moved away from the reference: a control chart, and a test of a whole batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp, norm

FloatArray = npt.NDArray[np.float64]

ALLOWANCE = 0.5
ALARM = 5.0
LEAST_CASES = 8
"""Below this many cases nothing is said of a batch."""


@dataclass(frozen=True)
class ControlChart:
    """A one-sided CUSUM chart.

    Attributes:
        sums: The cumulative sum after each case, shape (n,), in standard deviations.
        alarm: Number of the first case (from 0) at which the sum passes the limit; None where it never does.
        begun: Number of the case at which the climb to that alarm began; None without an alarm.
    """

    sums: FloatArray
    alarm: int | None
    begun: int | None


@dataclass(frozen=True)
class BatchTest:
    """Whether a batch's scores are drawn as the reference's are.

    Attributes:
        p_value: Of the two-sample Kolmogorov-Smirnov test.
        n_batch: Cases of the batch.
        n_reference: Cases of the reference.
        share_above_median: Share of the batch that is more unusual than half of the reference.
    """

    p_value: float
    n_batch: int
    n_reference: int
    share_above_median: float


def control_chart(p_values: FloatArray, *, allowance: float = ALLOWANCE, limit: float = ALARM) -> ControlChart:
    """Watch p-values in the order in which the cases came; a slow rise of unusual cases adds up to an alarm.

    A p-value becomes a normal score, ``z = Phi^-1(1 - p)``, which has mean 0 and deviation 1 while the cases are like
    the reference's; the chart is ``S = max(0, S + z - allowance)``. With an allowance of 0.5 and a limit of 5 a chart
    of such cases gives a false alarm every 930 cases or so, and sees a shift by one deviation after about ten.

    Args:
        p_values: In order of time, shape (n,), in (0, 1].
        allowance: Half of the shift that matters, in standard deviations.
        limit: Where the alarm is, in standard deviations.

    Source:
        Page, Biometrika 41:100 (1954); run lengths as tabulated by Montgomery, Introduction to Statistical Quality
        Control.
    """
    # A p-value of exactly 1 would be minus infinity, and one case must not empty the chart.
    scores = norm.isf(np.clip(p_values, 1e-6, 1 - 1e-3))
    sums = np.zeros(len(scores))
    total, start, begun, alarm = 0.0, 0, None, None
    for number, score in enumerate(scores):
        if total == 0:
            start = number
        total = max(0.0, total + float(score) - allowance)
        sums[number] = total
        if alarm is None and total > limit:
            alarm, begun = number, start
    return ControlChart(sums, alarm, begun)


def batch_test(scores: FloatArray, reference: FloatArray) -> BatchTest | None:
    """Compare a batch's scores with the reference's leave-one-out scores.

    Args:
        scores: Of the batch's cases, shape (n,).
        reference: Leave-one-out scores of the reference, shape (m,), on the same scale.

    Returns:
        The test, or None where either has fewer than ``LEAST_CASES``.
    """
    if min(len(scores), len(reference)) < LEAST_CASES:
        return None
    above = float(np.mean(scores > np.median(reference)))
    return BatchTest(float(ks_2samp(scores, reference).pvalue), len(scores), len(reference), above)
