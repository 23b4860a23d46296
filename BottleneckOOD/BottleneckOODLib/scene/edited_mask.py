"""A mask as the user left it in the scene, on the grid of the image that was assessed."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.scene.grids import array_from_image_data, ijk_to_ras_matrix, image_data, vtk_matrix

_MOST_LABELS = 255


def labels_in(segmentation_node: Any, original: LabelVolume) -> LabelVolume:
    """What a segmentation holds now, on the original's grid.

    Editing crops and pads what a segment keeps, and puts several segments into one image; that is undone here. Where
    segments overlap, the later one counts.

    Args:
        segmentation_node: The ``vtkMRMLSegmentationNode`` that ``show_mask`` made of the original.
        original: The mask as it was shown; a segment of the same name keeps its value, others get values of their own.

    Raises:
        InputError: A segment cannot be read as voxels, or there are too many.
    """
    segmentation = segmentation_node.GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
    values = _values(names, original)
    labels = np.zeros(original.geometry.shape, np.uint8)
    reference = slicer.vtkOrientedImageData()
    reference.ShallowCopy(image_data(labels))
    reference.SetImageToWorldMatrix(vtk_matrix(ijk_to_ras_matrix(original.geometry)))
    for number, value in enumerate(values):
        drawn, fitted = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
        if not segmentation_node.GetBinaryLabelmapRepresentation(segmentation.GetNthSegmentID(number), drawn):
            message = f"The segment {names[number]} cannot be read as voxels; convert it to a binary labelmap first."
            raise InputError(message)
        if drawn.IsEmpty():
            continue
        same_grid = slicer.vtkOrientedImageDataResample.DoGeometriesMatch(drawn, reference)
        if same_grid and drawn.GetExtent() == reference.GetExtent():
            # As it was loaded: nothing to bring anywhere.
            fitted = drawn
        elif not slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            drawn, reference, fitted
        ):
            message = f"The segment {names[number]} cannot be brought onto the image's voxels; edit it there again."
            raise InputError(message)
        np.copyto(labels, np.uint8(value), where=array_from_image_data(fitted) != 0)
    return LabelVolume(labels, original.geometry, dict(zip(values, names, strict=True)))


def edits_in(segmentation_node: Any, original: LabelVolume) -> LabelVolume | None:
    """What a segmentation holds now, where that differs from the original; None where nothing was edited.

    Compared is what would be saved: showing a surface, or editing there and back, is no edit.

    Raises:
        InputError: As ``labels_in``.
    """
    labels = labels_in(segmentation_node, original)
    if not np.array_equal(labels.labels, original.labels):
        return labels
    # The voxels are the same: only names can differ, and those of segments without voxels say nothing.
    renamed = [value for value, name in original.names.items() if labels.names.get(value) != name]
    return labels if any((original.labels == value).any() for value in renamed) else None


def _values(names: list[str], original: LabelVolume) -> list[int]:
    known = {name: value for value, name in original.names.items()}
    free = (value for value in range(1, _MOST_LABELS + 1) if value not in original.names)
    values: list[int] = []
    for name in names:
        value = known.pop(name, None)
        value = next(free, None) if value is None else value
        if value is None:
            message = f"The segmentation has more than {_MOST_LABELS} segments; remove some of them."
            raise InputError(message)
        values.append(value)
    return values
