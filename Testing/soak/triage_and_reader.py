"""A batch and a reader on one store, both killed at random moments: nothing acknowledged is lost, nothing doubled."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import tiny_cases
from forked import Running
from scripted_reader import READER, acknowledged, decided, read_on
from tally import Tally
from whole import Torn, assessment_facts, store_is_sound

from BottleneckOODLib.cli.main import main as program
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

_SEVERITY = {"red": 3, "grey": 2, "amber": 1, "green": 0}
_LOOK_S = 0.02


def run(
    work: Path, model: Path, reference: Path, cases: int, kills: int, data: Path | None = None, seed: int = 1
) -> Tally:
    """Triage ``cases`` generated scans and those of ``data``, killed ``kills`` times, while a reader decides."""
    tally = Tally("triage killed while a reader decides", ("lost", "doubled", "torn", "queue differs", "refused"))
    tally.counts["reader killed"] = 0
    tiny_cases.write_bodies(work / "scans", cases, 2000)
    sources = [work / "scans", *([data] if data is not None else [])]
    (work / "list.txt").write_text("".join(f"{source}\n" for source in sources), encoding="utf-8")
    store, journal, ended = work / "t.db", work / "journal", work / "ended"
    judge = ["--model", str(model), "--reference", str(reference), "--device", "cpu", "--modality", "CT"]
    judge.append("--trust-files")
    batch = partial(program, ["triage", str(work / "list.txt"), "--store", str(store), "--names", "files", *judge])
    reader = partial(read_on, store, journal, ended)
    draw = random.Random(seed)
    reading = Running(reader, work / "reader.log")
    reader_dies = time.monotonic() + draw.uniform(0.5, 4.0)
    last, missed = False, 0
    while not last:
        last = tally.times == kills
        running = Running(batch, work / "triage.log")
        # A moment after its start, or after some further cases; the last one is left to end.
        wanted = min(cases, _rows(store) + draw.uniform(0, 2) * cases / max(kills, 1))
        # On a quick machine a batch that has little left to do would have ended before; the next is killed sooner.
        dies = time.monotonic() + draw.uniform(0.1, 2.0) * 0.5**missed
        while not running.ended:
            if not last and time.monotonic() > dies and _rows(store) >= wanted:
                running.kill()
                tally.times += 1
            if time.monotonic() > reader_dies or reading.ended:
                if reading.ended and reading.code not in (0, None):
                    tally.found("refused", (work / "reader.log").read_text(errors="replace")[-300:])
                reading.kill()
                tally.counts["reader killed"] += 1
                reading = Running(reader, work / "reader.log")
                reader_dies = time.monotonic() + draw.uniform(0.5, 4.0)
            time.sleep(_LOOK_S)
        missed += running.code is not None
        if running.code not in (0, None):
            tally.found("refused", (work / "triage.log").read_text(errors="replace")[-300:])
    ended.touch()
    reading.wait()
    if Running(reader, work / "reader.log").wait() != 0:
        tally.found("refused", (work / "reader.log").read_text(errors="replace")[-300:])
    _judge(tally, store, journal)
    return tally


def _judge(tally: Tally, store: Path, journal: Path) -> None:
    if not store_is_sound(store):
        tally.found("torn", "integrity_check")
    promised, there = acknowledged(journal), decided(store)
    tally.counts["decisions"], tally.counts["decisions acknowledged"] = len(there), len(promised)
    for case in set(promised) - {case for case, _ in there}:
        tally.found("lost", f"the decision on {case}")
    for case in {case for case, _ in there if there.count((case, READER)) > 1}:
        tally.found("doubled", f"the decision on {case}")
    with closing(sqlite3.connect(store)) as database:
        rows = database.execute(
            'SELECT a.number, c.number, c.case_id, a.judge, a.light, a.score, a.folder FROM assessments a '
            'JOIN cases c ON c.number = a."case" ORDER BY a.number'
        ).fetchall()
        cases = [case for (case,) in database.execute("SELECT case_id FROM cases")]
        lines = database.execute('SELECT "case", line FROM decisions ORDER BY number').fetchall()
    tally.counts["cases"], tally.counts["assessments"] = len(cases), len(rows)
    judged = [(case, judge) for _, _, case, judge, *_ in rows]
    for pair in {pair for pair in judged if judged.count(pair) > 1}:
        tally.found("doubled", f"the assessment of {pair[0]}")
    # A label map is known by its name as all files are, and passed over when it is read.
    for case in {case for case in cases if not case.endswith("_labels")} - {case for case, _ in judged}:
        tally.found("lost", f"the assessment of {case}")
    for _, _, case, _, light, _, folder in rows:
        if not folder:
            continue
        try:
            facts = assessment_facts(Path(folder))["record"]
            if (facts["case_id"], facts["ood"]["light"]) != (case, light):
                tally.found("torn", f"{folder} is of another case than its row")
        except (Torn, OSError) as error:
            tally.found("torn", str(error))
    _compare_queue(tally, store, rows, lines)


def _compare_queue(tally: Tally, store: Path, rows: list[tuple], lines: list[tuple[int, str]]) -> None:
    """The queue, made anew from the rows alone: severity of the light, then the score, then who came first."""
    newest = {number: (case, light, score) for _, number, case, _, light, score, _ in rows}
    standing: dict[int, dict[str, str]] = {}
    for number, line in lines:
        row = json.loads(line)
        standing.setdefault(number, {})[row["reader"]] = row["rating"]
    order = sorted(newest, key=lambda n: (-_SEVERITY[newest[n][1]], -max(newest[n][2] or 0.0, 0.0), n))
    wanted = [(newest[n][0], newest[n][1], len(standing.get(n, {}))) for n in order]
    with Store(str(store)) as opened:
        queue = [(w.case_id, w.light, w.readings) for w in Worklist(opened).page(size=len(rows) + 1)]
    if queue != wanted:
        tally.found("queue differs", f"{[(a, b) for a, b in zip(queue, wanted, strict=False) if a != b][:3]}")


def _rows(store: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM assessments").fetchone()[0])
    except sqlite3.Error:
        return 0


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200, help="generated cases (default: 200)")
    parser.add_argument("--times", type=int, default=50, help="kills of the batch (default: 50)")
    parser.add_argument("--data", type=Path, default=None, help="a folder of real scans to be triaged as well")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the counts to this file")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="reader-"))
    try:
        data = None if arguments.data is None else arguments.data.resolve()
        model = tiny_cases.make_model(work / "model").folder
        reference = tiny_cases.make_reference(model, work / "reference", work / "training")
        tally = run(work, model, reference, arguments.cases, arguments.times, data, arguments.seed)
        return tally.print(arguments.json)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
