"""The reduced features in which cases are compared, made so that what can be shared is computed once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.evaluation.embeddings import Array
from BottleneckOODLib.evaluation.manifolds import inductive_umap, joint_tsne, joint_umap, placement_residual
from BottleneckOODLib.evaluation.settings import PAPER, Settings, Task
from BottleneckOODLib.ood.average_pooling import AveragePooling
from BottleneckOODLib.ood.knn import squared_distances
from BottleneckOODLib.ood.standardising import standardised

FloatArray = npt.NDArray[np.float64]
_WIDE = 4


@dataclass(frozen=True, eq=False)
class Space:
    """Reduced features of training cases and of cases to score.

    Attributes:
        parameters: Settings of the reducer.
        train: Shape (n_train, d).
        test: Shape (n_test, d).
        squared: Squared distances, shape (n_test, n_train).
        seconds: What the reducer takes when only this space is wanted.
        residual: What the reducer could not show of each case, shape (n_test,); None where it drops nothing on its own.
    """

    parameters: Mapping[str, float | str]
    train: FloatArray
    test: FloatArray
    squared: FloatArray
    seconds: float
    residual: FloatArray | None = None


def spaces_of(task: Task, settings: Settings, train: Array, test: Array, components: Sequence[int]) -> Iterator[Space]:
    """Every space of one task.

    Args:
        task: Which reducer.
        settings: In ``paper`` mode UMAP and t-SNE are fitted on training and test cases together.
        train: Embeddings, shape (n_train, ...).
        test: Embeddings to score, shape (n_test, ...).
        components: Numbers of principal components, rising.
    """
    started = time.perf_counter()
    if task.reducer == "avgpool":
        parameters = task.parameters
        pooling = AveragePooling(str(parameters["dim"]), int(parameters["kernel"]), int(parameters["stride"]))
        yield _space(parameters, pooling.transform(train), pooling.transform(test), started)
        return
    flat_train, flat_test = _flat(train), _flat(test)
    if task.reducer == "none":
        yield _space(task.parameters, flat_train, flat_test, started)
    elif task.reducer == "pca":
        yield from _principal_spaces(flat_train, flat_test, components, started)
    elif task.reducer == "tsne":
        yield _space({"n_components": 2}, *joint_tsne(flat_train, flat_test, task.seed or 0), started)
    else:
        n_components = int(task.parameters["n_components"])
        umap = joint_umap if settings.mode == PAPER else inductive_umap
        placed = umap(flat_train, flat_test, n_components, task.seed or 0)
        residual = None if settings.mode == PAPER else placement_residual(flat_train, flat_test)
        yield _space({"n_components": n_components}, *placed, started, residual)


def principal_coordinates(train: FloatArray, test: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Standardise by the training cases and project on their first ``n`` principal components.

    Args:
        train: Shape (n_train, d).
        test: Shape (n_test, d).
        n: How many; where the training cases vary in fewer directions, the others are 0.

    Returns:
        Coordinates, shapes (n_train, n) and (n_test, n).
    """
    own, new = standardised(train, test)
    if train.shape[1] < _WIDE * len(train):
        left, singular, right = np.linalg.svd(own, full_matrices=False)
        seen = singular[:n] > singular[0] * max(train.shape) * np.finfo(np.float64).eps
        return left[:, :n] * (singular[:n] * seen), (new @ right[:n].T) * seen
    # Products of cases hold the same directions, and are small: one of them serves every n.
    values, vectors = np.linalg.eigh(own @ own.T)
    values, vectors = values[::-1][:n], vectors[:, ::-1][:, :n]
    seen = values > values[0] * len(train) * _WIDE * np.finfo(np.float64).eps
    singular = np.sqrt(np.where(seen, values, 1.0))
    return vectors * (singular * seen), (new @ own.T) @ vectors / singular * seen


def _principal_spaces(
    train: FloatArray, test: FloatArray, components: Sequence[int], started: float
) -> Iterator[Space]:
    coordinates, new = principal_coordinates(train, test, max(components))
    seconds = time.perf_counter() - started
    squared = np.zeros((len(test), len(train)))
    before = 0
    for n in components:
        # Squared distances add up over directions, so the next number of components adds its own only.
        squared = squared + squared_distances(new[:, before:n], coordinates[:, before:n])
        before = n
        yield Space({"n_components": n}, coordinates[:, :n], new[:, :n], squared, seconds)


def _space(
    parameters: Mapping[str, float | str],
    train: FloatArray,
    test: FloatArray,
    started: float,
    residual: FloatArray | None = None,
) -> Space:
    return Space(
        parameters, train, test, squared_distances(test, train), time.perf_counter() - started, residual
    )


def _flat(features: Array) -> FloatArray:
    # As saved: single precision becomes double where something is subtracted from it, and not before.
    flat: FloatArray = features.reshape(len(features), -1)  # type: ignore[assignment]
    return flat
