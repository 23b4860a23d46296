"""What was before a reader: a rating is of that and of nothing newer, and who has seen a light is known by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.rating import next_case, rate
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Waiting, Worklist

MakeAssessment = Callable[..., Assessment]
Anew = Callable[[str], None]
NEWER = "2031-01-01T00:00:00+00:00"


@pytest.fixture
def anew(a_queue: Store, make_assessment: MakeAssessment) -> Anew:
    """Has a case judged by another reference, green this time."""

    def assess(case_id: str) -> None:
        assessment = replace(make_assessment("green", created=NEWER), case_id=case_id)
        assert a_queue.add_assessment(case_id, "another", assessment, "again", 1.0)

    return assess


def standing(store: Store, case_id: str) -> list[tuple[str, str]]:
    """Of each rating that stands its reader, and when the assessment was made that was rated."""
    log = StoredDecisions(store).decisions_of(case_id)
    return [(row.reader, row.versions.assessment_created) for row in log.standing]


def stands(store: Store, case_id: str) -> Waiting:
    waiting = Worklist(store).at(case_id)
    assert waiting is not None
    return waiting


def test_what_was_given_is_rated_and_what_came_since_is_not(a_queue: Store, anew: Anew) -> None:
    given = next_case(a_queue, "Ann")
    assert given is not None
    assert given.claimed_assessment == given.assessment
    anew("a")
    assert stands(a_queue, "a").claimed_assessment == given.assessment != stands(a_queue, "a").assessment
    with pytest.raises(StoreError, match=r"^The case a was assessed anew since it was shown to you; show it again"):
        rate(a_queue, "a", "reject", reader="Ann")
    assert standing(a_queue, "a") == []
    # It is hers still, and rated once it is shown.
    assert stands(a_queue, "a").claimed_by == "Ann"


@pytest.mark.parametrize("again", ["next", "claim", "show"])
def test_what_is_shown_again_is_rated_as_it_is_now(a_queue: Store, anew: Anew, again: str) -> None:
    work = Worklist(a_queue)
    assert next_case(a_queue, "Ann") is not None
    anew("a")
    # By now green, the case is the last but one of the queue, and hers all the same.
    shown = {
        "next": lambda: next_case(a_queue, "Ann"),
        "claim": lambda: work.claim("a", "Ann"),
        "show": lambda: work.show("a", "Ann"),
    }[again]()
    assert shown is not None
    assert (shown.case_id, shown.light) == ("a", "green")
    rate(a_queue, "a", "minor_edit", reader="Ann")
    assert standing(a_queue, "a") == [("Ann", NEWER)]


def test_holding_on_to_a_case_shows_nothing_new(a_queue: Store, anew: Anew) -> None:
    work = Worklist(a_queue)
    given = work.claim("a", "Ann")
    assert given is not None
    anew("a")
    assert work.keep("a", "Ann", given.assessment, blind=False)
    with pytest.raises(StoreError, match="assessed anew"):
        rate(a_queue, "a", "reject", reader="Ann")
    # Also where the claim went to somebody else meanwhile and came back.
    work.release("a", "Ann")
    assert work.keep("a", "Ann", given.assessment, blind=True)
    kept = stands(a_queue, "a")
    assert (kept.claimed_assessment, kept.claimed_blind) == (given.assessment, False)
    with pytest.raises(StoreError, match="assessed anew"):
        rate(a_queue, "a", "reject", reader="Ann")


def test_what_was_shown_without_a_claim_is_known_too(a_queue: Store, anew: Anew) -> None:
    Worklist(a_queue).show("a", "Ann")
    anew("a")
    with pytest.raises(StoreError, match="assessed anew"):
        rate(a_queue, "a", "reject", reader="Ann")
    # Bo was never shown the case: it is rated as it stands.
    rate(a_queue, "a", "minor_edit", reader="Bo")
    assert standing(a_queue, "a") == [("Bo", NEWER)]


@pytest.mark.parametrize("case_id", ["a", "b", "c", "d"])
def test_a_result_that_comes_while_a_rating_is_kept_is_before_it_or_after_it(
    a_queue: Store, anew: Anew, case_id: str
) -> None:
    assessment, given = a_queue.assessment_of(case_id), stands(a_queue, case_id)
    assert assessment is not None
    row = decide(assessment, "major_edit", reader="Ann", note="n", shown=shown_of(assessment))
    gate = threading.Barrier(2)

    def keep() -> str:
        gate.wait()
        try:
            StoredDecisions(a_queue).add(row, given.assessment)
        except StoreError as error:
            return str(error)
        return ""

    def judge() -> None:
        gate.wait()
        anew(case_id)

    with ThreadPoolExecutor(2) as pool:
        said, _ = pool.submit(keep), pool.submit(judge).result()
    assert not said.result() or "assessed anew" in said.result()
    assert standing(a_queue, case_id) == ([] if said.result() else [("Ann", assessment.created)])
    # A row that is kept is not refused when it is given again.
    if not said.result():
        StoredDecisions(a_queue).add(row, given.assessment)


def test_only_the_holder_s_own_look_counts_for_the_holder(a_queue: Store) -> None:
    work = Worklist(a_queue)
    assert next_case(a_queue, "Ann", blind=True) is not None
    for other in ("", "Bo"):
        shown = work.show("a", other)
        assert shown is not None
        assert (shown.claimed_by, shown.claimed_blind) == ("Ann", True)
    row = rate(a_queue, "a", "accept", reader="Ann")
    assert (row.blind_first, row.shown) == (True, None)


def test_the_holder_s_own_look_is_taken_down(a_queue: Store) -> None:
    work = Worklist(a_queue)
    assert next_case(a_queue, "Ann", blind=True) is not None
    shown = work.show("a", "ANN")
    assert shown is not None
    assert not shown.claimed_blind
    row = rate(a_queue, "a", "reject", reader="Ann")
    assert (row.blind_first, row.shown is None) == (False, False)


def test_a_look_after_the_claim_was_lost_is_taken_down(a_queue: Store) -> None:
    work = Worklist(a_queue)
    before_ann = next_case(a_queue, "Ann", blind=True)
    assert before_ann is not None
    assert before_ann.claimed_blind
    work.release("a", "Ann")
    row = rate(a_queue, "a", "reject", reader="Ann", given=before_ann)
    assert (row.blind_first, row.shown) == (True, None)
    work.show("a", "Ann")
    row = rate(a_queue, "a", "reject", reader="Ann", given=before_ann)
    assert (row.blind_first, row.shown is None) == (False, False)


def test_who_has_seen_a_light_is_not_given_the_case_without_it(a_queue: Store, anew: Anew) -> None:
    work = Worklist(a_queue)
    work.show("a", "Bo")
    ann = next_case(a_queue, "Ann", blind=True)
    assert ann is not None
    assert (ann.case_id, ann.claimed_blind) == ("a", True)
    work.release("a", "Ann")
    bo = next_case(a_queue, "bo", blind=True)
    assert bo is not None
    assert (bo.case_id, bo.claimed_blind) == ("a", False)
    work.release("a", "Bo")
    # Nobody has seen the light of a newer result.
    anew("a")
    again = work.claim("a", "Bo", blind=True)
    assert again is not None
    assert again.claimed_blind


def test_a_light_that_was_seen_twice_is_taken_down_once(a_queue: Store) -> None:
    gate = threading.Barrier(4)

    def look(_number: int) -> None:
        gate.wait()
        Worklist(a_queue).show("a", "Ann")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(4)))
    with a_queue.reading() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM seen").scalar() == 1


def test_a_case_without_a_result_is_shown_as_such(a_queue: Store) -> None:
    from BottleneckOODLib.triage.place import Place

    a_queue.note_case("e" * 64, "e", Place("e", "", "1"))
    assert Worklist(a_queue).show("e", "Ann") is None
    with pytest.raises(StoreError, match="holds no case nobody"):
        Worklist(a_queue).show("nobody", "Ann")
