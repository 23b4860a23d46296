"""Every detector of the benchmark on one scale: the conformal p-value among the reference's own cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.assessment.checks import Check, Light, overall_light
from BottleneckOODLib.ood.calibration import NotFiniteError, conformal_p_value
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.residual import PrincipalResidual
from BottleneckOODLib.ood.robust_z import RobustZ
from BottleneckOODLib.reference.feature_space import FeatureSpace
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import calibrating_rows
from BottleneckOODLib.robustness.measuring import FLIPS, IN_MASK, MEAN_STD, STAGES, Measured

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

COMBINED = "combined"
LEAST_CALIBRATION_CASES = 20
KNN_SHARE = 0.1
_CONSTANT = 1e-9
_OUTPUTS = ("msp_all", "msp_organ", "msp_boundary", "energy_all", "energy_organ", "energy_boundary", FLIPS)


@dataclass(frozen=True)
class Judgement:
    """What one detector says of one image.

    Attributes:
        score: Higher is more unusual; infinite where there is no mask to measure, as in no reference case.
        p_value: Conformal, 1 / (n + 1) at least; NaN where nothing can be concluded.
    """

    score: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Detector:
    """A score and its calibration.

    Attributes:
        name: As in the tables.
        calibration: Leave-one-out scores of the reference's cases, shape (n,).
        score: Score of an image; None where what it looks at is not there.
    """

    name: str
    calibration: FloatArray
    score: Callable[[Measured], float | None]

    def judge(self, measured: Measured) -> Judgement:
        """Score and p-value of an image."""
        score = self.score(measured)
        if score is None:
            return Judgement(np.inf, 1 / (len(self.calibration) + 1))
        if not np.isfinite(score):
            return Judgement(np.nan, np.nan)
        return Judgement(score, conformal_p_value(score, self.calibration))


def all_detectors(reference: Reference, calibration: Sequence[Measured]) -> list[Detector]:
    """The detectors that can be calibrated.

    Args:
        reference: The reference; its own arrays calibrate what looks at features that it keeps. As for the light, cases
            whose mask failed do not count.
        calibration: Cases of the reference, measured again, for what it does not keep; fewer than
            ``LEAST_CALIBRATION_CASES`` leave those detectors out.
    """
    bottleneck, usual = reference.spaces["bottleneck"].features, reference.calibrating
    counts = calibrating_rows([case.dice for case in calibration], reference.failure_dice)
    calibration = [case for case, one in zip(calibration, counts, strict=True) if one]
    found = []
    for name, detector in (("md", ShrunkMahalanobis()), ("knn", KNearestNeighbours(KNN_SHARE))):
        space = FeatureSpace.fitted("bottleneck", bottleneck, detector)
        found.append(_in_a_space(space, usual, f"bottleneck_{name}"))
    found.append(_refitted("bottleneck_residual", ("bottleneck",), bottleneck, usual, _residual))
    if len(calibration) >= LEAST_CALIBRATION_CASES:
        for name in (MEAN_STD, IN_MASK, STAGES):
            rows = [case.features[name] for case in calibration if name in case.features]
            if len(rows) >= LEAST_CALIBRATION_CASES:
                own = FeatureSpace.fitted(name, np.array(rows), ShrunkMahalanobis())
                found.append(_in_a_space(own, np.full(len(rows), True)))
    found += [_in_a_space(space, usual) for name, space in reference.spaces.items() if name != "bottleneck"]
    masks = [name for name in ("mask_shape", "mask_intensity") if name in reference.spaces]
    if masks:
        features = np.concatenate([reference.spaces[name].features for name in masks], axis=1)
        found.append(_refitted("mask_robust_z", tuple(masks), features, usual, _robust_z))
    if len(calibration) >= LEAST_CALIBRATION_CASES:
        found += [_of_outputs(name, calibration) for name in _OUTPUTS]
    return found


def combined(reference: Reference, measured: Measured) -> Judgement:
    """What the reference makes of all its spaces together, as the light does."""
    try:
        score = reference.score(_known(reference, measured))
    except NotFiniteError:
        return Judgement(np.nan, np.nan)
    return Judgement(score.score, score.p_value)


def light_of_all(p_value: float, failed_checks: Mapping[str, Sequence[str]]) -> Light:
    """The light as the program shows it: the combined p-value and the checks outside of it."""
    checks = [Check(name, "hard", "") for name in failed_checks["hard"]]
    checks += [Check(name, "soft", "") for name in failed_checks["soft"]]
    return overall_light(None if np.isnan(p_value) else p_value, checks)


def left_out_scores(features: FloatArray, fit_and_score: Callable[[FloatArray, FloatArray], float]) -> FloatArray:
    """Score of each row by a fit to all the others, shape (n,).

    Args:
        features: Shape (n, d).
        fit_and_score: Given the others (n - 1, d) and the row (d,), its score.
    """
    return np.array([fit_and_score(np.delete(features, row, axis=0), features[row]) for row in range(len(features))])


def _known(reference: Reference, measured: Measured) -> dict[str, FloatArray | None]:
    return {name: measured.features.get(name) for name in reference.spaces}


def _in_a_space(space: FeatureSpace, usual: BoolArray, name: str | None = None) -> Detector:
    def score(measured: Measured) -> float | None:
        vector = measured.features.get(space.name)
        return None if vector is None else space.ood_score(vector)

    return Detector(name or space.name, space.leave_one_out[usual], score)


def _refitted(
    name: str,
    spaces: tuple[str, ...],
    features: FloatArray,
    usual: BoolArray,
    fit_and_score: Callable[[FloatArray, FloatArray], float],
) -> Detector:
    def score(measured: Measured) -> float | None:
        if any(space not in measured.features for space in spaces):
            return None
        return fit_and_score(features, np.concatenate([measured.features[space] for space in spaces]))

    return Detector(name, left_out_scores(features, fit_and_score)[usual], score)


def _of_outputs(name: str, calibration: Sequence[Measured]) -> Detector:
    scores = np.array([case.scores[name] for case in calibration])
    return Detector(name, scores, lambda measured: measured.scores[name])


def _residual(others: FloatArray, row: FloatArray) -> float:
    centre, scale = others.mean(axis=0), others.std(axis=0)
    scale = np.where(scale > _CONSTANT, scale, 1.0)
    return float(PrincipalResidual().fit((others - centre) / scale).ood_score((row - centre) / scale)[0])


def _robust_z(others: FloatArray, row: FloatArray) -> float:
    return float(RobustZ().fit(others).ood_score(row)[0])
