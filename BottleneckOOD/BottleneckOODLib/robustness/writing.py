"""From measurements to the benchmark's files, each there whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from BottleneckOODLib.atomic_folder import write_file
from BottleneckOODLib.evaluation.tables import as_csv, write_all
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.reference.feature_space import Detector
from BottleneckOODLib.reference.rechoosing import choose_on_validation
from BottleneckOODLib.robustness.detectors import COMBINED, all_detectors
from BottleneckOODLib.robustness.heat_map import heat_map_png
from BottleneckOODLib.robustness.report import PICTURES, choice_inputs, report_text
from BottleneckOODLib.robustness.running import Outcome
from BottleneckOODLib.robustness.tables import (
    SUMMARY_COLUMNS,
    case_columns,
    case_rows,
    judge_all,
    summary_rows,
)
from BottleneckOODLib.version import __version__

RESULTS, SUMMARY, REPORT, FACTS = "results.csv", "summary.csv", "report.md", "benchmark.json"
_TITLES = {
    "test": "Real scans, damaged: what each detector says",
    "validation": "Generated bodies, damaged: what each detector says",
}


def write_results(folder: Path, logic: BottleneckOODLogic, outcome: Outcome) -> tuple[Detector, dict[str, Any]]:
    """Judge what was measured and write tables, pictures and report.

    Args:
        folder: The benchmark's folder.
        logic: Model and reference.
        outcome: What was measured.

    Returns:
        The bottleneck's detector that the validation part chose, not fitted, and the facts of the choice.

    Raises:
        OutputError: A file cannot be written.
    """
    reference = logic.reference
    detectors = all_detectors(reference, outcome.calibration)
    judged = judge_all(outcome.rows, reference, detectors)
    names = [COMBINED, *(detector.name for detector in detectors)]
    bottlenecks, dice, bodies = choice_inputs(judged)
    source = f"damaged copies of {len(set(bodies.tolist()))} generated bodies, none of the reference's"
    detector, choice = choose_on_validation(reference, bottlenecks, dice, bodies, source)
    facts: dict[str, Any] = {
        "program_version": __version__,
        "model": logic.model.name,
        "model_fingerprint": logic.model.fingerprint,
        "reference": reference.name,
        "reference_fingerprint": reference.fingerprint,
        "n_reference": len(reference.cases),
        "n_calibration": len(outcome.calibration),
        "n_as_kept": outcome.n_as_kept,
        "n_images": len(judged),
        "refused": outcome.refused,
        "detectors": {one.name: len(one.calibration) for one in detectors},
        "choice": choice,
    }
    write_all(
        folder,
        {
            RESULTS: as_csv(case_rows(judged), case_columns(names)),
            SUMMARY: as_csv(summary_rows(judged), SUMMARY_COLUMNS),
            REPORT: report_text(judged, names, facts, choice),
            FACTS: json.dumps(facts, indent=2) + "\n",
        },
    )
    for part, picture in PICTURES.items():
        own = [one for one in judged if one.row.part == part]
        if own:
            # In memory first, so that no half of a picture is left.
            write_file(folder / picture, heat_map_png(own, names, _TITLES[part]), overwrite=True)
    return detector, choice
