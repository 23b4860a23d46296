"""How unusual a case is among the reference cases, and which of them it resembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.calibration import (
    NotFiniteError,
    conformal_p_value,
    largest_scaled,
    light_of,
    percentile_of,
    scaled_score,
)

if TYPE_CHECKING:
    from BottleneckOODLib.reference.feature_space import FeatureSpace

FloatArray = npt.NDArray[np.float64]


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
        score: The largest scaled score of the spaces.
        p_value: Calibrated on the reference's leave-one-out scores, as a whole.
        percentile: Share of the reference cases that are less unusual, in percent.
        light: ``"green"``, ``"amber"`` or ``"red"`` by the p-value alone.
        detector: Name of the bottleneck's detector.
        parts: Each space on its own.
        attainable_p: The smallest p-value that this many reference cases allow.
    """

    score: float
    p_value: float
    percentile: float
    light: str
    detector: str
    parts: Mapping[str, PartScore]
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


def score_case(spaces: Mapping[str, FeatureSpace], features: Mapping[str, FloatArray | None]) -> Score:
    """Score one case in every space that it has features for, and all together.

    Raises:
        NotFiniteError: A feature or a score is not a finite number, or there are no features at all.
        ReferenceMismatchError: A feature vector does not fit its space.
    """
    scores: dict[str, float] = {}
    for name, space in spaces.items():
        vector = features.get(name)
        if vector is None:
            continue
        if not np.isfinite(vector).all():
            message = f"a {name} feature is not a finite number"
            raise NotFiniteError(message)
        scores[name] = space.ood_score(vector)
    if "bottleneck" not in scores:
        message = "there are no bottleneck features"
        raise NotFiniteError(message)
    calibrations = {name: spaces[name].leave_one_out for name in scores}
    parts = {name: _part(scores[name], calibrations[name]) for name in scores}
    combined, calibration = largest_scaled(scores, calibrations)
    p_value = conformal_p_value(combined, calibration)
    return Score(
        score=combined,
        p_value=p_value,
        percentile=percentile_of(combined, calibration),
        light=light_of(p_value),
        detector=spaces["bottleneck"].detector.name,
        parts=parts,
        attainable_p=1 / (len(calibration) + 1),
    )


def combined_calibration(spaces: Mapping[str, FeatureSpace]) -> FloatArray:
    """The reference's own combined scores, each case left out, shape (n,): what a case's score is compared with."""
    calibrations = {name: space.leave_one_out for name, space in spaces.items()}
    return largest_scaled({name: 0.0 for name in calibrations}, calibrations)[1]


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


def _part(score: float, calibration: FloatArray) -> PartScore:
    return PartScore(
        score=score,
        p_value=conformal_p_value(score, calibration),
        percentile=percentile_of(score, calibration),
        scaled=float(scaled_score(score, calibration)),
    )
