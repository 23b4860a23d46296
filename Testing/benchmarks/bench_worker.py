"""The worker as a user feels it: the second case against the first, and how long a stop takes at random moments.

Usage: python Testing/benchmarks/bench_worker.py [VOLUME] [--stops 20]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from BottleneckOODLib import read_volume
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.worker.client import Failed, WorkerClient


def waited(client: WorkerClient) -> tuple[float, float, object]:
    """Seconds until the job ended, the longest call of ``poll`` in seconds, and how it ended."""
    started, longest, last = time.perf_counter(), 0.0, None
    while client.busy:
        before = time.perf_counter()
        events = client.poll()
        longest = max(longest, time.perf_counter() - before)
        last = events[-1] if events else last
        time.sleep(0.005)
    return time.perf_counter() - started, longest, last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("volume", nargs="?", default=str(resource_folder() / "samples" / "sample-usual.nii.gz"))
    parser.add_argument("--stops", type=int, default=20)
    arguments = parser.parse_args()
    volume = read_volume(arguments.volume)
    client = WorkerClient()
    seconds, stalls = [], []
    for number in range(4):
        client.assess(volume, f"case-{number}")
        taken, longest, _ = waited(client)
        seconds.append(taken)
        stalls.append(longest)
    first, later = seconds[0], statistics.median(seconds[1:])
    print(f"first case {first:.2f} s, later cases {later:.2f} s, ratio {first / later:.1f}")
    print(f"longest call of poll {1000 * max(stalls):.0f} ms (the one that loads the result)")
    took = []
    rng = random.Random(0)
    for number in range(arguments.stops):
        cold = number % 2 == 0
        if cold:
            client.close()
        client.assess(volume, f"stop-{number}")
        end = time.perf_counter() + rng.uniform(0, 0.9 * (first if cold else later))
        while client.busy and time.perf_counter() < end:
            client.poll()
            time.sleep(0.005)
        if not client.busy:
            continue
        client.stop()
        taken, _, last = waited(client)
        if isinstance(last, Failed) and last.stopped:
            took.append(taken)
    print(f"{len(took)} stops: median {statistics.median(took):.2f} s, longest {max(took):.2f} s")
    client.close()


if __name__ == "__main__":
    main()
