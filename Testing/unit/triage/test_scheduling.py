"""A cluster of real processes: what a worker that dies costs, and workers that come later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dask_processes import wait_for_scheduler

from BottleneckOODLib.errors import Cancelled, ModelError, StoreError
from BottleneckOODLib.progress import CancelToken
from BottleneckOODLib.triage import scheduling
from BottleneckOODLib.triage.judging import Done, Job, Judge, carry_out, for_workers
from BottleneckOODLib.triage.scheduling import DaskWorkers, processes_here, workers_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")


@pytest.fixture(scope="module")
def a_cluster() -> Iterator[Any]:
    pytest.importorskip("distributed")
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), processes_here(1) as cluster:
        yield cluster


@pytest.fixture
def a_client(a_cluster: Any) -> Iterator[Any]:
    from distributed import Client

    with Client(a_cluster) as client:
        yield client


def job(name: str, path: Path | str = "") -> Job:
    return Job(name, str(path), None, "", Judge())


@pytest.fixture
def jobs_that_die(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job with a path ends its worker while the file there has a byte left, and takes one."""

    # Inside, so that it is pickled whole: a worker cannot import this file.
    def carry_out(job: Job) -> Done:
        left = Path(job.path).read_bytes() if job.path else b""
        if left:
            Path(job.path).write_bytes(left[1:])
            os.kill(os.getpid(), signal.SIGKILL)
        return Done(job.case_id, "a record", "", "", True, 0.0)

    monkeypatch.setattr(scheduling, "carry_out", carry_out)


def test_a_case_whose_worker_died_is_done_by_another_and_one_that_kills_them_all_is_told(
    a_client: Any, jobs_that_die: None, tmp_path: Path
) -> None:
    once, always = tmp_path / "once", tmp_path / "always"
    once.write_bytes(b"x")
    always.write_bytes(b"x" * 9)
    team = DaskWorkers(a_client, CancelToken())
    for name, path in (("quiet", ""), ("once", once), ("always", always)):
        team.hand_over(job(name, path))
        done = team.next_done()
        assert done.case_id == name
        assert bool(done.record) == (name != "always")
    assert (done.lost, done.record) == (True, "")
    assert done.is_scan
    assert once.read_bytes() == b""


def test_a_process_has_one_thread_and_the_allocator_of_this_one(a_client: Any) -> None:
    a_client.wait_for_workers(1, timeout=300)
    (environment,) = a_client.run(lambda: dict(os.environ)).values()
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment.get("MALLOC_TRIM_THRESHOLD_") == os.environ.get("MALLOC_TRIM_THRESHOLD_")


def test_a_worker_that_died_is_waited_for_however_long_it_takes_to_come_back(a_cluster: Any, a_client: Any) -> None:
    import asyncio

    a_client.wait_for_workers(1, timeout=300)
    # The cluster hears of its workers later than the scheduler.
    end = time.monotonic() + 300
    while set(dict(a_cluster.scheduler_info["workers"])) != set(a_client.nthreads()):
        assert time.monotonic() < end, "the cluster does not hear of its worker"
        time.sleep(0.01)
    delays: list[float] = []

    async def lose(address: str) -> None:
        loop = asyncio.get_running_loop()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "call_later", lambda delay, _look: delays.append(delay))
            # What the cluster does when its scheduler tells that a worker is gone.
            a_cluster._update_worker_status("remove", address)
        a_cluster.scheduler_info["workers"].update(known)

    known = dict(a_cluster.scheduler_info["workers"])
    a_cluster.sync(lose, next(iter(known)))
    assert len(delays) == 1
    assert delays[0] > 24 * 3600


def test_workers_that_come_later_get_jobs(a_cluster: Any, a_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "_COUNT_SECONDS", 0.0)
    team = DaskWorkers(a_client, CancelToken())
    before = team.room
    a_cluster.scale(2)
    a_client.wait_for_workers(2, timeout=300)
    assert (before, team.room) == (2, 4)


def test_folders_are_named_so_that_a_worker_elsewhere_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    handed = for_workers(Judge("mine", "mine"))
    assert (handed.model, handed.reference) == (str(tmp_path / "mine"), str(tmp_path / "mine"))
    # Names are looked up where the worker is, whose library lies elsewhere.
    (tmp_path / "demo").mkdir()
    assert for_workers(Judge("demo", None)) == Judge("demo", None)


def test_a_worker_with_another_model_of_that_name_judges_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the same version everywhere"):
        carry_out(Job("x", str(tmp_path / "no.nii.gz"), None, str(tmp_path), Judge(device="cpu"), "ab" * 32))


def test_a_stop_is_heard_while_a_job_runs(a_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "carry_out", lambda job: time.sleep(30))
    cancel = CancelToken()
    team = DaskWorkers(a_client, cancel)
    team.hand_over(job("long"))
    cancel.cancel()
    with pytest.raises(Cancelled):
        team.next_done()


def test_processes_that_do_not_answer_are_ended_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    closed: list[str] = []

    class ACluster:
        def close(self) -> None:
            closed.append("closed")

    def silent(*_: object, **__: object) -> None:
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(scheduling, "processes_here", lambda _n: ACluster())
    monkeypatch.setattr(distributed, "Client", silent)
    team = workers_for(2, None, CancelToken())
    with pytest.raises(StoreError, match="processes of this machine do not answer"), team:
        pass
    assert closed == ["closed"]


def test_processes_that_cannot_be_started_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")

    def failing(_n: int) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(scheduling, "processes_here", failing)
    team = workers_for(2, None, CancelToken())
    with pytest.raises(StoreError, match="processes of this machine do not answer"), team:
        pass


def test_an_interrupt_of_the_terminal_does_not_reach_a_worker_that_just_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(scheduling, "carry_out", lambda job: sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    with workers_for(2, None, CancelToken()) as team:
        team.hand_over(job("deaf"))
        assert signal.SIGINT in team.next_done()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_scheduler_that_is_gone_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(scheduling, "carry_out", lambda job: None)
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(tmp_path / "where.json")]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *words]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as scheduler:
        try:
            wait_for_scheduler(tmp_path / "where.json")
            with distributed.Client(scheduler_file=str(tmp_path / "where.json"), timeout="300s") as client:
                team = DaskWorkers(client, CancelToken())
                assert team.room == 2
                team.hand_over(job("waits for a worker"))
                scheduler.kill()
                with pytest.raises(StoreError, match="no longer answers"):
                    team.next_done()
        finally:
            scheduler.kill()


def test_a_client_that_closed_itself_is_a_scheduler_that_is_gone(
    a_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setattr(scheduling, "carry_out", lambda job: None)
    client = Client(a_cluster)
    team = DaskWorkers(client, CancelToken())
    client.close()
    with pytest.raises(StoreError, match="no longer answers"):
        team.hand_over(job("late"))
    with pytest.raises(StoreError, match="no longer answers"):
        assert team.room


def test_a_scheduler_that_goes_before_a_result_is_here_is_one_sentence(
    a_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed.client import Future, FutureCancelledError

    def lost(future: Future) -> None:
        raise FutureCancelledError(future.key, "the scheduler is gone")

    monkeypatch.setattr(scheduling, "carry_out", lambda job: None)
    monkeypatch.setattr(Future, "result", lost)
    team = DaskWorkers(a_client, CancelToken())
    team.hand_over(job("done"))
    with pytest.raises(StoreError, match="no longer answers"):
        team.next_done()


def test_a_folder_with_an_edited_mask_is_kept_and_costs_its_own_case_alone(tmp_path: Path) -> None:
    edited = tmp_path / "x" / "segmentation.v2.seg.nrrd"
    edited.parent.mkdir()
    edited.write_bytes(b"hours of work")
    done = carry_out(Job("x", str(tmp_path / "no.nii.gz"), None, str(tmp_path), Judge(device="cpu")))
    assert (done.again, done.record) == (True, "")
    assert "holds more than an earlier result (segmentation.v2.seg.nrrd) and was kept" in done.sentence
    assert edited.read_bytes() == b"hours of work"
