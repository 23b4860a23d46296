"""A reference with another detector for its bottleneck, chosen on cases that are none of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.metrics import auroc
from BottleneckOODLib.reference.building import KNN_SHARES
from BottleneckOODLib.reference.feature_space import Detector, FeatureSpace
from BottleneckOODLib.reference.outcome_fitting import fit_outcomes
from BottleneckOODLib.reference.outcomes import FAILURE_DICE, has_failed
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import combined_leave_one_out

FloatArray = npt.NDArray[np.float64]

LEAST_OF_EACH = 10
_DEFAULT = "md"
_N_SAMPLES = 1000


def choose_on_validation(
    reference: Reference, bottlenecks: FloatArray, dice: FloatArray, groups: npt.NDArray[np.int_], source: str
) -> tuple[Detector, dict[str, Any]]:
    """Choose the bottleneck's detector by how well its scores find failures among validation cases.

    The shrunk Mahalanobis distance stays unless another candidate's AUROC is larger in at least 95 of 100 bootstrap
    samples of whole groups: cases that come from one image are no independent cases.

    Args:
        reference: Its cases are what the validation cases are compared with.
        bottlenecks: Pooled bottlenecks of the validation cases, shape (n, d).
        dice: Their Dice, shape (n,).
        groups: Number of the image that each comes from, shape (n,).
        source: What the validation cases are, in words.

    Returns:
        The detector, not fitted, and what is kept of the choice in the reference's settings.

    Source:
        Cluster bootstrap: Field and Welsh, J. R. Statist. Soc. B 69 (2007) 369-390.
    """
    failed = has_failed(dice)
    n_failed, n_good = int(failed.sum()), int((~failed).sum())
    facts = {"n_failed": n_failed, "n_good": n_good, "chosen_on": source}
    facts["failure"] = f"Dice of {FAILURE_DICE:g} or less"
    if min(n_failed, n_good) < LEAST_OF_EACH:
        reason = f"{n_failed} of {len(dice)} validation cases failed: too few to choose by"
        return ShrunkMahalanobis(), {"detector": _DEFAULT, "auroc": None, **facts, "reason": reason}
    scores = {label: _scores(reference, make(), bottlenecks) for label, make in _candidates().items()}
    table = {label: auroc(score, failed) for label, score in scores.items()}
    best = max(table, key=lambda label: table[label])
    wins = _share_of_wins(scores[best], scores[_DEFAULT], failed, groups) if best != _DEFAULT else 1.0
    chosen = best if wins >= 0.95 else _DEFAULT  # noqa: PLR2004 - said above
    return _candidates()[chosen](), {
        "detector": chosen,
        "auroc": round(table[chosen], 3),
        **facts,
        "all": {label: round(value, 3) for label, value in table.items()},
        "reason": _reason(best, chosen, wins),
    }


def with_detector(reference: Reference, detector: Detector, choice: Mapping[str, Any]) -> Reference:
    """The same reference, its bottleneck judged by another detector; features, map and tokens stay.

    Args:
        reference: The reference; not modified.
        detector: Not fitted.
        choice: What is kept of how it was chosen.

    Returns:
        The new reference, not yet saved.
    """
    old = reference.spaces["bottleneck"]
    same = (old.detector.name, old.detector.settings()) == (detector.name, detector.settings())
    kept = old.leave_one_out if same else None
    space = FeatureSpace.fitted("bottleneck", old.features, detector, kept, reducer=old.reducer)
    settings = {**reference.settings, "detector_choice": dict(choice)}
    spaces = {**reference.spaces, "bottleneck": space}
    outcomes = reference.outcomes
    if outcomes is not None and not same:
        # They are told of the combined score, and that is another one now.
        known = [case.dice for case in reference.cases]
        scores = combined_leave_one_out(spaces, reference.calibrating)
        outcomes = fit_outcomes(scores, known, reference.failure_dice or outcomes.failure_dice)
    return replace(reference, spaces=spaces, settings=settings, outcomes=outcomes, fingerprint="")


def _candidates() -> dict[str, Any]:
    shares = {f"knn {share:g}": lambda share=share: KNearestNeighbours(share) for share in KNN_SHARES}
    return {_DEFAULT: ShrunkMahalanobis, **shares}


def _scores(reference: Reference, detector: Detector, bottlenecks: FloatArray) -> FloatArray:
    fitted = with_detector(reference, detector, {}).spaces["bottleneck"]
    return np.array([fitted.ood_score(vector) for vector in bottlenecks])


def _share_of_wins(
    best: FloatArray, default: FloatArray, failed: npt.NDArray[np.bool_], groups: npt.NDArray[np.int_]
) -> float:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    wins = []
    for _ in range(_N_SAMPLES):
        rows = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        areas = [auroc(score[rows], failed[rows]) for score in (best, default)]
        if np.isfinite(areas).all():
            wins.append(areas[0] > areas[1])
    return float(np.mean(wins)) if wins else 0.0


def _reason(best: str, chosen: str, wins: float) -> str:
    if best == _DEFAULT:
        return "largest AUROC for failures among the validation cases"
    if chosen == best:
        return f"larger AUROC than md in {wins:.0%} of the bootstrap samples of the validation cases"
    return f"{best} has the larger AUROC in only {wins:.0%} of the bootstrap samples, fewer than 95%, so md stays"
