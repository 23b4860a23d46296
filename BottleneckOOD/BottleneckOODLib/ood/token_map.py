"""From values a window to one map: windows overlap, and need not start where a cell of the map does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

_EDGE_WIDTH = 0.25


def stitched(
    values: Float32Array,
    weights: Float32Array,
    window_starts: npt.NDArray[np.int64],
    window: tuple[int, int, int],
    shape: tuple[int, int, int],
    cell: int,
) -> Float32Array:
    """The weighted mean of what all windows say of each cell.

    A token that lies across several cells counts for each by the volume that they share. Tokens at a window's edge,
    which saw less of their surroundings, count less.

    Args:
        values: Of each window's tokens, shape (n_windows, z, y, x); they share the window's voxels evenly.
        weights: Same shape, >= 0; 0 leaves a token out.
        window_starts: First voxel (z, y, x) of each window, negative where it begins before the image, (n_windows, 3).
        window: Voxels of a window along z, y, x.
        shape: Voxels of the image along z, y, x.
        cell: Voxels of a map cell along each axis; the first cell starts at the first voxel.

    Returns:
        Shape (ceil(Z / cell), ceil(Y / cell), ceil(X / cell)), float32; 0 where nothing has a weight.
    """
    size = tuple(-(-n // cell) for n in shape)
    total, weight_sum = np.zeros(size), np.zeros(size)
    importance = _importance((values.shape[1], values.shape[2], values.shape[3]))
    for value, weight, start in zip(values, weights * importance, window_starts, strict=True):
        parts = [
            _overlap(int(first), width / tokens, tokens, cell, voxels)
            for first, width, tokens, voxels in zip(start, window, value.shape, shape, strict=True)
        ]
        where = tuple(part[0] for part in parts)
        z, y, x = (part[1] for part in parts)
        weight_sum[where] += np.einsum("ac,be,df,cef->abd", z, y, x, weight, optimize=True)
        total[where] += np.einsum("ac,be,df,cef->abd", z, y, x, weight * value, optimize=True)
    seen = weight_sum > 0
    return np.where(seen, total / np.where(seen, weight_sum, 1.0), 0.0).astype(np.float32)


def _overlap(first: int, width: float, n_tokens: int, cell: int, voxels: int) -> tuple[slice, FloatArray]:
    """Which cells a window touches along one axis, and how many voxels each shares with each token, (cells, tokens)."""
    begin = max(first // cell, 0)
    end = min(-(-(first + round(width * n_tokens)) // cell), -(-voxels // cell))
    low_of_token = first + width * np.arange(n_tokens)
    low_of_cell = cell * np.arange(begin, end)
    high = np.minimum(np.minimum(low_of_cell[:, None] + cell, low_of_token[None, :] + width), voxels)
    low = np.maximum(low_of_cell[:, None], low_of_token[None, :])
    return slice(begin, end), np.maximum(high - low, 0.0)


def _importance(shape: tuple[int, int, int]) -> FloatArray:
    z, y, x = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / _EDGE_WIDTH) ** 2) for n in shape)
    return np.asarray(z[:, None, None] * y[None, :, None] * x[None, None, :])
