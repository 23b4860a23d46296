"""Each case once, whatever is added, moved, copied, broken or killed; what is acknowledged is in the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.errors import Cancelled, OutputError
from BottleneckOODLib.progress import CancelToken, Progress
from BottleneckOODLib.triage import running
from BottleneckOODLib.triage.finding import Candidate, find_volumes
from BottleneckOODLib.triage.judging import Done, Job, Judge
from BottleneckOODLib.triage.running import Summary, run_batch
from BottleneckOODLib.triage.scheduling import Workers
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

MakeAssessment = Callable[..., Assessment]
WriteScan = Callable[..., Path]


class Team:
    """Workers that say what the test wants; the last job handed over is done first."""

    def __init__(self, make: MakeAssessment, room: int) -> None:
        self.make, self.room = make, room
        self.jobs: list[Job] = []
        self.done: list[str] = []
        self.outcome: Callable[[Job], Done | Exception | None] = lambda _: None

    def hand_over(self, job: Job) -> None:
        self.jobs.append(job)

    def next_done(self) -> Done:
        job = self.jobs.pop()
        wanted = self.outcome(job)
        if isinstance(wanted, Exception):
            raise wanted
        self.done.append(job.case_id)
        assessment = replace(self.make("amber"), case_id=job.case_id)
        return wanted or Done(job.case_id, record_text(assessment), f"{job.output}/{job.case_id}", "", True, 0.5)


@pytest.fixture(params=[1, 4], ids=["one_at_a_time", "several"])
def a_team(request: pytest.FixtureRequest, make_assessment: MakeAssessment) -> Team:
    return Team(make_assessment, request.param)


@pytest.fixture
def run(a_store: Store, a_team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Summary]:
    monkeypatch.setattr(running, "fingerprint_of", lambda judge: judge.model * 8)

    @contextmanager
    def team() -> Iterator[Workers]:
        yield a_team

    def batch(model: str = "abcdefgh", **options: object) -> Summary:
        found = find_volumes(tmp_path / "scans", "files")
        judge = Judge(model)
        return run_batch(a_store, found, tmp_path / "out", judge, workers=team(), **options)  # type: ignore[arg-type]

    return batch


def test_each_case_is_assessed_once(run: Callable[..., Summary], a_team: Team, write_scan: WriteScan) -> None:
    for number in range(6):
        write_scan(f"case{number}.nrrd", number)
    assert run().assessed == 6
    again = run()
    assert (again.assessed, again.known) == (0, 6)
    assert sorted(a_team.done) == [f"case{n}" for n in range(6)]


def test_cases_that_were_added_moved_or_copied_are_picked_up(
    run: Callable[..., Summary], a_store: Store, write_scan: WriteScan, tmp_path: Path
) -> None:
    first = write_scan("a.nrrd", 1)
    run()
    (tmp_path / "scans" / "later").mkdir()
    shutil.move(first, tmp_path / "scans" / "later" / "renamed.nrrd")
    write_scan("new.nrrd", 2)
    shutil.copy(tmp_path / "scans" / "new.nrrd", tmp_path / "scans" / "z-copy.nrrd")
    summary = run()
    assert (summary.assessed, summary.known, summary.copies) == (1, 1, 1)
    assert a_store.counts()["cases"] == 2
    assert a_store.places_of("a")[0].path.endswith("renamed.nrrd")


def test_another_model_judges_again_into_a_folder_of_its_own(
    run: Callable[..., Summary], a_store: Store, write_scan: WriteScan
) -> None:
    write_scan("a.nrrd")
    run()
    (first,) = a_store.results()
    assert run(model="ijklmnop").assessed == 1
    (second,) = a_store.results()
    assert first.folder != second.folder
    assert a_store.counts() == {"cases": 1, "assessments": 2, "decisions": 0}


def test_a_bad_case_has_its_reason_and_the_others_are_done(
    run: Callable[..., Summary], a_team: Team, a_store: Store, write_scan: WriteScan
) -> None:
    for name in "abc":
        write_scan(f"{name}.nrrd", ord(name))
    bad = "The file b.nrrd is cut off; copy it again."
    a_team.outcome = lambda job: Done("b", "", "", bad, True, 0.1) if job.case_id == "b" else None
    summary = run()
    assert (summary.assessed, summary.unreadable) == (2, [f"b: {bad}"])
    assert Worklist(a_store).page()[0].case_id == "b"
    assert run().known == 3


def test_a_file_that_went_away_is_not_named_where_no_case_is(
    a_store: Store, a_team: Team, write_scan: WriteScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "fingerprint_of", lambda _judge: "f" * 64)
    slices = tuple(write_scan(f"study/Doe-{number}.nrrd", number) for number in range(3))
    found = [Candidate(slices[0].parent, slices, None, "")]
    slices[1].unlink()
    summary = run_batch(a_store, found, tmp_path / "out", Judge(), workers=nullcontext(a_team))
    assert a_team.jobs == []
    assert [item.reason for item in summary.passed_over] == [
        "a file of it cannot be read; check that it is there and its permissions"
    ]


def test_a_label_map_is_passed_over_and_does_not_wait_for_a_reader(
    run: Callable[..., Summary], a_team: Team, a_store: Store, write_scan: WriteScan
) -> None:
    write_scan("labels.nrrd")
    a_team.outcome = lambda job: Done(job.case_id, "", "", "It looks like a label map.", False, 0.1)
    summary = run()
    assert [item.reason for item in summary.passed_over] == ["It looks like a label map."]
    assert Worklist(a_store).count() == 0


def test_a_batch_that_was_stopped_goes_on_where_it_stopped(
    run: Callable[..., Summary], a_team: Team, a_store: Store, write_scan: WriteScan
) -> None:
    for number in range(7):
        write_scan(f"case{number}.nrrd", number)
    token = CancelToken()

    def stop(report: Progress) -> None:
        if report.fraction > 0.5:
            token.cancel()

    with pytest.raises(Cancelled):
        run(progress=stop, cancel=token)
    kept = a_store.counts()["assessments"]
    assert 0 < kept < 7
    assert kept == len(a_team.done)
    assert run().assessed == 7 - kept
    assert sorted(a_team.done) == [f"case{n}" for n in range(7)]


def test_a_full_disk_ends_the_batch_and_blames_no_case(
    run: Callable[..., Summary], a_team: Team, a_store: Store, write_scan: WriteScan
) -> None:
    write_scan("a.nrrd")
    a_team.outcome = lambda _: OutputError("The folder cannot be written (no space left); free space.")
    with pytest.raises(OutputError, match="no space left"):
        run()
    assert a_store.counts() == {"cases": 1, "assessments": 0, "decisions": 0}
    a_team.outcome = lambda _: None
    a_team.jobs.clear()
    assert run().assessed == 1


def test_a_case_whose_folder_was_kept_is_told_and_tried_again(
    run: Callable[..., Summary], a_team: Team, a_store: Store, write_scan: WriteScan
) -> None:
    for name in "abc":
        write_scan(f"{name}.nrrd", ord(name))
    kept = "The folder b holds more than an earlier result and was kept; move that away."
    a_team.outcome = lambda job: Done("b", "", "", kept, True, 0.1, again=True) if job.case_id == "b" else None
    summary = run()
    assert (summary.assessed, summary.not_saved, summary.unreadable) == (2, [f"b: {kept}"], [])
    assert a_store.counts()["assessments"] == 2
    a_team.outcome = lambda _: None
    again = run()
    assert (again.assessed, again.known, again.not_saved) == (1, 2, [])


def test_progress_never_runs_backwards_and_ends_full(run: Callable[..., Summary], write_scan: WriteScan) -> None:
    for number in range(5):
        write_scan(f"case{number}.nrrd", number)
    seen: list[float] = []
    run(progress=lambda report: seen.append(report.fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_case_that_ended_its_workers_is_tried_once_more(
    run: Callable[..., Summary], a_team: Team, a_store: Store, write_scan: WriteScan
) -> None:
    write_scan("a.nrrd", 1)
    write_scan("b.nrrd", 2)
    a_team.outcome = lambda job: Done(job.case_id, "", "", "", True, 0.0, lost=True) if job.case_id == "a" else None
    (told,) = run().unreadable
    assert told.startswith("a: ")
    assert told.endswith("it is tried once more when triage is run again.")
    assert {w.case_id: w.light for w in Worklist(a_store).page()}["a"] == "grey"
    (told,) = run().unreadable
    assert told.endswith("again when it was tried once more; crop it.")
    assert a_team.done.count("b") == 1
    before = len(a_team.done)
    assert (run().known, len(a_team.done)) == (2, before)


def test_a_case_that_ended_its_workers_by_chance_gets_its_result(
    run: Callable[..., Summary], a_team: Team, a_store: Store, write_scan: WriteScan
) -> None:
    write_scan("a.nrrd", 1)
    a_team.outcome = lambda job: Done(job.case_id, "", "", "", True, 0.0, lost=True)
    run()
    a_team.outcome = lambda _job: None
    assert run().assessed == 1
    assert [w.light for w in Worklist(a_store).page()] == ["amber"]


def test_a_case_that_was_not_read_in_time_is_tried_once_more(
    run: Callable[..., Summary], a_team: Team, write_scan: WriteScan
) -> None:
    write_scan("a.nrrd", 1)
    late = "The image a.nrrd was not read after 8 s; copy it."
    a_team.outcome = lambda job: Done(job.case_id, "", "", late, True, 8.0, lost=True)
    assert run().unreadable == [f"a: {late} It is tried once more when triage is run again."]
    assert run().unreadable == [f"a: {late}"]
    assert run().known == 1


def test_two_stores_with_one_output_replace_nothing_of_each_other(
    run: Callable[..., Summary], a_team: Team, a_store: Store, write_scan: WriteScan, tmp_path: Path
) -> None:
    write_scan("ct.nrrd", 1)
    run()
    with Store(str(tmp_path / "another.db")) as another:
        @contextmanager
        def team() -> Iterator[Workers]:
            yield a_team

        found = find_volumes(tmp_path / "scans", "files")
        run_batch(another, found, tmp_path / "out", Judge("abcdefgh"), workers=team())
        folders = {found.folder for store in (a_store, another) for found in store.results()}
    assert len(folders) == 2
    assert {Path(folder).parents[1].name for folder in folders} == {"out"}
