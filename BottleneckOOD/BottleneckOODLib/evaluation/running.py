"""Running an evaluation: task by task, each kept as soon as it is done, tables written when all are."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from BottleneckOODLib.errors import EvaluationError, OutputError
from BottleneckOODLib.evaluation import deployable_mode, paper_mode
from BottleneckOODLib.evaluation.cohort import Cohort, make_cohort, read_performance
from BottleneckOODLib.evaluation.embeddings import ReadTensor, read_embeddings
from BottleneckOODLib.evaluation.grid import Grid, make_grid, title
from BottleneckOODLib.evaluation.measuring import result_row
from BottleneckOODLib.evaluation.report import report_page
from BottleneckOODLib.evaluation.scoring import Scored, score_task
from BottleneckOODLib.evaluation.settings import MODES, PAPER, PAPER_DETECTORS, PAPER_SEEDS, Settings, Task
from BottleneckOODLib.evaluation.tables import (
    CASE_COLUMNS,
    CASES,
    REPORT,
    RESULT_COLUMNS,
    RESULTS,
    RUNS,
    SCORE_COLUMNS,
    SCORES,
    as_csv,
    number,
    read_runs,
    read_table,
    write_all,
)
from BottleneckOODLib.ood.failure_metrics import FEW_CASES, stratified_weights
from BottleneckOODLib.progress import CancelToken, ProgressCallback, ProgressReporter
from BottleneckOODLib.version import __version__

Part = dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Inputs:
    """Where the cases are.

    Attributes:
        train: Folder of training embeddings.
        test: Folder of test embeddings.
        performance: Table of the segmentation's performance.
    """

    train: Path
    test: Path
    performance: Path


def evaluate(
    inputs: Inputs,
    output: Path,
    settings: Settings,
    read_tensor: ReadTensor,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> tuple[str, ...]:
    """Evaluate every configuration and write the tables and the report.

    Args:
        inputs: Where the cases are.
        output: Folder of the tables; results of the other mode that lie there are kept beside the new ones.
        settings: What is evaluated.
        read_tensor: Reads a ``.pt`` file.
        resume: Go on where an evaluation of the same cases and settings was stopped.
        overwrite: Replace results of this mode.
        progress: Told how far it is, with the time left.
        cancel: Stops it after the task in work; what was done is kept for ``resume``.

    Returns:
        What a reader should know: few cases in a class, configurations that were left out.

    Raises:
        EvaluationError: An input cannot be used; nothing was written.
        OutputError: There are results already, or the folder cannot be written.
        Cancelled: It was stopped.
    """
    runs = read_runs(output)
    finished = settings.mode in runs
    if finished and not (resume or overwrite):
        message = f"{output} holds results of {settings.mode} mode already; choose another folder, or add --overwrite."
        raise OutputError(message)
    if settings.mode == PAPER:
        settings = replace(settings, detectors=tuple(d for d in settings.detectors if d in PAPER_DETECTORS))
    cohort = _read(inputs, settings, read_tensor)
    grid = make_grid(settings, cohort)
    identity = _identity(cohort, settings)
    _check_same_cases(runs, output, settings.mode, identity["cases"])
    if finished and resume and not overwrite:
        if runs[settings.mode]["identity"] != identity["whole"]:
            message = f"{output} holds results of other settings; choose another folder, or add --overwrite."
            raise OutputError(message)
        write_all(output, {REPORT: report_page(output)})
        return tuple(runs[settings.mode]["notes"])
    unfinished = _Unfinished(output / f"unfinished-{settings.mode}", identity["whole"])
    parts = unfinished.begin(resume=resume, overwrite=overwrite)
    reporter = ProgressReporter(progress, cancel, grid.costs())
    weights = stratified_weights(cohort.failed, settings.n_bootstrap)
    for number_of_task, task in enumerate(grid.tasks):
        reporter.report(title(task))
        if number_of_task not in parts:
            parts[number_of_task] = _run_task(task, settings, cohort, grid, weights)
            unfinished.keep(number_of_task, parts[number_of_task])
    reporter.report(title(grid.tasks[-1]), 1.0)
    notes = (*_few_cases(cohort), *grid.notes)
    rows = [row for index in sorted(parts) for row in parts[index]["rows"]]
    scores = [row for index in sorted(parts) for row in parts[index]["scores"]]
    _mark_picked(rows, settings.mode)
    runs[settings.mode] = _run_facts(settings, cohort, notes, identity)
    _write(output, settings.mode, rows, scores, _case_rows(cohort, settings.mode), runs)
    unfinished.remove()
    return notes


def _read(inputs: Inputs, settings: Settings, read_tensor: ReadTensor) -> Cohort:
    # The table first: it is read in no time, and most mistakes are there.
    table = read_performance(inputs.performance)
    train = read_embeddings(inputs.train, settings.windows, read_tensor)
    test = read_embeddings(inputs.test, settings.windows, read_tensor)
    return make_cohort(train, test, table, settings.threshold, settings.mode)


def _run_task(task: Task, settings: Settings, cohort: Cohort, grid: Grid, weights: np.ndarray[Any, Any]) -> Part:
    scored = list(score_task(task, settings, cohort.train, cohort.test, grid.ks, grid.components))
    calibration: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    validation: dict[str, float] = {}
    if settings.mode != PAPER:
        calibration = deployable_mode.calibration_scores(task, settings, cohort, grid)
        validation = deployable_mode.validation_aurocs(task, settings, cohort, grid, calibration)
    part: Part = {"rows": [], "scores": []}
    for one in scored:
        label = one.configuration.label()
        own = calibration.get(label)
        own = own[np.isfinite(own)] if own is not None else None
        row = result_row(one, cohort, weights, own, validation.get(label, float("nan")))
        # Nothing is random without a map, so the published repeats differ in their number only.
        repeats = settings.mode == PAPER and task.seed is None
        for seed in range(PAPER_SEEDS) if repeats else [None]:
            part["rows"].append({**row, "seed": str(seed)} if seed is not None else row)
        part["scores"] += _score_rows(one, cohort, first_seed=repeats)
    return part


def _score_rows(scored: Scored, cohort: Cohort, *, first_seed: bool) -> list[dict[str, str]]:
    configuration = replace(scored.configuration, seed=0) if first_seed else scored.configuration
    label = configuration.label()
    return [
        {"case": name, "configuration": label, "score": number(score)}
        for name, score in zip(cohort.test_names, scored.scores, strict=True)
    ]


def _mark_picked(rows: list[dict[str, str]], mode: str) -> None:
    if mode == PAPER:
        best = paper_mode.best_on_the_test_set(rows)
        for row in rows:
            row["picked"] = "yes" if paper_mode.without_seed(row) in best else ""
    else:
        picked = deployable_mode.pick(rows)
        for index, row in enumerate(rows):
            row["picked"] = "yes" if index == picked else ""


def _few_cases(cohort: Cohort) -> list[str]:
    n_ood = int(np.count_nonzero(cohort.failed))
    counts = {"in-distribution": len(cohort.failed) - n_ood, "out-of-distribution": n_ood}
    return [
        f"There are only {n} {kind} test cases (fewer than {FEW_CASES}): read the intervals, not the figures."
        for kind, n in counts.items()
        if n < FEW_CASES
    ]


def _case_rows(cohort: Cohort, mode: str) -> list[dict[str, str]]:
    return [
        {
            "mode": mode,
            "case": name,
            **{outcome: number(values[index]) for outcome, values in cohort.outcomes.items()},
            "failed": "1" if cohort.failed[index] else "0",
        }
        for index, name in enumerate(cohort.test_names)
    ]


def _run_facts(settings: Settings, cohort: Cohort, notes: Sequence[str], identity: dict[str, str]) -> dict[str, Any]:
    on_training_cases = deployable_mode.how_validated(cohort)
    return {
        "program_version": __version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        "threshold": cohort.threshold,
        "windows": settings.windows,
        "n_train": len(cohort.train),
        "n_test": len(cohort.test),
        "n_bootstrap": settings.n_bootstrap,
        "picked_by": "best AUROC on the test cases" if settings.mode == PAPER else on_training_cases,
        "notes": list(notes),
        "identity": identity["whole"],
        "cases": identity["cases"],
    }


def _write(
    output: Path,
    mode: str,
    rows: list[dict[str, str]],
    scores: list[dict[str, str]],
    cases: list[dict[str, str]],
    runs: dict[str, dict[str, Any]],
) -> None:
    others = [other for other in MODES if other != mode]

    def kept(name: str, columns: Sequence[str], key: str) -> list[dict[str, str]]:
        return [row for row in read_table(output / name, columns) if row[key].split("|")[0] in others]

    texts = {
        RESULTS: as_csv([*kept(RESULTS, RESULT_COLUMNS, "mode"), *rows], RESULT_COLUMNS),
        SCORES: as_csv([*kept(SCORES, SCORE_COLUMNS, "configuration"), *scores], SCORE_COLUMNS),
        CASES: as_csv([*kept(CASES, CASE_COLUMNS, "mode"), *cases], CASE_COLUMNS),
        RUNS: json.dumps(runs, indent=2) + "\n",
    }
    write_all(output, texts)
    write_all(output, {REPORT: report_page(output)})


def _identity(cohort: Cohort, settings: Settings) -> dict[str, str]:
    """Fingerprints: of the cases alone, and of everything that decides the results."""
    digest = hashlib.sha256()
    for array in (cohort.train, cohort.test, cohort.train_dice):
        digest.update(np.ascontiguousarray(array).tobytes())
    order = np.argsort(cohort.test_names)
    digest.update(json.dumps([cohort.train_names, sorted(cohort.test_names)]).encode())
    for name, values in cohort.outcomes.items():
        digest.update(name.encode() + np.ascontiguousarray(values[order]).tobytes())
    # Test cases stand in the order of the split, which is the mode's.
    digest.update(np.ascontiguousarray(cohort.test[order]).tobytes())
    whole = hashlib.sha256(digest.digest() + repr((settings, cohort.threshold, __version__)).encode())
    names = hashlib.sha256(json.dumps([cohort.train_names, sorted(cohort.test_names)]).encode())
    for values in cohort.outcomes.values():
        names.update(np.ascontiguousarray(values[order]).tobytes())
    return {"whole": whole.hexdigest(), "cases": names.hexdigest()}


def _check_same_cases(runs: dict[str, dict[str, Any]], output: Path, mode: str, cases: str) -> None:
    for other, facts in runs.items():
        if other != mode and facts.get("cases") != cases:
            message = f"{output} holds results of other cases ({other} mode); choose another output folder."
            raise OutputError(message)


class _Unfinished:
    """What is done of an evaluation that is not."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity

    def begin(self, *, resume: bool, overwrite: bool) -> dict[int, Part]:
        """Make the folder, or read what an earlier run has done.

        Raises:
            EvaluationError: There is something, and it is not of these cases and settings, or was not asked for.
        """
        marker = self._folder / "identity.json"
        if self._folder.exists():
            if resume and self._same(marker):
                return {int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in self._parts()}
            if resume and not overwrite:
                message = (
                    f"The unfinished evaluation in {self._folder} is of other cases or settings; "
                    "give the same ones, or add --overwrite to begin anew."
                )
                raise EvaluationError(message)
            if not overwrite:
                message = f"An unfinished evaluation lies in {self._folder}; add --resume to go on, or --overwrite."
                raise OutputError(message)
            self.remove()
        write_all(self._folder, {marker.name: json.dumps(self._identity)})
        return {}

    def _same(self, marker: Path) -> bool:
        try:
            return bool(json.loads(marker.read_text(encoding="utf-8")) == self._identity)
        except (OSError, ValueError):
            return False

    def _parts(self) -> list[Path]:
        return [path for path in self._folder.glob("*.json") if path.stem.isdecimal()]

    def keep(self, task: int, part: Part) -> None:
        """Keep one task's rows, whole or not at all."""
        write_all(self._folder, {f"{task}.json": json.dumps(part)})

    def remove(self) -> None:
        """Nothing is unfinished any more."""
        shutil.rmtree(self._folder, ignore_errors=True)
