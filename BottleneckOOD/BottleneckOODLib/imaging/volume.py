"""Volumes and labels: voxels together with where they lie in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BottleneckOODLib.errors import InputError

Modality = Literal["CT", "MR", "unknown"]
FloatArray = npt.NDArray[np.float64]

DIRECTION_TOLERANCE = 1e-3
"""How far the axes may be from orthonormal; NIfTI stores them in single precision."""
# Less than rounding leaves of a unit vector; the decomposition in ITK fails on numbers near the smallest there are.
_NO_DIRECTION = 1e-15
_ML_PER_MM3 = 1e-3
_AXES = 3


@dataclass(frozen=True)
class Geometry:
    """Where a grid of voxels lies in the patient.

    Attributes:
        size_ijk: Voxels along i, j, k.
        spacing_mm: Distance of voxel centres along i, j, k, in mm.
        origin_lps_mm: Centre of voxel (0, 0, 0) in LPS, in mm.
        direction: Unit vectors of i, j, k in LPS as the columns of a 3 x 3 matrix, row-major (as in ITK).

    Raises:
        InputError: A size or spacing is not positive and finite, or the axes are not orthonormal (a sheared image).
    """

    size_ijk: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_lps_mm: tuple[float, float, float]
    direction: tuple[float, ...]

    def __post_init__(self) -> None:
        numbers = (*self.spacing_mm, *self.origin_lps_mm, *self.direction)
        if not np.isfinite(numbers).all() or min(self.spacing_mm) <= 0:
            message = "Its voxel spacing or position is zero, negative or not a number; export the image again."
            raise InputError(message)
        if min(self.size_ijk) < 1:
            message = "It holds no voxels; export the image again."
            raise InputError(message)
        axes = self.axes
        if np.abs(axes.T @ axes - np.eye(_AXES)).max() > DIRECTION_TOLERANCE:
            message = (
                "Its axes are not perpendicular (sheared, such as by a tilted gantry); resample it to a regular grid."
            )
            raise InputError(message)
        object.__setattr__(self, "direction", tuple(0.0 if abs(d) < _NO_DIRECTION else d for d in self.direction))

    @property
    def axes(self) -> FloatArray:
        """Unit vectors of i, j, k in LPS as columns, shape (3, 3)."""
        return np.array(self.direction, dtype=np.float64).reshape(_AXES, _AXES)

    def is_close(self, other: Geometry, tolerance_mm: float = 1e-6) -> bool:
        """Whether both grids have the same size and their corners lie within ``tolerance_mm`` of each other.

        Files round: NRRD stores spacing times direction, NIfTI single precision.
        """
        if self.size_ijk != other.size_ijk:
            return False
        corners = np.array(list(product(*((0, n - 1) for n in self.size_ijk))), dtype=np.float64)
        apart = self.ijk_to_lps(corners) - other.ijk_to_lps(corners)
        return bool(np.linalg.norm(apart, axis=1).max() <= tolerance_mm)

    @property
    def patient_axes(self) -> tuple[int, int, int]:
        """Which of i, j, k (0, 1, 2) lies nearest to the patient's left-right, front-back and head-foot axis.

        Each stands for one, those that fit best together, however oblique the grid is.
        """
        along = np.abs(self.axes)
        left, posterior, superior = max(
            permutations(range(_AXES)), key=lambda order: float(sum(along[row, order[row]] for row in range(_AXES)))
        )
        return left, posterior, superior

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (Z, Y, X)."""
        i, j, k = self.size_ijk
        return (k, j, i)

    def part(self, box: tuple[slice, slice, slice]) -> Geometry:
        """The grid of the voxels ``array[box]`` of an array (Z, Y, X) on this one; slices have a start and a stop."""
        z, y, x = box
        first = self.ijk_to_lps(np.array([[x.start, y.start, z.start]]))[0]
        return Geometry(
            (x.stop - x.start, y.stop - y.start, z.stop - z.start),
            self.spacing_mm,
            (float(first[0]), float(first[1]), float(first[2])),
            self.direction,
        )

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Length of the grid along i, j, k, in mm, from voxel edge to voxel edge."""
        i, j, k = (n * s for n, s in zip(self.size_ijk, self.spacing_mm, strict=True))
        return (i, j, k)

    @property
    def patient_extent_mm(self) -> tuple[float, float, float]:
        """Length of the grid along the patient's left-right, front-back and head-foot axes, in mm."""
        left, posterior, superior = (self.extent_mm[axis] for axis in self.patient_axes)
        return left, posterior, superior

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, in ml."""
        return float(np.prod(self.spacing_mm)) * _ML_PER_MM3

    @property
    def orientation(self) -> str:
        """Patient direction in which each of i, j, k increases most, such as ``"LPS"``."""
        image = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(list(self.direction))
        return str(image)

    def ijk_to_lps(self, points: FloatArray) -> FloatArray:
        """Voxel indices (n, 3) as i, j, k to LPS positions (n, 3) in mm."""
        scaled = np.asarray(points, dtype=np.float64) * np.array(self.spacing_mm)
        return np.asarray(scaled @ self.axes.T + np.array(self.origin_lps_mm))

    def lps_to_ijk(self, points: FloatArray) -> FloatArray:
        """LPS positions (n, 3) in mm to continuous voxel indices (n, 3) as i, j, k."""
        offset = np.asarray(points, dtype=np.float64) - np.array(self.origin_lps_mm)
        return np.asarray(np.linalg.solve(self.axes, offset.T).T / np.array(self.spacing_mm))


@dataclass(frozen=True, eq=False)
class Volume:
    """An image as it was read.

    Attributes:
        voxels: Shape (Z, Y, X), float32, read-only; HU for CT.
        geometry: Where it lies.
        modality: ``"CT"``, ``"MR"`` or ``"unknown"``.
        name: Name of the file or folder, without its path.
        acquisition: Facts of the acquisition, without identifiers.
        warnings: What a user should know about the reading.

    Raises:
        InputError: The voxels are not a three-dimensional float32 array of the geometry's size.
    """

    voxels: npt.NDArray[np.float32]
    geometry: Geometry
    modality: Modality
    name: str
    acquisition: Mapping[str, str | float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape or self.voxels.dtype != np.float32:
            message = (
                f"The image {self.name} does not have the voxels that its header declares; export the image again."
            )
            raise InputError(message)
        frozen = self.voxels.view()
        frozen.flags.writeable = False
        object.__setattr__(self, "voxels", frozen)

    def __repr__(self) -> str:
        spacing = " x ".join(f"{s:.3g}" for s in self.geometry.spacing_mm)
        size = " x ".join(str(n) for n in self.geometry.size_ijk)
        return f"Volume({self.name}: {self.modality}, {size} voxels of {spacing} mm, {self.geometry.orientation})"


@dataclass(frozen=True, eq=False)
class LabelVolume:
    """Labels on the grid of a volume.

    Attributes:
        labels: Shape (Z, Y, X), uint8, read-only; 0 is background.
        geometry: Where it lies.
        names: Name of each label value.

    Raises:
        InputError: The labels do not have the geometry's size, or are not whole numbers from 0 to 255.
    """

    labels: npt.NDArray[np.uint8]
    geometry: Geometry
    names: Mapping[int, str]

    def __post_init__(self) -> None:
        if self.labels.shape != self.geometry.shape:
            message = "The labels do not have the size of their image; export them again."
            raise InputError(message)
        if self.labels.dtype != np.uint8 and (self.labels != self.labels.astype(np.uint8)).any():
            message = "The labels are not whole numbers from 0 to 255; export them again."
            raise InputError(message)
        frozen = self.labels.astype(np.uint8, copy=False).view()
        frozen.flags.writeable = False
        object.__setattr__(self, "labels", frozen)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelVolume):
            return NotImplemented
        same_facts = self.geometry.is_close(other.geometry) and dict(self.names) == dict(other.names)
        return same_facts and bool(np.array_equal(self.labels, other.labels))

    __hash__ = None  # type: ignore[assignment]

    def volume_ml(self, label: int) -> float:
        """Volume of one label, in ml."""
        return float(np.count_nonzero(self.labels == label)) * self.geometry.voxel_volume_ml


def to_sitk(array: npt.NDArray[Any], geometry: Geometry) -> sitk.Image:
    """A SimpleITK image of an array (Z, Y, X) with a geometry; the voxels are copied."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_lps_mm)
    image.SetDirection(geometry.direction)
    return image


def geometry_of(image: sitk.Image | sitk.ImageFileReader) -> Geometry:
    """The geometry of a three-dimensional SimpleITK image, or of a file's header."""
    i, j, k = image.GetSize()
    si, sj, sk = image.GetSpacing()
    x, y, z = image.GetOrigin()
    return Geometry((i, j, k), (si, sj, sk), (x, y, z), tuple(image.GetDirection()))


def resampled(array: npt.NDArray[np.float32], source: Geometry, target: Geometry) -> npt.NDArray[np.float32]:
    """An array (Z, Y, X) on ``source`` interpolated linearly on ``target``; outside it takes the nearest value."""
    return image_on(to_sitk(array, source), target)


def image_on(image: sitk.Image, target: Geometry) -> npt.NDArray[np.float32]:
    """A SimpleITK image interpolated linearly on ``target``, as an array (Z, Y, X); outside, its nearest value."""
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(target.size_ijk)
    resampler.SetOutputSpacing(target.spacing_mm)
    resampler.SetOutputOrigin(target.origin_lps_mm)
    resampler.SetOutputDirection(target.direction)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetUseNearestNeighborExtrapolator(True)
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)), dtype=np.float32)
