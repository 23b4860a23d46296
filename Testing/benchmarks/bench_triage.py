"""What a store costs: keeping a case, opening the queue of many, deciding; prints medians.

python Testing/benchmarks/bench_triage.py [--store URL] [--cases 100000]
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from sqlalchemy import insert

from BottleneckOODLib.assessment.assessment import Assessment, InputFacts, MapPoint, ModelFacts, ReferenceFacts
from BottleneckOODLib.assessment.decision import decide
from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.finding import Candidate
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.schema import AssessmentRow, CaseRow, WorkRow
from BottleneckOODLib.triage.store import Store, unusualness
from BottleneckOODLib.triage.worklist import Wish, Worklist

REPEATS = 200
LIGHTS = ("green", "amber", "red", "grey")


def an_assessment(case_id: str) -> Assessment:
    """With as many map points as the demo's reference has, which makes up most of the record."""
    points = tuple(MapPoint(float(n), float(n), 0.9, f"body-{n:03d}", {"fact": "x" * 20}) for n in range(159))
    return Assessment(
        case_id=case_id,
        created="2026-01-02T03:04:05+00:00",
        program_version="0",
        input=InputFacts("x.nii.gz", "CT", (100, 100, 100), (3.0, 3.0, 3.0), "LPS"),
        model=ModelFacts("demo", "1", "ab" * 32),
        reference=ReferenceFacts("demo", "cd" * 32, 159),
        light="amber",
        sentence="Unusual: review the mask with care.",
        detector="md",
        score=1.1,
        p_value=0.05,
        percentile=95.0,
        parts={},
        checks=(),
        neighbours=(),
        placement=None,
        volume_ml=1000.0,
        n_components=1,
        timings_s=dict.fromkeys(("load", "preprocess", "inference", "ood", "placement", "total"), 0.1),
        device="cpu",
        map_points=points,
    )


def fill(store: Store, n: int) -> None:
    """Put ``n`` assessed cases into an empty store, in bulk."""
    rng = np.random.default_rng(0)
    lights, scores = rng.choice(LIGHTS, n, p=[0.85, 0.1, 0.03, 0.02]), rng.gamma(2.0, 0.3, n)
    record = record_text(an_assessment("bulk"))
    for start in range(0, n, 5000):
        numbers = range(start + 1, min(start + 5000, n) + 1)
        with store.writing() as session:
            content = [hashlib.sha256(str(i).encode()).hexdigest() for i in numbers]
            cases = [
                {"number": i, "content": c, "case_id": f"study-{i:06d}", "first_seen": "2026"}
                for i, c in zip(numbers, content, strict=True)
            ]
            session.execute(insert(CaseRow), cases)
            results = [
                {
                    "number": i,
                    "case": i,
                    "created": "2026-01-02T03:04:05+00:00",
                    "judge": "j" * 64,
                    "light": str(lights[i - 1]),
                    "p_value": 0.5,
                    "score": float(scores[i - 1]),
                    "percentile": 50.0,
                    "sentence": "Review the mask as you would any other.",
                    "folder": f"out/{i}",
                    "seconds": 1.0,
                    "record": record,
                }
                for i in numbers
            ]
            session.execute(insert(AssessmentRow), results)
            queue = [
                {
                    "case": i,
                    "assessment": i,
                    "light": str(lights[i - 1]),
                    "unusual": unusualness(str(lights[i - 1]), float(scores[i - 1])),
                    "lot": float(rng.random()),
                    "readings": 0,
                    "rating": "",
                    "readers": "",
                    "claimed_by": "",
                    "claimed_at": 0.0,
                    "claimed_until": 0.0,
                    "claimed_blind": False,
                }
                for i in numbers
            ]
            session.execute(insert(WorkRow), queue)


def milliseconds(what: Callable[[int], object], repeats: int) -> tuple[float, float]:
    """Median and longest of some runs."""
    times = []
    for number in range(repeats):
        started = time.perf_counter()
        what(number)
        times.append(1000 * (time.perf_counter() - started))
    return median(times), max(times)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store")
    parser.add_argument("--cases", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = arguments.store or str(Path(folder) / "bench.db")
        with Store(where) as store:
            started = time.perf_counter()
            fill(store, arguments.cases)
            print(f"{arguments.cases} cases filled in bulk in {time.perf_counter() - started:.1f} s")
            scan = Path(folder) / "scan.nii.gz"
            scan.write_bytes(np.random.default_rng(1).bytes(20_000_000))
            candidate, assessment = Candidate(scan, (scan,), None, "scan"), an_assessment("x")
            decisions, work = StoredDecisions(store), Worklist(store)

            def keep(number: int) -> None:
                content = hashlib.sha256(f"new {number}".encode()).hexdigest()
                place = Place(f"new/{number}", "", "1")
                store.case_at(place)
                case_id = store.note_case(content, f"new-{number}", place)
                store.is_judged(case_id, "j")
                store.add_assessment(case_id, "j", replace(assessment, case_id=case_id), "out", 1.0)

            def read(number: int) -> None:
                waiting = work.claim_next(f"reader {number % 3}")
                assert waiting is not None
                row = decide(replace(assessment, case_id=waiting.case_id), "minor_edit", reader=f"reader {number % 3}")
                decisions.add(row)

            for what, run, repeats in (
                ("identity of a 20 MB file", lambda _: candidate.content(), 10),
                ("keep a case", keep, REPEATS),
                ("first page of the queue", lambda _: work.page(size=50), 30),
                ("first page of what waits", lambda _: work.page(Wish(state="open"), size=50), 30),
                ("page of one light", lambda _: work.page(Wish(light="red"), size=50), 30),
                ("search by name", lambda _: work.page(Wish(search="99"), size=50), 10),
                ("counts of the status", lambda _: [work.count(Wish(light=light)) for light in LIGHTS], 5),
                ("every case, for a table", lambda _: sum(1 for _ in store.results()), 2),
                ("claim and decide", read, REPEATS),
            ):
                middle, longest = milliseconds(run, repeats)
                print(f"{what:26s} median {middle:8.2f} ms, longest {longest:8.2f} ms")


if __name__ == "__main__":
    main()
