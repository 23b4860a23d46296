"""The record is only ever added to; damage is told and stays, a newer format is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import RATING_WORDS, Decision, Shown, Versions, decide, shown_of, withdraw
from BottleneckOODLib.assessment.decision_record import (
    DecisionLog,
    decision_line,
    decisions_text,
    parse_decisions,
    with_row,
)
from BottleneckOODLib.errors import InputError

MakeAssessment = Callable[..., Assessment]
SOURCE = "of case-7 in the scene"
texts = st.text(max_size=60)
# Of offsets, not of zones by name: which of these there are, and what they say, is a matter of the machine.
zones = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
moments = st.datetimes(timezones=zones).map(lambda moment: moment.isoformat(timespec="seconds"))
shown = st.none() | st.builds(
    Shown, st.sampled_from(["green", "amber", "red", "grey"]), st.none() | st.floats(0, 100), texts
)
ratings = st.builds(
    Decision,
    decision_id=st.uuids().map(lambda number: number.hex),
    case_id=texts,
    rating=st.sampled_from(list(RATING_WORDS)),
    reasons=st.lists(texts, max_size=4).map(tuple),
    note=texts,
    reader=texts,
    decided=moments,
    seconds=st.floats(0, 1e6),
    blind_first=st.booleans(),
    shown=shown,
    light=st.sampled_from(["green", "amber", "red", "grey"]),
    versions=st.builds(Versions, *[texts] * len(fields(Versions))),
    withdraws=st.just(""),
)


@pytest.fixture
def a_row(an_assessment: Assessment) -> Decision:
    return decide(an_assessment, "minor_edit", reader="Z", note="dome", shown=shown_of(an_assessment))


def changed(row: Decision, **changes: Any) -> str:
    return json.dumps({**json.loads(decision_line(row)), **changes}) + "\n"


@settings(deadline=None)
@given(rows=st.lists(ratings, max_size=4))
def test_any_rows_come_back_as_they_were(rows: list[Decision]) -> None:
    text = decisions_text(rows)
    assert text.isascii()
    assert text.count("\n") == len(rows)
    assert parse_decisions(text, SOURCE) == DecisionLog(tuple(rows), ())


@settings(deadline=None)
@given(before=st.text(max_size=80), row=ratings)
def test_adding_a_row_changes_nothing_of_what_stands_there(before: str, row: Decision) -> None:
    after = with_row(before, row)
    assert after.startswith(before)
    assert after.endswith("\n")
    log = parse_decisions(after, SOURCE)
    assert log.decisions == (row,)
    assert len(log.damage) == len([line for line in before.split("\n") if line.strip()])


@pytest.mark.parametrize(
    "note", ["", "a\nb\r\nc\td", "R&D <b> \" ' ]]>", "Zoë 患者 \u2028\x85\x0b\x7f", "\ud800", "x" * 10_000, "\\n %20"]
)
def test_any_note_stays_one_line(an_assessment: Assessment, note: str) -> None:
    row = decide(an_assessment, "accept", reader="Z", note=note)
    assert decision_line(row).count("\n") == 1
    assert parse_decisions(decision_line(row), SOURCE).decisions == (row,)


def test_an_empty_record_holds_nothing() -> None:
    assert parse_decisions("", SOURCE) == DecisionLog()
    assert parse_decisions("\n \n", SOURCE) == DecisionLog()


DAMAGED = [
    "no json",
    "{",
    "[]",
    "null",
    "3",
    "{}",
    '{"schema_version": 1}',
    "[" * 100_000,
    '{"schema_version": 1, "seconds": NaN}',
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_is_told_and_the_rest_is_kept(a_row: Decision, line: str) -> None:
    other = replace(a_row, decision_id="another")
    log = parse_decisions(decision_line(a_row) + line + "\n" + decision_line(other), SOURCE)
    assert log.decisions == (a_row, other)
    assert len(log.damage) == 1
    assert "Line 2 of the decisions of case-7 in the scene is damaged" in log.damage[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"rating": "OK"},
        {"rating": None},
        {"note": 3},
        {"reasons": "contour_off"},
        {"reasons": [1]},
        {"seconds": "3"},
        {"seconds": -1.0},
        {"seconds": True},
        {"blind_first": 1},
        {"decided": "yesterday"},
        {"decided": "2026-01-02T03:04:05"},
        {"shown": {"light": "blue", "percentile": 1.0, "sentence": ""}},
        {"shown": {"light": "red"}},
        {"shown": []},
        {"versions": None},
        {"light": ""},
        {"decision_id": ""},
        {"withdraws": "x"},
        {"rating": "withdrawn", "withdraws": ""},
        {"more": 1},
        {"schema_version": 0},
        {"schema_version": True},
        {"schema_version": "1"},
        {"schema_version": None},
    ],
)
def test_a_value_of_another_kind_is_damage(a_row: Decision, changes: dict[str, Any]) -> None:
    log = parse_decisions(changed(a_row, **changes) + decision_line(a_row), SOURCE)
    assert log.decisions == (a_row,)
    assert len(log.damage) == 1


@pytest.mark.parametrize("field", [field.name for field in fields(Decision) if field.name != "withdraws"])
def test_a_field_that_is_missing_is_damage(a_row: Decision, field: str) -> None:
    document = json.loads(decision_line(a_row))
    del document[field]
    log = parse_decisions(json.dumps(document), SOURCE)
    assert (log.decisions, len(log.damage)) == ((), 1)


def test_a_row_that_was_torn_in_the_middle_leaves_the_others(a_row: Decision) -> None:
    line = decision_line(a_row)
    for end in range(1, len(line) - 1, 37):
        torn = line[:end]
        log = parse_decisions(with_row(torn, a_row), SOURCE)
        assert log.decisions == (a_row,)
        assert len(log.damage) == 1


def test_a_newer_format_is_refused_with_what_to_do(a_row: Decision) -> None:
    newer = changed(a_row, schema_version=2, something="new")
    with pytest.raises(InputError, match=r"of case-7 in the scene .* newer version of BottleneckOOD; update .*\.$"):
        parse_decisions(decision_line(a_row) + newer, SOURCE)


def test_what_stands_is_what_nobody_withdrew(an_assessment: Assessment) -> None:
    one, two, three = (decide(an_assessment, "accept", reader="Z", note=note) for note in "abc")
    rows = (one, two, withdraw(one, reader="Z"), three, withdraw(three, reader="Z"))
    log = parse_decisions(decisions_text(rows), SOURCE)
    assert log.decisions == rows
    assert log.standing == (two,)


def test_a_withdrawal_of_an_unknown_row_withdraws_nothing(an_assessment: Assessment, a_row: Decision) -> None:
    lost = decide(an_assessment, "accept", reader="Z")
    assert DecisionLog((a_row, withdraw(lost, reader="Z"))).standing == (a_row,)


def test_every_field_of_a_decision_is_documented(repository: Path, a_row: Decision) -> None:
    page = (repository / "docs" / "files.md").read_text(encoding="utf-8")
    document = json.loads(decision_line(a_row))
    names = {*document, *document["shown"], *document["versions"], *RATING_WORDS, "withdrawn"}
    assert {name for name in names if f"`{name}`" not in page} == set()
