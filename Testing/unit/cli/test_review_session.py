"""A sitting: one case after the other, one key each, with and without a terminal."""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.cli.review_session import Session
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.rating import rate, undo
from BottleneckOODLib.triage.schema import WorkRow
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Wish, Worklist

MakeAssessment = Callable[..., Assessment]
Sit = Callable[..., str]
COMMAND = [sys.executable, "-m", "BottleneckOODLib.cli.main", "review", "session", "--reader", "AB"]


@pytest.fixture
def a_store_of_cases(make_assessment: MakeAssessment, tmp_path: Path) -> str:
    """``r`` red, ``a`` amber, ``g`` green, and ``x`` that could not be read; the overview of ``r`` is there."""
    path = str(tmp_path / "t.db")
    with Store(path) as store:
        for name, light in {"g": "green", "r": "red", "a": "amber"}.items():
            case_id = store.note_case(name * 64, name, Place(f"scans/{name}.nii.gz", "", "1"))
            folder = tmp_path / "out" / name
            folder.mkdir(parents=True)
            store.add_assessment(case_id, "j", replace(make_assessment(light), case_id=case_id), str(folder), 1.0)
        store.note_case("x" * 64, "x", Place("scans/x.nii.gz", "", "1"))
        store.add_failure("x", "j", "It is cut off.", 0.1)
    for name in ("overview.png", "thumbnail.jpg"):
        (tmp_path / "out" / "r" / name).write_bytes(b"a picture")
    return path


@pytest.fixture
def sit(a_store_of_cases: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sit:
    """A sitting whose keys come as lines."""

    def run(*lines: str, options: tuple[str, ...] = ()) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        assert main(["review", "session", "--store", a_store_of_cases, "--reader", "AB", *options]) == 0
        return capsys.readouterr().out

    return run


def ratings_in(path: str) -> dict[str, list[str]]:
    with Store(path) as store:
        return {case: [row.rating for row in log.decisions] for case, log in StoredDecisions(store).all()}


def claimed_in(path: str) -> int:
    with Store(path) as store:
        return Worklist(store).count(Wish(state="claimed"))


def test_each_key_rates_the_case_that_is_shown_and_gives_the_next(sit: Sit, a_store_of_cases: str) -> None:
    told = sit("5", "2", "1")
    assert ratings_in(a_store_of_cases) == {"r": ["bad_image"], "a": ["minor_edit"], "g": ["accept"]}
    assert [line.split(":")[0] for line in told.splitlines() if line[:1] in "rxag" and line[1:2] == ":"] == list("rag")
    assert told.endswith("No case waits for you.\n3 rated, 0 skipped.\n")
    assert claimed_in(a_store_of_cases) == 0


def test_a_case_is_shown_with_its_sentence_its_image_and_its_picture(sit: Sit, tmp_path: Path) -> None:
    told = sit("q")
    assert "r: red" in told
    assert "review the mask" in told
    assert "image:   scans/r.nii.gz" in told
    assert f"picture: {tmp_path / 'out' / 'r' / 'overview.png'}" in told
    assert "1 accept, 2 minor edit, 3 major edit, 4 reject, 5 bad image; s skip, u undo, q end" in told


@pytest.mark.parametrize("last", [["q"], []], ids=["the key", "the end of the input"])
def test_ending_gives_the_case_back_unrated(sit: Sit, a_store_of_cases: str, last: list[str]) -> None:
    assert sit(*last).endswith("0 rated, 0 skipped.\n")
    assert ratings_in(a_store_of_cases) == {}
    assert claimed_in(a_store_of_cases) == 0


@pytest.mark.parametrize("keys", [["", "x", "0", "6", "?", "ä"]])
def test_other_keys_rate_nothing(sit: Sit, a_store_of_cases: str, keys: list[str]) -> None:
    assert sit(*keys, "q").count("r waits for one of these keys") == len(keys)
    assert ratings_in(a_store_of_cases) == {}


def test_undo_withdraws_the_last_rating_and_shows_its_case_again(sit: Sit, a_store_of_cases: str) -> None:
    told = sit("u", "4", "u", "3", "q")
    assert "Nothing was rated in this session." in told
    assert 'r: "Reject" is withdrawn.' in told
    assert ratings_in(a_store_of_cases) == {"r": ["reject", "withdrawn", "major_edit"]}
    assert claimed_in(a_store_of_cases) == 0


@pytest.mark.parametrize(
    ("why", "kept"),
    [
        (["f"], (("mask_fits",), "")),
        (["n", " fits in every slice "], ((), "fits in every slice")),
        (["z"], None),
        (["n", "  "], None),
    ],
)
def test_overruling_the_light_needs_a_reason(
    sit: Sit, a_store_of_cases: str, why: list[str], kept: tuple[tuple[str, ...], str] | None
) -> None:
    told = sit("1", *why, "q")
    assert '"Accept" overrules the red light' in told
    with Store(a_store_of_cases) as store:
        rows = StoredDecisions(store).decisions_of("r").decisions
    assert [(row.reasons, row.note) for row in rows] == ([] if kept is None else [kept])


def test_a_case_without_a_mask_is_given_to_nobody(sit: Sit, a_store_of_cases: str) -> None:
    assert "x: grey" not in sit("s", "s", "s", "s", "q")
    assert ratings_in(a_store_of_cases) == {}


def test_the_light_is_hidden_until_the_mask_is_rated(sit: Sit, a_store_of_cases: str, tmp_path: Path) -> None:
    told = sit("1", "u", "q", options=("--blind",))
    before, after = told.split("  Accept", 1)
    assert "red" not in before.replace("have rated", "")
    assert f"picture: {tmp_path / 'out' / 'r' / 'thumbnail.jpg'}" in before
    assert "The light is red: " in after
    # What has been seen is not hidden again.
    assert "r: red" in after
    with Store(a_store_of_cases) as store:
        first, _ = StoredDecisions(store).decisions_of("r").decisions
    assert (first.blind_first, first.shown) == (True, None)


class AHand:
    """Presses keys, each of which may do something else first."""

    def __init__(self, *keys: str | Callable[[], str]) -> None:
        self._keys = list(keys)

    def forget(self) -> None:
        pass

    def key(self) -> str:
        key = self._keys.pop(0)
        return key if isinstance(key, str) else key()

    def line(self) -> str:
        raise AssertionError


def test_a_light_that_was_seen_after_a_rating_is_not_hidden_in_the_next_sitting(
    sit: Sit, a_store_of_cases: str
) -> None:
    sit("1", "u", "q", options=("--blind",))
    assert "r: red" in sit("4", "q", options=("--blind",))
    with Store(a_store_of_cases) as store:
        first, _, last = StoredDecisions(store).decisions_of("r").decisions
    assert (first.shown, last.blind_first, last.shown is not None) == (None, False, True)


def test_a_claim_that_ran_out_and_was_another_readers_tells_no_light(
    a_store_of_cases: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(a_store_of_cases) as store:

        def late() -> str:
            with store.writing() as session:
                session.execute(update(WorkRow).values(claimed_until=1.0))
            assert Worklist(store).claim("r", "CD")
            rate(store, "r", "reject", reader="CD")
            return "1"

        Session(store, "AB", Wish(), AHand(late, "q"), blind=True).run()
        row = StoredDecisions(store).decisions_of("r").decisions[-1]
    assert (row.reader, row.rating, row.blind_first, row.shown) == ("AB", "accept", True, None)
    assert "overrules" not in capsys.readouterr().out


def test_a_case_that_is_assessed_anew_is_shown_anew_before_it_is_rated(
    a_store_of_cases: str, make_assessment: MakeAssessment, capsys: pytest.CaptureFixture[str]
) -> None:
    again = replace(make_assessment("green"), case_id="r", created="2031-01-01T00:00:00+00:00")
    with Store(a_store_of_cases) as store:

        def meanwhile() -> str:
            assert store.add_assessment("r", "another", again, "", 1.0)
            return "4"

        Session(store, "AB", Wish(), AHand(meanwhile, "2", "q"), blind=False).run()
        (row,) = StoredDecisions(store).decisions_of("r").decisions
    assert (row.rating, row.light, row.versions.assessment_created) == ("minor_edit", "green", again.created)
    told = capsys.readouterr().out
    assert told.index("r: red") < told.index("was assessed anew") < told.index("r: green")


def test_a_rating_that_was_withdrawn_elsewhere_ends_no_sitting(
    a_store_of_cases: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(a_store_of_cases) as store:

        def elsewhere() -> str:
            undo(store, "r", reader="AB")
            return "u"

        Session(store, "AB", Wish(), AHand("4", elsewhere, "2", "q"), blind=False).run()
    assert "no rating of r by AB to withdraw" in capsys.readouterr().out
    assert ratings_in(a_store_of_cases) == {"r": ["reject", "withdrawn"], "a": ["minor_edit"]}


def test_a_case_of_another_reader_is_not_given(sit: Sit, a_store_of_cases: str) -> None:
    with Store(a_store_of_cases) as store:
        claimed = Worklist(store).claim_next("CD")
    assert claimed is not None
    assert claimed.case_id == "r"
    assert "a: amber" in sit("q")


@pytest.fixture
def a_terminal() -> Iterator[tuple[int, int]]:
    """Both ends of one."""
    pty = pytest.importorskip("pty", reason="this system has no such terminals")
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def begun_in(terminal: int, store: str, repository: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "--store", store],
        stdin=terminal, stdout=terminal, stderr=subprocess.STDOUT, cwd=repository / "BottleneckOOD",
    )  # fmt: skip


def read_until(descriptor: int, wanted: str, told: list[str]) -> None:
    deadline = time.monotonic() + 300
    while wanted not in told[0]:
        assert select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))[0], told[0]
        try:
            told[0] += os.read(descriptor, 4096).decode("utf-8", "replace").replace("\r\n", "\n")
        except OSError:
            assert wanted in told[0], told[0]
    told[0] = told[0].partition(wanted)[2]


def test_in_a_terminal_a_key_works_without_enter_and_a_note_with_it(
    a_store_of_cases: str, a_terminal: tuple[int, int], repository: Path
) -> None:
    import termios

    ours, theirs = a_terminal
    before = termios.tcgetattr(theirs)
    process = begun_in(theirs, a_store_of_cases, repository)
    told = [""]
    try:
        for wanted, keys in [
            # Page Up, whose last signs but one are a key of ours; and one key that bounces.
            ("r: red", ""), ("q end", "\x1b[5~"), ("r waits for one of these keys", "44"),
            ("a: amber", ""), ("q end", "2"), ("g: green", ""), ("q end", "4"), ("n note", "n"),
            ("  note: ", "Kuppel fehlt ä\n"), ("3 rated", ""),
        ]:  # fmt: skip
            read_until(ours, wanted, told)
            os.write(ours, keys.encode())
        assert process.wait(timeout=120) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(theirs)
    assert ratings_in(a_store_of_cases) == {"r": ["reject"], "a": ["minor_edit"], "g": ["reject"]}
    with Store(a_store_of_cases) as store:
        (row,) = StoredDecisions(store).decisions_of("g").decisions
    assert row.note == "Kuppel fehlt ä"


@pytest.mark.usefixtures("hearing_interrupts")
def test_interrupting_in_a_terminal_gives_the_case_back_and_the_terminal_as_it_was(
    a_store_of_cases: str, a_terminal: tuple[int, int], repository: Path
) -> None:
    import signal
    import termios

    ours, theirs = a_terminal
    before = termios.tcgetattr(theirs)
    process = begun_in(theirs, a_store_of_cases, repository)
    told = [""]
    try:
        read_until(ours, "q end", told)
        process.send_signal(signal.SIGINT)
        read_until(ours, "0 rated", told)
        assert process.wait(timeout=120) == 130
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(theirs)
    assert claimed_in(a_store_of_cases) == 0
