"""Nothing but the reader's own hand rates; what was shown, and how long it took, is kept with the rating."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import RATING_WORDS, REASON_WORDS, Rating, decide, shown_of
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.panel.review_model import ReviewModel
from BottleneckOODLib.panel.review_state import RATING_TIPS, ReviewState

MakeAssessment = Callable[..., Assessment]
LIGHTS = ("green", "amber", "red", "grey")


def chosen(state: ReviewState) -> list[str]:
    return [choice.name for choice in (*state.ratings, *state.reasons) if choice.chosen]


def rate(model: ReviewModel, rating: Rating = "minor_edit") -> None:
    model.choose(rating)
    model.save()


def test_the_five_ratings_have_the_keys_1_to_5_and_words_and_tips(review: ReviewModel) -> None:
    ratings = review.state.ratings
    assert [(choice.name, choice.key) for choice in ratings] == list(zip(RATING_WORDS, "12345", strict=True))
    assert [choice.word for choice in ratings] == list(RATING_WORDS.values())
    assert set(RATING_TIPS) == set(RATING_WORDS)
    assert all(f"Key {choice.key}" in choice.tip for choice in ratings)
    assert [choice.name for choice in review.state.reasons] == list(REASON_WORDS)


def test_without_a_case_nothing_can_be_decided(review: ReviewModel, store: Any) -> None:
    review.choose("accept")
    review.toggle_reason("contour_off")
    review.set_note("a note")
    review.reveal()
    review.save()
    review.undo()
    assert (chosen(review.state), review.state.note, store.rows) == ([], "", [])
    assert not review.state.enabled
    assert not review.state.save_enabled
    assert "Assess a case first" in review.state.save_hint


def test_a_decision_keeps_what_the_reader_gave_and_saw(
    review: ReviewModel, store: Any, clock: Any, an_assessment: Assessment
) -> None:
    review.case_shown(an_assessment)
    clock.now += 7
    review.choose("reject")
    review.choose("major_edit")
    review.toggle_reason("contour_off")
    review.toggle_reason("liver_missing")
    review.toggle_reason("contour_off")
    review.set_note("the dome\nis cut")
    clock.now += 5.5
    assert chosen(review.state) == ["major_edit", "liver_missing"]
    review.save()
    (row,) = store.rows
    assert (row.rating, row.reasons, row.note) == ("major_edit", ("liver_missing",), "the dome\nis cut")
    assert (row.reader, row.seconds, row.case_id) == ("Zoë", 12.5, "case-7")
    assert (row.blind_first, row.shown) == (False, shown_of(an_assessment))
    assert (chosen(review.state), review.state.note) == ([], "")
    assert review.state.message == "Kept: Major edit."
    assert len(review.state.saved) == 1
    assert "Major edit, by Zoë" in review.state.saved[0]


def test_pressing_twice_saves_once(review: ReviewModel, store: Any, an_assessment: Assessment) -> None:
    review.case_shown(an_assessment)
    rate(review)
    review.save()
    assert len(store.rows) == 1


def test_a_decision_needs_a_reader(store: Any, an_assessment: Assessment) -> None:
    model = ReviewModel(store)
    model.case_shown(an_assessment)
    rate(model, "accept")
    assert store.rows == []
    assert "name or initials" in model.state.save_hint
    model.set_reader("  ")
    assert not model.state.save_enabled
    model.set_reader("AB")
    model.save()
    assert [row.reader for row in store.rows] == ["AB"]
    model.case_shown(None)
    assert model.state.reader == "AB"


@pytest.mark.parametrize(
    ("light", "rating"), [("red", "accept"), ("green", "reject"), ("green", "major_edit"), ("green", "bad_image")]
)
def test_overruling_a_light_that_is_seen_asks_for_a_reason_or_a_note(
    review: ReviewModel, store: Any, make_assessment: MakeAssessment, light: str, rating: Rating
) -> None:
    review.case_shown(make_assessment(light))
    rate(review, rating)
    assert store.rows == []
    assert f"overrules the {light} light" in review.state.save_hint
    review.set_note("  \n ")
    assert not review.state.save_enabled
    review.set_note("seen in every slice")
    assert review.state.save_enabled
    review.set_note("")
    review.toggle_reason("mask_fits")
    review.save()
    assert [row.rating for row in store.rows] == [rating]


def test_undoing_withdraws_the_reader_s_last_decision_and_keeps_both_rows(
    review: ReviewModel, store: Any, an_assessment: Assessment
) -> None:
    review.case_shown(an_assessment)
    assert not review.state.undo_enabled
    rate(review, "minor_edit")
    rate(review, "reject")
    assert "Reject" in review.state.undo_hint
    review.undo()
    review.undo()
    review.undo()
    assert [row.rating for row in store.rows] == ["minor_edit", "reject", "withdrawn", "withdrawn"]
    assert [row.withdraws for row in store.rows[2:]] == [store.rows[1].decision_id, store.rows[0].decision_id]
    assert not review.state.undo_enabled
    assert len(review.state.saved) == 4
    assert [words.startswith("Withdrawn: ") for words in review.state.saved] == [True, True, False, False]


def test_nobody_withdraws_what_another_decided_or_what_was_said_of_another_mask(
    review: ReviewModel, store: Any, make_assessment: MakeAssessment
) -> None:
    assessment = make_assessment("amber")
    earlier = replace(assessment, created="2025-01-01T00:00:00+00:00")
    store.rows.append(decide(assessment, "accept", reader="another"))
    store.rows.append(decide(earlier, "accept", reader="Zoë"))
    review.case_shown(assessment)
    assert not review.state.undo_enabled
    review.undo()
    assert len(store.rows) == 2
    assert [words.endswith("(on another assessment of this case)") for words in review.state.saved] == [False, True]


def test_what_was_begun_waits_while_another_case_is_looked_at(
    review: ReviewModel, store: Any, clock: Any, make_assessment: MakeAssessment
) -> None:
    one, other = make_assessment("amber"), make_assessment("amber", case_id="other")
    review.case_shown(one)
    review.choose("reject")
    review.set_note("begun")
    clock.now += 10
    review.case_shown(other)
    assert (chosen(review.state), review.state.note, review.state.case_id) == ([], "", "other")
    clock.now += 100
    review.case_shown(None)
    clock.now += 1000
    review.case_shown(one)
    assert (chosen(review.state), review.state.note) == (["reject"], "begun")
    clock.now += 5
    review.save()
    assert [(row.case_id, row.seconds) for row in store.rows] == [("case-7", 15.0)]


def test_the_same_case_shown_again_changes_nothing(
    review: ReviewModel, store: Any, clock: Any, make_assessment: MakeAssessment
) -> None:
    review.case_shown(make_assessment("amber"))
    review.choose("reject")
    clock.now += 4
    review.case_shown(make_assessment("amber"))
    clock.now += 4
    review.save()
    assert (store.rows[0].rating, store.rows[0].seconds) == ("reject", 8.0)


def test_another_assessment_of_the_case_starts_anew(
    review: ReviewModel, store: Any, clock: Any, an_assessment: Assessment
) -> None:
    review.case_shown(an_assessment)
    review.choose("reject")
    clock.now += 4
    review.case_shown(replace(an_assessment, created="2026-05-05T00:00:00+00:00"))
    assert chosen(review.state) == []
    clock.now += 1
    rate(review)
    assert store.rows[0].seconds == 1.0
    assert store.rows[0].versions.assessment_created == "2026-05-05T00:00:00+00:00"


def test_what_was_begun_keeps_no_image_alive(review: ReviewModel, make_assessment: MakeAssessment) -> None:
    assessment = make_assessment("amber")
    kept = [weakref.ref(assessment.volume), weakref.ref(assessment.segmentation)]
    review.case_shown(assessment)
    review.set_note("begun")
    del assessment
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_a_closed_scene_takes_what_was_begun_with_it(review: ReviewModel, an_assessment: Assessment) -> None:
    review.case_shown(an_assessment)
    review.choose("reject")
    review.set_note("begun")
    review.forget()
    assert not review.state.enabled
    review.case_shown(an_assessment)
    assert (chosen(review.state), review.state.note) == ([], "")


def test_what_cannot_be_kept_is_one_sentence_and_stays_in_the_form(
    review: ReviewModel, store: Any, an_assessment: Assessment
) -> None:
    review.case_shown(an_assessment)
    review.set_note("long work")
    store.refusal = OutputError("The store is full.")
    rate(review, "reject")
    assert (review.state.message, review.state.note, chosen(review.state)) == (
        "The store is full.",
        "long work",
        ["reject"],
    )
    store.refusal = None
    review.save()
    assert [row.note for row in store.rows] == ["long work"]
    store.refusal = OutputError("The store is full.")
    review.undo()
    assert review.state.message == "The store is full."
    assert review.state.undo_enabled


def test_damage_is_told_and_deciding_goes_on(review: ReviewModel, store: Any, an_assessment: Assessment) -> None:
    store.damage = ("Line 2 is damaged.",)
    review.case_shown(an_assessment)
    assert review.state.message == "Line 2 is damaged."
    rate(review)
    assert review.state.message == "Kept: Minor edit. Line 2 is damaged."
    assert len(store.rows) == 1


def test_a_record_of_a_newer_format_is_told_and_not_added_to(
    review: ReviewModel, store: Any, make_assessment: MakeAssessment
) -> None:
    store.unreadable = InputError("Update BottleneckOOD.")
    review.case_shown(make_assessment("amber"))
    rate(review)
    assert store.rows == []
    assert (review.state.message, review.state.save_hint) == ("Update BottleneckOOD.", "Update BottleneckOOD.")
    store.unreadable = None
    review.case_shown(make_assessment("amber", case_id="other"))
    assert review.state.message == ""
    rate(review)
    assert len(store.rows) == 1


def test_the_widgets_are_told_of_every_change_and_of_nothing_else(store: Any, an_assessment: Assessment) -> None:
    told: list[int] = []
    model = ReviewModel(store, reader="Z", changed=lambda: told.append(1))
    model.case_shown(None)
    model.set_reader("Z")
    assert told == []
    model.case_shown(an_assessment)
    model.case_shown(an_assessment)
    model.choose("accept")
    model.choose("accept")
    model.set_note("n")
    model.set_note("n")
    model.toggle_reason("no such reason")
    model.choose("withdrawn")
    assert len(told) == 3


def test_a_long_note_is_kept_whole(review: ReviewModel, store: Any, an_assessment: Assessment) -> None:
    note = "& <ü>\n" * 2_000
    review.case_shown(an_assessment)
    review.set_note(note)
    rate(review)
    assert store.rows[0].note == note
    assert len(review.state.saved[0]) < 300


@pytest.mark.parametrize("light", LIGHTS)
def test_nothing_that_is_said_calls_a_result_right(
    review: ReviewModel, make_assessment: MakeAssessment, light: str
) -> None:
    forbidden = re.compile(r"\b(ok|okay|pass|passed|safe|correct|normal)\b", re.IGNORECASE)
    review.case_shown(make_assessment(light))
    assert not forbidden.search(repr(review.state))
    rate(review)
    assert not forbidden.search(repr(review.state))
    review.undo()
    assert not forbidden.search(repr(review.state))
