"""Rate first, then see the light: nothing tells it before, and nothing fills in a rating."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import RATING_WORDS, Rating, decide, shown_of
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.panel.review_model import ReviewModel
from BottleneckOODLib.panel.review_state import ReviewState

MakeAssessment = Callable[..., Assessment]
LIGHTS = ("green", "amber", "red", "grey")


def chosen(state: ReviewState) -> list[str]:
    return [choice.name for choice in (*state.ratings, *state.reasons) if choice.chosen]


def rate(model: ReviewModel, rating: Rating = "minor_edit") -> None:
    model.choose(rating)
    model.save()


@pytest.mark.parametrize("blind_first", [False, True])
@pytest.mark.parametrize("light", LIGHTS)
def test_no_light_ever_fills_in_a_rating(
    store: Any, make_assessment: MakeAssessment, light: str, blind_first: bool
) -> None:
    model = ReviewModel(store, reader="Z", blind_first=blind_first)
    model.case_shown(make_assessment(light))
    assert chosen(model.state) == []
    assert not model.state.save_enabled
    assert "Choose a rating" in model.state.save_hint
    model.save()
    model.reveal()
    assert chosen(model.state) == []
    rate(model, "minor_edit")
    assert chosen(model.state) == []
    model.undo()
    assert chosen(model.state) == []
    model.case_shown(make_assessment(light, created="2026-05-05T00:00:00+00:00"))
    assert chosen(model.state) == []
    assert [row.rating for row in store.rows] == ["minor_edit", "withdrawn"]


@pytest.mark.parametrize("light", LIGHTS)
def test_blind_first_hides_the_light_until_a_rating_is_kept(
    blind: ReviewModel, store: Any, clock: Any, make_assessment: MakeAssessment, light: str
) -> None:
    assessment = make_assessment(light)
    blind.case_shown(assessment)
    assert blind.state.light_hidden
    for rating in RATING_WORDS:
        # A hint that asks for a reason on one light only would tell the light.
        blind.choose(rating)  # type: ignore[arg-type]
        assert blind.state.save_enabled
        assert blind.state.light_hidden
    clock.now += 3
    rate(blind, "accept")
    assert not blind.state.light_hidden
    assert "you may rate again" in blind.state.message
    assert chosen(blind.state) == []
    clock.now += 4
    blind.choose("minor_edit")
    blind.save()
    first, second = store.rows
    assert (first.rating, first.blind_first, first.shown, first.seconds) == ("accept", True, None, 3.0)
    assert (second.rating, second.blind_first, second.shown) == ("minor_edit", True, shown_of(assessment))
    assert second.seconds == 7.0
    assert (first.light, second.light) == (light, light)
    assert len(blind.state.saved) == 2


@pytest.mark.parametrize("light", LIGHTS)
def test_while_the_light_is_hidden_no_word_tells_it(
    blind: ReviewModel, store: Any, make_assessment: MakeAssessment, light: str
) -> None:
    earlier = make_assessment(light, created="2025-01-01T00:00:00+00:00")
    store.rows.append(decide(earlier, "minor_edit", reader="Zoë", shown=shown_of(earlier)))
    store.rows.append(decide(make_assessment(light), "minor_edit", reader="another", shown=shown_of(earlier)))
    blind.case_shown(make_assessment(light))
    assert blind.state.light_hidden
    assert blind.state.saved == ("Decisions on this case so far: 2; they are shown once you have rated.",)
    blind.set_reader("another")
    assert blind.state.light_hidden
    telling = re.compile(r"green|amber|\bred\b|grey|unusual|similar|could not", re.IGNORECASE)
    assert not telling.search(repr(blind.state))
    rate(blind)
    assert len(blind.state.saved) == 3
    assert telling.search(repr(blind.state))


def test_a_light_that_was_asked_for_counts_as_seen(
    blind: ReviewModel, store: Any, make_assessment: MakeAssessment
) -> None:
    assessment = make_assessment("red")
    blind.case_shown(assessment)
    blind.choose("accept")
    blind.reveal()
    assert not blind.state.light_hidden
    assert not blind.state.save_enabled
    blind.toggle_reason("mask_fits")
    blind.save()
    assert (store.rows[0].blind_first, store.rows[0].shown) == (True, shown_of(assessment))


def test_a_light_that_was_seen_is_not_hidden_again(
    review: ReviewModel, store: Any, make_assessment: MakeAssessment
) -> None:
    one, other = make_assessment("amber"), make_assessment("amber", case_id="other")
    review.case_shown(one)
    review.set_blind_first(True)
    assert (review.state.blind_first, review.state.light_hidden) == (True, False)
    assert "next case" in review.state.message
    rate(review)
    assert (store.rows[0].blind_first, store.rows[0].shown) == (False, shown_of(one))
    review.case_shown(other)
    assert review.state.light_hidden
    review.case_shown(one)
    assert not review.state.light_hidden
    review.case_shown(other)
    review.set_blind_first(False)
    assert not review.state.light_hidden
    rate(review)
    assert (store.rows[1].blind_first, store.rows[1].shown) == (True, shown_of(other))


def test_who_rated_this_assessment_before_has_seen_its_light(
    store: Any, make_assessment: MakeAssessment
) -> None:
    assessment = make_assessment("red")
    store.rows.append(decide(assessment, "reject", reader="Zoë", blind_first=True))

    def hidden_from(reader: str, of: Assessment) -> bool:
        model = ReviewModel(store, reader=reader, blind_first=True)
        model.case_shown(of)
        return model.state.light_hidden

    assert not hidden_from("zoë ", assessment)
    assert hidden_from("another", assessment)
    assert hidden_from("", assessment)
    assert hidden_from("Zoë", replace(assessment, created="2026-07-07T00:00:00+00:00"))


def test_a_blind_rating_that_cannot_be_kept_does_not_show_the_light(
    blind: ReviewModel, store: Any, an_assessment: Assessment
) -> None:
    blind.case_shown(an_assessment)
    store.refusal = OutputError("The store is full.")
    rate(blind)
    assert blind.state.light_hidden


def test_a_case_that_waits_in_another_view_hides_its_light_too(
    blind: ReviewModel, store: Any, make_assessment: MakeAssessment
) -> None:
    one, other, rated = (make_assessment("red", case_id=case) for case in ("one", "other", "rated"))
    store.rows.append(decide(rated, "reject", reader="Zoë", blind_first=True))
    assert [blind.hides(case) for case in (one, other, rated)] == [True, True, False]
    blind.case_shown(one)
    rate(blind)
    assert [blind.hides(case) for case in (one, other, rated)] == [False, True, False]
    blind.case_shown(other)
    assert blind.hides(other) is blind.state.light_hidden is True
    store.unreadable = InputError("Update BottleneckOOD.")
    assert blind.hides(make_assessment("red", case_id="unreadable"))
    blind.set_blind_first(False)
    assert not blind.hides(other)
    assert not blind.hides(make_assessment("red", case_id="unreadable"))


def test_without_rating_first_no_light_is_hidden(review: ReviewModel, make_assessment: MakeAssessment) -> None:
    one, other = make_assessment("red", case_id="one"), make_assessment("red", case_id="other")
    review.case_shown(one)
    assert not review.hides(one)
    assert not review.hides(other)
