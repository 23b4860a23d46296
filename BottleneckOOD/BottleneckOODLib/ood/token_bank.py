"""What parts of training cases look like to the network, and how far the parts of a new case are from all of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.knn import squared_distances

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

MAX_TOKENS = 20_000
LEAST_SHARE = 0.5
"""A part that lies by half or more outside of the body is neither kept nor judged."""
SPREAD_QUANTILE = 0.95
_LEAST_VARIANCE = 1e-3
_LEAST_SPREAD = 1e-9
_BLOCK = 512
_FAISS_BLOCK, _FEW_QUERIES = 4096, 900
_LARGEST_HALF = 60_000.0


@dataclass(frozen=True, eq=False)
class TokenBank:
    """Tokens of the training cases.

    Attributes:
        tokens: As measured, shape (n, C), float16.
        case_index: Which case each is of, shape (n,), int32.
        spread: The 95% quantile of the tokens' own distances to the nearest token of another case.
    """

    tokens: npt.NDArray[np.float16]
    case_index: npt.NDArray[np.int32]
    spread: float

    @classmethod
    def fitted(cls, tokens: Float32Array, case_index: npt.NDArray[np.int32]) -> TokenBank:
        """A bank with its spread, measured from each case to all the others.

        Args:
            tokens: Shape (n, C). Not modified.
            case_index: Shape (n,), of at least two cases.

        Raises:
            ValueError: All tokens are of one case, or one is not a finite number.
        """
        if len(np.unique(case_index)) < 2 or not np.isfinite(tokens).all():  # noqa: PLR2004 - one and another
            message = "tokens of two cases at least are needed, all of finite numbers"
            raise ValueError(message)
        half = np.clip(tokens, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
        bank = cls(half, case_index.astype(np.int32), 1.0)
        spread = float(np.quantile(bank.distances_to_other_cases(), SPREAD_QUANTILE))
        return cls(half, bank.case_index, max(spread, _LEAST_SPREAD))

    def distances_to_other_cases(self) -> FloatArray:
        """Distance of each token to the nearest of another case, shape (n,), in units of the whitened tokens."""
        distances = np.zeros(len(self.tokens))
        for case in np.unique(self.case_index):
            own = self.case_index == case
            distances[own] = np.sqrt(nearest_squared(self._white[own], self._white[~own]))
        return distances

    def relative_distances(self, tokens: Float32Array) -> Float32Array:
        """How far tokens lie from all training tokens, relative to the spread of those.

        Args:
            tokens: Shape (m, C), finite. Not modified.

        Returns:
            Distance to the nearest training token, 1.0 at the 95% quantile of the training tokens' own distances to
            other cases; shape (m,), float32.

        Raises:
            ValueError: The tokens have another number of features than the bank's.
        """
        if tokens.ndim != 2 or tokens.shape[1] != self.tokens.shape[1]:  # noqa: PLR2004 - a table
            message = f"tokens of shape {tokens.shape} where {self.tokens.shape[1]} features a token are needed"
            raise ValueError(message)
        if len(tokens) == 0:
            return np.zeros(0, dtype=np.float32)
        centre, whitening = self._whitening
        white = ((tokens - centre) @ whitening).astype(np.float32)
        nearest = nearest_squared(white, self._white, self._index)
        return np.asarray(np.sqrt(nearest) / self.spread, dtype=np.float32)

    def relative_map(self, tokens: Float32Array, shares: Float32Array) -> Float32Array:
        """The same for the tokens of windows, where they lie in the body.

        Args:
            tokens: Shape (n_windows, C, z, y, x). Not modified.
            shares: Share of each token's region that is body, shape (n_windows, z, y, x).

        Returns:
            Shape (n_windows, z, y, x), float32; 0 where the share is below ``LEAST_SHARE``.
        """
        inside = shares >= LEAST_SHARE
        values = np.zeros(shares.shape, dtype=np.float32)
        values[inside] = self.relative_distances(np.moveaxis(tokens, 1, -1)[inside])
        return values

    @cached_property
    def _whitening(self) -> tuple[FloatArray, FloatArray]:
        """Mean (C,) and a matrix (C, C) that makes all directions of the tokens vary alike."""
        tokens = self.tokens.astype(np.float64)
        centre = tokens.mean(axis=0)
        scale = tokens.std(axis=0)
        scale = np.where(scale > 1e-6, scale, 1.0)  # noqa: PLR2004 - a constant feature stays constant
        variances, directions = np.linalg.eigh(np.atleast_2d(np.cov((tokens - centre) / scale, rowvar=False)))
        # Directions in which nothing varies would turn rounding into distance.
        variances = np.maximum(variances, max(_LEAST_VARIANCE * float(variances.max()), 1e-12))
        return centre, np.asarray(directions / np.sqrt(variances) / scale[:, None])

    @cached_property
    def _white(self) -> Float32Array:
        centre, whitening = self._whitening
        return np.asarray((self.tokens - centre) @ whitening, dtype=np.float32)

    @cached_property
    def _index(self) -> Any | None:
        return _exact_index(self._white)


class TokenSampler:
    """Takes a random share of a case's tokens as its windows come, so that memory stays bounded.

    Args:
        per_window: At most so many of each window.
        seed: The same seed takes the same tokens.
    """

    def __init__(self, per_window: int, seed: int) -> None:
        self._per_window = per_window
        self._random = np.random.default_rng(seed)

    def sample(self, tokens: Float32Array, shares: Float32Array) -> Float32Array:
        """Tokens (n_windows, C, z, y, x) with their body shares (n_windows, z, y, x) to at most a few, shape (m, C)."""
        chosen = [np.zeros((0, tokens.shape[1]), dtype=np.float32)]
        for window, share in zip(np.moveaxis(tokens, 1, -1), shares, strict=True):
            inside = window[share >= LEAST_SHARE]
            chosen.append(inside[self._random.permutation(len(inside))[: self._per_window]])
        return np.concatenate(chosen)


def at_most(tokens: Float32Array, count: int, seed: int) -> Float32Array:
    """A random ``count`` of the rows, in their order; all where there are fewer."""
    if len(tokens) <= count:
        return tokens
    kept = np.sort(np.random.default_rng(seed).permutation(len(tokens))[:count])
    return np.asarray(tokens[kept])


def nearest_squared(queries: Float32Array, bank: Float32Array, index: Any | None = None) -> FloatArray:
    """Squared distance of each query (m, C) to the nearest row of the bank (n, C), shape (m,); exact.

    Args:
        queries: Shape (m, C), float32.
        bank: Shape (n, C), float32.
        index: An index of the bank, from an earlier call; None searches by matrix products.
    """
    if index is not None:
        asked = queries
        if _FEW_QUERIES < len(queries) < _FAISS_BLOCK:
            # Measured on one core: faiss takes four times as long for 4,000 queries as for a whole block of 4,096.
            asked = np.concatenate([queries, np.zeros((_FAISS_BLOCK - len(queries), queries.shape[1]), np.float32)])
        squared = index.search(np.ascontiguousarray(asked, dtype=np.float32), 1)[0][: len(queries), 0]
        return np.asarray(np.maximum(squared, 0.0), dtype=np.float64)
    blocks = (queries[start : start + _BLOCK] for start in range(0, len(queries), _BLOCK))
    nearest = [squared_distances(block.astype(np.float64), bank.astype(np.float64)).min(axis=1) for block in blocks]
    return np.concatenate(nearest) if nearest else np.zeros(0)


def _exact_index(bank: Float32Array) -> Any | None:
    """A faiss index of the bank; None where matrix products must do.

    On macOS the wheels of torch and faiss each bring an OpenMP runtime, and the second to start ends the process; the
    switch that lets both run is documented as unsafe. So faiss is not loaded there: the distances are the same.
    """
    if sys.platform == "darwin":
        return None
    try:
        import faiss  # noqa: PLC0415 - only where a bank is searched
    except ImportError:
        return None
    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(np.ascontiguousarray(bank))
    return index
