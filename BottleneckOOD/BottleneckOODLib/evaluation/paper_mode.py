"""What the published code does with scores, to the digit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.failure_metrics import FailureMetrics

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

DIGITS = 2
_NEAR_A_HALF = 1e-7


def published_digits(scores: FloatArray, failed: BoolArray, exact: FailureMetrics) -> dict[str, float]:
    """AUROC, AUPRC and FPR90, each rounded to two digits before anything is averaged.

    Args:
        scores: Of the test cases, shape (n,).
        failed: Which are out of distribution, shape (n,).
        exact: The metrics before rounding.

    Source:
        Woodland et al., MELBA 2024:020, published code: areas by scikit-learn, of scores scaled to 0 to 1.
    """
    values = {name: float(getattr(exact, name)[0]) for name in ("auroc", "auprc", "fpr90")}
    # Between two digits the last bit of the sum decides, so there the same sum is taken; equal scores have no scale.
    between = any(abs(values[name] * 10**DIGITS % 1 - 0.5) < _NEAR_A_HALF for name in ("auroc", "auprc"))
    if between and scores.max() > scores.min():
        from sklearn import metrics  # noqa: PLC0415 - takes a second; only for these

        scaled = (scores - scores.min()) / (scores.max() - scores.min())
        false_rate, true_rate, _ = metrics.roc_curve(failed, scaled)
        values["auroc"] = float(metrics.auc(false_rate, true_rate))
        values["auprc"] = float(metrics.average_precision_score(failed, scaled))
    return {name: round(value, DIGITS) for name, value in values.items()}


def published_threshold(scores: FloatArray, failed: BoolArray) -> float:
    """The score above which a case is rejected: the 10% quantile of the failed test cases' own scores."""
    return float(np.quantile(scores[failed], 0.10))


def best_on_the_test_set(rows: Sequence[dict[str, str]]) -> set[tuple[str, ...]]:
    """The configuration with the best AUROC on the test cases, mean over the seeds, by its naming columns but seed."""
    found: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        if row["auroc"]:
            found.setdefault(without_seed(row), []).append(float(row["auroc"]))
    if not found:
        return set()
    return {max(found, key=lambda name: (sum(found[name]) / len(found[name])))}


def without_seed(row: dict[str, str]) -> tuple[str, ...]:
    """What names a configuration whatever its seed."""
    return tuple(row[name] for name in ("mode", "reducer", "parameters", "detector", "k"))
