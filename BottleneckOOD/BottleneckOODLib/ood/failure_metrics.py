"""How well a score tells failed segmentations from others, for one sample or many resampled ones at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

TRUE_POSITIVE_RATE = 0.90
FEW_CASES = 20
_ROUNDING = 1e-14


@dataclass(frozen=True)
class FailureMetrics:
    """Each shape (n_samples,); NaN where a sample does not define it.

    Attributes:
        auroc: Area under the ROC curve, failed cases positive; ties count half. 0.5 is chance, higher is better.
        auprc: Average precision; its chance level is the share of failed cases, so read it beside the counts.
        fpr90: Share of the other cases flagged at the threshold that flags 90% of the failed; lower is better.
        pearson: Correlation of score and Dice; -1 is best.
        aurc: Area under the risk-coverage curve, risk being 1 - Dice; lower is better.
        excess_aurc: The same less that of the ideal order; 0 is best.
    """

    auroc: FloatArray
    auprc: FloatArray
    fpr90: FloatArray
    pearson: FloatArray
    aurc: FloatArray
    excess_aurc: FloatArray


def failure_metrics(
    scores: FloatArray, dice: FloatArray, failed: BoolArray, weights: FloatArray | None = None
) -> FailureMetrics:
    """Every metric of one score.

    Args:
        scores: Score of each case, shape (n,); higher is more unusual.
        dice: Its Dice, shape (n,).
        failed: Whether it counts as out of distribution, shape (n,).
        weights: How often each case stands in each sample, shape (n_samples, n); None is one sample, each case once.

    Returns:
        Metrics of each sample.

    Source:
        AUROC, average precision: as scikit-learn defines them. FPR at 90% TPR: linear quantile of the failed cases'
        scores, as in the code of Woodland et al. AURC: Geifman and El-Yaniv, NeurIPS 2017; with 1 - Dice as the risk,
        Zenk et al., Medical Image Analysis 101 (2025) 103392.
    """
    counts = np.ones((len(scores), 1)) if weights is None else np.ascontiguousarray(weights.T)
    tied = _Ties.of(scores)
    whole = tied.sums(counts)
    positive = tied.sums(counts * failed[:, None])
    loss = tied.sums(counts * (1 - dice)[:, None])
    aurc = _mean_risk(whole, loss)
    by_loss = _Ties.of(1 - dice)
    ideal = _mean_risk(by_loss.sums(counts), by_loss.sums(counts * (1 - dice)[:, None]))
    return FailureMetrics(
        auroc=_area_under_roc(positive, whole - positive),
        auprc=_average_precision(positive, whole),
        fpr90=_false_positive_rate(scores, failed, counts),
        pearson=_pearson(scores, dice, counts),
        aurc=aurc,
        excess_aurc=aurc - ideal,
    )


def risk_coverage_curve(scores: FloatArray, dice: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coverage (share of cases kept) and risk (mean 1 - Dice of those), as the threshold rises over the scores.

    Args:
        scores: Shape (n,); higher is more unusual.
        dice: Shape (n,).

    Returns:
        Coverage and risk, shape (m,), one of each different score, coverage rising to 1.
    """
    tied = _Ties.of(scores)
    ones = np.ones((len(scores), 1))
    kept = np.cumsum(tied.sums(ones)[:, 0])
    return kept / len(scores), np.cumsum(tied.sums(ones * (1 - dice)[:, None])[:, 0]) / kept


def gained_by_rejecting(
    outcome: FloatArray, kept: BoolArray, weights: FloatArray | None = None, before: float | None = None
) -> FloatArray:
    """Mean outcome of the cases that are kept, less the mean of all, shape (n_samples,); NaN if none is kept.

    Args:
        outcome: Dice, or a distance in mm, shape (n,).
        kept: Which cases are not flagged, shape (n,).
        weights: As in ``failure_metrics``.
        before: The mean to compare with; None takes that of all cases in the sample.
    """
    weights = np.ones((1, len(outcome))) if weights is None else weights
    after = weights[:, kept] @ outcome[kept]
    left = weights[:, kept].sum(axis=1)
    mean = weights @ outcome / weights.sum(axis=1) if before is None else before
    return np.asarray(np.where(left > 0, after / np.where(left > 0, left, 1.0), np.nan) - mean)


def stratified_weights(failed: BoolArray, n_samples: int, seed: int = 0) -> FloatArray:
    """How often each case is drawn, with replacement within its class, in each of ``n_samples`` samples."""
    rng = np.random.default_rng(seed)
    # Cases lie side by side in memory: metrics go through them in many orders.
    weights: FloatArray = np.zeros((len(failed), n_samples)).T
    for kind in (failed, ~failed):
        n = int(np.count_nonzero(kind))
        if n:
            weights[:, kind] = rng.multinomial(n, np.full(n, 1 / n), size=n_samples)
    return weights


def interval(values: FloatArray) -> tuple[float, float]:
    """The middle 95% of resampled values; NaN when none is defined."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class _Ties:
    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]

    @classmethod
    def of(cls, scores: FloatArray) -> _Ties:
        """Cases in rising order of their score, and where each different score begins."""
        order = np.argsort(scores, kind="stable")
        ordered = scores[order]
        return cls(order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])))

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum of values (n, n_samples) over each different score, shape (m, n_samples)."""
        ordered = values[self.order]
        if len(self.starts) == len(ordered):
            return ordered
        return np.asarray(np.add.reduceat(ordered, self.starts, axis=0))


def _mean_risk(whole: FloatArray, loss: FloatArray) -> FloatArray:
    """Mean, over the cases as thresholds, of the mean loss of all cases at or below it, shape (n_samples,)."""
    kept = np.cumsum(whole, axis=0)
    risk = np.cumsum(loss, axis=0) / np.maximum(kept, 1e-300)
    return np.asarray((whole * risk).sum(axis=0) / kept[-1])


def _pearson(scores: FloatArray, dice: FloatArray, counts: FloatArray) -> FloatArray:
    total = counts.sum(axis=0)
    # About the means of all cases, which the large part of each sum cancels against.
    x, y = scores - scores.mean(), dice - dice.mean()
    x, y = x / max(float(np.abs(x).max()), 1e-300), y / max(float(np.abs(y).max()), 1e-300)
    mean_x, mean_y, xx, yy, xy = np.stack([x, y, x * x, y * y, x * y]) @ counts / total
    variances = np.stack([xx - mean_x**2, yy - mean_y**2])
    # The largest offset is 1, so that what is below is rounding.
    product = np.where((variances > _ROUNDING).all(axis=0), variances.prod(axis=0), np.nan)
    correlation = (xy - mean_x * mean_y) / np.sqrt(product)
    return np.asarray(np.clip(correlation, -1, 1))


def _area_under_roc(positive: FloatArray, negative: FloatArray) -> FloatArray:
    below = np.cumsum(negative, axis=0) - negative / 2
    pairs = positive.sum(axis=0) * negative.sum(axis=0)
    return np.asarray((positive * below).sum(axis=0) / np.where(pairs > 0, pairs, np.nan))


def _average_precision(positive: FloatArray, whole: FloatArray) -> FloatArray:
    # From the most unusual case down.
    true, flagged = np.cumsum(positive[::-1], axis=0), np.cumsum(whole[::-1], axis=0)
    defined = (true[-1] > 0) & (true[-1] < flagged[-1])
    area = (positive[::-1] * true / np.maximum(flagged, 1e-300)).sum(axis=0)
    return np.asarray(area / np.where(defined, true[-1], np.nan))


def _false_positive_rate(scores: FloatArray, failed: BoolArray, counts: FloatArray) -> FloatArray:
    if failed.all() or not failed.any():
        return np.full(counts.shape[1], np.nan)
    order = np.argsort(scores[failed], kind="stable")
    ordered = scores[failed][order]
    counted = np.cumsum(counts[failed][order], axis=0)
    # A linear quantile of the sample that the counts stand for; written as in the published code, rounding included.
    place = (1 - TRUE_POSITIVE_RATE) * (counted[-1] - 1)
    lower = np.floor(place)
    low = ordered[(counted > lower).argmax(axis=0)]
    high = ordered[(counted > np.minimum(lower + 1, counted[-1] - 1)).argmax(axis=0)]
    threshold = low + (high - low) * (place - lower)
    others, other_counts = scores[~failed], counts[~failed]
    flagged = (other_counts * (others[:, None] >= threshold)).sum(axis=0)
    return np.asarray(flagged / other_counts.sum(axis=0))
