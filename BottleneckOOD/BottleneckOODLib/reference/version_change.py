"""What a new version of a reference changes: for its own cases, for those that are added, and for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.calibration import AMBER_LEVEL, RED_LEVEL, score_at_level
from BottleneckOODLib.reference.feature_space import FeatureSpace
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import calibrating_rows, combined_leave_one_out, score_case

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Spaces = Mapping[str, FeatureSpace]

LEVELS: Mapping[str, float] = {"amber": AMBER_LEVEL, "red": RED_LEVEL}
_QUANTILE = 0.95


@dataclass(frozen=True)
class Pair:
    """P-value of one case by the old version and by the new one."""

    case_id: str
    old: float
    new: float


@dataclass(frozen=True)
class VersionChange:
    """What changes.

    Attributes:
        n_old: Cases of the old version.
        n_calibrating: Cases that scores are held against, of the old version and of the new one.
        own: The old version's own cases, each compared with all the others of either version.
        added: The cases to add: compared with the old version, and in the new one with all others.
        others: Other cases, compared with both.
        levels: Combined score at which the light turns, old and new, each on its own version's scale (0 at the median
            of its cases, 1 at their 95% quantile); None where so few cases cannot reach it.
        widths: 95% quantile of the cases' own distances in each space, old and new, in the detector's units.
        centre_shift: How far the bottleneck's centre moves, in units of the usual (median) distance of an old case
            from it.
    """

    n_old: int
    n_calibrating: tuple[int, int]
    own: tuple[Pair, ...]
    added: tuple[Pair, ...]
    others: tuple[Pair, ...]
    levels: Mapping[str, tuple[float | None, float | None]]
    widths: Mapping[str, tuple[float, float]]
    centre_shift: float

    @property
    def attainable(self) -> tuple[float, float]:
        """The smallest p-value that the old and the new version allow."""
        old, new = self.n_calibrating
        return 1 / (old + 1), 1 / (new + 1)


def version_change(
    reference: Reference,
    spaces: Spaces,
    added: Sequence[tuple[str, Mapping[str, FloatArray | None]]],
    others: Sequence[tuple[str, Mapping[str, FloatArray | None]]],
) -> VersionChange:
    """Hold the new version against the old one.

    Args:
        reference: The old version.
        spaces: Of the new version; its rows are the old cases, then those of ``added``.
        added: Name and features of each case that is added.
        others: The same of cases that are not.
    """
    n_old = len(reference.cases)
    old = reference.calibrating
    # No outcome of what is added is known.
    new = calibrating_rows([*(case.dice for case in reference.cases), *(None for _ in added)], reference.failure_dice)
    old_own, new_own = combined_leave_one_out(reference.spaces, old), combined_leave_one_out(spaces, new)
    old_p, new_p = _among(old_own, old), _among(new_own, new)
    return VersionChange(
        n_old=n_old,
        n_calibrating=(int(old.sum()), int(new.sum())),
        own=tuple(
            Pair(case.case_id, float(before), float(after))
            for case, before, after in zip(reference.cases, old_p, new_p[:n_old], strict=True)
        ),
        added=tuple(
            Pair(name, reference.score(features).p_value, float(after))
            for (name, features), after in zip(added, new_p[n_old:], strict=True)
        ),
        others=tuple(
            Pair(name, reference.score(features).p_value, score_case(spaces, features, new).p_value)
            for name, features in others
        ),
        levels={
            name: (score_at_level(level, old_own[old]), score_at_level(level, new_own[new]))
            for name, level in LEVELS.items()
        },
        widths={name: (_width(reference.spaces[name]), _width(spaces[name])) for name in spaces},
        centre_shift=_centre_shift(reference.spaces["bottleneck"], spaces["bottleneck"]),
    )


def _among(scores: FloatArray, calibrating: BoolArray) -> FloatArray:
    """P-value of each case among all the others that count, shape (n,)."""
    ordered = np.sort(scores[calibrating])
    as_unusual = len(ordered) - np.searchsorted(ordered, scores, side="left")
    # A case that counts is among those itself.
    itself = np.where(calibrating, 0, 1)
    return np.asarray((as_unusual + itself) / (len(ordered) + itself))


def _width(space: FeatureSpace) -> float:
    return float(np.quantile(space.leave_one_out, _QUANTILE))


def _centre_shift(old: FeatureSpace, new: FeatureSpace) -> float:
    cases = old.detector.features_
    usual = float(np.median(np.linalg.norm(cases - cases.mean(axis=0), axis=1)))
    shift = old.as_the_detector_sees(new.centre) - old.as_the_detector_sees(old.centre)
    return float(np.linalg.norm(shift)) / max(usual, 1e-12)
