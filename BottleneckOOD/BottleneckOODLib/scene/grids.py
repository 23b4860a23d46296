"""Between arrays and VTK: the one place where LPS becomes RAS, and (Z, Y, X) becomes (i, j, k), and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import vtk
from vtk.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy

from BottleneckOODLib.imaging.volume import FloatArray, Geometry

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
