"""How well a mask agrees with the labels, in the measures of the published tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.model.mask_distances import surface_distances
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
    mean, farthest = surface_distances(mask, truth, spacing_mm, percentile=None)
    known = not math.isnan(mean)
    return {
        "dice": round(dice(mask, truth), 6),
        "hd": round(farthest, 4) if known else None,
        "sd": round(mean, 4) if known else None,
    }
