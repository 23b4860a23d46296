"""Scores of every configuration in one space."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.evaluation.embeddings import Array
from BottleneckOODLib.evaluation.settings import PAPER, PYOD, RELATIVE, Configuration, Settings, Task
from BottleneckOODLib.evaluation.spaces import Space, spaces_of
from BottleneckOODLib.ood.knn import KNearestNeighbours, squared_distances
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.mahalanobis_variants import PaperMahalanobis, PseudoInverseMahalanobis, RelativeMahalanobis
from BottleneckOODLib.ood.pyod_adapter import PyODDetector
from BottleneckOODLib.ood.residual import PrincipalResidual
from BottleneckOODLib.ood.robust_z import RobustZ

FloatArray = npt.NDArray[np.float64]

# An inverse of so many features takes about half a minute and, with fewer cases, is rounding noise.
LARGEST_INVERSE = 4096
# Up to so many features each refit takes next to nothing.
_FEW_FEATURES = 256


class Fitted(Protocol):
    """A detector that knows its reference cases."""

    def ood_score(self, features: FloatArray) -> FloatArray: ...


class Detector(Protocol):
    """A detector that has no k."""

    def fit(self, features: FloatArray) -> Fitted: ...


_PLAIN: dict[str, Callable[[], Detector]] = {
    "md": ShrunkMahalanobis,
    "md_pinv": PseudoInverseMahalanobis,
    "residual": PrincipalResidual,
    "robust_z": RobustZ,
}
# Their score grows with the root of the number of features, which puts it on one scale with a map's placement residual.
_PLACED = ("knn", "knn_mean", "knn_cosine", "md", "md_pinv", "residual")


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of one configuration.

    Attributes:
        configuration: Which.
        scores: Of each case that was to be scored; higher is more unusual.
        seconds: Reducing and scoring, as if it were the only configuration.
    """

    configuration: Configuration
    scores: FloatArray
    seconds: float


def score_task(
    task: Task,
    settings: Settings,
    train: Array,
    test: Array,
    ks: Sequence[int],
    components: Sequence[int],
    classes: tuple[str, ...] | None = None,
) -> Iterator[Scored]:
    """Scores of ``test`` by every configuration of one task, fitted on ``train`` (n, ...), which may have classes."""
    for space in spaces_of(task, settings, train, test, components):
        yield from _score_space(task, settings, space, ks, classes)


def leave_one_out(task: Task, settings: Settings, train: Array, ks: Sequence[int]) -> Iterator[Scored]:
    """Score of each training case among the others, where a reducer that learns nothing makes that cheap and exact.

    Yields nothing for detectors that would have to be fitted anew for each case.
    """
    for space in spaces_of(task, settings, train, train[:1], ()):
        among = squared_distances(space.train, space.train)
        np.fill_diagonal(among, np.inf)
        ordered = np.sqrt(np.sort(among, axis=1))
        for detector in settings.detectors:
            if detector in {"knn", "knn_mean"}:
                for k in ks:
                    yield Scored(_named(task, settings, space, detector, k), _nearest(ordered, k, detector), 0.0)
            elif detector == "knn_cosine":
                for k in ks:
                    scores = KNearestNeighbours(k, "kth", normalise=True).fit(space.train).leave_one_out_scores()
                    yield Scored(_named(task, settings, space, detector, k), scores, 0.0)
            elif detector == "md":
                scores = ShrunkMahalanobis().fit(space.train).leave_one_out_scores()
                yield Scored(_named(task, settings, space, detector, None), scores, 0.0)
            elif detector == "robust_z" and space.train.shape[1] <= _FEW_FEATURES:
                scores = RobustZ().fit(space.train).leave_one_out_scores()
                yield Scored(_named(task, settings, space, detector, None), scores, 0.0)


def _score_space(
    task: Task, settings: Settings, space: Space, ks: Sequence[int], classes: tuple[str, ...] | None
) -> Iterator[Scored]:
    paper = settings.mode == PAPER
    started = time.perf_counter()
    wanted = {"knn", "knn_mean"} & set(settings.detectors)
    ordered = np.sqrt(np.sort(space.squared, axis=1)) if wanted else space.squared
    sorting = time.perf_counter() - started
    for detector in settings.detectors:
        for k in ks if detector.startswith("knn") else (None,):
            started = time.perf_counter()
            if detector in {"knn", "knn_mean"} and k is not None:
                # The published code takes what stands at index k, which is the (k+1)-th.
                scores = _nearest(ordered, k + 1 if paper else k, detector)
            elif detector == "knn_cosine" and k is not None:
                scores = KNearestNeighbours(k, "kth", normalise=True).fit(space.train).ood_score(space.test)
            elif detector == "md" and paper:
                if space.train.shape[1] > LARGEST_INVERSE:
                    continue
                try:
                    scores = PaperMahalanobis().fit(space.train).ood_score(space.test)
                except np.linalg.LinAlgError:
                    continue
            elif detector == RELATIVE and (classes is None or len(set(classes)) < 2):  # noqa: PLR2004 - relative to what
                continue
            else:
                scores = _made(detector, classes).fit(space.train).ood_score(space.test)
            seconds = space.seconds + sorting + time.perf_counter() - started
            yield Scored(_named(task, settings, space, detector, k), scores, seconds)
            if space.residual is not None and detector in _PLACED:
                yield _placed(_named(task, settings, space, f"{detector}_placed", k), scores, space, seconds)


def _made(detector: str, classes: tuple[str, ...] | None) -> Detector:
    if detector == RELATIVE and classes is not None:
        return RelativeMahalanobis(classes)
    if detector.startswith(PYOD):
        return PyODDetector(detector.removeprefix(PYOD))
    return _PLAIN[detector]()


def _placed(configuration: Configuration, scores: FloatArray, space: Space, seconds: float) -> Scored:
    """The score on a map, in units of its own spread over the training cases, plus what the map cannot show."""
    assert space.residual is not None
    if configuration.k is None:
        usual = float(np.sqrt(space.train.shape[1]))
    else:
        among = squared_distances(space.train, space.train)
        np.fill_diagonal(among, np.inf)
        usual = float(np.median(np.sqrt(np.sort(among, axis=1)[:, min(configuration.k, len(among) - 1) - 1])))
    return Scored(configuration, scores / max(usual, 1e-300) + space.residual, seconds)


def _nearest(ordered: FloatArray, k: int, detector: str) -> FloatArray:
    return np.asarray(ordered[:, :k].mean(axis=1) if detector == "knn_mean" else ordered[:, k - 1])


def _named(task: Task, settings: Settings, space: Space, detector: str, k: int | None) -> Configuration:
    return Configuration(settings.mode, task.reducer, space.parameters, detector, k, task.seed)
