"""What handing cases out costs, how far workers scale, and what a case takes on disk; ratios within one run.

python Testing/benchmarks/bench_scale.py [--cases 60] [--seconds 0.5] [--assessed 6] [--slices 300]

First with a job that sleeps for a known time, through the whole batch (finding, identity, store), by this process, by
processes of this machine, and by a scheduler and workers that were started apart; then with the demo model on copies
of its sample.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench_triage import an_assessment

from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.progress import CancelToken
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.triage import scheduling
from BottleneckOODLib.triage.finding import Candidate, find_volumes
from BottleneckOODLib.triage.judging import Done, Job, Judge, carry_out, fingerprint_of
from BottleneckOODLib.triage.running import run_batch
from BottleneckOODLib.triage.scheduling import Workers, workers_for
from BottleneckOODLib.triage.store import Store

NANNY = "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON"
KINDS = ("this process", "1 process", "2 processes", "scheduler, 2 workers")


@contextmanager
def the_workers(kind: str, folder: Path) -> Iterator[Workers]:
    """Who carries the jobs out, ready: what it takes to start is not counted."""
    if kind == "this process":
        with workers_for(1, None, CancelToken()) as team:
            yield team
    elif kind.startswith("scheduler"):
        with _started_apart(int(kind.split()[-2]), folder) as address, workers_for(1, address, CancelToken()) as team:
            yield team
    else:
        from distributed import Client

        with scheduling.processes_here(int(kind.split(maxsplit=1)[0])) as cluster, Client(cluster) as client:
            yield scheduling.DaskWorkers(client, CancelToken())


@contextmanager
def _started_apart(n_workers: int, folder: Path) -> Iterator[str]:
    from distributed import Client

    where = folder / "scheduler.json"
    where.unlink(missing_ok=True)
    head = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    hand = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        "--nworkers",
        "1",
        "--nthreads",
        "1",
        "--memory-limit",
        "0",
    ]
    both = ["--no-dashboard", "--scheduler-file", str(where)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", NANNY: "{'MALLOC_TRIM_THRESHOLD_': None}"}
    started = []
    for command in (head, *[hand] * n_workers):
        started.append(subprocess.Popen([*command, *both], stderr=subprocess.DEVNULL, env=environment))
    try:
        with Client(scheduler_file=str(where), timeout="60s") as client:
            client.wait_for_workers(n_workers, timeout=120)
            address = client.scheduler.address
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def scans(folder: Path, n: int, bytes_: bytes) -> list[Candidate]:
    """Copies of one file that differ in a time in their header, so that each is a case of its own."""
    folder.mkdir()
    for number in range(n):
        with (folder / f"scan-{number:03d}.nii.gz").open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, number) as file:
            file.write(bytes_)
    return [item for item in find_volumes(folder) if isinstance(item, Candidate)]


def batch(candidates: list[Candidate], kind: str, folder: Path, judge: Judge) -> tuple[float, Path]:
    """Seconds of a batch by ready workers, after one case that warms each of them up, and where its store lies."""
    folder.mkdir()
    with the_workers(kind, folder) as team:
        warm = 2 if "2" in kind else 1
        for number in range(warm):
            team.hand_over(Job(f"warm-{number}", str(candidates[0].path), None, str(folder / "warm"), judge))
        for _ in range(warm):
            team.next_done()

        @contextmanager
        def ready() -> Iterator[Workers]:
            yield team

        with Store(str(folder / "t.db")) as store:
            started = time.perf_counter()
            run_batch(store, candidates, folder / "out", judge, workers=ready())
            return time.perf_counter() - started, folder / "t.db"


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def sleeping(folder: Path, n: int, seconds: float) -> None:
    """What a case costs beyond a job of known length."""
    record = record_text(an_assessment("CASE"))

    def sleep(job: Job, cancel: CancelToken | None = None) -> Done:
        time.sleep(seconds)
        return Done(job.case_id, record.replace("CASE", job.case_id), job.output, "", True, seconds)

    scheduling.carry_out = sleep  # type: ignore[attr-defined]
    candidates = scans(folder / "small", n, b"no image")
    for number, kind in enumerate(KINDS):
        total, _ = batch(candidates, kind, folder / f"sleep-{number}", Judge())
        beside = total * (2 if "2" in kind else 1) / n - seconds
        told = f"{total:6.2f} s, {1000 * beside:6.1f} ms a case and worker beside the job"
        print(f"{kind:22s} {n} jobs of {seconds:g} s: {told}", flush=True)
    scheduling.carry_out = carry_out  # type: ignore[attr-defined]


def assessing(folder: Path, n: int) -> None:
    """How far the demo model scales, and what is kept of a case."""

    def timed(job: Job, cancel: CancelToken | None = None) -> Done:
        started = time.process_time()
        done = carry_out(job, cancel)
        return replace(done, seconds=time.process_time() - started)

    scheduling.carry_out = timed  # type: ignore[attr-defined]
    sample = resource_folder() / "samples" / "sample-usual.nii.gz"
    candidates = scans(folder / "samples", n, gzip.decompress(sample.read_bytes()))
    alone = 0.0
    for number, kind in enumerate(KINDS):
        total, where = batch(candidates, kind, folder / f"assess-{number}", Judge(device="cpu"))
        alone = alone or total
        with Store(str(where)) as store:
            used = median(found.seconds for found in store.results())
        told = f"{total / n:5.2f} s a case, {alone / total:4.2f} times this process"
        print(f"{kind:22s} {n} cases: {told}; of the processor's time {used:.2f} s a case", flush=True)
        if number == 0:
            kept = size_of(where.with_name("out")) / n / 1e6
            image = size_of(folder / "samples") / n / 1e6
            print(f"  on disk: image {image:.2f} MB, folder of the assessment {kept:.2f} MB a case")
            print(f"  store: {where.stat().st_size / n / 1000:.1f} kB a case", flush=True)


def listing(n_slices: int) -> None:
    """Memory that a found case takes while it waits in the list."""
    tracemalloc.start()
    folder = Path("/archive/year/month/day")
    found = []
    for number in range(100):
        study = folder / f"study-{number}"
        found.append(
            Candidate(study, tuple(study / f"slice-{i:04d}.dcm" for i in range(n_slices)), None, f"study-{number}")
        )
    bytes_ = tracemalloc.get_traced_memory()[0] / len(found)
    tracemalloc.stop()
    print(f"a series of {n_slices} files in the list of cases: {bytes_ / 1000:.0f} kB of memory")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--assessed", type=int, default=6)
    parser.add_argument("--slices", type=int, default=300)
    arguments = parser.parse_args()
    fingerprint_of(Judge(device="cpu"))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} processors, load {load:.1f} at the start")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listing(arguments.slices)
        sleeping(folder, arguments.cases, arguments.seconds)
        assessing(folder, arguments.assessed)


if __name__ == "__main__":
    main()
