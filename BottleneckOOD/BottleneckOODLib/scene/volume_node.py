"""Between volumes and MRML volume nodes, and which nodes cannot be assessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import Modality, Volume
from BottleneckOODLib.scene.dicom_facts import TagOf, refusal_of_modality
from BottleneckOODLib.scene.grids import (
    ijk_to_ras_matrix,
    image_data,
    vtk_matrix,
)
from BottleneckOODLib.scene.naming import node_name
from BottleneckOODLib.scene.nodes import ROLE_ATTRIBUTE
from BottleneckOODLib.scene.transformed_volume import world_voxels

_MIN_VOXELS = 2
_KINDS = (
    ("vtkMRMLSequenceNode", "is a whole sequence; choose its current frame, the volume that the views show"),
    ("vtkMRMLSegmentationNode", "is a segmentation; choose the scan that it was drawn on"),
    ("vtkMRMLLabelMapVolumeNode", "is a label map; choose the scan that it was drawn on"),
    ("vtkMRMLDiffusionWeightedVolumeNode", "is a diffusion volume; choose a grey-scale volume"),
    ("vtkMRMLTensorVolumeNode", "holds colours, vectors or tensors; choose a grey-scale volume"),
)


def add_volume_node(scene: Any, volume: Volume, name: str | None = None) -> Any:
    """Add a ``vtkMRMLScalarVolumeNode`` with the volume's voxels (copied) and geometry; None takes its own name."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", node_name(name or volume.name))
    node.SetAndObserveImageData(image_data(volume.voxels))
    node.SetIJKToRASMatrix(vtk_matrix(ijk_to_ras_matrix(volume.geometry)))
    node.CreateDefaultDisplayNodes()
    return node


def refusal_of(node: Any, tag_of: TagOf | None = None) -> str | None:
    """Why a node of the scene cannot be assessed, as one sentence; None where it can.

    Args:
        node: The node, or None.
        tag_of: Reads headers, see ``dicom_facts``; None asks the scene alone which modality they state.
    """
    if node is None:
        return "No volume is chosen; choose a grey-scale volume."
    name = node.GetName() or "volume"
    for class_name, why in _KINDS:
        if node.IsA(class_name):
            return f"{name} {why}."
    if node.GetAttribute(ROLE_ATTRIBUTE):
        return f"{name} was made of a result; choose the scan that it was made of."
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        return f"{name} is no volume; choose a grey-scale volume."
    return _refusal_of_voxels(node.GetImageData(), name) or refusal_of_modality(node, tag_of)


def volume_from_node(
    node: Any, modality: Modality = "unknown", acquisition: Mapping[str, str | float] | None = None
) -> Volume:
    """The volume of a ``vtkMRMLScalarVolumeNode`` as it lies in the world, its voxels copied.

    A transform is applied to the copy; neither the node nor its scene is changed. A frame of a sequence is read from
    the volume that shows it.

    Args:
        node: The volume's node.
        modality: What made the image, see ``dicom_facts.modality_of``.
        acquisition: Facts of the acquisition, see ``dicom_facts.acquisition_of``.

    Raises:
        InputError: The node is none that can be assessed (see ``refusal_of``), its axes are sheared without a
            transform that would right them, or its transform cannot be inverted.
    """
    return pending_volume(node, modality, acquisition)()


def pending_volume(
    node: Any, modality: Modality = "unknown", acquisition: Mapping[str, str | float] | None = None
) -> Callable[[], Volume]:
    """As ``volume_from_node``, but the voxels are copied only when the result is called, in whatever thread that is.

    The scene is looked at now, in this thread: copying half a gigabyte would hold up the window.

    Raises:
        InputError: As ``volume_from_node``.
    """
    refusal = refusal_of(node)
    if refusal is not None:
        raise InputError(refusal)
    array, geometry = world_voxels(node)
    name = node.GetName() or "volume"
    return lambda: Volume(array.astype(np.float32), geometry, modality, name, acquisition or {})


def _refusal_of_voxels(image: Any, name: str) -> str | None:
    if image is None or image.GetPointData().GetScalars() is None or min(image.GetDimensions()) < 1:
        return f"The volume {name} holds no voxels; load it again."
    if image.GetNumberOfScalarComponents() > 1:
        return f"The volume {name} has several values a voxel (several times, or colours); choose a grey-scale volume."
    if min(image.GetDimensions()) < _MIN_VOXELS:
        return f"The volume {name} is a single slice; a volume of at least {_MIN_VOXELS} slices is needed."
    return None
