"""Smooth random fields, and shapes as signed distances in millimetres (negative inside)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@lru_cache(maxsize=256)
def _spline_weights(size: int, controls: int) -> Array:
    """Cubic B-spline weights (size, controls) that spread ``controls`` values over ``size`` samples."""
    position = np.linspace(1.0, controls - 2.0, size)[:, None]
    distance = np.abs(position - np.arange(controls)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - np.minimum(distance, 2)) ** 3 / 6
    weights: Array = np.where(distance < 1, near, far).astype(np.float32)
    return weights


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], scale_mm: float
) -> Array:
    """Random field with zero mean and about unit standard deviation.

    Args:
        rng: Source of randomness.
        shape: Voxels along (Z, Y, X).
        spacing_mm: Voxel size along (Z, Y, X).
        scale_mm: Distance between two independent values of the field.

    Returns:
        Field of shape (Z, Y, X).
    """
    controls = [max(4, round(n * s / scale_mm) + 3) for n, s in zip(shape, spacing_mm, strict=True)]
    values = rng.standard_normal(controls).astype(np.float32)
    wz, wy, wx = (_spline_weights(n, c) for n, c in zip(shape, controls, strict=True))
    # A cubic B-spline averages neighbouring controls: 0.53 of the deviation is left on each axis.
    field: Array = np.tensordot(np.tensordot(wz, np.tensordot(values, wx.T, 1), 1), wy, ((1,), (1,))).transpose(0, 2, 1)
    return np.asarray(np.ascontiguousarray(field) * np.float32(1 / 0.67**3))


def smooth_maximum(*distances: Array, sharpness_mm: float) -> Array:
    """Intersection of shapes whose common edges are rounded over ``sharpness_mm``."""
    result = distances[0]
    for other in distances[1:]:
        blend = np.clip(0.5 + (result - other) / (2 * sharpness_mm), 0, 1)
        result = other + blend * (result - other) + sharpness_mm * blend * (1 - blend)
    return result


def ellipsoid(
    x: Array, y: Array, z: Array, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Array:
    """Approximate signed distance to an axis-aligned ellipsoid; ``centre`` and ``radii`` along x, y, z in mm."""
    r = np.sqrt(
        ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((z - centre[2]) / radii[2]) ** 2
    )
    return np.asarray((r - 1) * min(radii), dtype=np.float32)
