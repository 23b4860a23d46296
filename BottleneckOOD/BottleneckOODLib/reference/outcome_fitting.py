"""Holding the leave-one-out scores of a reference's cases against their outcomes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.reference.outcomes import FAILURE_DICE, ExpectedDice, OperatingPoint, Outcomes, has_failed

FloatArray = npt.NDArray[np.float64]

CAUGHT = 0.90
LEVEL = 0.90
LEAST_OF_EACH = 10
"""So many cases that failed, and so many that did not, are needed to tell them apart by."""
_LEAST_KNOWN = 40
_SEED = 0


def fit_outcomes(scores: FloatArray, outcomes: Sequence[float | None], failure_dice: float = FAILURE_DICE) -> Outcomes:
    """Hold leave-one-out scores against the Dice of the same cases.

    Args:
        scores: Combined score of each reference case among the others, shape (n,).
        outcomes: Dice of each, where known.
        failure_dice: A mask with this Dice or less has failed.

    Source:
        The operating point at which 90% of failures are caught: Woodland et al., MELBA 2024:020. The interval: split
        conformal prediction, Lei et al., JASA 2018, around scikit-learn's isotonic regression.
    """
    known = np.array([outcome is not None for outcome in outcomes], dtype=bool)
    of_known = np.asarray(scores, dtype=np.float64)[known]
    dice = np.array([outcome for outcome in outcomes if outcome is not None], dtype=np.float64)
    point = operating_point(of_known, dice, failure_dice)
    expected = expected_dice(of_known, dice)
    reasons = []
    if point is None:
        n_failed = int(np.count_nonzero(has_failed(dice, failure_dice)))
        reasons.append(
            f"No operating point: of {len(dice)} cases with a known Dice {n_failed} failed (Dice of {failure_dice:g} "
            f"or less), and {LEAST_OF_EACH} that failed and {LEAST_OF_EACH} that did not are needed."
        )
    if expected is None:
        reasons.append(
            f"No expected Dice: the Dice of {len(dice)} cases is known, and that of {_LEAST_KNOWN} is needed."
        )
    return Outcomes(point, expected, tuple(reasons))


def operating_point(scores: FloatArray, dice: FloatArray, failure_dice: float) -> OperatingPoint | None:
    """The largest threshold that catches at least 90% of the failed cases; None where there are too few of a kind."""
    failed = has_failed(dice, failure_dice)
    n_failed, n_other = int(failed.sum()), int((~failed).sum())
    if min(n_failed, n_other) < LEAST_OF_EACH:
        return None
    needed = math.ceil(CAUGHT * n_failed - 1e-9)
    threshold = float(np.sort(scores[failed])[::-1][needed - 1])
    beyond = scores >= threshold
    return OperatingPoint(
        threshold,
        float(failure_dice),
        n_failed,
        int(np.count_nonzero(beyond & failed)),
        n_other,
        int(np.count_nonzero(beyond & ~failed)),
    )


def expected_dice(scores: FloatArray, dice: FloatArray) -> ExpectedDice | None:
    """Fit on one half of the cases, measure the margin on the other; None where there are too few."""
    n = len(dice)
    if n < _LEAST_KNOWN:
        return None
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - only needed when a reference is built

    order = np.random.default_rng(_SEED).permutation(n)
    fitted, held_out = order[: n // 2], order[n // 2 :]
    curve = IsotonicRegression(increasing=False, out_of_bounds="clip").fit(scores[fitted], dice[fitted])
    missed = np.sort(np.abs(dice[held_out] - curve.predict(scores[held_out])))
    rank = math.ceil((len(held_out) + 1) * LEVEL)
    return ExpectedDice(
        tuple(float(score) for score in curve.X_thresholds_),
        tuple(float(value) for value in curve.y_thresholds_),
        float(missed[rank - 1]),
        LEVEL,
        n,
        float(scores.max()),
    )
