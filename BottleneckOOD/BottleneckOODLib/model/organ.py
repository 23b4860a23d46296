"""The organ among all that a network marks: which classes are it, and its mask in the image's own geometry."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from BottleneckOODLib.imaging.mask_features import MarkedParts, marked_parts
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.model.adapter import ModelGrid
from BottleneckOODLib.model.model_folder import ModelFolder

Float32Array = npt.NDArray[np.float32]


def organ_mask(logits: Float32Array, grid: ModelGrid, model: ModelFolder) -> tuple[LabelVolume, MarkedParts]:
    """What the model says is the organ.

    Every voxel first goes to the largest of all classes, those that were not asked for too; then the organ's are kept,
    and those that are merged into it get its value.

    Args:
        logits: Output of the network, shape (n_classes, Z, Y, X), on the model's grid. Not modified.
        grid: The grid.
        model: Says which classes are the organ, whether its largest part alone is kept, and what is interpolated.

    Returns:
        The mask in the volume's own geometry, and the parts of all that was marked on the model's grid.
    """
    marked = organ_voxels(logits, model)
    parts = marked_parts(marked, grid.voxel_volume_ml)
    left_out = marked & ~parts.largest if model.inference.largest_part_only else None
    if model.interpolated == "probabilities":
        logits = np.asarray(scipy.special.softmax(logits, axis=0), dtype=np.float32)
    mask = grid.restore(logits, {**model.labels, **model.merged}, left_out)
    if not model.merged:
        return mask, parts
    organ = next(iter(model.labels.values()))
    joined = np.where(np.isin(mask.labels, list(model.merged.values())), organ, mask.labels)
    names = {value: name for name, value in model.labels.items()}
    return LabelVolume(joined.astype(np.uint8), mask.geometry, names), parts


def organ_voxels(logits: Float32Array, model: ModelFolder) -> npt.NDArray[np.bool_]:
    """Every voxel of the model's grid whose largest class is the organ's, shape (Z, Y, X)."""
    return np.isin(logits.argmax(axis=0), model.organ_classes)
