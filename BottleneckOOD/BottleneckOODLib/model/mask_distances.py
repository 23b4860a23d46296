"""How far the surface of a mask lies from that of the labels, in mm."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_distance import compute_average_surface_distance

BoolArray = npt.NDArray[np.bool_]

_PERCENTILE = 95.0


def surface_distances(
    mask: BoolArray, truth: BoolArray, spacing_mm: Sequence[float], percentile: float | None = _PERCENTILE
) -> tuple[float, float]:
    """Mean distance between two surfaces, and the distance that most of each surface keep to.

    Args:
        mask: Shape (Z, Y, X). Not modified.
        truth: Of the same shape.
        spacing_mm: Distance of voxels along z, y, x, in mm.
        percentile: How many in a hundred keep to it; None takes the largest distance.

    Returns:
        The symmetric mean surface distance and the Hausdorff distance (the larger of both directions), in mm; NaN where
        one of the masks is empty, because there is no surface then.

    Source:
        MONAI's ``compute_average_surface_distance`` and ``compute_hausdorff_distance``.
    """
    if not mask.any() or not truth.any():
        return math.nan, math.nan
    # Beyond both masks there is no surface; MONAI would keep several arrays of the whole scan.
    box = _box_around(mask | truth)
    pair = [torch.from_numpy(np.ascontiguousarray(array[box])[None, None]) for array in (mask, truth)]
    spacing = [float(step) for step in spacing_mm]
    with warnings.catch_warnings():
        # MONAI warns of an argument that it gives itself.
        warnings.simplefilter("ignore", FutureWarning)
        mean = compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=spacing)
        far = compute_hausdorff_distance(*pair, include_background=True, percentile=percentile, spacing=spacing)
    return float(mean.item()), float(far.item())


def _box_around(marked: BoolArray) -> tuple[slice, ...]:
    """The marked voxels' box with a voxel around it, so that a surface at its side stays a surface."""
    box = []
    for axis, size in enumerate(marked.shape):
        rows = np.flatnonzero(marked.any(axis=tuple(other for other in range(marked.ndim) if other != axis)))
        box.append(slice(max(0, int(rows[0]) - 1), min(size, int(rows[-1]) + 2)))
    return tuple(box)
