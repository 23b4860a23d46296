"""Closing while something is on its way and the mask is edited: no case stays claimed, and no edit is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from review_desktop import Desktop
from review_stores import ReviewStore

from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.assessment.versions import edited_versions
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.panel.store_session import StoreSession
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist


@pytest.fixture
def a_review(make_review_store: Callable[..., ReviewStore]) -> ReviewStore:
    return make_review_store({"red": "red", "amber": "amber", "green": "green"})


@pytest.fixture
def a_reader(a_review: ReviewStore, desktops: Callable[..., Desktop]) -> Desktop:
    """``red`` is open and edited."""
    reader = desktops("Ann").open(a_review.url)
    assert reader.next() == "red"
    reader.display.edit()
    return reader


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opens at the end, so that no thread waits for ever."""
    event = threading.Event()
    yield event
    event.set()


def claimed(url: str) -> dict[str, str]:
    with Store(url) as store:
        return {waiting.case_id: waiting.claimed_by for waiting in Worklist(store).page() if waiting.claimed_by}


def until_claimed(url: str, wanted: dict[str, str]) -> None:
    end = time.monotonic() + 60
    while (found := claimed(url)) != wanted:
        assert time.monotonic() < end, found


def store_waits(reader: Desktop, gate: threading.Event) -> None:
    """What the store is asked from now on is answered when the gate opens."""
    assert reader.list._desk is not None
    reader.list._desk.submit(gate.wait)


def files_wait(reader: Desktop, gate: threading.Event) -> None:
    """What is saved from now on is saved when the gate opens."""
    reader.list._cases.submit(gate.wait)


@pytest.mark.parametrize("asked", ["next", "open"])
@pytest.mark.parametrize("answer", ["save", "leave"])
def test_a_case_that_was_asked_for_before_the_store_is_closed_goes_back(
    a_reader: Desktop, a_review: ReviewStore, gate: threading.Event, answer: str, asked: str
) -> None:
    a_reader.display.answers = ["leave"] if asked == "open" else []
    store_waits(a_reader, gate)
    a_reader.display.mask, edited = a_reader.display.shown[-1].assessment.segmentation, a_reader.display.mask
    {"next": a_reader.list.next, "open": lambda: a_reader.list.open_case("amber")}[asked]()
    a_reader.display.mask = edited
    a_reader.display.answers = [answer]
    a_reader.list.close_store()
    gate.set()
    a_reader.wait()
    assert len(edited_versions(a_review.cases["red"])) == (answer == "save")
    assert not a_reader.list.state.is_open
    until_claimed(a_review.url, {})


def test_who_stays_because_the_edits_cannot_be_saved_keeps_the_case_and_no_other(
    a_reader: Desktop, a_review: ReviewStore, gate: threading.Event
) -> None:
    (a_review.cases["red"] / SEGMENTATION_FILE).unlink()
    a_reader.display.mask, edited = a_reader.display.shown[-1].assessment.segmentation, a_reader.display.mask
    store_waits(a_reader, gate)
    a_reader.list.next()
    a_reader.display.mask = edited
    a_reader.display.answers = ["save"]
    a_reader.list.close_store()
    gate.set()
    a_reader.wait()
    assert "put the case's folder back" in a_reader.list.state.message
    assert (a_reader.case, a_reader.display.mask) == ("red", edited)
    assert a_reader.list.state.can_move
    until_claimed(a_review.url, {"red": "Ann"})


@pytest.mark.parametrize("how", ["store", "panel"])
def test_a_store_that_is_closed_before_it_is_open_is_not_left_open(
    desktops: Callable[..., Desktop], a_review: ReviewStore, gate: threading.Event, how: str
) -> None:
    closed = threading.Event()

    class SlowToOpen(StoreSession):
        def __init__(self, store: str) -> None:
            super().__init__(store)
            gate.wait()

        def close(self) -> None:
            super().close()
            closed.set()

    reader = desktops("Ann", open_session=SlowToOpen)
    reader.list.open_store(a_review.url)
    assert reader.list.state.opening
    {"store": reader.list.close_store, "panel": reader.list.close}[how]()
    gate.set()
    assert closed.wait(60)


def until_asked(reader: Desktop) -> None:
    """Wait for the question about the edits."""
    end = time.monotonic() + 60
    while not reader.display.asked:
        assert time.monotonic() < end
        reader.list.poll()


@pytest.mark.parametrize("how", ["store", "panel"])
def test_a_case_that_came_while_the_edits_are_saved_goes_back_with_the_end(
    a_reader: Desktop, a_review: ReviewStore, gate: threading.Event, how: str
) -> None:
    a_reader.display.mask, edited = a_reader.display.shown[-1].assessment.segmentation, a_reader.display.mask
    files_wait(a_reader, gate)
    a_reader.list.next()
    a_reader.display.mask = edited
    # The store gives the next case; the reader wants the edits saved first, and that takes its time.
    a_reader.display.answers = ["save", "leave"]
    until_asked(a_reader)
    assert claimed(a_review.url) == {"amber": "Ann"}
    {"store": a_reader.list.close_store, "panel": a_reader.list.close}[how]()
    gate.set()
    until_claimed(a_review.url, {})
    assert a_reader.list.state.case_id == ("" if how == "store" else "red")


def test_a_second_save_does_not_keep_what_was_to_come_after_the_first(
    a_reader: Desktop, a_review: ReviewStore, gate: threading.Event
) -> None:
    a_reader.display.mask, edited = a_reader.display.shown[-1].assessment.segmentation, a_reader.display.mask
    files_wait(a_reader, gate)
    a_reader.list.next()
    a_reader.display.mask = edited
    a_reader.display.answers = ["save", "save"]
    until_asked(a_reader)
    a_reader.list.close_store()
    gate.set()
    a_reader.wait()
    assert not a_reader.list.state.is_open
    until_claimed(a_review.url, {})
    assert len(edited_versions(a_review.cases["red"])) == 1


@pytest.mark.parametrize("first", ["saved", "being saved"])
def test_a_mask_that_is_being_saved_when_the_store_is_closed_is_saved_once(
    a_reader: Desktop, a_review: ReviewStore, gate: threading.Event, first: str
) -> None:
    edited = a_reader.display.mask
    files_wait(a_reader, gate)
    a_reader.list.save_version()
    saving = a_reader.list._awaited.future
    assert saving is not None
    if first == "saved":
        gate.set()
        saving.result(60)
    a_reader.display.answers = ["save"]
    a_reader.list.close_store()
    gate.set()
    a_reader.wait()
    assert not a_reader.list.state.is_open
    (version,) = edited_versions(a_review.cases["red"])
    assert read_label_volume(a_review.cases["red"] / version.file) == edited
    until_claimed(a_review.url, {})


def test_what_is_edited_further_while_it_is_being_saved_is_saved_too(
    a_reader: Desktop, a_review: ReviewStore, gate: threading.Event
) -> None:
    files_wait(a_reader, gate)
    a_reader.list.save_version()
    edited = a_reader.display.edit(seed=1)
    a_reader.display.answers = ["save"]
    a_reader.list.close_store()
    gate.set()
    a_reader.wait()
    first, second = edited_versions(a_review.cases["red"])
    assert read_label_volume(a_review.cases["red"] / first.file) != edited
    assert read_label_volume(a_review.cases["red"] / second.file) == edited


def test_a_mask_that_could_not_be_saved_is_tried_again(a_reader: Desktop, a_review: ReviewStore) -> None:
    original = a_review.cases["red"] / SEGMENTATION_FILE
    away = original.rename(original.with_suffix(".away"))
    a_reader.list.save_version()
    a_reader.wait()
    assert edited_versions(a_review.cases["red"]) == ()
    away.rename(original)
    a_reader.list.save_version()
    a_reader.wait()
    assert len(edited_versions(a_review.cases["red"])) == 1


def test_nothing_is_taken_up_and_asked_under_a_question(a_reader: Desktop, gate: threading.Event) -> None:
    a_reader.display.mask, edited = a_reader.display.shown[-1].assessment.segmentation, a_reader.display.mask
    store_waits(a_reader, gate)
    a_reader.list.next()
    a_reader.display.mask = edited
    answered = a_reader.list._awaited.future
    assert answered is not None
    asked: list[str] = []

    def with_the_timer_going_on(question: str) -> str:
        asked.append(question)
        gate.set()
        answered.result(60)
        a_reader.list.poll()
        return "stay" if len(asked) == 1 else "leave"

    a_reader.display.ask_about_edits = with_the_timer_going_on  # type: ignore[method-assign]
    a_reader.list.close_store()
    # One question, and the reader is where they were.
    assert (len(asked), a_reader.case) == (1, "red")
    a_reader.wait()
    assert (len(asked), a_reader.case) == (2, "amber")
