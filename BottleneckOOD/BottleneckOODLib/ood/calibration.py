"""From a distance to a p-value, and from several distances to one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

AMBER_LEVEL = 0.10
RED_LEVEL = 0.02
LARGEST = 1e100
"""What is larger is no measurement, and its square is beyond the numbers of a computer."""


class NotFiniteError(ValueError):
    """A score is not a finite number: nothing may be concluded from it."""


def conformal_p_value(score: float, calibration: FloatArray) -> float:
    """Share of cases that are at least as unusual, counting the case itself.

    Args:
        score: Score of the case; higher is more unusual.
        calibration: Scores of n reference cases, each made without that case, shape (n,).

    Returns:
        (1 + number of calibration scores >= score) / (n + 1); never below 1 / (n + 1).

    Raises:
        NotFiniteError: A score is not finite, or there is none to compare with.

    Source:
        Vovk et al., Algorithmic Learning in a Random World (2005); Laxhammar and Falkman (2011).

    >>> conformal_p_value(2.5, np.array([1.0, 2.0, 3.0]))
    0.5
    """
    if not np.isfinite(score) or not np.isfinite(calibration).all():
        message = "a score is not a finite number"
        raise NotFiniteError(message)
    if not len(calibration):
        message = "there is no reference case to compare with"
        raise NotFiniteError(message)
    return float((1 + np.count_nonzero(calibration >= score)) / (len(calibration) + 1))


def percentile_of(score: float, calibration: FloatArray) -> float:
    """Share of the calibration cases that are less unusual than the case, in percent."""
    return float(100 * np.count_nonzero(calibration < score) / len(calibration))


def light_of(p_value: float) -> str:
    """``"red"`` at or below 0.02, ``"amber"`` at or below 0.10, else ``"green"``; grey for what is no p-value."""
    if not 0 < p_value <= 1:
        return "grey"
    if p_value <= RED_LEVEL:
        return "red"
    return "amber" if p_value <= AMBER_LEVEL else "green"


def score_at_level(level: float, calibration: FloatArray) -> float | None:
    """The score above which the p-value is at or below a level; None where n cases allow no p-value that small.

    >>> score_at_level(0.5, np.array([1.0, 2.0, 3.0])), score_at_level(0.2, np.array([1.0, 2.0, 3.0]))
    (2.0, None)
    """
    # A sum of floats may fall just short of the whole number that it stands for.
    n_above = int(np.floor(level * (len(calibration) + 1) + 1e-9)) - 1
    return None if n_above < 0 or n_above >= len(calibration) else float(np.sort(calibration)[::-1][n_above])


def scaled_score(score: float | FloatArray, calibration: FloatArray) -> FloatArray:
    """A score in units of its calibration: 0 at the median, 1 at the 95% quantile; robust against ties."""
    middle, high = np.quantile(calibration, [0.5, 0.95])
    spread = max(float(high - middle), 1e-12 * max(1.0, abs(float(middle))))
    return np.asarray((np.asarray(score, dtype=np.float64) - middle) / spread)


def largest_scaled(
    scores: Mapping[str, float | FloatArray], calibrations: Mapping[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Combine several scores of one case, or of several, into one that is calibrated as a whole.

    The largest scaled score decides, so a case that is far out in one space only is not outvoted; and the same is done
    with the reference's own leave-one-out scores, so the false-alarm rate stays that of the combination.

    Args:
        scores: Score of the case in each space, or of several cases, shape (m,), rows in one order.
        calibrations: Leave-one-out scores of the n reference cases in each space, shape (n,), rows in one order.

    Returns:
        The combined score, as many as there are cases, and the combined calibration scores, shape (n,).
    """
    own = np.max([scaled_score(scores[name], calibrations[name]) for name in scores], axis=0)
    reference = np.max([scaled_score(calibrations[name], calibrations[name]) for name in scores], axis=0)
    return np.asarray(own), reference
