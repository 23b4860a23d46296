"""Building a reference from the features of its cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import ReferenceSetError
from BottleneckOODLib.ood.calibration import AMBER_LEVEL, LARGEST, RED_LEVEL
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.metrics import auroc
from BottleneckOODLib.ood.pca import PrincipalComponents
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.feature_space import Detector, FeatureSpace, usual_detector
from BottleneckOODLib.reference.map_fitting import fit_map
from BottleneckOODLib.reference.outcome_fitting import LEAST_OF_EACH, fit_outcomes
from BottleneckOODLib.reference.outcomes import FAILURE_DICE, has_failed
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import MIN_CASES, calibrating_rows, combined_leave_one_out

FloatArray = npt.NDArray[np.float64]

KNN_SHARES = (0.05, 0.1, 0.25, 0.5, 0.75)


def build_reference(
    name: str,
    model_fingerprint: str,
    features: Mapping[str, FloatArray],
    cases: Sequence[ReferenceCase],
    settings: Mapping[str, Any],
    *,
    n_components: int | None = None,
    failure_dice: float = FAILURE_DICE,
    bank: Callable[[], TokenBank | None] = lambda: None,
) -> Reference:
    """Fit a detector to each feature space, calibrate by leave-one-out, and lay out the map.

    Args:
        name: Name of the reference.
        model_fingerprint: Fingerprint of the model that made the bottleneck features.
        features: Of each space, shape (n, d), rows in the order of ``cases``; ``"bottleneck"`` is needed.
        cases: The cases.
        settings: What to keep with the reference, such as the pooling.
        n_components: Reduce the bottleneck to so many principal components first; None keeps all its features.
        failure_dice: A mask with this Dice or less has failed; it is no example of a usual one, so that p-values are
            calibrated by the other cases.
        bank: Gives the cases' tokens, for the map of unusual regions; called when the cases are known to suffice.

    Returns:
        The reference, not yet saved.

    Raises:
        ReferenceSetError: There are fewer than ``MIN_CASES`` cases, names repeat, or a feature is not finite.
    """
    n = len(cases)
    check_names_and_count([case.case_id for case in cases])
    for space, array in features.items():
        if len(array) != n or not np.all(np.abs(array) <= LARGEST):
            message = f"The {space} features of the cases are incomplete or not finite numbers; check the model."
            raise ReferenceSetError(message)
    outcomes = [case.dice for case in cases]
    reducer = None if n_components is None else PrincipalComponents(n_components)
    detector, choice = choose_detector(features["bottleneck"], outcomes, reducer, failure_dice)
    spaces = {"bottleneck": FeatureSpace.fitted("bottleneck", features["bottleneck"], detector, reducer=reducer)}
    for space in features:
        if space != "bottleneck":
            spaces[space] = FeatureSpace.fitted(space, features[space], usual_detector(space))
    usual = calibrating_rows(outcomes, failure_dice)
    complete = dict(settings) | {
        "levels": {"amber": AMBER_LEVEL, "red": RED_LEVEL},
        "attainable_p": 1 / (int(usual.sum()) + 1),
        "failure_dice": failure_dice,
        "detector_choice": choice,
    }
    map_xy = fit_map(spaces["bottleneck"].detector.features_)
    outcomes_known = fit_outcomes(combined_leave_one_out(spaces, usual), outcomes, failure_dice)
    return Reference(
        name, model_fingerprint, tuple(cases), spaces, map_xy, complete, bank=bank(), outcomes=outcomes_known
    )


def check_names_and_count(names: Sequence[str]) -> None:
    """Refuse too few cases, and a name that stands for several.

    Raises:
        ReferenceSetError: There are fewer than ``MIN_CASES`` cases, or names repeat.
    """
    if len(names) < MIN_CASES:
        message = f"A reference needs at least {MIN_CASES} cases and {len(names)} could be used; add cases."
        raise ReferenceSetError(message)
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        message = f"The case name {repeated[0]} stands for several cases; give each its own name."
        raise ReferenceSetError(message)


def choose_detector(
    bottleneck: FloatArray,
    outcomes: Sequence[float | None],
    reducer: PrincipalComponents | None = None,
    failure_dice: float = FAILURE_DICE,
) -> tuple[Detector, dict[str, Any]]:
    """Choose the bottleneck's detector on the reference's own cases, never on test cases.

    Each candidate's leave-one-out scores are held against the cases' outcomes. Where fewer than ten cases failed
    (Dice of ``failure_dice`` or less), nothing can be told and the shrunk Mahalanobis distance is taken.

    Returns:
        The detector, not fitted, and what is known of its validity.
    """
    candidates: list[Detector] = [ShrunkMahalanobis(), *(KNearestNeighbours(share) for share in KNN_SHARES)]
    known = np.array([outcome is not None for outcome in outcomes])
    failed = has_failed(outcomes, failure_dice)
    n_failed, n_good = int(failed.sum()), int((known & ~failed).sum())
    if min(n_failed, n_good) < LEAST_OF_EACH:
        reason = f"{n_failed} of {n_failed + n_good} cases with a known Dice failed: too few to choose by"
        return ShrunkMahalanobis(), {"detector": "md", "auroc": None, "n_failed": n_failed, "reason": reason}
    table = {}
    for candidate in candidates:
        scores = FeatureSpace.fitted("bottleneck", bottleneck, candidate, reducer=reducer).leave_one_out
        table[_label(candidate)] = auroc(scores[known], failed[known])
    best = max(table, key=lambda label: table[label])
    chosen = next(candidate for candidate in candidates if _label(candidate) == best)
    return chosen, {
        "detector": best,
        "auroc": round(table[best], 3),
        "n_failed": n_failed,
        "n_good": n_good,
        "failure": f"Dice of {failure_dice:g} or less",
        "all": {label: round(value, 3) for label, value in table.items()},
        "reason": "largest leave-one-out AUROC for the reference's own failures (optimistic: chosen on them)",
    }


def _label(detector: Detector) -> str:
    return f"knn {detector.k:g}" if isinstance(detector, KNearestNeighbours) else detector.name
