"""Many cases in one process, or through the worker: whether memory, open files, threads or temporary files grow.

    OMP_NUM_THREADS=1 PYTHONPATH=BottleneckOOD:Testing/soak python Testing/soak/long_use.py --times 200
    OMP_NUM_THREADS=1 PYTHONPATH=BottleneckOOD:Testing/soak python Testing/soak/long_use.py --times 200 --worker
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

from growth import Growth, open_files, resident_mb
from tally import Tally

from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.worker.client import Done, Failed, WorkerClient

TICK_S = 0.02


def in_one_process(sample: Path, results: Path, times: int, tally: Tally) -> Growth:
    """Assess and save the sample again and again."""
    growth = Growth()
    logic = BottleneckOODLogic("demo", device="cpu")
    for number in range(times):
        logic.assess(sample, case_id=f"case-{number}").save(results / f"case-{number}")
        growth.add(memory_mb=resident_mb(), open_files=open_files(), threads=threading.active_count())
        tally.times += 1
    return growth


def through_the_worker(sample: Path, times: int, tally: Tally) -> Growth:
    """Have a worker assess the sample again and again, as the panel does."""
    growth = Growth()
    client = WorkerClient()
    processes = set()
    for number in range(times):
        client.assess(lambda: read_volume(sample), f"case-{number}", device="cpu")
        ended = None
        while ended is None:
            time.sleep(TICK_S)
            ended = next((event for event in client.poll() if isinstance(event, Done | Failed)), None)
        if isinstance(ended, Failed):
            tally.found("failed", ended.sentence)
            continue
        process = client._process
        assert process is not None
        processes.add(process.pid)
        for left in process.exchange.iterdir():
            if left.name != "worker.log":
                tally.found("files left", left.name)
        growth.add(
            memory_mb=resident_mb(), open_files=open_files(), threads=threading.active_count(),
            worker_memory_mb=resident_mb(process.pid), worker_open_files=open_files(process.pid),
            messages_waiting=process.heard.qsize(), jobs_remembered=len(process.asked_at),
        )  # fmt: skip
        tally.times += 1
    tally.counts["workers"] = len(processes)
    client.close()
    return growth


def main() -> int:
    """Run the cases, and compare the first quarter with the last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--worker", action="store_true", help="through the worker, not in this process")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    way = "through the worker" if options.worker else "in one process"
    tally = Tally(f"the same sample assessed {way}", ("failed", "grown", "files left"))
    sample = resource_folder() / "samples" / "sample-usual.nii.gz"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = str(Path(folder) / "tmp")
        Path(tempfile.tempdir).mkdir()
        if options.worker:
            growth = through_the_worker(sample, options.times, tally)
        else:
            growth = in_one_process(sample, Path(folder) / "results", options.times, tally)
        for path in Path(tempfile.tempdir).rglob("*"):
            tally.found("files left", path.name)
    growth.judge(tally)
    return tally.print(options.json)


if __name__ == "__main__":
    raise SystemExit(main())
