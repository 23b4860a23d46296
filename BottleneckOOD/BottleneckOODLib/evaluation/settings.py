"""What is to be evaluated: modes, reducers, detectors, and the grid of the paper."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from BottleneckOODLib.errors import EvaluationError

DEPLOYABLE, PAPER = "deployable", "paper"
MODES = (DEPLOYABLE, PAPER)
REDUCERS = ("none", "avgpool", "pca", "tsne", "umap")
DETECTORS = ("knn", "knn_mean", "knn_cosine", "md", "md_pinv", "residual", "robust_z")
PAPER_DETECTORS = ("knn", "md")
# Where the training cases have classes.
RELATIVE = "md_relative"
# Before the name of a detector of PyOD.
PYOD = "pyod_"
# What further vectors of a case are scored by: shrunk Mahalanobis on histograms is the published IHF.
FEATURE_DETECTORS = ("knn", "md", "robust_z")
LOGITS, PROBABILITIES = "logits", "probabilities"
MEMBERS = ("ensemble", "mc_dropout", "flips")
EMBEDDINGS, FEATURES, OUTPUTS = "embeddings", "features", "outputs"
POWERS = (2, 4, 8, 16, 32, 64, 128, 256)
PAPER_SEEDS = 5


@dataclass(frozen=True)
class Settings:
    """What one run evaluates.

    Attributes:
        mode: ``"deployable"`` or ``"paper"``.
        reducers: Which of ``REDUCERS``.
        detectors: Which of ``DETECTORS``, ``RELATIVE``, and PyOD's, with ``PYOD`` before their names.
        neighbours: Each k; a number below 1 is a share of the training cases. Empty takes the powers that fit.
        components: Each number of components of PCA and UMAP. Empty takes the powers that fit.
        windows: How the sliding-window axis was pooled.
        threshold: Dice at or below which a case counts as out of distribution, or ``"median"``.
        n_bootstrap: Resamples of each interval.
        outputs: What saved outputs hold: ``"logits"`` or ``"probabilities"``.
        members: Where several outputs of one case come from, one of ``MEMBERS``; only a name.
        temperatures: Of softmax and energy. Empty takes the published ones where one can be chosen, else 1.
    """

    mode: str = DEPLOYABLE
    reducers: tuple[str, ...] = REDUCERS
    detectors: tuple[str, ...] = PAPER_DETECTORS
    neighbours: tuple[float, ...] = ()
    components: tuple[int, ...] = ()
    windows: str = "none"
    threshold: float | str = 0.95
    n_bootstrap: int = 1000
    outputs: str = LOGITS
    members: str = MEMBERS[0]
    temperatures: tuple[float, ...] = ()

    def ks(self, n_train: int) -> tuple[int, ...]:
        """Each k as a count.

        Raises:
            EvaluationError: One that was asked for is not below the number of training cases.
        """
        if not self.neighbours:
            return tuple(k for k in POWERS if k < n_train)
        for k in self.neighbours:
            if k >= 1 and k != int(k):
                message = f"k is {k:g}; give a whole number, or a share of the training cases below 1, with --k."
                raise EvaluationError(message)
        counts = [max(1, round(k * n_train)) if k < 1 else int(k) for k in self.neighbours]
        for k in counts:
            if k >= n_train:
                message = f"k is {k}, but there are {n_train} training cases; choose a k below that with --k."
                raise EvaluationError(message)
        return tuple(dict.fromkeys(counts))


@dataclass(frozen=True)
class Configuration:
    """One line of the results.

    Attributes:
        mode: ``"deployable"`` or ``"paper"``.
        reducer: Which reducer.
        parameters: Its settings.
        detector: Which detector.
        k: Neighbours, counted as the mode does; None where the detector has none.
        seed: Of what is random, or which of the published five repeats; None elsewhere.
    """

    mode: str
    reducer: str
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    detector: str = "knn"
    k: int | None = None
    seed: int | None = None

    def columns(self) -> dict[str, str]:
        """The columns of the results that name it."""
        return {
            "mode": self.mode,
            "reducer": self.reducer,
            "parameters": json.dumps(dict(self.parameters)),
            "detector": self.detector,
            "k": "" if self.k is None else str(self.k),
            "seed": "" if self.seed is None else str(self.seed),
        }

    def label(self) -> str:
        """One name for it: those columns, joined by ``|``."""
        return "|".join(self.columns().values())


@dataclass(frozen=True)
class Task:
    """What is computed together: one reducer, for PCA with every number of components.

    Attributes:
        reducer: Which reducer.
        parameters: Its settings; for PCA empty, for further vectors the name of their set.
        seed: Of what is random.
        source: Of what: ``"embeddings"``, ``"features"`` (further vectors) or ``"outputs"``.
    """

    reducer: str
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    seed: int | None = None
    source: str = EMBEDDINGS
