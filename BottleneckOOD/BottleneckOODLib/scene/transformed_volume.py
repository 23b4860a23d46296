"""Volumes under a transform: as the user sees them in the world, and masks back onto the user's own voxels."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import DIRECTION_TOLERANCE, FloatArray, Geometry
from BottleneckOODLib.scene.grids import (
    array_from_image_data,
    geometry_from_ras_matrix,
    ijk_to_ras_matrix,
    vtk_matrix,
)

_LATTICE = 7
_GRID_STEP_MM = 5.0
_MOST_VOXELS_TIMES = 2.0
_LEAST_DETERMINANT = 1e-9
# Slicer keeps transforms and spacings in double precision, files in single.
_SAME_PLACE_MM = 1e-3


def world_voxels(volume_node: Any) -> tuple[npt.NDArray[Any], Geometry]:
    """The voxels (Z, Y, X) of a volume and where they lie in the world, as its transforms put them.

    As long as the voxels stay a regular grid in the world (moved, turned, mirrored, scaled along their axes) they are
    taken as they are. Otherwise the image is resampled, linearly, on a regular grid around it; its smallest value
    stands where there was nothing. Neither the node nor the scene is changed.

    Raises:
        InputError: The axes are not perpendicular and there is no transform that tells where the voxels belong, or
            the transform cannot be inverted.
    """
    image = volume_node.GetImageData()
    voxels = array_from_image_data(image)
    k, j, i = voxels.shape
    matrix = world_matrix(volume_node)
    if matrix is not None and (is_regular(matrix) or volume_node.GetParentTransformNode() is None):
        return voxels, geometry_from_ras_matrix(matrix, (i, j, k))
    return _resampled(volume_node, image)


def world_matrix(volume_node: Any) -> FloatArray | None:
    """Voxel indices of a volume to the world (RAS, mm), shape (4, 4); None where its transform is not linear."""
    own, transform = local_matrix(volume_node), volume_node.GetParentTransformNode()
    if transform is None:
        return own
    to_world = vtk.vtkMatrix4x4()
    if not transform.IsTransformToWorldLinear():
        return None
    transform.GetMatrixTransformToWorld(to_world)
    return np.asarray(slicer.util.arrayFromVTKMatrix(to_world) @ own)


def local_matrix(volume_node: Any) -> FloatArray:
    """Voxel indices of a volume to RAS before its transforms, in mm, shape (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return np.asarray(slicer.util.arrayFromVTKMatrix(matrix))


def is_regular(matrix: FloatArray) -> bool:
    """Whether the columns of a (4, 4) matrix are perpendicular."""
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if lengths.min() <= 0:
        return False
    axes = matrix[:3, :3] / lengths
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= DIRECTION_TOLERANCE)


def place_on_volume(geometry: Geometry, volume_node: Any) -> tuple[FloatArray, str | None]:
    """Where a mask that was made of a volume belongs in the scene.

    A mask on the volume's own voxels gets the volume's own geometry and transform, and follows the volume from then
    on; also when the volume was moved or turned between being read and now. A mask of a resampled image lies in the
    world and stays there.

    Returns:
        Voxel indices to RAS, shape (4, 4), and the ID of the transform it stands under, or None.
    """
    own, world, image = local_matrix(volume_node), world_matrix(volume_node), volume_node.GetImageData()
    mask = ijk_to_ras_matrix(geometry)
    if world is None or image is None or tuple(image.GetDimensions()) != geometry.size_ijk:
        return mask, None
    corners = np.array([[*corner, 1.0] for corner in product(*((0, n - 1) for n in geometry.size_ijk))])
    apart = np.linalg.norm((corners @ (world - mask).T)[:, :3], axis=1).max()
    if apart < _SAME_PLACE_MM or _is_rigid(mask, world):
        return own, volume_node.GetTransformNodeID()
    return mask, None


def _is_rigid(one: FloatArray, other: FloatArray) -> bool:
    """Whether two placements of the same voxels differ by a movement that keeps all distances."""
    if abs(np.linalg.det(other)) < _LEAST_DETERMINANT:
        return False
    turn = (one @ np.linalg.inv(other))[:3, :3]
    return bool(np.abs(turn @ turn.T - np.eye(3)).max() < DIRECTION_TOLERANCE)


def _resampled(volume_node: Any, image: Any) -> tuple[npt.NDArray[Any], Geometry]:
    name = volume_node.GetName() or "volume"
    own, transform = local_matrix(volume_node), volume_node.GetParentTransformNode()
    grid = _grid_around(own, image.GetDimensions(), transform, name)
    to_local = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, transform, to_local)
    if not transform.IsTransformToWorldLinear():
        to_local = _as_grid_transform(to_local, grid)
    whole = vtk.vtkGeneralTransform()
    whole.PostMultiply()
    whole.Concatenate(vtk_matrix(ijk_to_ras_matrix(grid)))
    whole.Concatenate(to_local)
    whole.Concatenate(vtk_matrix(np.asarray(np.linalg.inv(own), np.float64)))
    source = vtk.vtkImageData()
    source.ShallowCopy(image)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(source)
    reslice.SetResliceTransform(whole)
    reslice.SetInterpolationModeToLinear()
    reslice.SetOutputSpacing(1.0, 1.0, 1.0)
    reslice.SetOutputOrigin(0.0, 0.0, 0.0)
    i, j, k = grid.size_ijk
    reslice.SetOutputExtent(0, i - 1, 0, j - 1, 0, k - 1)
    reslice.SetBackgroundLevel(image.GetScalarRange()[0])
    reslice.Update()
    return array_from_image_data(reslice.GetOutput()).copy(), grid


def _grid_around(own: FloatArray, size_ijk: tuple[int, int, int], transform: Any, name: str) -> Geometry:
    """A regular grid in the world that holds the transformed image, along the image's axes and about as fine."""
    places = [np.linspace(-0.5, n - 0.5, _LATTICE) for n in size_ijk]
    lattice = np.array([[*place, 1.0] for place in product(*places)])
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(transform, None, to_world)
    world = np.array([to_world.TransformPoint(*(own @ place)[:3]) for place in lattice])
    affine = np.linalg.lstsq(lattice, world, rcond=None)[0].T if np.isfinite(world).all() else np.zeros((3, 4))
    if abs(np.linalg.det(affine[:, :3])) < _LEAST_DETERMINANT:
        message = f"The transform of the volume {name} cannot be inverted; take the volume out of it or correct it."
        raise InputError(message)
    left, _, right = np.linalg.svd(affine[:, :3] / np.linalg.norm(affine[:, :3], axis=0))
    axes = left @ right
    spacing = np.linalg.norm(affine[:, :3], axis=0)
    along = world @ axes
    low, high = along.min(axis=0), along.max(axis=0)
    wanted = np.prod((high - low) / spacing)
    spacing = spacing * max(1.0, float(wanted / (_MOST_VOXELS_TIMES * np.prod(size_ijk))) ** (1 / 3))
    size = np.maximum(np.ceil((high - low) / spacing - 1e-6).astype(int), 1)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    matrix[:3, 3] = axes @ (low + 0.5 * spacing)
    i, j, k = (int(n) for n in size)
    return geometry_from_ras_matrix(matrix, (i, j, k))


def _as_grid_transform(to_local: Any, grid: Geometry) -> Any:
    """A non-linear transform as displacements every few millimetres: inverting it at every voxel takes minutes."""
    matrix = ijk_to_ras_matrix(grid)
    corners = np.array([[*corner, 1.0] for corner in product(*((-1.0, n) for n in grid.size_ijk))])
    bounds = (corners @ matrix.T)[:, :3]
    low, high = bounds.min(axis=0), bounds.max(axis=0)
    steps = np.maximum(np.ceil((high - low) / _GRID_STEP_MM).astype(int) + 1, 2)
    sampled = vtk.vtkTransformToGrid()
    sampled.SetInput(to_local)
    sampled.SetGridOrigin(*low)
    sampled.SetGridSpacing(*((high - low) / (steps - 1)))
    i, j, k = (int(n) - 1 for n in steps)
    sampled.SetGridExtent(0, i, 0, j, 0, k)
    sampled.SetGridScalarTypeToFloat()
    sampled.Update()
    displacements = vtk.vtkGridTransform()
    displacements.SetDisplacementGridData(sampled.GetOutput())
    displacements.SetInterpolationModeToLinear()
    return displacements
