"""What the outcomes of the training cases say about a case's score; never a measurement of its mask."""

from __future__ import annotations

from dataclasses import dataclass

from BottleneckOODLib.assessment.wording import (
    expected_dice_note,
    expected_dice_sentence,
    nothing_expected_sentence,
    operating_point_note,
    operating_point_sentence,
)
from BottleneckOODLib.reference.outcomes import Outcomes


@dataclass(frozen=True)
class Expectation:
    """The Dice that training cases as unusual as this one had.

    Attributes:
        dice: On average.
        low: Lower end of the interval.
        high: Upper end.
        level: Share of cases like the training cases whose Dice lies in the interval.
        n_cases: Training cases with a known Dice that this rests on.
    """

    dice: float
    low: float
    high: float
    level: float
    n_cases: int


@dataclass(frozen=True)
class PointOfCatch:
    """Where the score lies from the point that catches most training cases whose mask failed.

    Attributes:
        threshold: That point, as a combined score.
        beyond: Whether the case lies at or beyond it.
        failure_dice: A mask with this Dice or less has failed.
        n_failed: Training cases that failed.
        n_failed_beyond: How many of them lie beyond.
        n_other: Training cases that did not fail.
        n_other_beyond: How many of those lie beyond.
    """

    threshold: float
    beyond: bool
    failure_dice: float
    n_failed: int
    n_failed_beyond: int
    n_other: int
    n_other_beyond: int


@dataclass(frozen=True)
class OutcomeEstimate:
    """What is shown beside the light where the reference's outcomes are known.

    Attributes:
        expected: None where the Dice of too few training cases is known, or the case is unusual.
        operating_point: None where too few training cases failed.
        sentences: The same in words, each with the number of cases behind it.
    """

    expected: Expectation | None
    operating_point: PointOfCatch | None
    sentences: tuple[str, ...]

    @classmethod
    def of(cls, outcomes: Outcomes | None, score: float, *, unusual: bool = False) -> OutcomeEstimate | None:
        """What a reference's outcomes say about a combined score; None where they say nothing.

        Args:
            outcomes: The reference's.
            score: The case's.
            unusual: Whether the p-value tells the case as unusual. No Dice is told then: the interval holds for cases
                like the training cases, and few of those are so far out.
        """
        if outcomes is None:
            return None
        expected = point = None
        sentences = []
        if outcomes.expected_dice is not None:
            known = outcomes.expected_dice
            at = None if unusual else known.at(score)
            if at is None:
                sentences.append(nothing_expected_sentence(known.n_cases))
            else:
                dice, low, high = (round(value, 4) for value in at)
                expected = Expectation(dice, low, high, known.level, known.n_cases)
                sentences.append(expected_dice_sentence(dice, low, high, known.level, known.n_cases))
        if outcomes.operating_point is not None:
            p = outcomes.operating_point
            beyond = score >= p.threshold
            counts = (p.n_failed, p.n_failed_beyond, p.n_other, p.n_other_beyond)
            point = PointOfCatch(p.threshold, beyond, p.failure_dice, *counts)
            sentences.append(operating_point_sentence(p.failure_dice, *counts, beyond=beyond))
        return cls(expected, point, tuple(sentences)) if sentences else None

    def notes(self) -> tuple[str, ...]:
        """The sentences in a few words, where there is room for no more."""
        notes = []
        if self.expected is not None:
            known = self.expected
            notes.append(expected_dice_note(known.low, known.high, known.level, known.n_cases))
        if self.operating_point is not None:
            p = self.operating_point
            counts = (p.n_failed, p.n_failed_beyond, p.n_other, p.n_other_beyond)
            notes.append(operating_point_note(*counts, beyond=p.beyond))
        return tuple(notes)
