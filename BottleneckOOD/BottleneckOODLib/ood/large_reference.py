"""Nearest neighbours among very many reference cases, such as an archive: exact, through faiss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import DependencyError

FloatArray = npt.NDArray[np.float64]
Block = npt.NDArray[np.floating]

_QUERIES = 64


class LargeNearestNeighbours:
    """``KNearestNeighbours`` for 10^4 to 10^6 reference cases, which are kept once, as float32.

    Below some thousands of cases one matrix product is as fast, and needs no faiss.

    Args:
        k: How many neighbours.
        statistic: ``"mean"`` of their distances, or the ``"kth"``.
    """

    name = "knn"

    def __init__(self, k: int = 16, statistic: str = "mean") -> None:
        self.k = k
        self.statistic = statistic

    def fit(self, features: Block | Iterable[Block]) -> LargeNearestNeighbours:
        """Keep the reference cases.

        Args:
            features: Shape (n, d), or blocks of such, so that all of them need never be in memory twice.

        Raises:
            DependencyError: faiss is not installed.
            ValueError: There is no case, or blocks differ in their number of features.
        """
        try:
            import faiss  # noqa: PLC0415 - only where so many cases are searched
        except ImportError:
            message = "So many reference cases need faiss, which is not installed; run: pip install faiss-cpu"
            raise DependencyError(message) from None
        index: Any = None
        centre: npt.NDArray[np.float32] | None = None
        for block in [features] if isinstance(features, np.ndarray) else features:
            if centre is None:
                # About a middle, float32 keeps the digits that a common offset would take.
                centre = np.asarray(block[: 4096].mean(axis=0), dtype=np.float32)
                index = faiss.IndexFlatL2(block.shape[1])
            if block.shape[1:] != centre.shape:
                message = f"a block has {block.shape[1:]} features a case, the first one {centre.shape}"
                raise ValueError(message)
            for start in range(0, len(block), 4096):
                part = np.asarray(block[start : start + 4096], dtype=np.float32)
                index.add(np.ascontiguousarray(part - centre))
        if centre is None or not index.ntotal:
            message = "there is no reference case"
            raise ValueError(message)
        self.centre_ = centre
        self.index_ = index
        return self

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Distance of each case (n_cases, d) to its nearest reference cases, shape (n_cases,); in blocks of cases.

        Exact up to the rounding of float32.
        """
        cases = np.asarray(np.atleast_2d(features), dtype=np.float32) - self.centre_
        k = min(self.k, int(self.index_.ntotal))
        scores = np.empty(len(cases))
        for start in range(0, len(cases), _QUERIES):
            part = np.ascontiguousarray(cases[start : start + _QUERIES])
            squared, _ = self.index_.search(part, k)
            distances = np.sqrt(np.maximum(squared.astype(np.float64), 0.0))
            own = distances.mean(axis=1) if self.statistic == "mean" else distances[:, -1]
            scores[start : start + _QUERIES] = own
        return scores

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {"k": self.k, "statistic": self.statistic}
