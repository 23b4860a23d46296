"""What the outcomes of a reference's own cases say about a score: an operating point, and a Dice to expect."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FAILURE_DICE = 0.80
"""A mask with this Dice or less has failed."""


def has_failed(
    dice: float | Sequence[float | None] | npt.NDArray[np.float64], failure_dice: float = FAILURE_DICE
) -> npt.NDArray[np.bool_]:
    """Whether each mask has failed; one whose Dice is not known has not.

    >>> has_failed([0.5, 0.8, 0.81, None]).tolist()
    [True, True, False, False]
    """
    return np.asarray(np.asarray(dice, dtype=np.float64) <= failure_dice)


@dataclass(frozen=True)
class OperatingPoint:
    """The score that catches most of the reference's cases whose mask failed.

    Attributes:
        threshold: Combined score; at or beyond it a case is caught.
        failure_dice: A mask with this Dice or less has failed.
        n_failed: Reference cases that failed.
        n_failed_beyond: How many of them are caught.
        n_other: Reference cases that did not fail.
        n_other_beyond: How many of those are caught with them: the false alarms.
    """

    threshold: float
    failure_dice: float
    n_failed: int
    n_failed_beyond: int
    n_other: int
    n_other_beyond: int


@dataclass(frozen=True)
class ExpectedDice:
    """Dice as a falling function of the score, with a margin that was measured on cases it was not fitted to.

    Attributes:
        scores: Combined scores at which the function is known, rising.
        dice: Its values there; between them it is linear, beyond them it stays.
        margin: Half the width of the interval.
        level: Share of cases like the reference's whose Dice the interval holds.
        n_cases: Reference cases with a known Dice, those fitted to and those measured on.
        largest_score: The largest score among them; beyond it nothing is known.
    """

    scores: tuple[float, ...]
    dice: tuple[float, ...]
    margin: float
    level: float
    n_cases: int
    largest_score: float

    def at(self, score: float) -> tuple[float, float, float] | None:
        """Expected Dice and its interval, each within 0 to 1; None beyond every case with a known Dice."""
        if score > self.largest_score:
            return None
        middle = float(np.interp(score, self.scores, self.dice))
        return middle, max(0.0, middle - self.margin), min(1.0, middle + self.margin)


@dataclass(frozen=True)
class Outcomes:
    """What is known, and why the rest is not.

    Attributes:
        operating_point: None where too few cases failed, or too few did not.
        expected_dice: None where the Dice of too few cases is known.
        reasons: A sentence for each that is None.
    """

    operating_point: OperatingPoint | None
    expected_dice: ExpectedDice | None
    reasons: tuple[str, ...] = ()

    @property
    def failure_dice(self) -> float:
        """A mask with this Dice or less has failed."""
        return FAILURE_DICE if self.operating_point is None else self.operating_point.failure_dice

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Outcomes:
        """From plain data.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        point, expected = document["operating_point"], document["expected_dice"]
        if expected is not None:
            expected = ExpectedDice(
                **{**expected, "scores": tuple(expected["scores"]), "dice": tuple(expected["dice"])}
            )
            if not expected.scores or len(expected.scores) != len(expected.dice):
                message = "the expected Dice is damaged"
                raise ValueError(message)
            _check_finite([*expected.scores, *expected.dice, expected.margin, expected.level, expected.largest_score])
        if point is not None:
            point = OperatingPoint(**point)
            _check_finite(list(asdict(point).values()))
        return cls(point, expected, tuple(str(reason) for reason in document["reasons"]))


def _check_finite(numbers: Sequence[Any]) -> None:
    if not all(type(number) in (int, float) and abs(number) <= sys.float_info.max for number in numbers):
        message = "a number of the outcomes is damaged"
        raise ValueError(message)
