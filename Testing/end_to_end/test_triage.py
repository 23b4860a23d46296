"""A folder of scans becomes an ordered queue, by this process or by several, and after a kill nothing is done twice."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import SimpleITK as sitk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.imaging.volume import Volume, to_sitk
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

N = 5
Words = Callable[..., list[str]]


@pytest.fixture
def scans(make_a_body: Callable[[int], Volume], tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(N):
        body = make_a_body(2000 + number)
        sitk.WriteImage(to_sitk(body.voxels, body.geometry), str(folder / f"body{number}.nii.gz"))
    (folder / "broken.nii.gz").write_bytes((folder / "body0.nii.gz").read_bytes()[:2000])
    return folder


@pytest.fixture
def words(a_model_with_its_reference: tuple[ModelFolder, Path], scans: Path, tmp_path: Path) -> Words:
    model, reference = a_model_with_its_reference
    if model.network_type != "unet":
        pytest.skip("one family is enough to queue cases")
    named = ["--model", str(model.folder), "--reference", str(reference), "--device", "cpu"]
    named += ["--names", "files"]
    return lambda *more: ["triage", str(scans), "--store", str(tmp_path / "t.db"), *named, *more]


def store_of(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "t.db"))


def test_a_folder_becomes_a_queue(words: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words()) == 0
    told = capsys.readouterr().out
    assert f"{N} assessed, 0 known already, 0 copies, 1 could not be read, 0 passed over." in told
    with store_of(tmp_path) as store:
        waiting = Worklist(store).page()
        assert sorted(w.case_id for w in waiting) == [*(f"body{n}" for n in range(N)), "broken"]
        order = [("red", "grey", "amber", "green").index(w.light) for w in waiting]
        assert order == sorted(order)
        for w in waiting:
            kept = store.assessment_of(w.case_id)
            if w.case_id == "broken":
                assert (w.light, kept) == ("grey", None)
                continue
            assert kept is not None
            saved = Assessment.load(w.folder)
            assert (saved.case_id, saved.light, saved.p_value) == (w.case_id, kept.light, kept.p_value)
            assert saved.segmentation is not None
    assert main(words()) == 0
    assert f"0 assessed, {N + 1} known already" in capsys.readouterr().out


def test_several_workers_find_what_one_finds(words: Words, tmp_path: Path, scans: Path) -> None:
    assert main(words()) == 0
    with store_of(tmp_path) as store:
        alone = {f.case_id: (f.light, f.p_value, f.sentence) for f in store.results()}
    (tmp_path / "t.db").rename(tmp_path / "alone.db")
    assert main(words("--workers", "2")) == 0
    with store_of(tmp_path) as store:
        together = {f.case_id: (f.light, f.p_value, f.sentence) for f in store.results()}
    assert together == alone


def test_a_killed_batch_goes_on_and_does_nothing_twice(words: Words, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "BottleneckOODLib.cli.main", *words()]
    killed_after = []
    for wanted in (1, 3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
        while process.poll() is None and rows(tmp_path) < wanted:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed_after.append(rows(tmp_path))
    assert killed_after[0] >= 1
    assert main(words()) == 0
    with store_of(tmp_path) as store:
        assert store.counts()["assessments"] == N + 1
        assert store.counts()["cases"] == N + 1
        for found in store.results():
            if found.folder:
                Assessment.load(found.folder)
    with closing(sqlite3.connect(tmp_path / "t.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def rows(tmp_path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{tmp_path / 't.db'}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM assessments").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "does not answer"),
        (["--store", "nowhere/t.db"], "does not exist"),
        (["--store", "postgresql://me@127.0.0.1:9/t"], "--output"),
        (["--workers", "0"], "--workers"),
        (["--model", "none-such"], "was not found"),
    ],
)
def test_a_wrong_wish_is_one_sentence(
    words: Words, change: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(*change)) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence in told
    assert told.startswith("bottleneck-ood: ")


def test_a_folder_is_told_from_a_store_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["triage", "status", "--store", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "is a folder; name the file" in told
    assert "does not exist" not in told


def test_asking_how_far_it_is_makes_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["triage", "status", "--store", str(tmp_path / "t.db")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_an_empty_batch(words: Words, scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(scans)
    scans.mkdir()
    assert main(words()) == 0
    assert "0 assessed" in capsys.readouterr().out
