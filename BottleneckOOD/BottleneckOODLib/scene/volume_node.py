"""Between volumes and MRML volume nodes: the one place where LPS becomes RAS and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import FloatArray, Geometry, Modality, Volume
from BottleneckOODLib.scene.naming import node_name

# Slicer's world is RAS; left and posterior change their sign.
_LPS_TO_RAS: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0])


def ijk_to_ras_matrix(geometry: Geometry) -> FloatArray:
    """Voxel indices (i, j, k, 1) to RAS in mm, shape (4, 4)."""
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, :3] = geometry.axes * np.array(geometry.spacing_mm)
    ijk_to_lps[:3, 3] = geometry.origin_lps_mm
    return np.asarray(_LPS_TO_RAS @ ijk_to_lps)


def geometry_from_ras_matrix(ijk_to_ras: FloatArray, size_ijk: tuple[int, int, int]) -> Geometry:
    """The geometry of a grid whose voxel indices are brought to RAS by a (4, 4) matrix.

    Raises:
        InputError: The axes are not orthonormal.
    """
    ijk_to_lps = _LPS_TO_RAS @ ijk_to_ras
    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    axes = ijk_to_lps[:3, :3] / np.where(spacing > 0, spacing, 1.0)
    x, y, z = (float(value) for value in ijk_to_lps[:3, 3])
    return Geometry(
        size_ijk,
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (x, y, z),
        tuple(float(value) for value in axes.ravel()),
    )


def add_volume_node(scene: Any, volume: Volume, name: str | None = None) -> Any:
    """Add a ``vtkMRMLScalarVolumeNode`` with the volume's voxels (copied) and geometry; None takes its own name."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", node_name(name or volume.name))
    node.SetAndObserveImageData(image_data(volume.voxels))
    node.SetIJKToRASMatrix(vtk_matrix(ijk_to_ras_matrix(volume.geometry)))
    node.CreateDefaultDisplayNodes()
    return node


def volume_from_node(node: Any, modality: Modality = "unknown") -> Volume:
    """The volume of a ``vtkMRMLScalarVolumeNode``, its voxels copied.

    Raises:
        InputError: The node holds no voxels or vectors, or its axes are sheared.
    """
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    image, name = node.GetImageData(), node.GetName() or "volume"
    if image is None or image.GetPointData().GetScalars() is None:
        message = f"The volume {name} holds no voxels; load it again."
        raise InputError(message)
    if image.GetNumberOfScalarComponents() > 1:
        message = f"The volume {name} has several values a voxel (colour or vectors); choose a grey-scale volume."
        raise InputError(message)
    array = array_from_image_data(image)
    k, j, i = array.shape
    geometry = geometry_from_ras_matrix(slicer.util.arrayFromVTKMatrix(matrix), (i, j, k))
    return Volume(array.astype(np.float32), geometry, modality, name)


def image_data(array: npt.NDArray[Any]) -> Any:
    """A ``vtkImageData`` of an array (Z, Y, X), copied; its own spacing and origin stay 1 and 0, as MRML wants."""
    image = vtk.vtkImageData()
    k, j, i = array.shape
    image.SetDimensions(i, j, k)
    scalars = numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True, array_type=get_vtk_array_type(array.dtype))
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def array_from_image_data(image: Any) -> npt.NDArray[Any]:
    """The voxels of a ``vtkImageData``, shape (Z, Y, X); a view."""
    i, j, k = image.GetDimensions()
    return np.asarray(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i))


def vtk_matrix(matrix: FloatArray) -> Any:
    """A ``vtkMatrix4x4`` of a (4, 4) array."""
    result = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            result.SetElement(row, column, float(matrix[row, column]))
    return result
