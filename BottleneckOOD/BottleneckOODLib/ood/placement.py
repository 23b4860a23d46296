"""Where a new case is drawn on the map of the training cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.calibration import NotFiniteError

FloatArray = npt.NDArray[np.float64]

_N_NEIGHBOURS = 10
_BISECTIONS = 40
_BEYOND_SHARE = 0.12


@dataclass(frozen=True)
class Placement:
    """Position on the map.

    Attributes:
        x: Map coordinate.
        y: Map coordinate.
        beyond_map: The case is farther from every training case than any of them is from its nearest.
    """

    x: float
    y: float
    beyond_map: bool


def place(distances: FloatArray, map_xy: FloatArray, nearest_leave_one_out: FloatArray) -> Placement:
    """Weighted mean of the positions of the nearest training cases; drawn outside the cloud when beyond the map.

    Args:
        distances: Distance of the case to each training case in feature space, shape (n,).
        map_xy: Map positions of the training cases, shape (n, 2).
        nearest_leave_one_out: Distance of each training case to its nearest other, shape (n,).

    Raises:
        NotFiniteError: A distance is not finite.

    Returns:
        The placement; the same whatever other cases are placed.

    Source:
        Weights: the smooth nearest-neighbour distances of UMAP (McInnes et al., arXiv:1802.03426, algorithm 3); a
        weighted mean is UMAP's own start for a new point.
    """
    if not (np.isfinite(distances).all() and np.isfinite(nearest_leave_one_out).all()):
        message = "a distance to a training case is not finite"
        raise NotFiniteError(message)
    k = min(_N_NEIGHBOURS, len(distances))
    nearest = np.argsort(distances, kind="stable")[:k]
    weights = _smooth_weights(distances[nearest])
    position = weights @ map_xy[nearest] / weights.sum()
    beyond = bool(distances[nearest[0]] > nearest_leave_one_out.max())
    if beyond:
        position = _outside(position, map_xy)
    return Placement(float(position[0]), float(position[1]), beyond)


def _smooth_weights(distances: FloatArray) -> FloatArray:
    beyond_first = np.maximum(distances - distances[0], 0.0)
    target = np.log2(len(distances)) if len(distances) > 1 else 1.0
    low, high, scale = 0.0, np.inf, 1.0
    for _ in range(_BISECTIONS):
        total = float(np.exp(-beyond_first / scale).sum())
        if total > target:
            high = scale
            scale = (low + high) / 2
        else:
            low = scale
            scale = scale * 2 if np.isinf(high) else (low + high) / 2
    return np.asarray(np.exp(-beyond_first / max(scale, 1e-12)))


def _outside(position: FloatArray, map_xy: FloatArray) -> FloatArray:
    centre = map_xy.mean(axis=0)
    direction = position - centre
    length = float(np.linalg.norm(direction))
    direction = np.array([1.0, 0.0]) if length == 0 else direction / length
    reach = float(((map_xy - centre) @ direction).max())
    size = float(np.linalg.norm(np.ptp(map_xy, axis=0)))
    return np.asarray(centre + direction * (reach + _BEYOND_SHARE * size))
