"""Every run on faults, a few times, in one process and with one model: what the gate runs."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import triage_and_reader
from full_disk import filled, limited, small_file_system
from kill_scenarios import SCENARIOS
from killed_anywhere import killed
from many_deciders import decided_by_many, two_batches
from tally import Tally

from BottleneckOODLib.assessment.assessment import Assessment

KEPT = Path(__file__).resolve().parents[1] / "formats" / "v1"
KILLS = {"assess over an earlier result": 2, "triage": 1, "review": 2, "export": 2, "embed": 1, "evaluate": 1,
         "model add": 1}  # fmt: skip
FULL = ("assess over an earlier result", "review", "export", "model add")


def short_forms(work: Path, store: str | None) -> Iterator[Tally]:
    """The counts of one run after the other.

    Args:
        work: An empty folder.
        store: URL of an empty PostgreSQL database; only the decisions of many processes are run, on it.
    """
    model, reference = KEPT / "model", KEPT / "reference"
    assessment = Assessment.load(KEPT / "assessment" / "case")
    if store is not None:
        yield decided_by_many(store, assessment, 4, 10, work)
        return
    for name, times in KILLS.items():
        yield killed(SCENARIOS[name](work / "killed" / name, model, reference), times, random.Random(1))
    for name in FULL:
        yield limited(SCENARIOS[name](work / "limited" / name, model, reference), 1)
        try:
            with small_file_system(work / "small" / name.replace(" ", "_")) as folder:
                yield filled(SCENARIOS[name](folder, model, reference), 2)
        except PermissionError as error:
            print(f"{name}: no small file system can be mounted here ({error})")
    (work / "reader").mkdir()
    yield triage_and_reader.run(work / "reader", model, reference, cases=4, kills=2)
    yield decided_by_many(str(work / "many.db"), assessment, 4, 10, work)
    yield two_batches(model, reference, 2, work)


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="URL of an empty PostgreSQL database: decide on it, and nothing else")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the counts to this file")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="short-"))
    try:
        return max(tally.print(arguments.json) for tally in short_forms(work, arguments.store))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
