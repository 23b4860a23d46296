"""How well a mask agrees with the labels, in the measures of the published tables."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_distance import compute_average_surface_distance

from BottleneckOODLib.ood.metrics import dice

BoolArray = npt.NDArray[np.bool_]


def mask_performance(mask: BoolArray, truth: BoolArray, spacing_mm: Sequence[float]) -> dict[str, float | None]:
    """Dice, largest and mean distance of the surfaces.

    Args:
        mask: Shape (Z, Y, X). Not modified.
        truth: Of the same shape.
        spacing_mm: Distance of voxels along z, y, x.

    Returns:
        ``dice``; ``hd``, the Hausdorff distance in mm; ``sd``, the mean distance of the surfaces in mm, averaged over
        both directions. The distances are None where a mask is empty: it has no surface.

    Source:
        MONAI's ``compute_hausdorff_distance`` and ``compute_average_surface_distance``; the measures of Woodland et
        al., MELBA 2024:020.
    """
    found: dict[str, float | None] = {"dice": round(dice(mask, truth), 6), "hd": None, "sd": None}
    if not mask.any() or not truth.any():
        return found
    box = _box_around(mask | truth)
    pair = [torch.from_numpy(np.ascontiguousarray(array[box])[None, None]).float() for array in (mask, truth)]
    spacing = [float(step) for step in spacing_mm]
    with warnings.catch_warnings():
        # MONAI warns of an argument that it gives itself.
        warnings.simplefilter("ignore", FutureWarning)
        farthest = compute_hausdorff_distance(pair[0], pair[1], include_background=True, spacing=spacing)
        mean = compute_average_surface_distance(
            pair[0], pair[1], include_background=True, symmetric=True, spacing=spacing
        )
    return {**found, "hd": round(float(farthest.item()), 4), "sd": round(float(mean.item()), 4)}


def _box_around(marked: BoolArray) -> tuple[slice, ...]:
    """The box of what is marked and a voxel around it: beyond there is no surface, and distances cost memory."""
    box = []
    for axis, size in enumerate(marked.shape):
        rows = np.flatnonzero(marked.any(axis=tuple(other for other in range(marked.ndim) if other != axis)))
        box.append(slice(max(0, int(rows[0]) - 1), min(size, int(rows[-1]) + 2)))
    return tuple(box)
