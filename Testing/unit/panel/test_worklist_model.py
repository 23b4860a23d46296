"""The worklist goes through a real store: who is given what, what is shown, what is kept, and what is never lost."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from review_stores import ReviewStore

from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.panel.store_session import Filters
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

LIGHTS = {"red": "red", "amber": "amber", "green": "green"}


@pytest.fixture
def a_review(make_review_store: Callable[..., ReviewStore]) -> ReviewStore:
    return make_review_store(LIGHTS)


def claimed(url: str) -> dict[str, str]:
    with Store(url) as store:
        return {waiting.case_id: waiting.claimed_by for waiting in Worklist(store).page() if waiting.claimed_by}


def rows(url: str, case_id: str) -> list[tuple[str, str]]:
    with Store(url) as store:
        return [(row.reader, row.rating) for row in StoredDecisions(store).decisions_of(case_id).decisions]


class TestGoingThrough:
    def test_the_most_unusual_comes_first_as_it_was_assessed(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann").open(a_review.url)
        assert [row.case_id for row in reader.list.state.rows] == ["red", "amber", "green"]
        assert reader.next() == "red"
        opened = reader.display.shown[-1]
        assert np.array_equal(opened.volume.voxels, read_volume(a_review.images["red"]).voxels)
        assert opened.assessment.segmentation == read_label_volume(a_review.cases["red"] / SEGMENTATION_FILE)
        assert opened.assessment.regions is not None
        assert opened.assessment.light == "red"
        assert claimed(a_review.url) == {"red": "Ann"}

    def test_two_readers_never_have_the_same_case(self, a_review: ReviewStore, desktops: Callable) -> None:
        ann, bo = desktops("Ann").open(a_review.url), desktops("Bo").open(a_review.url)
        assert [ann.next(), bo.next(), ann.next()] == ["red", "amber", "green"]
        assert claimed(a_review.url) == {"green": "Ann", "amber": "Bo"}
        bo.list.open_case("green")
        bo.wait()
        assert bo.case == "amber"
        assert "being read by Ann" in bo.list.state.message
        assert claimed(a_review.url) == {"green": "Ann", "amber": "Bo"}

    def test_there_is_a_way_back_and_on_again(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann").open(a_review.url)
        assert not reader.list.state.can_go_back
        assert [reader.next(), reader.next(), reader.previous(), reader.next(), reader.next()] == [
            "red",
            "amber",
            "red",
            "amber",
            "green",
        ]
        assert len(reader.display.shown) == 1
        assert claimed(a_review.url) == {"green": "Ann"}

    def test_what_was_passed_over_comes_again_at_the_end(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann").open(a_review.url)
        reader.next()
        assert reader.next() == "amber"
        reader.rate()
        assert [reader.next(), reader.next()] == ["green", "red"]
        assert "passed over" in reader.list.state.message
        reader.rate("reject")
        assert reader.next() == "green"
        reader.rate("accept")
        assert reader.next() == "green"
        assert "No other case waits" in reader.list.state.message

    def test_what_a_filter_leaves_out_is_not_given(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann")
        reader.list.set_filters(Filters(light="amber"))
        reader.open(a_review.url)
        assert [row.case_id for row in reader.list.state.rows] == ["amber"]
        assert reader.next() == "amber"
        reader.list.set_filters(Filters(search="gre"))
        assert reader.next() == "green"
        reader.list.set_filters(Filters(green_share=0.0))
        reader.wait()
        assert [row.case_id for row in reader.list.state.rows] == ["red", "amber"]

    def test_a_name_is_needed(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("  ").open(a_review.url)
        assert reader.next() == ""
        assert "name or initials" in reader.list.state.message
        assert claimed(a_review.url) == {}

    @pytest.mark.parametrize("how", ["store", "panel", "scene"])
    def test_who_leaves_gives_the_case_back(self, a_review: ReviewStore, desktops: Callable, how: str) -> None:
        reader = desktops("Ann").open(a_review.url)
        reader.next()
        {"store": reader.list.close_store, "panel": reader.list.close, "scene": reader.list.scene_closed}[how]()
        end = time.monotonic() + 60
        while claimed(a_review.url) and time.monotonic() < end:
            time.sleep(0.01)
        assert claimed(a_review.url) == {}
        assert not reader.list.state.case_id or how == "panel"
        assert bool(reader.display.shown) == (how != "store")

    def test_a_case_that_is_open_stays_claimed(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann").open(a_review.url)
        reader.next()
        with Store(a_review.url) as store:
            before = Worklist(store).at("red")
            reader.now += 700
            end = time.monotonic() + 60
            while Worklist(store).at("red") == before and time.monotonic() < end:
                reader.wait()
            after = Worklist(store).at("red")
        assert before is not None
        assert after is not None
        assert after.claimed_until > before.claimed_until
        assert after.claimed_at == before.claimed_at


class TestRating:
    def test_a_rating_goes_to_the_store_and_undoing_adds_a_row(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann").open(a_review.url)
        reader.next()
        reader.rate("reject")
        assert rows(a_review.url, "red") == [("Ann", "reject")]
        assert claimed(a_review.url) == {}
        assert "Reject" in reader.review.state.saved[0]
        reader.review.undo()
        assert rows(a_review.url, "red") == [("Ann", "reject"), ("Ann", "withdrawn")]
        # It is before her still, and waits again: nobody else is given it meanwhile.
        assert claimed(a_review.url) == {"red": "Ann"}
        assert desktops("Bo").open(a_review.url).next() == "amber"
        assert reader.next() == "green"
        assert claimed(a_review.url) == {"amber": "Bo", "green": "Ann"}

    def test_the_light_is_hidden_until_it_is_rated_and_the_store_knows(
        self, a_review: ReviewStore, desktops: Callable
    ) -> None:
        reader = desktops("Ann", blind=True).open(a_review.url)
        assert {row.light for row in reader.list.state.rows} == {"hidden"}
        reader.next()
        assert reader.review.state.light_hidden
        with Store(a_review.url) as store:
            waiting = Worklist(store).at("red")
            assert waiting is not None
            assert waiting.claimed_blind
        reader.rate("accept", note="")
        assert not reader.review.state.light_hidden
        with Store(a_review.url) as store:
            (row,) = StoredDecisions(store).decisions_of("red").decisions
        assert (row.blind_first, row.shown, row.light) == (True, None, "red")

    def test_a_light_that_is_looked_at_is_taken_down(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann", blind=True).open(a_review.url)
        reader.next()
        reader.review.set_blind_first(False)
        reader.list.set_blind_first(False)
        reader.wait()
        with Store(a_review.url) as store:
            end = time.monotonic() + 60
            while (waiting := Worklist(store).at("red")) is not None and waiting.claimed_blind:
                assert time.monotonic() < end
        reader.rate("reject")
        with Store(a_review.url) as store:
            (row,) = StoredDecisions(store).decisions_of("red").decisions
        assert row.shown is not None

    def test_a_light_that_was_seen_elsewhere_is_not_hidden(self, a_review: ReviewStore, desktops: Callable) -> None:
        with Store(a_review.url) as store:
            assert Worklist(store).claim("red", "Ann", blind=False)
        reader = desktops("Ann", blind=True).open(a_review.url)
        assert reader.next() == "red"
        assert not reader.review.state.light_hidden

    def test_who_rates_first_cannot_choose_by_the_light(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann", blind=True)
        reader.list.set_filters(Filters(light="green"))
        reader.open(a_review.url)
        assert len(reader.list.state.rows) == 3
        assert not reader.list.state.light_can_be_chosen
        assert reader.next() == "red"

    def test_a_second_reading_is_by_another_reader(self, a_review: ReviewStore, desktops: Callable) -> None:
        ann, bo = desktops("Ann").open(a_review.url), desktops("Bo").open(a_review.url)
        for reader in (ann, bo):
            reader.list.set_filters(Filters(readings=2, search="red"))
        assert ann.next() == "red"
        ann.rate("reject")
        assert bo.next() == "red"
        assert bo.next() == "red"
        bo.rate("bad_image")
        assert rows(a_review.url, "red") == [("Ann", "reject"), ("Bo", "bad_image")]

    def test_a_decision_on_a_case_that_another_reader_has_by_now_is_refused(
        self, a_review: ReviewStore, desktops: Callable
    ) -> None:
        reader = desktops("Ann").open(a_review.url)
        reader.next()
        with Store(a_review.url) as store:
            assert Worklist(store).claim("red", "Bo", now=time.time() + 7200)
        reader.rate("reject")
        assert "being read by Bo" in reader.review.state.message
        assert rows(a_review.url, "red") == []
        assert reader.review.state.ratings[3].chosen

    def test_whoever_is_renamed_keeps_the_case(self, a_review: ReviewStore, desktops: Callable) -> None:
        reader = desktops("Ann").open(a_review.url)
        reader.next()
        reader.review.set_reader("Anna")
        reader.list.set_reader("Anna")
        reader.rate("reject")
        assert rows(a_review.url, "red") == [("Anna", "reject")]
        assert claimed(a_review.url) == {}


def test_a_team_s_store_on_a_server_does_the_same(
    make_review_store: Callable[..., ReviewStore], a_postgres_url: str, desktops: Callable
) -> None:
    review = make_review_store(LIGHTS, url=a_postgres_url)
    ann, bo = desktops("Ann", blind=True).open(review.url), desktops("Bo").open(review.url)
    assert [ann.next(), bo.next()] == ["red", "amber"]
    assert ann.review.state.light_hidden
    ann.rate("reject")
    bo.rate("minor_edit")
    assert rows(review.url, "red") == [("Ann", "reject")]
    assert rows(review.url, "amber") == [("Bo", "minor_edit")]
    assert [ann.next(), bo.next()] == ["green", "amber"]
    assert "No other case waits" in bo.list.state.message
