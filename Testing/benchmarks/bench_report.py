"""The report of a store of many cases: prints its size and what it takes to write and to open.

python Testing/benchmarks/bench_report.py [--cases 1000] [--keep FILE.html]
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_triage import an_assessment

from BottleneckOODLib.assessment.assessment import THUMBNAIL_FILE, MapPoint, ReferenceFacts
from BottleneckOODLib.assessment.decision import decide
from BottleneckOODLib.assessment.thumbnail import thumbnail_jpeg
from BottleneckOODLib.assessment.wording import light_sentence
from BottleneckOODLib.catalogue import find_reference
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.ood.calibration import conformal_p_value, light_of, percentile_of
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.report.writing import write_report
from BottleneckOODLib.triage.store import Store

SIDE = 160
UNREADABLE = 50


def a_picture(rng: np.random.Generator) -> bytes:
    """A round body with noise and a mask: harder to compress than most scans."""
    _, y, x = np.mgrid[:3, :SIDE, :SIDE]
    inside = (x - SIDE / 2) ** 2 + (1.3 * (y - SIDE / 2)) ** 2 < (SIDE / 2.2) ** 2
    voxels = np.where(inside, rng.normal(40, 45, inside.shape), -1000).astype(np.float32)
    mask = (x - SIDE / 3) ** 2 + (y - SIDE / 2) ** 2 < (SIDE * rng.uniform(0.1, 0.2)) ** 2
    geometry = Geometry((SIDE, SIDE, 3), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return thumbnail_jpeg(
        Volume(voxels, geometry, "CT", "x"), LabelVolume(mask.astype(np.uint8), geometry, {1: "liver"})
    )


def fill(store: Store, folder: Path, n: int) -> None:
    """Cases as the demo's reference would judge them, most with a picture, a third of them rated."""
    rng = np.random.default_rng(0)
    reference = Reference.load(find_reference("demo"))
    calibration, decisions = reference.combined_calibration, StoredDecisions(store)
    training = tuple(
        MapPoint(float(x), float(y), case.dice, case.case_id)
        for (x, y), case in zip(reference.map_xy, reference.cases, strict=True)
    )
    base = replace(
        an_assessment("x"),
        reference=ReferenceFacts(reference.name, reference.fingerprint, len(reference.cases)),
        map_points=training,
    )
    pictures = [a_picture(rng) for _ in range(20)]
    for number in range(n):
        name = f"study-{number:05d}"
        case_id = store.note_case(hashlib.sha256(name.encode()).hexdigest(), name, Place(f"scans/{name}", "", "1"))
        if number % UNREADABLE == UNREADABLE - 1:
            store.add_failure(case_id, "j", "The file is truncated; copy or download it again.", 0.1)
            continue
        score = float(rng.choice(calibration)) + float(rng.exponential(0.2 if number < 0.8 * n else 1.0))
        p_value = conformal_p_value(score, calibration)
        light, percentile = light_of(p_value), percentile_of(score, calibration)
        near = training[int(rng.integers(len(training)))]
        assessment = replace(
            base,
            case_id=case_id,
            light=light,
            score=score,
            p_value=p_value,
            percentile=percentile,
            sentence=light_sentence(
                light, percentile=percentile, p_value=p_value, farthest_part="mask_shape", reason=None
            ),
            placement=Placement(near.x + float(rng.normal(0, 0.2)), near.y + float(rng.normal(0, 0.2)), score > 3),
        )
        place = folder / name
        place.mkdir()
        (place / THUMBNAIL_FILE).write_bytes(pictures[number % len(pictures)])
        store.add_assessment(case_id, "j", assessment, str(place), 1.0)
        if number % 3 == 0:
            decisions.add(decide(assessment, "minor_edit", reader="AB", reasons=("contour_off",), note="a note"))
    sizes = [len(picture) for picture in pictures]
    print(f"{n} cases in the store; pictures of {min(sizes)} to {max(sizes)} bytes")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Store(str(Path(folder) / "bench.db")) as store:
        (Path(folder) / "cases").mkdir()
        fill(store, Path(folder) / "cases", arguments.cases)
        report = arguments.keep or Path(folder) / "report.html"
        for what in ("with pictures", "without pictures"):
            started = time.perf_counter()
            write_report(store, report, pictures=what == "with pictures", overwrite=True)
            seconds = time.perf_counter() - started
            print(f"{what}: {report.stat().st_size / 1e6:.1f} MB in {seconds:.1f} s")
        write_report(store, report, overwrite=True)


if __name__ == "__main__":
    main()
