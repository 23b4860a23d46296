"""How unusual a case is among the reference cases, and which of them it resembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.calibration import (
    LARGEST,
    NotFiniteError,
    conformal_p_value,
    largest_scaled,
    light_of,
    percentile_of,
    scaled_score,
)
from BottleneckOODLib.ood.output_scores import OUTPUT_CONFIDENCE
from BottleneckOODLib.reference.outcomes import has_failed

if TYPE_CHECKING:
    from BottleneckOODLib.reference.feature_space import FeatureSpace

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_CASES = 20
"""So many cases a reference needs."""


class NamedCase(Protocol):
    """What a neighbour tells of a reference case."""

    @property
    def case_id(self) -> str:
        """Its name."""

    @property
    def dice(self) -> float | None:
        """Its outcome."""


@dataclass(frozen=True)
class PartScore:
    """How unusual a case is in one feature space.

    Attributes:
        score: The detector's score; higher is more unusual.
        p_value: Conformal p-value in this space alone.
        percentile: Share of the reference cases that are less unusual, in percent.
        scaled: 0 at the reference's median, 1 at its 95% quantile.
    """

    score: float
    p_value: float
    percentile: float
    scaled: float


@dataclass(frozen=True)
class Score:
    """How unusual a case is, all spaces together.

    Attributes:
        score: All spaces together, see ``combined_scores``.
        p_value: Calibrated on the reference's leave-one-out scores, as a whole.
        percentile: Share of the reference cases that are less unusual, in percent.
        light: ``"green"``, ``"amber"`` or ``"red"`` by the p-value alone.
        detector: Name of the bottleneck's detector.
        parts: Each space on its own.
        farthest: The space that decided the combined score.
        attainable_p: The smallest p-value that this many reference cases allow.
    """

    score: float
    p_value: float
    percentile: float
    light: str
    detector: str
    parts: Mapping[str, PartScore]
    farthest: str
    attainable_p: float


@dataclass(frozen=True)
class Neighbour:
    """A reference case that lies near.

    Attributes:
        case_id: Its name.
        distance: Euclidean distance of the standardised bottleneck features.
        relative_distance: The same in units of the median distance between nearest reference cases.
        dice: Its Dice, when known.
    """

    case_id: str
    distance: float
    relative_distance: float
    dice: float | None


def calibrating_rows(dice: Sequence[float | None], failure_dice: float | None) -> BoolArray:
    """The reference cases that scores are held against, shape (n,): all but those whose mask has failed.

    A mask that failed is no example of a usual one: held against it, the next failure would look usual. So of new cases
    whose mask is good no more are flagged than the level says. With fewer than ``MIN_CASES`` others all of them count.

    Args:
        dice: Outcome of each reference case, where known.
        failure_dice: A mask with this Dice or less has failed; None counts every case.

    Raises:
        NotFiniteError: ``failure_dice`` is not finite.
    """
    if failure_dice is not None and not np.isfinite(failure_dice):
        message = "the Dice at which a mask has failed is not finite"
        raise NotFiniteError(message)
    others = np.full(len(dice), True) if failure_dice is None else ~has_failed(dice, failure_dice)
    if others.shape != (len(dice),):
        message = f"{len(others)} of {len(dice)} cases are known to have failed or not"
        raise ValueError(message)
    return others if np.count_nonzero(others) >= MIN_CASES else np.full(len(dice), True)


def score_case(
    spaces: Mapping[str, FeatureSpace], features: Mapping[str, FloatArray | None], calibrating: BoolArray
) -> Score:
    """Score one case in every space that it has features for, and all together.

    Args:
        spaces: The feature spaces.
        features: The case's, shape (d,) each; None or missing where there is nothing to measure.
        calibrating: The reference cases that the scores are held against, shape (n,).

    Raises:
        NotFiniteError: A feature or a score is not a finite number, or there are no features at all.
        ReferenceMismatchError: A feature vector does not fit its space.
    """
    scores: dict[str, float] = {}
    for name, space in spaces.items():
        vector = features.get(name)
        if vector is None:
            continue
        space.check_whole()
        # What is not finite is not within either.
        if not np.all(np.abs(vector) <= LARGEST):
            message = f"a {name} feature is not a finite number"
            raise NotFiniteError(message)
        scores[name] = space.ood_score(vector)
    if "bottleneck" not in scores:
        message = "there are no bottleneck features"
        raise NotFiniteError(message)
    calibrations = {name: spaces[name].leave_one_out[calibrating] for name in scores}
    parts = {name: _part(scores[name], calibrations[name]) for name in scores}
    whole, calibration = combined_scores(scores, calibrations)
    combined = float(whole)
    p_value = conformal_p_value(combined, calibration)
    return Score(
        score=combined,
        p_value=p_value,
        percentile=percentile_of(combined, calibration),
        light=light_of(p_value),
        detector=spaces["bottleneck"].detector.name,
        parts=parts,
        farthest=_farthest(parts, combined),
        attainable_p=1 / (len(calibration) + 1),
    )


def combined_scores(
    scores: Mapping[str, float | FloatArray], calibrations: Mapping[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Put the scores of all spaces together: how unusual a case is, and how unsure the network was of its mask.

    The spaces that look at image, mask and bottleneck share one answer, their largest scaled score. How unsure the
    network was is the other answer, and both are scaled alike: as one space of six it would be outvoted by spaces that
    tell strange images, not failed masks. Without that space the first answer is all there is.

    Args:
        scores: Score of a case in each space, or of several cases, shape (m,).
        calibrations: Leave-one-out scores of the reference cases that count, in each space, shape (n,).

    Returns:
        The combined score, as many as there are cases, and those of the reference cases, shape (n,).
    """
    first = {name: score for name, score in scores.items() if name != OUTPUT_CONFIDENCE}
    unusual, usual = largest_scaled(first, calibrations)
    if OUTPUT_CONFIDENCE not in scores:
        return unusual, usual
    unsure, sure = scores[OUTPUT_CONFIDENCE], calibrations[OUTPUT_CONFIDENCE]
    return largest_scaled({"unusual": unusual, "unsure": unsure}, {"unusual": usual, "unsure": sure})


def combined_leave_one_out(spaces: Mapping[str, FeatureSpace], calibrating: BoolArray) -> FloatArray:
    """Combined score of every reference case among the others, as a new case's is combined.

    Args:
        spaces: The feature spaces.
        calibrating: The reference cases that scores are held against, shape (n,).

    Returns:
        Shape (n,); those of the cases that count are what a new case's score is compared with.
    """
    every = {name: space.leave_one_out for name, space in spaces.items()}
    return combined_scores(every, {name: scores[calibrating] for name, scores in every.items()})[0]


def nearest_cases(
    distances: FloatArray, nearest_leave_one_out: FloatArray, cases: Sequence[NamedCase], k: int
) -> tuple[Neighbour, ...]:
    """The k nearest reference cases, nearest first.

    Args:
        distances: Distance of the case to each reference case, shape (n,).
        nearest_leave_one_out: Distance of each reference case to its nearest other, shape (n,).
        cases: The reference cases.
        k: How many.
    """
    spread = max(float(np.median(nearest_leave_one_out)), 1e-12)
    order = np.argsort(distances, kind="stable")[:k]
    return tuple(
        Neighbour(cases[i].case_id, float(distances[i]), float(distances[i]) / spread, cases[i].dice) for i in order
    )


def _farthest(parts: Mapping[str, PartScore], combined: float) -> str:
    unsure = parts.get(OUTPUT_CONFIDENCE)
    if unsure is not None and unsure.scaled >= combined:
        return OUTPUT_CONFIDENCE
    others = [name for name in parts if name != OUTPUT_CONFIDENCE]
    return max(others, key=lambda name: parts[name].scaled)


def _part(score: float, calibration: FloatArray) -> PartScore:
    return PartScore(
        score=score,
        p_value=conformal_p_value(score, calibration),
        percentile=percentile_of(score, calibration),
        scaled=float(scaled_score(score, calibration)),
    )
