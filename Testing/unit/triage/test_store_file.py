"""A store that is deleted, replaced, or whose drive goes away while it is open: nothing is kept nowhere."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

MakeAssessment = Callable[..., Assessment]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")


def filled(path: Path, make: MakeAssessment) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with Store(str(path)) as store:
        for name in "ab":
            case_id = store.note_case(name * 64, name, Place(f"scans/{name}.nii.gz", "", "1"))
            store.add_assessment(case_id, "j", replace(make("red"), case_id=case_id), f"out/{name}", 1.0)
    return path


def rate(store: Store, case_id: str) -> None:
    assessment = store.assessment_of(case_id)
    assert assessment is not None
    StoredDecisions(store).add(decide(assessment, "minor_edit", reader="AB", note="n", shown=shown_of(assessment)))


def gone(path: Path) -> None:
    for one in path.parent.glob("t.db*"):
        one.unlink()


def replaced(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(path.with_name("copy"))) as copy:
        database.backup(copy)
    gone(path)
    path.with_name("copy").rename(path)


def folder_gone(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("happens", [gone, replaced, folder_gone])
def test_a_decision_on_a_store_that_went_away_is_refused(
    tmp_path: Path, make_assessment: MakeAssessment, happens: Callable[[Path], None]
) -> None:
    path = filled(tmp_path / "team" / "t.db", make_assessment)
    with Store(str(path)) as store:
        rate(store, "a")
        assessment = store.assessment_of("b")
        assert assessment is not None
        row = decide(assessment, "minor_edit", reader="AB", note="n", shown=shown_of(assessment))
        happens(path)
        for ask in (lambda: StoredDecisions(store).add(row), lambda: Worklist(store).claim_next("AB"), store.counts):
            with pytest.raises(StoreError, match=r"t\.db was removed or replaced.*not kept: put it back"):
                ask()
    assert happens is replaced or not path.exists()
    if happens is replaced:
        with Store(str(path)) as store:
            assert store.counts()["decisions"] == 1


@pytest.mark.parametrize("happens", [gone, folder_gone])
def test_also_in_the_middle_of_a_transaction(
    tmp_path: Path, make_assessment: MakeAssessment, happens: Callable[[Path], None]
) -> None:
    path = filled(tmp_path / "team" / "t.db", make_assessment)

    def half_of_it(store: Store) -> None:
        with store.writing() as session:
            session.execute(text("UPDATE worklist SET claimed_by = 'AB'"))
            happens(path)

    with Store(str(path)) as store, pytest.raises(StoreError, match="removed or replaced"):
        half_of_it(store)


def in_memory(folder: Path, *options: str) -> None:
    """Mount a file system of its own, or skip."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root mounts file systems")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode(errors='replace').strip()}")


def test_a_drive_that_goes_away_under_an_open_store_is_a_sentence(
    tmp_path: Path, make_assessment: MakeAssessment
) -> None:
    drive = tmp_path / "drive"
    in_memory(drive)
    try:
        path = filled(drive / "t.db", make_assessment)
        with Store(str(path)) as store:
            rate(store, "a")
            subprocess.run(["umount", "-l", drive], check=True)
            with pytest.raises(StoreError, match="its drive went away"):
                rate(store, "b")
        assert list(drive.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", drive], check=False, capture_output=True)


@pytest.mark.parametrize(
    "words",
    [
        ["decide", "a", "--rating", "minor_edit", "--reader", "AB"],
        ["next", "--reader", "AB"],
        ["export", "--output", "{folder}/d.csv"],
    ],
)
def test_a_read_only_drive_is_a_sentence_and_keeps_what_it_has(
    tmp_path: Path, make_assessment: MakeAssessment, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    drive = tmp_path / "drive"
    in_memory(drive)
    try:
        path = filled(drive / "t.db", make_assessment)
        before = path.read_bytes()
        subprocess.run(["mount", "-o", "remount,ro", drive], check=True)
        asked = [word.format(folder=drive) for word in words]
        assert main(["review", *asked, "--store", str(path)]) == 2
        told = capsys.readouterr().err.strip()
        assert told.startswith("bottleneck-ood: The ")
        assert told.endswith(".")
        assert path.read_bytes() == before
    finally:
        subprocess.run(["umount", "-l", drive], check=False, capture_output=True)
