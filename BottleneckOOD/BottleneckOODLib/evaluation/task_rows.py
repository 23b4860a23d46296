"""From one task to its rows of the tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.evaluation import deployable_mode
from BottleneckOODLib.evaluation.cohort import Cohort
from BottleneckOODLib.evaluation.embeddings import ReadTensor
from BottleneckOODLib.evaluation.feature_sets import FeatureSet
from BottleneckOODLib.evaluation.grid import Grid
from BottleneckOODLib.evaluation.measuring import result_row
from BottleneckOODLib.evaluation.outputs import Outputs, read_case, scores_of_case, stamp
from BottleneckOODLib.evaluation.scoring import Scored, score_task
from BottleneckOODLib.evaluation.settings import (
    FEATURE_DETECTORS,
    PAPER,
    PAPER_SEEDS,
    PYOD,
    Configuration,
    Settings,
    Task,
)
from BottleneckOODLib.evaluation.tables import number
from BottleneckOODLib.evaluation.unfinished import Part, Unfinished
from BottleneckOODLib.ood.failure_metrics import stratified_weights
from BottleneckOODLib.ood.metrics import auroc
from BottleneckOODLib.ood.output_scores import PAPER_TEMPERATURES

FloatArray = npt.NDArray[np.float64]


def run_task(task: Task, settings: Settings, cohort: Cohort, grid: Grid, weights: FloatArray) -> Part:
    """Rows of one reducer of the embeddings."""
    scored = list(
        score_task(task, settings, cohort.train, cohort.test, grid.ks, grid.components, cohort.classes)
    )
    calibration: dict[str, FloatArray] = {}
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
        _add(part, row, one, cohort, repeated=settings.mode == PAPER and task.seed is None)
    return part


def run_features(
    task: Task, settings: Settings, cohort: Cohort, grid: Grid, weights: FloatArray, features: FeatureSet
) -> Part:
    """Rows of one set of further vectors, by the detectors that suit such."""
    own = tuple(name for name in settings.detectors if name.startswith(PYOD))
    settings = replace(settings, detectors=(*FEATURE_DETECTORS, *own))
    return run_task(task, settings, replace(cohort, train=features.train, test=features.test), grid, weights)


def temperatures_of(settings: Settings, cohort: Cohort, outputs: Outputs) -> tuple[float, ...]:
    """Which temperatures are tried: the published search where something can choose one of them."""
    if settings.temperatures:
        return settings.temperatures
    chosen_on_training_cases = outputs.train and deployable_mode.how_validated(cohort) == deployable_mode.LABELLED
    return PAPER_TEMPERATURES if settings.mode == PAPER or chosen_on_training_cases else (1.0,)


def run_outputs(
    settings: Settings,
    cohort: Cohort,
    weights: FloatArray,
    outputs: Outputs,
    read_tensor: ReadTensor,
    unfinished: Unfinished,
    report: Callable[[float], None],
) -> Part:
    """Rows of every score of the network's outputs; one case is in memory at a time, and each is kept when done.

    Args:
        settings: Mode, temperatures, and what the files hold.
        cohort: Who the cases are.
        weights: Bootstrap samples, shape (n_samples, n_test).
        outputs: Their files.
        read_tensor: Reads a ``.pt`` file.
        unfinished: Where finished cases are kept.
        report: Told the share that is done; may raise to stop.

    Raises:
        EvaluationError: A file cannot be used.
        Cancelled: ``report`` said so.
    """
    temperatures = temperatures_of(settings, cohort, outputs)
    sides = {"test": outputs.test, "train": outputs.train}
    n_cases = len(outputs.test) + len(outputs.train)
    found: dict[str, list[list[float]]] = {side: [] for side in sides}
    seconds, done = 0.0, 0
    named: list[tuple[str, dict[str, float | str]]] = []
    classes: tuple[int, str] | None = None
    for side, cases in sides.items():
        for index, files in enumerate(cases):
            report(done / n_cases)
            stamps = stamp(files)
            record = unfinished.kept_case(f"{side}-{index}")
            # Outputs of training cases that come or go change which temperatures are tried.
            if record is None or [record["stamps"], record.get("temperatures")] != [stamps, list(temperatures)]:
                read = read_case(files, settings, read_tensor)
                started = time.perf_counter()
                scores = scores_of_case(read, settings, temperatures)
                record = {
                    "stamps": stamps,
                    "temperatures": list(temperatures),
                    "classes": len(read[0]),
                    "seconds": time.perf_counter() - started,
                    "scores": [list(score) for score in scores],
                }
                unfinished.keep_case(f"{side}-{index}", record)
            if classes is None:
                classes = (record["classes"], str(files[0]))
            elif classes[0] != record["classes"]:
                message = (
                    f"The output {files[0]} has {record['classes']} classes, but {classes[1]} has {classes[0]}; "
                    "all outputs must come from one model."
                )
                raise EvaluationError(message)
            named = [(detector, parameters) for detector, parameters, _ in record["scores"]]
            found[side].append([value for _, _, value in record["scores"]])
            seconds += record["seconds"] if side == "test" else 0.0
            done += 1
    report(1.0)
    seconds /= len(temperatures) if outputs.n_members == 1 else 1
    test, train = (np.array(found[side], dtype=np.float64) for side in ("test", "train"))
    part: Part = {"rows": [], "scores": []}
    cohort, weights = _as_published(settings, cohort, weights)
    for column, (detector, parameters) in enumerate(named):
        configuration = Configuration(settings.mode, "none", parameters, detector)
        scored = Scored(configuration, test[:, column], seconds)
        own = train[:, column] if len(train) and settings.mode != PAPER else None
        row = result_row(scored, cohort, weights, own, _validated(own, cohort))
        _add(part, row, scored, cohort, repeated=settings.mode == PAPER)
    return part


def _as_published(settings: Settings, cohort: Cohort, weights: FloatArray) -> tuple[Cohort, FloatArray]:
    """A Dice at the threshold is in distribution in the published scripts for outputs, unlike those for distances."""
    failed = cohort.outcomes["dice"] < cohort.threshold
    if settings.mode != PAPER or not failed.any() or (failed == cohort.failed).all():
        return cohort, weights
    return replace(cohort, failed=failed), stratified_weights(failed, settings.n_bootstrap)


def _validated(scores: FloatArray | None, cohort: Cohort) -> float:
    if scores is None or deployable_mode.how_validated(cohort) != deployable_mode.LABELLED:
        return float("nan")
    known = np.isfinite(cohort.train_dice)
    return auroc(scores[known], cohort.train_dice[known] <= cohort.threshold)


def _add(part: Part, row: dict[str, str], scored: Scored, cohort: Cohort, *, repeated: bool) -> None:
    # Nothing is random without a map, so the published repeats differ in their number only.
    for seed in range(PAPER_SEEDS) if repeated else [None]:
        part["rows"].append({**row, "seed": str(seed)} if seed is not None else row)
    configuration = replace(scored.configuration, seed=0) if repeated else scored.configuration
    label = configuration.label()
    part["scores"] += [
        {"case": name, "configuration": label, "score": number(score)}
        for name, score in zip(cohort.test_names, scored.scores, strict=True)
    ]
