"""Which configurations a run holds, and which of the paper's do not fit the cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.evaluation.cohort import Cohort
from BottleneckOODLib.evaluation.manifolds import tsne_fits, umap_fits
from BottleneckOODLib.evaluation.scoring import LARGEST_INVERSE
from BottleneckOODLib.evaluation.settings import (
    EMBEDDINGS,
    FEATURES,
    OUTPUTS,
    PAPER,
    PAPER_SEEDS,
    POWERS,
    Settings,
    Task,
)
from BottleneckOODLib.ood.average_pooling import DIMENSIONS, PAPER_GRID, AveragePooling

# Relative costs, for the time left: a map takes as long as many distances.
_COSTS = {"none": 2.0, "avgpool": 1.0, "pca": 5.0, "tsne": 15.0, "umap": 20.0, OUTPUTS: 40.0, FEATURES: 0.5}


@dataclass(frozen=True)
class Grid:
    """What is computed.

    Attributes:
        tasks: In the order in which they run.
        ks: Each number of neighbours.
        components: Each number of principal components, rising.
        notes: What does not fit these cases and is left out, one sentence each.
    """

    tasks: tuple[Task, ...]
    ks: tuple[int, ...]
    components: tuple[int, ...]
    notes: tuple[str, ...]

    def costs(self) -> dict[str, float]:
        """Relative cost of each task, by its title."""
        return {title(task): _COSTS[task.reducer if task.source == EMBEDDINGS else task.source] for task in self.tasks}


def make_grid(settings: Settings, cohort: Cohort, before: Sequence[Task] = (), after: Sequence[Task] = ()) -> Grid:
    """Everything that was asked for and fits.

    Args:
        settings: What was asked for.
        cohort: What it must fit.
        before: Tasks that come before those of the embeddings.
        after: Tasks that come after them.

    Raises:
        EvaluationError: Nothing of it fits.
    """
    n_train = len(cohort.train)
    shape = cohort.train.shape[1:]
    most = min(n_train - 1, int(np.prod(shape)))
    notes: list[str] = []
    ks = settings.ks(n_train)
    if not settings.neighbours and len(ks) < len(POWERS):
        notes.append(f"k of {POWERS[len(ks)]} and more left out: there are {n_train} training cases.")
    wanted = settings.components or POWERS
    components = tuple(sorted({n for n in wanted if n <= most}))
    tasks: list[Task] = [Task("none")] if "none" in settings.reducers else []
    if "avgpool" in settings.reducers:
        tasks += _poolings(shape, notes)
    if "pca" in settings.reducers:
        tasks += [Task("pca")] if components else []
        if len(components) < len(set(wanted)):
            notes.append(f"PCA of more than {most} components left out: the cases have no more directions.")
    tasks += _maps(settings, cohort, wanted, notes)
    if settings.mode == PAPER:
        notes += _paper_notes(settings, n_train, int(np.prod(shape)))
    if not tasks or not any(ks or not detector.startswith("knn") for detector in settings.detectors):
        message = f"Nothing of what was asked for fits {n_train} training cases of shape {shape}; choose others."
        raise EvaluationError(message)
    return Grid((*before, *tasks, *after), ks, components, tuple(notes))


def _poolings(shape: tuple[int, ...], notes: list[str]) -> list[Task]:
    poolings = [AveragePooling(dim, kernel, stride) for dim in DIMENSIONS for kernel, stride in PAPER_GRID]
    fitting = [pooling for pooling in poolings if pooling.fits(shape)]
    if len(fitting) < len(poolings):
        notes.append(f"{len(poolings) - len(fitting)} average poolings left out: the shape {shape} is too small.")
    return [Task("avgpool", pooling.settings()) for pooling in fitting]


def _maps(settings: Settings, cohort: Cohort, wanted: Sequence[int], notes: list[str]) -> list[Task]:
    n_train, n_all = len(cohort.train), len(cohort.train) + len(cohort.test)
    paper = settings.mode == PAPER
    seeds = range(PAPER_SEEDS) if paper else range(1)
    tasks: list[Task] = []
    if "tsne" in settings.reducers:
        if not paper:
            notes.append("t-SNE left out: it cannot place a new case, so it exists in paper mode only.")
        elif tsne_fits(n_all):
            tasks += [Task("tsne", {"n_components": 2}, seed) for seed in seeds]
        else:
            notes.append(f"t-SNE left out: {n_all} cases are too few.")
    if "umap" in settings.reducers:
        fitted_to = n_all if paper else n_train - max(len(fold) for fold in folds(n_train))
        possible = [n for n in wanted if umap_fits(n, fitted_to)]
        tasks += [Task("umap", {"n_components": n}, seed) for n in possible for seed in seeds]
        if len(possible) < len(wanted):
            notes.append(f"{len(wanted) - len(possible)} UMAPs left out: the cases are too few for so many components.")
    return tasks


def title(task: Task) -> str:
    """What is being done, for progress."""
    if task.source == OUTPUTS:
        return "outputs of the network"
    if task.source == FEATURES:
        return f"features {task.parameters['features']}"
    words = [task.reducer, *(f"{value}" for value in task.parameters.values())]
    return " ".join(words if task.seed is None else [*words, f"seed {task.seed}"])


def folds(n: int, n_folds: int = 5, seed: int = 0) -> list[np.ndarray[tuple[int, ...], np.dtype[np.intp]]]:
    """Rows of each fold, drawn at random but always alike."""
    return [np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(n), min(n_folds, n))]


def _paper_notes(settings: Settings, n_train: int, d: int) -> list[str]:
    notes = []
    if "md" in settings.detectors and d > LARGEST_INVERSE:
        notes.append(f"md left out where more than {LARGEST_INVERSE} features would have to be inverted.")
    if "md" in settings.detectors and d >= n_train:
        notes.append("md inverts a singular covariance where features outnumber cases, as published: rounding noise.")
    return notes
