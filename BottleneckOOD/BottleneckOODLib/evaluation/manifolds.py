"""UMAP and t-SNE as reducers: fitted on all cases together, as published, or on the training cases only."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import DependencyError
from BottleneckOODLib.ood.knn import squared_distances

FloatArray = npt.NDArray[np.float64]

_NEIGHBOURHOOD = 15
_PERPLEXITY = 30.0


def joint_tsne(train: FloatArray, test: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
    """t-SNE in two dimensions of training and test cases together; no new case can be placed on it.

    Args:
        train: Shape (n_train, d).
        test: Shape (n_test, d).
        seed: Of the layout.

    Returns:
        Positions, shapes (n_train, 2) and (n_test, 2).
    """
    try:
        from sklearn.manifold import TSNE  # noqa: PLC0415 - only needed for t-SNE
    except ImportError:
        message = "t-SNE needs scikit-learn, which is not installed; run: pip install scikit-learn"
        raise DependencyError(message) from None
    together = np.vstack([train, test])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layout = TSNE(2, random_state=seed).fit_transform(together)
    return _parts(layout, len(train))


def tsne_fits(n_cases: int) -> bool:
    """Whether t-SNE's default perplexity allows so few cases."""
    return n_cases > _PERPLEXITY


def umap_fits(n_components: int, n_cases: int) -> bool:
    """Whether UMAP's spectral start allows so many components."""
    return n_components + 2 <= n_cases


def joint_umap(train: FloatArray, test: FloatArray, n_components: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """UMAP of training and test cases together, as ``joint_tsne``."""
    layout = _fitted(np.vstack([train, test]), n_components, seed).embedding_
    return _parts(layout, len(train))


def inductive_umap(
    train: FloatArray, test: FloatArray, n_components: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """UMAP fitted on the training cases; each test case is placed alone, so that it does not depend on the others."""
    model = _fitted(train, n_components, seed)
    placed = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in test:
            placed.append(model.transform(case[None])[0])
    return np.asarray(model.embedding_, dtype=np.float64), np.asarray(placed, dtype=np.float64)


def placement_residual(train: FloatArray, test: FloatArray) -> FloatArray:
    """Distance of each case to its nearest training cases in feature space, over how far those usually are.

    UMAP draws a case inside the training cloud however far it lies outside; this is what the map cannot show.

    Args:
        train: Shape (n_train, d).
        test: Shape (n_test, d).

    Returns:
        Shape (n_test,); about 1 for a case like the training cases.
    """
    k = min(_NEIGHBOURHOOD, len(train) - 1)
    among = squared_distances(train, train)
    np.fill_diagonal(among, np.inf)
    usual = np.median(np.sqrt(np.sort(among, axis=1)[:, :k]).mean(axis=1))
    own = np.sqrt(np.sort(squared_distances(test, train), axis=1)[:, :k]).mean(axis=1)
    return np.asarray(own / max(float(usual), 1e-300))


def _fitted(features: FloatArray, n_components: int, seed: int) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import umap  # noqa: PLC0415 - imports a compiler; only needed for UMAP
    except ImportError:
        message = "UMAP needs umap-learn, which is not installed; run: pip install umap-learn"
        raise DependencyError(message) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        neighbours = min(_NEIGHBOURHOOD, len(features) - 1)
        return umap.UMAP(n_components=n_components, n_neighbors=neighbours, random_state=seed, n_jobs=1).fit(features)


def _parts(layout: npt.NDArray[np.floating], n_train: int) -> tuple[FloatArray, FloatArray]:
    positions = np.asarray(layout, dtype=np.float64)
    return positions[:n_train], positions[n_train:]
