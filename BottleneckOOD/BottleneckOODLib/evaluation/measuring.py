"""From scores to a row of the results."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.evaluation.cohort import Cohort
from BottleneckOODLib.evaluation.paper_mode import published_digits, published_threshold
from BottleneckOODLib.evaluation.scoring import Scored
from BottleneckOODLib.evaluation.settings import PAPER
from BottleneckOODLib.evaluation.tables import GAINED, MEASURED, number
from BottleneckOODLib.ood.failure_metrics import failure_metrics, gained_by_rejecting, interval

FloatArray = npt.NDArray[np.float64]

# Flagged is what is more unusual than nine of ten training cases: the level of the amber light.
FLAG_LEVEL = 0.10


def result_row(
    scored: Scored,
    cohort: Cohort,
    weights: FloatArray,
    calibration: FloatArray | None,
    validation_auroc: float = float("nan"),
) -> dict[str, str]:
    """One row of the results.

    Args:
        scored: A configuration and the scores of the test cases.
        cohort: Who they are.
        weights: Bootstrap samples, shape (n_samples, n_test).
        calibration: Scores of training cases that took no part in their fit; None in ``paper`` mode, whose threshold
            comes from the failed test cases.
        validation_auroc: How well the configuration did on training cases.
    """
    paper = scored.configuration.mode == PAPER
    dice, failed, scores = cohort.outcomes["dice"], cohort.failed, scored.scores
    point, resampled = failure_metrics(scores, dice, failed), failure_metrics(scores, dice, failed, weights)
    values = {name: float(getattr(point, name)[0]) for name in (*MEASURED, "excess_aurc")}
    row = {name: number(value) for name, value in values.items()}
    for name in values:
        row |= _interval_columns(name, getattr(resampled, name))
    if paper:
        row |= {name: repr(value) for name, value in published_digits(scores, failed, point).items()}
        threshold = published_threshold(scores, failed)
    else:
        threshold = _deployable_threshold(calibration)
    kept = scores <= threshold
    row |= {"n_flagged": str(int(np.count_nonzero(~kept)))}
    for name in GAINED:
        outcome = cohort.outcomes.get(name.removesuffix("_gained"))
        if outcome is not None:
            before = cohort.table_means[name.removesuffix("_gained")] if paper else None
            row |= _gain_columns(name, outcome, kept, weights, before)
    return {
        **scored.configuration.columns(),
        **row,
        "n_id": str(int(np.count_nonzero(~failed))),
        "n_ood": str(int(np.count_nonzero(failed))),
        "seconds": repr(round(scored.seconds, 4)),
        "validation_auroc": number(validation_auroc),
    }


def _deployable_threshold(calibration: FloatArray | None) -> float:
    """The largest score of which the conformal p-value among the calibration scores is above the level."""
    if calibration is None:
        return float("inf")
    ordered = np.sort(calibration)[::-1]
    allowed = int(np.floor(FLAG_LEVEL * (len(ordered) + 1)))
    return float(ordered[allowed - 1]) if allowed >= 1 else float("inf")


def _gain_columns(
    name: str, outcome: FloatArray, kept: npt.NDArray[np.bool_], weights: FloatArray, before: float | None
) -> dict[str, str]:
    known = np.isfinite(outcome)
    value = gained_by_rejecting(outcome[known], kept[known], None, before)[0]
    resampled = gained_by_rejecting(outcome[known], kept[known], weights[:, known], before)
    return {name: number(float(value)), **_interval_columns(name, resampled)}


def _interval_columns(name: str, resampled: FloatArray) -> Mapping[str, str]:
    low, high = interval(resampled)
    return {f"{name}_low": number(low), f"{name}_high": number(high)}
