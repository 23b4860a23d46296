"""Who goes through a queue one case at a time: what is passed over, what comes next, and what was seen stays seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Wish, Worklist


def given(waiting: object) -> str:
    return "" if waiting is None else str(getattr(waiting, "case_id", ""))


def test_who_passes_over_what_came_goes_down_the_queue_and_comes_back(a_queue: Store) -> None:
    work, passed = Worklist(a_queue), []
    while (waiting := work.claim_next("Ann", passing_over=passed)) is not None:
        assert given(work.coming("Ann", passing_over=[*passed, waiting.case_id])) == "abcd"[len(passed) + 1 :][:1]
        passed.append(waiting.case_id)
        work.release(waiting.case_id, "Ann")
    assert passed == list("abcd")
    assert given(work.claim_next("Ann")) == "a"


def test_what_comes_is_what_is_given_and_looking_at_it_claims_nothing(a_queue: Store) -> None:
    work = Worklist(a_queue)
    assert work.claim("a", "Bo")
    wish = Wish(light="")
    assert given(work.coming("Ann", wish)) == "b"
    assert work.count(Wish(state="claimed")) == 1
    assert given(work.claim_next("Ann", wish)) == "b"
    rated = a_queue.assessment_of("b")
    assert rated is not None
    StoredDecisions(a_queue).add(decide(rated, "bad_image", reader="Ann", shown=shown_of(rated)))
    assert given(work.coming("Ann", wish)) == "c"


def test_a_light_that_was_seen_stays_seen_by_that_reader(a_queue: Store) -> None:
    work = Worklist(a_queue)

    def hidden(now: float, *, blind: bool, reader: str = "Ann") -> bool:
        assert work.claim("a", reader, blind=blind, now=now, seconds=60)
        waiting = work.at("a")
        assert waiting is not None
        return waiting.claimed_blind

    assert hidden(1000.0, blind=True)
    assert hidden(1010.0, blind=True)
    assert not hidden(1020.0, blind=False)
    assert not hidden(1030.0, blind=True)
    # The claim runs out, and what Ann has seen is no less seen; Bo has not.
    assert not hidden(2000.0, blind=True)
    assert hidden(3000.0, blind=True, reader="Bo")


def test_holding_on_to_a_case_does_not_start_its_time_anew(a_queue: Store) -> None:
    work = Worklist(a_queue)
    assert work.claim("a", "Ann", now=1000.0, seconds=60)
    assert work.claim("a", "Ann", now=1050.0, seconds=60)
    waiting = work.at("a")
    assert waiting is not None
    assert (waiting.claimed_at, waiting.claimed_until) == (1000.0, 1110.0)


def test_every_result_has_its_folder(a_queue: Store, make_assessment: Callable[..., Assessment]) -> None:
    later = replace(make_assessment("red", created="2027-01-01T00:00:00+00:00"), case_id="a")
    a_queue.add_assessment("a", "k", later, "again/a", 1.0)
    a_queue.add_failure("a", "l", "It cannot be read.", 1.0)
    # Another batch, in the same second.
    a_queue.add_assessment("a", "m", later, "beside/a", 1.0)
    assert a_queue.result_folders("a") == ("out/a", "again/a", "beside/a")
