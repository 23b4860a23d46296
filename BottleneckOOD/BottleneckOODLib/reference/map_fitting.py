"""The map of the training cases: the one place that imports umap."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import DependencyError

FloatArray = npt.NDArray[np.float64]


def fit_map(features: FloatArray, seed: int = 0) -> FloatArray:
    """Two-dimensional UMAP of the reference cases; for looking, never for a score.

    Args:
        features: Standardised bottleneck features, shape (n, d).
        seed: Seed of the layout.

    Returns:
        Positions, shape (n, 2).

    Raises:
        DependencyError: umap-learn is not installed.

    Source:
        McInnes et al., arXiv:1802.03426.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import umap  # noqa: PLC0415 - imports a compiler; only needed when a reference is built
    except ImportError:
        message = "Building a reference needs umap-learn, which is not installed; run: pip install umap-learn"
        raise DependencyError(message) from None
    n_neighbors = min(15, len(features) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reducer = umap.UMAP(n_components=2, n_neighbors=n_neighbors, min_dist=0.2, random_state=seed, n_jobs=1)
        return np.asarray(reducer.fit_transform(features), dtype=np.float64)
