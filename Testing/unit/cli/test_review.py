"""A reader is given a case, rates it, undoes it; a rating that overrules what was seen needs a reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import RATING_WORDS, REASON_WORDS
from BottleneckOODLib.cli import review
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.cli.review_options import READER_VARIABLE
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Store

MakeAssessment = Callable[..., Assessment]
NEWER = "2031-01-01T00:00:00+00:00"


@pytest.fixture
def a_store_of_cases(make_assessment: MakeAssessment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """``r`` red, ``a`` amber, ``g`` green, and ``x`` that could not be read; who rates has looked for half a minute."""
    monkeypatch.delenv(READER_VARIABLE, raising=False)
    # What is rounded to nothing counts as not known, as where two commands follow each other at once.
    monkeypatch.setattr("BottleneckOODLib.triage.rating.time", SimpleNamespace(time=lambda: time.time() + 30.0))
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
        named = [] if reader is None or action in ("agreement", "export") else ["--reader", reader]
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
    assert say("next", reader="CD")[1].startswith("a: amber\n")


def test_a_case_without_a_mask_is_given_to_nobody_and_hides_nothing(say: Say) -> None:
    for case, words in (("r", ["reject", "--reason", "contour_off"]), ("a", ["minor_edit"]), ("g", ["accept"])):
        assert say("next")[1].startswith(f"{case}: ")
        assert say("decide", case, "--rating", *words)[0] == 0
    assert say("next")[1].startswith("No case waits for you")
    assert say("show", "x")[1].startswith("x: grey\n")


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


def test_who_looks_does_not_look_for_another(say: Say, a_store_of_cases: str) -> None:
    say("next", "--blind")
    assert "r: red" in say("show", "r", reader="CD")[1]
    code, out, _ = say("decide", "r", "--rating", "accept")
    assert (code, "before the light was shown" in out) == (0, True)
    with Store(a_store_of_cases) as store:
        (row,) = StoredDecisions(store).decisions_of("r").decisions
    assert (row.blind_first, row.shown) == (True, None)
    # It was CD who saw it, so there is nothing to be rated first.
    assert say("next", "--blind", "--readings", "2", reader="cd")[1].startswith("r: red")


def test_who_does_not_say_who_looks_is_not_told_a_hidden_light(
    say: Say, a_store_of_cases: str, tmp_path: Path, make_assessment: MakeAssessment
) -> None:
    folder = tmp_path / "again"
    folder.mkdir()
    for name in ("overview.png", "thumbnail.jpg"):
        (folder / name).write_bytes(b"a picture")
    with Store(a_store_of_cases) as store:
        newer = replace(make_assessment("red", created=NEWER), case_id="r")
        assert store.add_assessment("r", "another", newer, str(folder), 1.0)
    say("decide", "r", "--rating", "reject", reader="CD")
    assert say("next", "--blind", "--readings", "2")[1].startswith("r\n")
    _, out, _ = say("show", "r", reader=None)
    assert "The light is hidden: AB rates the mask first." in out
    assert "--reader" in out
    # Neither the light, nor its sentence, nor what it says in the picture, nor what CD said seeing it.
    for told in ("red", "review the mask", "overview.png", "Reject"):
        assert told not in out.replace("--reader", "").replace("reading", "").replace("hidden", "")
    assert f"picture: {folder / 'thumbnail.jpg'}" in out
    assert "before the light was shown" in say("decide", "r", "--rating", "accept")[1]
    # Nobody is to rate it any more, and what nobody hides is shown to everybody.
    assert say("show", "r", reader=None)[1].startswith("r: red\n")


@pytest.mark.parametrize("again", ["next", "show"])
def test_a_case_that_was_assessed_anew_is_not_rated_unseen(
    say: Say, a_store_of_cases: str, make_assessment: MakeAssessment, again: str
) -> None:
    assert say("next")[1].startswith("r: red\n")
    with Store(a_store_of_cases) as store:
        newer = replace(make_assessment("green", created=NEWER), case_id="r")
        assert store.add_assessment("r", "another", newer, "", 1.0)
    code, out, err = say("decide", "r", "--rating", "reject")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "The case r was assessed anew since it was shown to you; show it again" in err
    with Store(a_store_of_cases) as store:
        assert store.counts()["decisions"] == 0
    assert say(again, *(["r"] if again == "show" else []))[1].startswith("r: green\n")
    assert say("decide", "r", "--rating", "accept")[0] == 0
    with Store(a_store_of_cases) as store:
        (row,) = StoredDecisions(store).decisions_of("r").decisions
    assert (row.light, row.versions.assessment_created, row.seconds > 0) == ("green", NEWER, True)


def test_a_reader_is_the_same_however_the_name_is_typed(say: Say) -> None:
    assert say("next", reader="Zoë")[1].startswith("r: ")
    assert say("next", reader="zoë")[1].startswith("r: ")
    assert say("decide", "r", "--rating", "minor_edit", reader=" ZOË")[0] == 0
    assert say("next", "--readings", "2", reader="zoë")[1].startswith("a: ")
    say("decide", "r", "--rating", "reject", reader="zoë")
    say("decide", "r", "--rating", "reject", reader="CD")
    assert "CD and ZOË: the same rating in 1 of 1 cases" in say("agreement")[1]
    assert '"Reject" by zoë is withdrawn; your rating "Minor edit" stands' in say("undo", "r", reader="Zoë")[1]


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
    for reader in ("AB", "CD"):
        for name in ("r", "a", "g"):
            assert say("next", "--readings", "2", reader=reader)[1].startswith(f"{name}: ")
            assert say("decide", name, "--rating", "minor_edit", "--note", "n", reader=reader)[0] == 0
        assert say("next", "--readings", "2", reader=reader)[1].startswith("No case waits for you")
    assert say("decide", "x", "--rating", "bad_image")[0] == 2


def test_a_share_of_the_green_cases_can_be_left_out(say: Say) -> None:
    assert say("next", "--light", "green", "--green-share", "0")[1].startswith("No case waits")
    assert say("next", "--light", "green", "--green-share", "1")[1].startswith("g: green")


def test_agreement_counts_pairs_and_overruling(say: Say) -> None:
    for reader, rating in (("AB", "minor_edit"), ("CD", "minor_edit"), ("EF", "accept")):
        say("decide", "r", "--rating", rating, "--note", "n", reader=reader)
    _, out, _ = say("agreement")
    assert "Ratings that stand: 3; withdrawn: 0" in out
    assert "1 overrule the light" in out
    assert "AB and CD: the same rating in 1 of 1 cases, kappa not defined" in out
    assert "AB and EF: the same rating in 0 of 1 cases" in out


def test_a_rating_of_a_case_that_was_not_given_has_no_time(say: Say, tmp_path: Path) -> None:
    say("show", "g")
    say("decide", "g", "--rating", "accept")
    assert "no time is known" in say("agreement")[1]
    say("next")
    say("decide", "r", "--rating", "reject")
    assert "(of the 1 whose time is known)" in say("agreement")[1]
    say("export", "--output", str(tmp_path / "d.json"))
    rows = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))
    assert [row["seconds"] is None for row in rows] == [True, False]


def test_a_case_is_shown_with_where_its_image_its_picture_and_its_mask_lie(
    say: Say, a_store_of_cases: str, make_assessment: MakeAssessment, no_picture: None, tmp_path: Path
) -> None:
    assessment = make_assessment("amber", case_id="b")
    folder = assessment.save(tmp_path / "results")
    with Store(a_store_of_cases) as store:
        assert store.note_case("b" * 64, "b", Place("scans/b.nii.gz", "", "1")) == "b"
        store.add_assessment("b", "j", assessment, str(folder), 1.0)
    out = say("show", "b")[1]
    assert "image:   scans/b.nii.gz" in out
    assert f"picture: {folder / 'overview.png'}" in out
    assert f"mask:    {folder / 'segmentation.seg.nrrd'}" in out
    # What is not there is not named.
    (folder / "overview.png").unlink()
    assert "picture:" not in say("show", "b")[1]


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
    monkeypatch.setenv(READER_VARIABLE, "Zoë")
    say("next", reader=None)
    assert "being read by Zoë" in say("show", "r")[1]


@pytest.mark.parametrize("asked", [("show", "nobody"), ("decide", "nobody", "--rating", "reject"), ("undo", "nobody")])
def test_a_case_that_is_not_there_is_a_sentence(say: Say, asked: tuple[str, ...]) -> None:
    code, _, err = say(*asked)
    assert (code, "holds no case nobody" in err) == (2, True)
