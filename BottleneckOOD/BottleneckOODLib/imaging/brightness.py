"""Images whose values have no unit, brought onto one scale before they are measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from BottleneckOODLib.imaging.body import body_mask, thinned
from BottleneckOODLib.imaging.volume import Volume

_PERCENTILES = (1.0, 99.0)
_SCALE = (-150.0, 250.0)


def on_a_common_scale(volume: Volume, modality: str) -> Volume:
    """The volume as it is measured: as it is for CT, its body's values on one range for all else.

    The values of an MR image depend on coil and gain. The 1st and 99th percentile of the body go to -150 and 250, the
    range in which the histogram's bins are narrow; no Hounsfield units come of that, but two scans of one patient that
    differ by a factor are measured alike.

    Args:
        volume: The volume. Not modified.
        modality: What the model was trained on.

    Returns:
        The same volume, or one with mapped values.
    """
    if modality == "CT":
        return volume
    voxels, _ = thinned(volume)
    inside = voxels[body_mask(voxels)]
    low, high = (float(value) for value in np.percentile(inside, _PERCENTILES))
    if not high > low:
        return volume
    share = (volume.voxels - np.float32(low)) / np.float32(high - low)
    mapped = share * np.float32(_SCALE[1] - _SCALE[0]) + np.float32(_SCALE[0])
    return replace(volume, voxels=np.asarray(mapped, dtype=np.float32))
