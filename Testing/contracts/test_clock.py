"""A clock that jumps: decisions keep their order, no case is stuck, and no case is with two readers at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.triage.claims import LONGEST_CLAIM_SECONDS
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

MakeAssessment = Callable[..., Assessment]
HOUR, START = 3600.0, 1_800_000_000.0


@pytest.fixture(params=["sqlite", "postgresql"])
def a_store(request: pytest.FixtureRequest, tmp_path: Path, make_assessment: MakeAssessment) -> Iterator[Store]:
    url = str(tmp_path / "t.db") if request.param == "sqlite" else str(request.getfixturevalue("a_postgres_url"))
    with Store(url) as store:
        for number in range(12):
            case_id = store.note_case(f"{number:064}", f"c{number:02}", Place(f"scans/{number}.nrrd", "", "1"))
            store.add_assessment(case_id, "j", replace(make_assessment("amber"), case_id=case_id), f"out/{case_id}", 1)
        yield store


def test_decisions_stand_in_the_order_in_which_they_came(a_store: Store) -> None:
    assessment = a_store.assessment_of("c00")
    assert assessment is not None
    decisions = StoredDecisions(a_store)
    moments = ["2026-05-01T12:00:00+00:00", "2026-05-01T11:00:00+00:00", "2031-01-01T00:00:00+00:00",
               "1999-01-01T00:00:00+00:00"]  # fmt: skip
    rows = []
    for moment, rating in zip(moments, ("accept", "minor_edit", "major_edit", "reject"), strict=True):
        row = decide(assessment, rating, reader="AB", note="n", shown=shown_of(assessment))  # type: ignore[arg-type]
        rows.append(replace(row, decided=moment))
        decisions.add(rows[-1])
    assert decisions.decisions_of("c00").decisions == tuple(rows)
    assert decisions.decisions_of("c00").standing[-1].rating == "reject"
    assert next(w for w in Worklist(a_store).page() if w.case_id == "c00").rating == "reject"


def test_a_claim_from_a_clock_that_was_wrong_holds_nobody_off_for_ever(a_store: Store) -> None:
    work = Worklist(a_store)
    ahead = work.claim_next("Ann", now=START + 365 * 24 * HOUR)
    assert ahead is not None
    assert not ahead.is_held(START)
    later = work.claim_next("Bo", now=START)
    assert later is not None
    assert later.case_id == ahead.case_id
    assert not work.claim(later.case_id, "Ann", now=START + 1)


@pytest.mark.parametrize("jump", [-HOUR, -60.0])
def test_a_clock_that_is_set_back_gives_no_case_to_a_second_reader(a_store: Store, jump: float) -> None:
    work = Worklist(a_store)
    first = work.claim_next("Ann", now=START)
    assert first is not None
    second = work.claim_next("Bo", now=START + jump)
    assert second is not None
    assert second.case_id != first.case_id
    assert not work.claim(first.case_id, "Bo", now=START + jump)
    assert work.claim(first.case_id, "Bo", now=START + LONGEST_CLAIM_SECONDS)


def test_with_clocks_that_jump_by_an_hour_every_case_is_read_and_is_with_one_reader_at_a_time(a_store: Store) -> None:
    draw, work, decisions = random.Random(8), Worklist(a_store), StoredDecisions(a_store)
    clock, decided, holds = START, [], {}
    for turn in range(400):
        clock += draw.choice([1.0, 60.0, 600.0, -HOUR, HOUR])
        reader = draw.choice(["Ann", "Bo", "Cy"])
        waiting = work.claim_next(reader, now=clock)
        if waiting is None:
            # Somebody went away with it, or all are read.
            if not work.page() or all(w.readings for w in work.page()):
                break
            continue
        others = [name for name, case in holds.items() if case == waiting.case_id and name != reader]
        holds = {name: case for name, case in holds.items() if name not in others} | {reader: waiting.case_id}
        now = work.at(waiting.case_id)
        assert now is not None
        assert now.claimed_by == reader
        if turn % 3:
            continue
        assessment = a_store.assessment_of(waiting.case_id)
        assert assessment is not None
        decisions.add(decide(assessment, "minor_edit", reader=reader, note="n", shown=shown_of(assessment)))
        decided.append(waiting.case_id)
        del holds[reader]
    assert sorted(decided) == [f"c{number:02}" for number in range(12)]
    assert a_store.counts()["decisions"] == 12
