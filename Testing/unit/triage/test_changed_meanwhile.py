"""A file that goes away or changes while it is assessed is no case's fault; a model that changes ends the batch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.triage import judging, running
from BottleneckOODLib.triage.finding import find_volumes
from BottleneckOODLib.triage.judging import Done, Job, Judge
from BottleneckOODLib.triage.running import Summary, run_batch
from BottleneckOODLib.triage.scheduling import Workers
from BottleneckOODLib.triage.store import Store

MakeAssessment = Callable[..., Assessment]
WriteScan = Callable[..., Path]
JUDGE = "ab" * 32


class Team:
    """One worker; the test says what happens before it answers."""

    room = 1

    def __init__(self, make: MakeAssessment, *, readable: bool) -> None:
        self.make, self.readable = make, readable
        self.meanwhile: Callable[[], object] = lambda: None
        self.job: Job | None = None

    def hand_over(self, job: Job) -> None:
        self.job = job

    def next_done(self) -> Done:
        assert self.job is not None
        self.meanwhile()
        if not self.readable:
            return Done(self.job.case_id, "", "", "The file is cut off; copy it again.", True, 0.1)
        record = record_text(replace(self.make("amber"), case_id=self.job.case_id))
        return Done(self.job.case_id, record, f"out/{self.job.case_id}", "", True, 0.1)


@pytest.fixture(params=[True, False], ids=["readable", "unreadable"])
def a_team(request: pytest.FixtureRequest, make_assessment: MakeAssessment) -> Team:
    return Team(make_assessment, readable=request.param)


@pytest.fixture
def run(a_store: Store, a_team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Summary]:
    monkeypatch.setattr(running, "fingerprint_of", lambda _judge: JUDGE)

    @contextmanager
    def team() -> Iterator[Workers]:
        yield a_team

    return lambda: run_batch(
        a_store, find_volumes(tmp_path / "scans", "files"), tmp_path / "out", Judge("m"), workers=team()
    )


@pytest.mark.parametrize("what", ["deleted", "the drive goes", "overwritten"])
def test_what_goes_away_or_changes_is_assessed_the_next_time(
    run: Callable[[], Summary], a_store: Store, a_team: Team, write_scan: WriteScan, tmp_path: Path, what: str
) -> None:
    path = write_scan("ct.nrrd", 1)
    shutil.copytree(tmp_path / "scans", tmp_path / "kept")
    happens = {
        "deleted": path.unlink,
        "the drive goes": lambda: shutil.rmtree(tmp_path / "scans"),
        "overwritten": lambda: path.write_bytes(path.read_bytes() + b"more"),
    }
    a_team.meanwhile = happens[what]
    summary = run()
    assert a_store.counts()["assessments"] == 0
    assert [item.path.name for item in summary.passed_over] == ["ct.nrrd"]
    assert "run triage again" in summary.passed_over[0].reason
    shutil.rmtree(tmp_path / "scans", ignore_errors=True)
    shutil.copytree(tmp_path / "kept", tmp_path / "scans")
    a_team.meanwhile = lambda: None
    assert run().passed_over == []
    assert a_store.counts()["assessments"] == 1
    assert a_store.is_judged("ct", JUDGE)


class Logic:
    """What a worker's process finds in the folders now."""

    fingerprints: tuple[str, str] = ("model", "reference")

    def __init__(self, *_named: object, **_how: object) -> None:
        self.model, self.reference = (type("Folder", (), {"fingerprint": f}) for f in Logic.fingerprints)


def test_a_worker_that_finds_another_model_says_so_and_judges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("BottleneckOODLib.logic.BottleneckOODLogic", Logic)
    judging._logic.cache_clear()
    judge = Judge("m", trust_files=True)
    begun = judging.fingerprint_of(judge)
    job = Job("ct", "scans/ct.nrrd", None, "out", judge, begun)
    warm = judging._logic_of(job)
    monkeypatch.setattr(Logic, "fingerprints", ("model", "another reference"))
    # Who has read the old one goes on with it, all of it.
    assert judging._logic_of(job) is warm
    # Who starts now finds the new one, and must not answer for the old.
    judging._logic.cache_clear()
    with pytest.raises(ModelError, match=r"replaced meanwhile, run it again: what was assessed is kept"):
        judging._logic_of(job)
    # A worker that outlives a batch is told of the next one's.
    assert judging._logic_of(replace(job, fingerprint=judging.fingerprint_of(judge))) is not warm
    judging._logic.cache_clear()
