"""Run a command on a machine on which any process may stand still at any moment, and any thread change at any line.

What rests on one process being faster than another shows itself here and not on a quiet machine: processes of the
command are stopped and continued at random, and each begins with another interval between changes of threads.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil

SWITCH_SECONDS = (1e-6, 1e-4, 5e-3, 0.05)
ANY_SWITCH_INTERVAL = f"import random, sys\nsys.setswitchinterval(random.choice({SWITCH_SECONDS!r}))\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mean-seconds", type=float, default=0.4, help="how long a process stands still")
    parser.add_argument("--most-seconds", type=float, default=2.5, help="the longest that one stands still")
    parser.add_argument("--pause-seconds", type=float, default=0.3, help="between one and the next, on average")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as first_on_path:
        (Path(first_on_path) / "sitecustomize.py").write_text(ANY_SWITCH_INTERVAL)
        path = os.pathsep.join(filter(None, (first_on_path, os.environ.get("PYTHONPATH"))))
        running = subprocess.Popen(asked.command, env={**os.environ, "PYTHONPATH": path})
        ended = threading.Event()
        stopped: list[int] = []
        draw = random.Random(asked.seed)
        stopping = threading.Thread(target=_stop_some, args=(running.pid, asked, draw, ended, stopped))
        stopping.start()
        try:
            code = running.wait()
        finally:
            ended.set()
            stopping.join()
    print(f"processes stopped and continued: {len(stopped)}", file=sys.stderr)
    return code


def _stop_some(
    root: int, asked: argparse.Namespace, draw: random.Random, ended: threading.Event, stopped: list[int]
) -> None:
    while not ended.wait(draw.expovariate(1 / asked.pause_seconds)):
        try:
            running = psutil.Process(root).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        if not running:
            continue
        one = draw.choice(running)
        try:
            if one.status() == psutil.STATUS_STOPPED:
                continue
            one.suspend()
            ended.wait(min(asked.most_seconds, draw.expovariate(1 / asked.mean_seconds)))
            one.resume()
            stopped.append(one.pid)
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    sys.exit(main())
