"""Running an evaluation: task by task, each kept as soon as it is done, tables written when all are."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from BottleneckOODLib.errors import EvaluationError, OutputError
from BottleneckOODLib.evaluation import deployable_mode, paper_mode
from BottleneckOODLib.evaluation.cohort import Cohort, make_cohort, read_performance
from BottleneckOODLib.evaluation.embeddings import ReadTensor, read_embeddings
from BottleneckOODLib.evaluation.feature_sets import (
    FeatureFolders,
    FeatureSet,
    fingerprint,
    read_classes,
    read_feature_set,
)
from BottleneckOODLib.evaluation.grid import Grid, make_grid, title
from BottleneckOODLib.evaluation.outputs import Outputs, find_outputs, stamp
from BottleneckOODLib.evaluation.report import report_page
from BottleneckOODLib.evaluation.settings import (
    FEATURES,
    MODES,
    OUTPUTS,
    PAPER,
    PAPER_DETECTORS,
    RELATIVE,
    Settings,
    Task,
)
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
from BottleneckOODLib.evaluation.task_rows import run_features, run_outputs, run_task, temperatures_of
from BottleneckOODLib.evaluation.unfinished import Part, Unfinished
from BottleneckOODLib.ood.failure_metrics import FEW_CASES, stratified_weights
from BottleneckOODLib.progress import CancelToken, ProgressCallback, ProgressReporter
from BottleneckOODLib.version import __version__


@dataclass(frozen=True)
class Inputs:
    """Where the cases are.

    Attributes:
        train: Folder of training embeddings.
        test: Folder of test embeddings.
        performance: Table of the segmentation's performance.
        test_outputs: Folder of the network's outputs for the test cases.
        train_outputs: The same for the training cases.
        features: Folders of further vectors.
        classes: Table of the training cases' classes.
    """

    train: Path
    test: Path
    performance: Path
    test_outputs: Path | None = None
    train_outputs: Path | None = None
    features: tuple[FeatureFolders, ...] = ()
    classes: Path | None = None


@dataclass(frozen=True, eq=False)
class _Further:
    """What is evaluated beside the embeddings."""

    outputs: Outputs | None
    features: tuple[FeatureSet, ...]

    def tasks(self) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
        """Tasks before, and after, those of the embeddings: a mistake in a file of outputs is found soon."""
        before = (Task("none", source=OUTPUTS),) if self.outputs else ()
        return before, tuple(Task("none", {"features": one.name}, source=FEATURES) for one in self.features)


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
    inputs, settings, left_out = _as_the_mode_has_it(inputs, settings)
    cohort = _read(inputs, settings, read_tensor)
    further = _read_further(inputs, settings, cohort, read_tensor)
    grid = make_grid(settings, cohort, *further.tasks())
    identity = _identity(cohort, settings, further)
    _check_same_cases(runs, output, settings.mode, identity["cases"])
    if finished and resume and not overwrite:
        if runs[settings.mode]["identity"] != identity["whole"]:
            message = f"{output} holds results of other settings; choose another folder, or add --overwrite."
            raise OutputError(message)
        write_all(output, {REPORT: report_page(output)})
        return tuple(runs[settings.mode]["notes"])
    unfinished = Unfinished(output / f"unfinished-{settings.mode}", identity["without_outputs"])
    parts = unfinished.begin(resume=resume, overwrite=overwrite)
    reporter = ProgressReporter(progress, cancel, grid.costs())
    weights = stratified_weights(cohort.failed, settings.n_bootstrap)
    for number_of_task, task in enumerate(grid.tasks):
        reporter.report(title(task))
        if task.source == OUTPUTS and further.outputs:
            # Its finished cases are kept one by one, so that a file can be mended in between.
            told = partial(reporter.report, title(task))
            parts[number_of_task] = run_outputs(
                settings, cohort, weights, further.outputs, read_tensor, unfinished, told
            )
        elif number_of_task not in parts:
            parts[number_of_task] = _run_task(task, settings, cohort, grid, weights, further)
            unfinished.keep(number_of_task, parts[number_of_task])
    reporter.report(title(grid.tasks[-1]), 1.0)
    notes = (*_few_cases(cohort), *grid.notes, *left_out, *_output_notes(settings, cohort, further.outputs))
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
    cohort = make_cohort(train, test, table, settings.threshold, settings.mode)
    return replace(cohort, classes=read_classes(inputs.classes, cohort.train_names)) if inputs.classes else cohort


def _as_the_mode_has_it(inputs: Inputs, settings: Settings) -> tuple[Inputs, Settings, list[str]]:
    """Without what the paper has not, in its mode; with the detector that classes are for."""
    if settings.mode != PAPER:
        if inputs.classes and RELATIVE not in settings.detectors:
            settings = replace(settings, detectors=(*settings.detectors, RELATIVE))
        return inputs, settings, []
    left_out = []
    detectors = tuple(name for name in settings.detectors if name in PAPER_DETECTORS)
    if not detectors:
        message = "Paper mode has the detectors knn and md only; give one of them with --detectors, or another mode."
        raise EvaluationError(message)
    if len(detectors) < len(settings.detectors) or inputs.classes:
        left_out.append("Detectors other than knn and md left out: the paper has none.")
    if inputs.features:
        left_out.append("Further features left out: the paper has none.")
    return replace(inputs, features=(), classes=None), replace(settings, detectors=detectors), left_out


def _read_further(inputs: Inputs, settings: Settings, cohort: Cohort, read_tensor: ReadTensor) -> _Further:
    if inputs.train_outputs and not inputs.test_outputs:
        message = "Outputs of training cases were given and none of test cases; add --test-outputs."
        raise EvaluationError(message)
    if settings.temperatures and not inputs.test_outputs:
        message = "A temperature was given and no outputs that it is for; add --test-outputs, or leave the temperature."
        raise EvaluationError(message)
    outputs = find_outputs(inputs.test_outputs, inputs.train_outputs, cohort) if inputs.test_outputs else None
    return _Further(outputs, tuple(read_feature_set(one, cohort, read_tensor) for one in inputs.features))


def _run_task(
    task: Task, settings: Settings, cohort: Cohort, grid: Grid, weights: np.ndarray[Any, Any], further: _Further
) -> Part:
    if task.source == FEATURES:
        own = next(one for one in further.features if one.name == task.parameters["features"])
        return run_features(task, settings, cohort, grid, weights, own)
    return run_task(task, settings, cohort, grid, weights)


def _output_notes(settings: Settings, cohort: Cohort, outputs: Outputs | None) -> list[str]:
    if outputs is None:
        return []
    notes = []
    if settings.mode != PAPER and not outputs.train:
        notes.append("Without outputs of training cases, scores of outputs have no threshold and flag nothing.")
    elif settings.mode != PAPER:
        notes.append("A network is surer of the cases that it was trained on: a threshold from them flags too many.")
    if outputs.n_members > 1 and settings.temperatures:
        notes.append("The temperature took no part: scores of several outputs have none.")
    if outputs.n_members == 1 and settings.mode == PAPER and len(temperatures_of(settings, cohort, outputs)) > 1:
        notes.append("The temperature of softmax and energy is the best on the test cases, as published.")
    return notes


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


def _identity(cohort: Cohort, settings: Settings, further: _Further) -> dict[str, str]:
    """Fingerprints: of the cases alone, of all but the outputs, and of everything that decides the results."""
    digest = hashlib.sha256()
    for array in (cohort.train, cohort.test, cohort.train_dice):
        digest.update(np.ascontiguousarray(array).tobytes())
    order = np.argsort(cohort.test_names)
    digest.update(json.dumps([cohort.train_names, sorted(cohort.test_names)]).encode())
    for name, values in cohort.outcomes.items():
        digest.update(name.encode() + np.ascontiguousarray(values[order]).tobytes())
    # Test cases stand in the order of the split, which is the mode's.
    digest.update(np.ascontiguousarray(cohort.test[order]).tobytes())
    for part in fingerprint(further.features):
        digest.update(part)
    digest.update(json.dumps(cohort.classes).encode())
    facts = (settings, cohort.threshold, __version__, further.outputs is not None)
    without = hashlib.sha256(digest.digest() + repr(facts).encode())
    outputs = further.outputs
    # Files of outputs are large: name, size and time stand for them.
    stamps = [stamp(files) for files in (*outputs.test, *outputs.train)] if outputs else []
    whole = hashlib.sha256(without.digest() + json.dumps(sorted(stamps)).encode())
    names = hashlib.sha256(json.dumps([cohort.train_names, sorted(cohort.test_names)]).encode())
    for values in cohort.outcomes.values():
        names.update(np.ascontiguousarray(values[order]).tobytes())
    return {"whole": whole.hexdigest(), "without_outputs": without.hexdigest(), "cases": names.hexdigest()}


def _check_same_cases(runs: dict[str, dict[str, Any]], output: Path, mode: str, cases: str) -> None:
    for other, facts in runs.items():
        if other != mode and facts.get("cases") != cases:
            message = f"{output} holds results of other cases ({other} mode); choose another output folder."
            raise OutputError(message)
