"""What is told of outcomes beside the light: with the cases behind it, and never of a case it does not hold for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.outcome import OutcomeEstimate
from BottleneckOODLib.panel.panel_state import result_state
from BottleneckOODLib.reference.outcomes import ExpectedDice, OperatingPoint, Outcomes

EXPECTED = ExpectedDice((0.0, 1.0, 2.0), (0.95, 0.9, 0.7), 0.08, 0.9, 159, 2.5)
POINT = OperatingPoint(1.2, 0.8, 20, 18, 139, 37)


def estimate(score: float = 0.5, *, unusual: bool = False, known: Outcomes | None = None) -> OutcomeEstimate:
    told = OutcomeEstimate.of(known or Outcomes(POINT, EXPECTED), score, unusual=unusual)
    assert told is not None
    return told


def test_a_usual_case_is_told_the_dice_of_cases_like_it_with_how_many_they_are() -> None:
    told = estimate(0.5)
    assert told.expected is not None
    assert (told.expected.dice, told.expected.low, told.expected.high) == (0.925, 0.845, 1.0)
    assert "159 cases" in told.sentences[0]
    assert "0.84 to 1.00" in told.sentences[0] or "0.85 to 1.00" in told.sentences[0]


@pytest.mark.parametrize(("score", "unusual"), [(0.5, True), (2.6, False)])
def test_an_unusual_case_is_told_no_dice(score: float, unusual: bool) -> None:
    told = estimate(score, unusual=unusual)
    assert told.expected is None
    assert not re.search(r"\d\.\d\d", told.sentences[0])
    assert "159" in told.sentences[0]


@pytest.mark.parametrize(("score", "beyond"), [(1.2, True), (1.19, False)])
def test_the_operating_point_tells_what_it_misses_and_what_it_costs(score: float, beyond: bool) -> None:
    told = estimate(score, known=Outcomes(POINT, None, ("few",)))
    assert told.operating_point is not None
    assert told.operating_point.beyond is beyond
    (sentence,) = told.sentences
    for number in ("18 of the 20", "37 of the 139", "0.8 or less"):
        assert number in sentence
    assert ("2 failed below it" in sentence) is not beyond


def test_nothing_known_is_nothing_told() -> None:
    assert OutcomeEstimate.of(None, 1.0) is None
    assert OutcomeEstimate.of(Outcomes(None, None, ("few", "few")), 1.0) is None


@pytest.mark.parametrize("score", [-1.0, 0.5, 1.5, 9.0])
@pytest.mark.parametrize("unusual", [True, False])
def test_every_sentence_calls_to_review_the_mask_and_promises_nothing(score: float, unusual: bool) -> None:
    told = estimate(score, unusual=unusual)
    assert told.sentences
    for sentence in told.sentences:
        assert re.search(r"review the mask\.$", sentence)
    for text in (*told.sentences, *told.notes()):
        assert not re.search(r"\b(ok|pass(es|ed)?|safe|correct|normal|reliable)\b", text, re.IGNORECASE)
        assert re.search(r"\d", text)


def test_the_notes_are_short_and_still_name_the_cases(make_assessment: Callable[..., Assessment]) -> None:
    notes = estimate(0.5).notes()
    assert notes == ("90 in 100 like it: Dice 0.84 to 1.00 (159 cases)", "Below 18 of 20 failed, 37 of 139 others")
    assert all(len(note) <= 50 for note in notes)
    shown = result_state(make_assessment("green", outcome=estimate(0.5)))
    assert [value for name, value in shown.facts if name == "By known outcomes"] == list(notes)


def test_it_is_saved_with_the_assessment_and_loaded_again(
    make_assessment: Callable[..., Assessment], no_picture: None, tmp_path: Path
) -> None:
    for number, outcome in enumerate((estimate(0.5), estimate(1.5, unusual=True), None)):
        made = replace(make_assessment("green"), case_id=f"case-{number}", outcome=outcome)
        assert Assessment.load(made.save(tmp_path)).outcome == outcome


def test_unless_it_is_said_to_be_unusual_a_case_is_told_a_dice_of_four_decimals() -> None:
    curve = ExpectedDice((0.0, 1.0), (0.912345678, 0.912345678), 0.0411111, 0.9, 159, 2.5)
    told = OutcomeEstimate.of(Outcomes(None, curve), 0.5)
    assert told is not None
    assert told.expected is not None
    assert (told.expected.dice, told.expected.low, told.expected.high) == (0.9123, 0.8712, 0.9535)


def test_what_counts_as_a_failure_is_the_operating_point_s_where_there_is_one() -> None:
    assert Outcomes(replace(POINT, failure_dice=0.7), None).failure_dice == 0.7
    assert Outcomes(None, EXPECTED).failure_dice == 0.8


@pytest.mark.parametrize(("score", "side"), [(1.2, "Beyond"), (1.1, "Below")])
def test_the_note_tells_the_side_of_the_operating_point(score: float, side: str) -> None:
    assert estimate(score).notes()[1] == f"{side} 18 of 20 failed, 37 of 139 others"


@pytest.mark.parametrize(
    ("threshold", "whole"), [(float("nan"), False), (float("inf"), False), (sys.float_info.max, True)]
)
def test_a_point_that_is_no_number_is_refused_when_it_is_read(threshold: float, whole: bool) -> None:
    document = Outcomes(replace(POINT, threshold=threshold), EXPECTED).document()
    if whole:
        assert Outcomes.of_document(document).operating_point == replace(POINT, threshold=threshold)
    else:
        with pytest.raises(ValueError, match="damaged"):
            Outcomes.of_document(document)
