"""A decision says who, when, on what and having seen what; overruling the light needs a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import get_args

import pytest

from BottleneckOODLib import __version__
from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import (
    RATING_WORDS,
    REASON_WORDS,
    Rating,
    Shown,
    decide,
    decision_words,
    missing_reason,
    overrules,
    shown_of,
    withdraw,
)
from BottleneckOODLib.errors import InputError

MakeAssessment = Callable[..., Assessment]
LIGHTS = ("green", "amber", "red", "grey")
NOON = datetime(2026, 3, 4, 12, 0, 5, tzinfo=timezone(timedelta(hours=2)))
CONTRADICTING = {("accept", "red"), ("major_edit", "green"), ("reject", "green"), ("bad_image", "green")}


def test_the_ratings_are_the_five_and_the_withdrawal() -> None:
    assert list(RATING_WORDS) == ["accept", "minor_edit", "major_edit", "reject", "bad_image"]
    assert set(get_args(Rating)) == {*RATING_WORDS, "withdrawn"}
    assert len(set(RATING_WORDS.values())) == len(RATING_WORDS)
    assert len(set(REASON_WORDS.values())) == len(REASON_WORDS)


def test_no_word_that_a_reader_is_offered_calls_a_mask_right() -> None:
    forbidden = re.compile(r"\b(ok|okay|pass|passed|safe|correct|normal)\b", re.IGNORECASE)
    assert not [word for word in (*RATING_WORDS.values(), *REASON_WORDS.values()) if forbidden.search(word)]


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("rating", RATING_WORDS)
def test_a_decision_keeps_who_when_what_and_what_was_shown(
    make_assessment: MakeAssessment, rating: Rating, light: str
) -> None:
    assessment = make_assessment(light)
    row = decide(
        assessment,
        rating,
        reader=" Zoë ",
        reasons=["contour_off"],
        note="dome",
        seconds=12.5,
        shown=shown_of(assessment),
        decided=NOON,
    )
    assert (row.case_id, row.rating, row.reasons, row.note) == ("case-7", rating, ("contour_off",), "dome")
    assert (row.reader, row.decided, row.seconds) == ("Zoë", "2026-03-04T12:00:05+02:00", 12.5)
    assert row.shown == Shown(assessment.light, assessment.percentile, assessment.sentence)
    assert row.light == light
    assert (row.versions.program, row.versions.assessment_created) == (__version__, assessment.created)
    assert row.versions.assessment_program == assessment.program_version
    model, reference = assessment.model, assessment.reference
    assert (row.versions.model_name, row.versions.model_version) == (model.name, model.version)
    assert row.versions.model_fingerprint == model.fingerprint
    assert (row.versions.reference_name, row.versions.reference_fingerprint) == (reference.name, reference.fingerprint)


def test_a_blind_decision_says_that_nothing_was_shown_and_still_knows_the_light(
    make_assessment: MakeAssessment,
) -> None:
    row = decide(make_assessment("red"), "accept", reader="Z", blind_first=True)
    assert (row.blind_first, row.shown, row.light) == (True, None, "red")


def test_the_time_has_a_zone_also_when_none_is_given(an_assessment: Assessment) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    now = datetime.fromisoformat(decide(an_assessment, "accept", reader="Z").decided)
    assert now.tzinfo is not None
    assert before <= now <= datetime.now(timezone.utc)
    naive = decide(an_assessment, "accept", reader="Z", decided=datetime(2026, 1, 2)).decided
    assert datetime.fromisoformat(naive).tzinfo is not None


def test_no_two_rows_are_the_same_row(an_assessment: Assessment) -> None:
    rows = [decide(an_assessment, "accept", reader="Z", decided=NOON) for _ in range(20)]
    assert len({row.decision_id for row in rows}) == 20


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("rating", RATING_WORDS)
def test_what_contradicts_the_light_asks_for_a_reason(
    make_assessment: MakeAssessment, rating: Rating, light: str
) -> None:
    assessment = make_assessment(light)
    shown = shown_of(assessment)
    assert overrules(rating, shown) is ((rating, light) in CONTRADICTING)
    if not overrules(rating, shown):
        assert decide(assessment, rating, reader="Z", shown=shown).rating == rating
        return
    with pytest.raises(InputError, match=rf"^\"{RATING_WORDS[rating]}\" overrules the {light} light; .*\.$"):
        decide(assessment, rating, reader="Z", note=" \n", shown=shown)
    assert decide(assessment, rating, reader="Z", note="slice by slice", shown=shown).note == "slice by slice"
    assert decide(assessment, rating, reader="Z", reasons=["mask_fits"], shown=shown).reasons == ("mask_fits",)


@pytest.mark.parametrize(("rating", "light"), sorted(CONTRADICTING))
def test_asking_for_a_reason_never_gives_a_hidden_light_away(
    make_assessment: MakeAssessment, rating: Rating, light: str
) -> None:
    assert missing_reason(rating, None, (), "") == ""
    assert decide(make_assessment(light), rating, reader="Z", blind_first=True).shown is None


@pytest.mark.parametrize("reader", ["", " ", "\n"])
def test_nobody_decides_nothing(an_assessment: Assessment, reader: str) -> None:
    with pytest.raises(InputError, match="name or initials"):
        decide(an_assessment, "accept", reader=reader)


@pytest.mark.parametrize("rating", ["withdrawn", "OK", ""])
def test_what_is_no_rating_is_refused_with_the_choices(an_assessment: Assessment, rating: str) -> None:
    with pytest.raises(InputError, match="accept, minor_edit, major_edit, reject, bad_image"):
        decide(an_assessment, rating, reader="Z")  # type: ignore[arg-type]


def test_a_clock_that_runs_backwards_makes_no_negative_time(an_assessment: Assessment) -> None:
    assert decide(an_assessment, "accept", reader="Z", seconds=-3.0).seconds == 0.0


def test_undoing_makes_a_row_that_names_the_one_it_withdraws(an_assessment: Assessment) -> None:
    row = decide(an_assessment, "reject", reader="Z", reasons=["contour_off"], note="n", seconds=9.0, decided=NOON)
    undone = withdraw(row, reader="Y", note="wrong case", decided=NOON + timedelta(minutes=1))
    assert (undone.rating, undone.withdraws, undone.reader) == ("withdrawn", row.decision_id, "Y")
    assert undone.decision_id != row.decision_id
    assert (undone.reasons, undone.note, undone.decided) == ((), "wrong case", "2026-03-04T12:01:05+02:00")
    assert (undone.case_id, undone.versions, undone.light) == (row.case_id, row.versions, row.light)
    with pytest.raises(InputError, match="cannot be withdrawn"):
        withdraw(undone, reader="Z")


def test_a_withdrawal_tells_the_program_that_took_it_down(
    an_assessment: Assessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = decide(an_assessment, "reject", reader="Z")
    monkeypatch.setattr("BottleneckOODLib.assessment.decision.__version__", "9.9")
    undone = withdraw(row, reader="Z")
    assert (row.versions.program, undone.versions.program) == (__version__, "9.9")
    assert undone.versions.model_fingerprint == row.versions.model_fingerprint


def test_in_words_a_row_is_one_line_with_who_when_and_why(make_assessment: MakeAssessment) -> None:
    assessment = make_assessment("red")
    row = decide(
        assessment,
        "accept",
        reader="Zoë",
        reasons=["mask_fits", "a reason of another version"],
        note="looked\n  twice",
        shown=shown_of(assessment),
        decided=NOON,
    )
    assert decision_words(row) == (
        "Accept, by Zoë, 2026-03-04 12:00, seeing red (Very unusual); The mask fits in every slice; "
        "a reason of another version; looked twice"
    )
    assert decision_words(row, withdrawn=True).startswith("Withdrawn: Accept")
    assert decision_words(withdraw(row, reader="Y")).startswith("Withdrawal, by Y")


def test_in_words_a_blind_row_does_not_tell_the_light(make_assessment: MakeAssessment) -> None:
    words = decision_words(decide(make_assessment("red"), "accept", reader="Z", blind_first=True))
    assert "before the light was shown" in words
    assert not re.search(r"red|unusual", words, re.IGNORECASE)


def test_in_words_a_long_note_is_cut_and_says_so(an_assessment: Assessment) -> None:
    words = decision_words(decide(an_assessment, "accept", reader="Z", note="x" * 10_000))
    assert words.endswith("x...")
    assert len(words) < 250
    short = replace(decide(an_assessment, "accept", reader="Z"), note="y" * 120)
    assert decision_words(short).endswith("y" * 120)
