"""What must not be felt: importing the library, its help, and scoring and placing one case at 337 x 768.

Usage: python Testing/benchmarks/bench_small_things.py [--repeats 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.feature_space import FeatureSpace
from BottleneckOODLib.reference.reference_folder import Reference

CASES, FEATURES = 337, 768
_PRELUDE = "import time; started = time.perf_counter(); "


def in_a_fresh_interpreter(code: str) -> float:
    printed = subprocess.run(
        [sys.executable, "-c", f"{_PRELUDE}{code}; print(time.perf_counter() - started)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(printed.stdout.split()[-1])


def help_page() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "BottleneckOODLib.cli.main", "--help"], capture_output=True, check=True)
    return time.perf_counter() - started


def scoring(reference: Reference, cases: np.ndarray) -> Callable[[], float]:
    def once() -> float:
        case = cases[np.random.default_rng().integers(len(cases))]
        started = time.perf_counter()
        reference.score({"bottleneck": case})
        reference.place(case)
        reference.neighbours(case)
        return time.perf_counter() - started

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    features = rng.normal(size=(CASES, FEATURES))
    names = tuple(ReferenceCase(f"case-{i}") for i in range(CASES))
    # What leaving one out gives does not change the time of a score.
    spaces = {
        name: FeatureSpace.fitted("bottleneck", features, detector, rng.normal(size=CASES))
        for name, detector in (("knn", KNearestNeighbours(0.75)), ("md", ShrunkMahalanobis()))
    }
    cases = rng.normal(size=(50, FEATURES))
    rows = {
        "import BottleneckOODLib": lambda: in_a_fresh_interpreter("import BottleneckOODLib"),
        "bottleneck-ood --help": help_page,
    }
    for name, space in spaces.items():
        reference = Reference("bench", "f", names, {"bottleneck": space}, features[:, :2].copy(), {})
        rows[f"score, place, neighbours, {name}"] = scoring(reference, cases)
    print(f"{repeats} repeats; scoring with {CASES} cases of {FEATURES} features")
    for name, measure in rows.items():
        measure()
        values = [1000 * measure() for _ in range(repeats)]
        print(f"{name:34s} min {min(values):8.2f} ms  median {statistics.median(values):8.2f} ms")


if __name__ == "__main__":
    main()
