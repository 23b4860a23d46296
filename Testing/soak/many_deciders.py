"""Several processes decide on one store at once: every acknowledged decision is there, once; and two batches do."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import tiny_cases
from forked import Running, command
from kill_scenarios import fill_store
from sqlalchemy import text
from tally import Tally

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.cli.main import main as program
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist


def decide_on(store: str, reader: str, times: int, journal: Path) -> int:
    """Take the next case and decide on it, ``times`` times; each decision's own name goes to the journal."""
    with Store(store) as opened, journal.open("a", encoding="utf-8") as stream:
        work, decisions = Worklist(opened), StoredDecisions(opened)
        for _ in range(times):
            waiting = work.claim_next(reader)
            assessment = None if waiting is None else opened.assessment_of(waiting.case_id)
            if assessment is None:
                print(f"{reader} got no case")
                return 1
            row = decide(assessment, "minor_edit", reader=reader, note="scripted", shown=shown_of(assessment))
            decisions.add(row)
            stream.write(f"{row.decision_id}\n")
            stream.flush()
            os.fsync(stream.fileno())
    return 0


def decided_by_many(store: str, assessment: Assessment, processes: int, times: int, work: Path) -> Tally:
    """``processes`` times ``times`` decisions on as many cases."""
    kind = store.split(":", 1)[0].split("+", 1)[0] if "://" in store else "sqlite"
    tally = Tally(f"{processes} processes decide, {kind}", ("lost", "doubled", "refused"))
    fill_store(store, assessment, processes * times)
    journals = [work / f"journal{number}" for number in range(processes)]
    readers = [
        Running(partial(decide_on, store, f"Reader {number}", times, journal), work / "log")
        for number, journal in enumerate(journals)
    ]
    for reader in readers:
        if reader.wait() != 0:
            tally.found("refused", (work / "log").read_text(errors="replace")[-300:])
    promised = {name for journal in journals for name in journal.read_text(encoding="utf-8").split()}
    with Store(store) as opened, opened.engine.connect() as connection:
        rows = connection.execute(text('SELECT decision_id, "case", reader FROM decisions')).all()
    names, cases = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
    tally.times = len(rows)
    for name in promised - set(names):
        tally.found("lost", name)
    for what in [name for counted in (names, cases) for name, n in counted.items() if n > 1]:
        tally.found("doubled", str(what))
    return tally


def an_assessment(model: Path, reference: Path, work: Path) -> Assessment:
    """One assessed case, to fill stores with."""
    image = str(tiny_cases.write_bodies(work / "one", 1, 1000)[0])
    judge = ["--model", str(model), "--reference", str(reference), "--device", "cpu"]
    made = command(["assess", image, "--case-id", "case", "--output", str(work / "made"), *judge])
    assert made.code == 0, made.said
    return Assessment.load(work / "made" / "case")


def two_batches(model: Path, reference: Path, cases: int, work: Path) -> Tally:
    """Two triage programs begin the same folder on the same store at once."""
    tally = Tally("two batches on one store", ("lost", "doubled", "refused"))
    tiny_cases.write_bodies(work / "scans", cases, 3000)
    words = ["triage", str(work / "scans"), "--store", str(work / "two.db"), "--names", "files"]
    words += ["--model", str(model), "--reference", str(reference), "--device", "cpu"]
    batches = [Running(partial(program, words), work / f"batch{number}.log") for number in range(2)]
    for number, batch in enumerate(batches):
        if batch.wait() != 0:
            tally.found("refused", (work / f"batch{number}.log").read_text(errors="replace")[-300:])
    with Store(str(work / "two.db")) as store:
        folders = {found.case_id: found.folder for found in store.results()}
        with store.engine.connect() as connection:
            rows = connection.execute(text('SELECT "case" FROM assessments')).scalars().all()
    tally.times = len(rows)
    for number in range(cases):
        folder = folders.get(f"body{3000 + number:04d}")
        if folder is None or Assessment.load(Path(folder)).segmentation is None:
            tally.found("lost", f"case {number}")
    for case in [case for case, n in Counter(rows).items() if n > 1]:
        tally.found("doubled", str(case))
    return tally


def main() -> int:
    """Both runs, once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4, help="(default: 4)")
    parser.add_argument("--times", type=int, default=500, help="decisions of each process (default: 500)")
    parser.add_argument("--cases", type=int, default=20, help="cases of the two batches (default: 20)")
    parser.add_argument("--store", help="URL of an empty PostgreSQL database instead of a SQLite file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the counts to this file")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="deciders-"))
    try:
        model = tiny_cases.make_model(work / "model").folder
        reference = tiny_cases.make_reference(model, work / "reference", work / "training")
        assessment = an_assessment(model, reference, work)
        store = arguments.store or str(work / "decisions.db")
        code = decided_by_many(store, assessment, arguments.processes, arguments.times, work).print(arguments.json)
        return code | two_batches(model, reference, arguments.cases, work).print(arguments.json)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
