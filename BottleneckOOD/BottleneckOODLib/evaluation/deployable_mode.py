"""What can be known before the first test case: thresholds and hyper-parameters from training cases only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.evaluation.cohort import Cohort
from BottleneckOODLib.evaluation.embeddings import Array
from BottleneckOODLib.evaluation.grid import Grid, folds
from BottleneckOODLib.evaluation.scoring import leave_one_out, score_task
from BottleneckOODLib.evaluation.settings import FEATURES, Settings, Task
from BottleneckOODLib.ood.metrics import auroc

FloatArray = npt.NDArray[np.float64]

LEAST_FAILED = 5
LABELLED = "leave-one-out AUROC on the training cases, of which enough have failed"
MIXED = "AUROC of held-out training cases against mixtures of two of them"


def calibration_scores(task: Task, settings: Settings, cohort: Cohort, grid: Grid) -> dict[str, FloatArray]:
    """Scores of training cases by fits without them, by the configuration's label; NaN where there is none.

    Leave-one-out where it is exact and cheap; else five folds, and one for UMAP.
    """
    train = cohort.train
    found: dict[str, FloatArray] = {}
    if task.reducer in {"none", "avgpool"}:
        found = {s.configuration.label(): s.scores for s in leave_one_out(task, settings, train, grid.ks)}
        names = {label.split("|")[3] for label in found}
        settings = replace(settings, detectors=tuple(name for name in settings.detectors if name not in names))
    if settings.detectors:
        parts = folds(len(train))
        for held in parts[:1] if task.reducer == "umap" else parts:
            fitted_to = np.setdiff1d(np.arange(len(train)), held)
            for scored in _fitting(task, settings, cohort, fitted_to, train[held], grid):
                scores = found.setdefault(scored[0], np.full(len(train), np.nan))
                scores[held] = scored[1]
    return found


def validation_aurocs(
    task: Task, settings: Settings, cohort: Cohort, grid: Grid, calibration: dict[str, FloatArray]
) -> dict[str, float]:
    """How well each configuration does without any test case, by its label."""
    failed = cohort.train_dice <= cohort.threshold
    if how_validated(cohort) == LABELLED:
        known = np.isfinite(cohort.train_dice)
        return {
            label: auroc(scores[known & np.isfinite(scores)], failed[known & np.isfinite(scores)])
            for label, scores in calibration.items()
        }
    if task.source == FEATURES:
        # Halves of two histograms are no histogram: every detector tells that apart, so it would tell nothing.
        return {}
    held = folds(len(cohort.train))[0]
    fitted_to = np.setdiff1d(np.arange(len(cohort.train)), held)
    real = cohort.train[held]
    cases = np.concatenate([real, mixtures(real)])
    strange = np.arange(len(cases)) >= len(real)
    return {
        label: auroc(scores, strange)
        for label, scores in _fitting(task, settings, cohort, fitted_to, cases, grid)
    }


def how_validated(cohort: Cohort) -> str:
    """By which rule configurations are compared before the test."""
    known = cohort.train_dice[np.isfinite(cohort.train_dice)]
    failed = int(np.count_nonzero(known <= cohort.threshold))
    return LABELLED if min(failed, len(known) - failed) >= LEAST_FAILED else MIXED


def mixtures(cases: Array, seed: int = 0) -> Array:
    """Cases of which half of the channels come from another one: each part is usual, together they are not.

    Args:
        cases: Shape (n, ...); channels are the first axis of (C, z, y, x) and (d,), the second where windows are.
        seed: Of the choice.

    Returns:
        As many mixtures.
    """
    rng = np.random.default_rng(seed)
    axis = 2 if cases.ndim in {3, 6} else 1
    n_channels = cases.shape[axis]
    mixed: Array = np.array(cases)
    for row in range(len(cases)):
        other = (row + 1 + int(rng.integers(max(1, len(cases) - 1)))) % len(cases)
        channels = rng.permutation(n_channels)[: n_channels // 2]
        where = (slice(None),) * (axis - 1) + (channels,)
        mixed[row][where] = cases[other][where]
    return mixed


def pick(rows: Sequence[dict[str, str]]) -> int | None:
    """The row with the best validation AUROC, the first of equals; None if none has one."""
    valued = [(float(row["validation_auroc"]), -index) for index, row in enumerate(rows) if row["validation_auroc"]]
    return -max(valued)[1] if valued else None


def _fitting(
    task: Task, settings: Settings, cohort: Cohort, fitted_to: npt.NDArray[np.intp], test: Array, grid: Grid
) -> list[tuple[str, FloatArray]]:
    """Scores by label; a k or a number of components that a fold has no room for is scored by the largest it has."""
    train = cohort.train[fitted_to]
    classes = None if cohort.classes is None else tuple(cohort.classes[row] for row in fitted_to)
    room = len(train) - 1
    ks = {k: min(k, room) for k in grid.ks}
    components = {n: min(n, room) for n in grid.components}
    used_ks, used_components = tuple(dict.fromkeys(ks.values())), tuple(sorted(set(components.values())))
    results = []
    for s in score_task(task, settings, train, test, used_ks, used_components, classes):
        configuration = s.configuration
        wanted_ks: list[int | None] = [k for k, used in ks.items() if used == configuration.k]
        wanted_ks = wanted_ks or [configuration.k]
        own = configuration.parameters.get("n_components")
        stands_for = [n for n, used in components.items() if used == own] if task.reducer == "pca" else [None]
        for k in wanted_ks:
            for n in stands_for:
                parameters = configuration.parameters if n is None else {"n_components": n}
                results.append((replace(configuration, k=k, parameters=parameters).label(), s.scores))
    return results
