"""A reader is given a case, rates it, undoes it; a rating that overrules what was seen needs a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import RATING_WORDS, REASON_WORDS
from BottleneckOODLib.cli import review
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.store import Place, Store

MakeAssessment = Callable[..., Assessment]


@pytest.fixture
def a_store_of_cases(make_assessment: MakeAssessment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """``r`` red, ``a`` amber, ``g`` green, and ``x`` that could not be read."""
    monkeypatch.delenv(review.READER_VARIABLE, raising=False)
    path = str(tmp_path / "t.db")
    with Store(path) as store:
        for name, light in {"g": "green", "r": "red", "a": "amber"}.items():
            case_id = store.note_case(name * 64, name, Place(f"scans/{name}.nii.gz", "", "1"))
            store.add_assessment(case_id, "j", replace(make_assessment(light), case_id=case_id), f"out/{name}", 1.0)
        store.note_case("x" * 64, "x", Place("scans/x.nii.gz", "", "1"))
        store.add_failure("x", "j", "It is cut off.", 0.1)
    return path


@pytest.fixture
def say(a_store_of_cases: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(action: str, *words: str, reader: str | None = "AB") -> tuple[int, str, str]:
        named = [] if reader is None or action in ("show", "agreement", "export") else ["--reader", reader]
        code = main(["review", action, *words, "--store", a_store_of_cases, *named])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


Say = Callable[..., tuple[int, str, str]]


def test_the_words_of_the_command_are_those_of_a_decision() -> None:
    assert tuple(RATING_WORDS) == review.RATINGS
    assert tuple(REASON_WORDS) == review.REASONS


def test_the_most_unusual_case_comes_with_its_light_its_sentence_and_its_places(say: Say) -> None:
    code, out, _ = say("next")
    assert code == 0
    assert out.startswith("r: red\n")
    assert "review the mask" in out
    assert "scans/r.nii.gz" in out
    assert "out/r" in out
    assert say("next", reader="CD")[1].startswith("x: grey\n")


def test_a_rating_is_kept_with_who_what_was_shown_and_the_seconds(say: Say, a_store_of_cases: str) -> None:
    say("next")
    code, out, _ = say("decide", "r", "--rating", "reject", "--reason", "contour_off", "--note", "dome")
    assert (code, "Reject, by AB" in out) == (0, True)
    with Store(a_store_of_cases) as store:
        (row,) = StoredDecisions(store).decisions_of("r").decisions
    assert (row.reader, row.rating, row.reasons, row.note) == ("AB", "reject", ("contour_off",), "dome")
    assert row.shown is not None
    assert row.shown.light == "red"
    assert not row.blind_first
    assert row.seconds > 0


def test_rate_first_hides_the_light_until_the_rating_and_keeps_that(say: Say, a_store_of_cases: str) -> None:
    _, out, _ = say("next", "--blind")
    assert "red" not in out
    assert "hidden" in out
    # Accepting a red case overrules nothing that the reader has seen, so no reason is asked for: asking would tell.
    code, out, _ = say("decide", "r", "--rating", "accept")
    assert code == 0
    assert "The light is red" in out
    with Store(a_store_of_cases) as store:
        (row,) = StoredDecisions(store).decisions_of("r").decisions
    assert (row.blind_first, row.shown, row.light) == (True, None, "red")


def test_who_looks_before_rating_has_seen_the_light(say: Say) -> None:
    say("next", "--blind")
    assert "r: red" in say("show", "r")[1]
    code, _, err = say("decide", "r", "--rating", "accept")
    assert code == 2
    assert "overrules the red light" in err


def test_overruling_without_a_reason_is_refused_and_keeps_nothing(say: Say, a_store_of_cases: str) -> None:
    code, _, err = say("decide", "g", "--rating", "reject")
    assert (code, "choose a reason or write a note" in err) == (2, True)
    with Store(a_store_of_cases) as store:
        assert store.counts()["decisions"] == 0


def test_a_case_that_another_reads_is_not_rated(say: Say) -> None:
    say("next", reader="CD")
    code, _, err = say("decide", "r", "--rating", "minor_edit")
    assert (code, "being read by CD" in err) == (2, True)


def test_undoing_adds_a_row_and_the_case_waits_again(say: Say) -> None:
    say("next")
    say("decide", "r", "--rating", "minor_edit")
    assert "waits for you again" in say("undo", "r")[1]
    _, shown, _ = say("show", "r")
    assert "Withdrawn: Minor edit, by AB" in shown
    assert say("next")[1].startswith("r: red")
    code, _, err = say("undo", "r")
    assert (code, "no rating of r by AB" in err) == (2, True)


def test_each_reader_gets_every_case_once_and_then_none(say: Say) -> None:
    for name in ("r", "x", "a", "g"):
        assert say("next", "--readings", "2")[1].startswith(f"{name}: ")
        if name != "x":
            say("decide", name, "--rating", "minor_edit")
        else:
            assert say("decide", "x", "--rating", "bad_image")[0] == 2
            break


def test_a_share_of_the_green_cases_can_be_left_out(say: Say) -> None:
    assert say("next", "--light", "green", "--green-share", "0")[1].startswith("No case waits")
    assert say("next", "--light", "green", "--green-share", "1")[1].startswith("g: green")


def test_agreement_counts_pairs_and_overruling(say: Say) -> None:
    for reader, rating in (("AB", "minor_edit"), ("CD", "minor_edit"), ("EF", "accept")):
        say("decide", "r", "--rating", rating, "--note", "n", reader=reader)
    _, out, _ = say("agreement")
    assert "3 ratings stand, 0 were withdrawn" in out
    assert "1 overrule the light" in out
    assert "AB and CD: the same rating in 1 of 1 cases, kappa not defined" in out
    assert "AB and EF: the same rating in 0 of 1 cases" in out


def test_decisions_are_written_as_a_table_once(say: Say, tmp_path: Path) -> None:
    say("decide", "r", "--rating", "minor_edit", "--note", "=1+1")
    target = tmp_path / "d.json"
    assert say("export", "--output", str(target))[0] == 0
    (row,) = json.loads(target.read_text(encoding="utf-8"))
    assert (row["case_id"], row["reader"], row["shown_light"], row["note"]) == ("r", "AB", "red", "=1+1")
    code, _, err = say("export", "--output", str(target))
    assert (code, "was kept" in err) == (2, True)
    code, _, err = say("export", "--output", str(tmp_path / "d.xlsx"))
    assert (code, ".parquet" in err) == (2, True)


def test_a_reader_is_named_or_set_once(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = say("next", reader=None)
    assert (code, "needs a name" in err) == (2, True)
    monkeypatch.setenv(review.READER_VARIABLE, "Zoë")
    say("next", reader=None)
    assert "being read by Zoë" in say("show", "r")[1]


@pytest.mark.parametrize("asked", [("show", "nobody"), ("decide", "nobody", "--rating", "reject"), ("undo", "nobody")])
def test_a_case_that_is_not_there_is_a_sentence(say: Say, asked: tuple[str, ...]) -> None:
    code, _, err = say(*asked)
    assert (code, "holds no case nobody" in err) == (2, True)
