"""A case that the batch judges anew while it is open: what is rated is what is before the reader, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from review_desktop import Desktop
from review_stores import ReviewStore

from BottleneckOODLib.assessment.decision import shown_of
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.panel.store_session import Filters
from BottleneckOODLib.panel.worklist_state import STATE_CHOICES
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

NEWER = "2031-01-01T00:00:00+00:00"


@pytest.fixture
def a_review(make_review_store: Callable[..., ReviewStore]) -> ReviewStore:
    return make_review_store({"red": "red", "amber": "amber"})


@pytest.fixture
def a_reader(a_review: ReviewStore, desktops: Callable[..., Desktop]) -> Desktop:
    reader = desktops("Ann").open(a_review.url)
    assert reader.next() == "red"
    return reader


def ratings(url: str, case_id: str = "red") -> list[tuple[str, str, str]]:
    with Store(url) as store:
        rows = StoredDecisions(store).decisions_of(case_id).decisions
    return [(row.rating, row.light, row.versions.assessment_created) for row in rows]


def test_what_came_since_is_not_rated_unseen_and_rated_once_it_is_shown(
    a_reader: Desktop, a_review: ReviewStore
) -> None:
    a_review.assess_anew("red", "green", NEWER)
    a_reader.rate("reject")
    assert "The case red was assessed anew since it was shown to you; show it again" in a_reader.review.state.message
    assert ratings(a_review.url) == []
    # What was chosen is there still, and the case is Ann's; so it does not wait, and the sentence says where it is.
    assert a_reader.review.state.ratings[3].chosen
    assert [row.case_id for row in a_reader.list.state.rows] == ["amber"]
    assert f"under {STATE_CHOICES['any']}, by its name" in a_reader.review.state.message
    a_reader.list.set_filters(Filters(state="any", search="red"))
    a_reader.wait()
    assert [row.case_id for row in a_reader.list.state.rows] == ["red"]
    a_reader.list.open_case("red")
    a_reader.wait()
    opened = a_reader.display.shown[-1]
    assert (a_reader.case, len(a_reader.display.shown)) == ("red", 1)
    assert (opened.assessment.light, opened.assessment.created) == ("green", NEWER)
    assert a_reader.display.mask == read_label_volume(a_review.cases["red"] / "segmentation.seg.nrrd")
    a_reader.rate("accept")
    assert ratings(a_review.url) == [("accept", "green", NEWER)]


def test_a_case_that_is_opened_again_is_one_step_of_the_way(a_reader: Desktop) -> None:
    a_reader.list.open_case("red")
    a_reader.wait()
    assert a_reader.case == "red"
    assert not a_reader.list.state.can_go_back
    assert [a_reader.next(), a_reader.previous()] == ["amber", "red"]


def test_who_stays_with_an_edited_mask_keeps_the_case_that_was_to_be_opened_again(
    a_reader: Desktop, a_review: ReviewStore
) -> None:
    a_reader.list.open_case("red")
    edited = a_reader.display.edit()
    a_reader.display.answers = ["stay"]
    a_reader.wait()
    assert a_reader.display.mask is edited
    with Store(a_review.url) as store:
        waiting = Worklist(store).at("red")
    assert waiting is not None
    assert waiting.claimed_by == "Ann"


def test_holding_on_to_the_case_does_not_make_it_the_newer_one(a_reader: Desktop, a_review: ReviewStore) -> None:
    a_review.assess_anew("red", "green", NEWER)
    with Store(a_review.url) as store:
        work = Worklist(store)
        before = work.at("red")
        a_reader.now += 700
        end = time.monotonic() + 60
        while work.at("red") == before:
            assert time.monotonic() < end
            a_reader.wait()
        after = work.at("red")
    assert after is not None
    assert after.claimed_assessment != after.assessment
    a_reader.rate("reject")
    assert ratings(a_review.url) == []


def test_a_rating_is_withdrawn_whatever_came_since(a_reader: Desktop, a_review: ReviewStore) -> None:
    a_reader.rate("reject")
    a_review.assess_anew("red", "green", NEWER)
    a_reader.review.undo()
    assert [rating for rating, _, _ in ratings(a_review.url)] == ["reject", "withdrawn"]
    with Store(a_review.url) as store:
        waiting = Worklist(store).at("red")
    assert waiting is not None
    # It is before her as it was, and not as it is now.
    assert (waiting.claimed_by, waiting.claimed_assessment != waiting.assessment) == ("Ann", True)
    a_reader.rate("minor_edit")
    assert "assessed anew" in a_reader.review.state.message


def test_a_light_stays_hidden_while_what_it_was_rated_for_is_refused(
    a_review: ReviewStore, desktops: Callable[..., Desktop]
) -> None:
    reader = desktops("Ann", blind=True).open(a_review.url)
    assert reader.next() == "red"
    a_review.assess_anew("red", "green", NEWER)
    reader.rate("accept")
    assert "assessed anew" in reader.review.state.message
    assert reader.review.state.light_hidden
    reader.list.open_case("red")
    reader.wait()
    assert reader.review.state.light_hidden
    reader.rate("accept")
    with Store(a_review.url) as store:
        (row,) = StoredDecisions(store).decisions_of("red").decisions
    assert (row.blind_first, row.shown, row.light) == (True, None, "green")


def test_a_light_that_was_seen_on_the_command_line_is_not_hidden(
    a_review: ReviewStore, desktops: Callable[..., Desktop]
) -> None:
    with Store(a_review.url) as store:
        Worklist(store).show("red", "ann")
    reader = desktops("Ann", blind=True).open(a_review.url)
    assert reader.next() == "red"
    assert not reader.review.state.light_hidden
    assert reader.next() == "amber"
    assert reader.review.state.light_hidden


def test_a_light_that_was_seen_on_the_command_line_meanwhile_is_kept_with_the_rating(
    a_review: ReviewStore, desktops: Callable[..., Desktop]
) -> None:
    reader = desktops("Ann", blind=True).open(a_review.url)
    assert reader.next() == "red"
    with Store(a_review.url) as store:
        Worklist(store).show("red", "ANN")
    reader.rate("reject")
    with Store(a_review.url) as store:
        (row,) = StoredDecisions(store).decisions_of("red").decisions
        assessment = store.assessment_of("red")
    assert assessment is not None
    assert (row.blind_first, row.shown) == (False, shown_of(assessment))


def test_a_light_that_one_reader_has_seen_is_hidden_from_the_next_one_at_the_same_computer(
    a_review: ReviewStore, desktops: Callable[..., Desktop]
) -> None:
    desk = desktops("Ann", blind=True)
    desk.list.set_filters(Filters(readings=2))
    desk.open(a_review.url)
    for case in ("red", "amber"):
        assert desk.next() == case
        desk.rate("reject")
    seen = desk.display.shown[-1].assessment
    for part in (desk.list, desk.review):
        part.set_reader("Bob")
    # It was before him when he typed his name.
    assert not desk.review.hides(seen)
    assert desk.next() == "red"
    assert not desk.review.hides(seen)
    assert desk.review.state.light_hidden
    assert desk.review.hides(desk.display.shown[-1].assessment)
    assert not any("reject" in line.lower() for line in desk.review.state.saved)
    desk.list.set_filters(Filters(readings=2, state="any"))
    desk.wait()
    assert [(row.light, row.rating) for row in desk.list.state.rows] == [("hidden", "hidden")] * 2
    desk.rate("minor_edit")
    with Store(a_review.url) as store:
        of_both = StoredDecisions(store).decisions_of("red").decisions
    assert [(row.reader, row.blind_first, row.shown) for row in of_both] == [("Ann", True, None), ("Bob", True, None)]


def test_the_panel_s_reader_is_the_store_s_however_the_name_is_typed(
    a_reader: Desktop, a_review: ReviewStore
) -> None:
    for name in ("ANN", " ann "):
        a_reader.review.set_reader(name)
        a_reader.list.set_reader(name)
    a_reader.rate("reject")
    assert a_reader.review.state.undo_enabled
    # Rated by her, so it is not what she passed over.
    assert a_reader.next() == "amber"
    a_reader.rate("minor_edit")
    assert a_reader.next() == "amber"
    assert "No other case waits" in a_reader.list.state.message
