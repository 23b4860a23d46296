"""One reader is one reader, however the name is typed: in claims, second readings, undoing and agreement."""

from __future__ import annotations

import unicodedata
from types import SimpleNamespace

import pytest

from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.triage.agreement import agreements
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.export import decision_rows
from BottleneckOODLib.triage.rating import next_case, rate, undo
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Wish, Worklist

NAME = "Zoë Groß"
# Letters beyond ASCII, which SQLite's own comparison does not fold; and composed otherwise, as on another keyboard.
SPELLINGS = ["zoë groß", "ZOË GROSS", "  Zoë \t Groß ", unicodedata.normalize("NFD", NAME)]
pytestmark = pytest.mark.parametrize("spelling", SPELLINGS)


def test_a_claim_is_the_reader_s_own(a_queue: Store, spelling: str) -> None:
    work = Worklist(a_queue)
    first = next_case(a_queue, NAME, blind=True)
    again = next_case(a_queue, spelling, blind=True)
    assert first is not None
    assert again is not None
    assert (first.case_id, again.case_id, again.claimed_by, again.claimed_at) == ("a", "a", NAME, first.claimed_at)
    assert work.claim("a", "Anna") is None
    assert work.keep("a", spelling, first.assessment, blind=True)
    work.release("a", spelling)
    assert work.count(Wish(state="claimed")) == 0


def test_a_rating_ends_the_reader_s_claim_and_keeps_its_time(
    a_queue: Store, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = next_case(a_queue, NAME, blind=True)
    assert given is not None
    monkeypatch.setattr("BottleneckOODLib.triage.rating.time", SimpleNamespace(time=lambda: given.claimed_at + 12.5))
    row = rate(a_queue, "a", "reject", reader=spelling)
    assert (row.blind_first, row.shown, row.reader) == (True, None, " ".join(spelling.split()))
    assert row.seconds == pytest.approx(12.5, abs=1e-3)
    assert Worklist(a_queue).count(Wish(state="claimed")) == 0


def test_a_second_reading_is_by_somebody_else(a_queue: Store, spelling: str) -> None:
    rate(a_queue, "a", "reject", reader=NAME)
    work, twice = Worklist(a_queue), Wish(readings=2)
    other = work.claim_next(spelling, twice)
    assert other is not None
    assert other.case_id == "b"
    assert [w.case_id for w in work.page(Wish(reader=spelling))] == ["a"]
    rate(a_queue, "a", "bad_image", reader=spelling)
    assert [(w.case_id, w.readings, w.rating) for w in work.page(Wish(reader=NAME))] == [("a", 1, "bad_image")]
    assert work.count(Wish(state="read", readings=2)) == 0


def test_the_reader_s_own_rating_is_withdrawn(a_queue: Store, spelling: str) -> None:
    rate(a_queue, "a", "reject", reader=NAME)
    with pytest.raises(StoreError, match="no rating of a by Anna"):
        undo(a_queue, "a", reader="Anna")
    withdrawn, stands = undo(a_queue, "a", reader=spelling)
    assert (withdrawn.reader, withdrawn.rating, stands) == (NAME, "reject", None)
    again = next_case(a_queue, spelling, blind=True)
    assert again is not None
    # Its light was told after the rating.
    assert (again.case_id, again.claimed_blind) == ("a", False)


def test_nobody_agrees_with_oneself(a_queue: Store, spelling: str) -> None:
    rate(a_queue, "a", "reject", reader=NAME)
    rate(a_queue, "a", "bad_image", reader=spelling)
    rate(a_queue, "a", "bad_image", reader="Bo")
    rate(a_queue, "c", "minor_edit", reader=spelling)
    rate(a_queue, "c", "minor_edit", reader="Bo")
    logs = list(StoredDecisions(a_queue).all())
    (pair,) = agreements(log for _, log in logs)
    assert (pair.readers, pair.n_cases, pair.same) == (("Bo", NAME), 2, 2)
    assert [row["reader"] for row in decision_rows(logs)] == [NAME, NAME, "Bo", NAME, "Bo"]
