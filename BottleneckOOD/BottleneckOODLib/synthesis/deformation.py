"""Large random affine and elastic deformations of an anatomy; never mirrored, since left and right matter."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from BottleneckOODLib.synthesis.fields import Array, smooth_field

_LARGEST_TURN_DEG = 15.0


def warped_points(
    rng: np.random.Generator,
    centre_mm: NDArray[np.float64],
    anatomy_spacing_mm: tuple[float, float, float],
    size: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    *,
    turned: bool = True,
) -> Array:
    """Where each voxel of a new grid lies in a deformed anatomy.

    Args:
        rng: Source of randomness.
        centre_mm: Point of the anatomy, from its first voxel, that becomes the grid's middle; along z, y, x.
        anatomy_spacing_mm: Voxel size of the anatomy along (Z, Y, X).
        size: Voxels of the new grid along (Z, Y, X).
        spacing_mm: Its voxel size along (Z, Y, X).
        turned: Whether the body also lies askew, by up to 15 degrees.

    Returns:
        Positions in voxels of the anatomy, shape (3, Z, Y, X), for ``scipy.ndimage.map_coordinates``.
    """
    axes = [(np.arange(n, dtype=np.float32) - n / 2) * s for n, s in zip(size, spacing_mm, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    spread = (5, 5, 7) if turned else (1.5, 1.5, 2)
    turn = np.deg2rad(np.clip(rng.normal(0, spread), -_LARGEST_TURN_DEG, _LARGEST_TURN_DEG))
    cz, cy, cx = np.cos(turn)
    sz, sy, sx = np.sin(turn)
    about_z = np.array([[1, 0, 0], [0, cz, -sz], [0, sz, cz]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[cx, -sx, 0], [sx, cx, 0], [0, 0, 1]])
    stretch = np.exp(rng.normal(0, 0.09)) * np.exp(rng.normal(0, 0.07, 3))
    matrix = (about_z @ about_y @ about_x) @ np.diag(1 / stretch)
    points = np.tensordot(matrix.astype(np.float32), grid, 1)
    if rng.random() < 0.85:  # the others keep their own shape
        wide, narrow = rng.uniform(0, 9), rng.uniform(0, 2.5)
        for axis in range(3):
            points[axis] += wide * smooth_field(rng, size, spacing_mm, 85)
            points[axis] += narrow * smooth_field(rng, size, spacing_mm, 30)
    scale = np.array(anatomy_spacing_mm, np.float32)[:, None, None, None]
    return np.asarray((points + centre_mm.astype(np.float32)[:, None, None, None]) / scale, dtype=np.float32)
