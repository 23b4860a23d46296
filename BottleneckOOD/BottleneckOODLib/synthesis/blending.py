"""Real scans in new clothes: their own texture with another contrast phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from BottleneckOODLib.synthesis.anatomy import Anatomy
from BottleneckOODLib.synthesis.appearance import Style, tissue_means
from BottleneckOODLib.synthesis.fields import Array
from BottleneckOODLib.synthesis.tissues import Tissue


def mix_with_real(
    anatomy: Anatomy,
    points: Array,
    labels: NDArray[np.uint8],
    painted: Array,
    rng: np.random.Generator,
    style: Style,
) -> Array:
    """Use a real scan's own texture, with its organs enhanced as in another contrast phase.

    Args:
        anatomy: An anatomy with intensities.
        points: Where each voxel lies in the anatomy, from ``warped_points``.
        labels: Its tissues there, shape (Z, Y, X).
        painted: The same place painted, for where the real scan ends; shape (Z, Y, X).
        rng: Source of randomness.
        style: The phase to imitate.

    Returns:
        Hounsfield units, shape (Z, Y, X); ``painted`` itself if the anatomy has no intensities.
    """
    if anatomy.intensities is None or anatomy.known is None:
        return painted
    real = ndimage.map_coordinates(anatomy.intensities, points, order=1, mode="nearest", prefilter=False)
    known = ndimage.map_coordinates(anatomy.known, points, order=0, mode="nearest", prefilter=False)
    means = tissue_means(rng, style)
    change = means - anatomy.tissue_medians
    # Bone and air are as they are; what is not a labelled organ moves only a little.
    change[[Tissue.OUTSIDE, Tissue.TABLE, Tissue.TABLE_SHELL, Tissue.LUNG, Tissue.CORTICAL_BONE, Tissue.GUT_GAS]] = 0
    change[[Tissue.MARROW, Tissue.FAT, Tissue.INNER_FAT, Tissue.SOFT_TISSUE, Tissue.MUSCLE]] *= 0.4
    strength = float(rng.choice([0.0, 1.0, rng.uniform(0, 1)], p=[0.25, 0.5, 0.25]))
    enhanced = real + ndimage.gaussian_filter(strength * change[labels], 0.6)
    share = float(rng.choice([1.0, rng.uniform(0.3, 1.0)], p=[0.7, 0.3]))
    if style.lesions or style.liver_hu is not None:
        share = min(share, 0.5)
    return np.where(known, share * enhanced + (1 - share) * painted, painted).astype(np.float32)
