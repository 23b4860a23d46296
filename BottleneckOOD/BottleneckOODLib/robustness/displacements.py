"""What changes where voxels lie; the labels go along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume, geometry_of, to_sitk

LabelledVolume = tuple[Volume, LabelVolume | None]
Array = npt.NDArray[Any]
Move = Callable[[Array], Array]

_HALF = 0.5
_MIRRORED = (1, 2, 3)


def thick_slices(volume: Volume, truth: LabelVolume | None, thickness_mm: float) -> LabelledVolume:
    """Slices averaged from head to foot until they are about ``thickness_mm`` thick; a whole number of them each.

    A thick voxel belongs to the organ when at least half of it does.
    """
    axis = volume.geometry.patient_axes[2]
    wanted = max(1, round(thickness_mm / volume.geometry.spacing_mm[axis]))
    factors = [1, 1, 1]
    factors[axis] = min(wanted, volume.geometry.size_ijk[axis])

    def shrunk(array: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], Geometry]:
        image = sitk.BinShrink(to_sitk(array, volume.geometry), factors)
        return np.asarray(sitk.GetArrayFromImage(image), dtype=np.float32), geometry_of(image)

    voxels, geometry = shrunk(volume.voxels)
    thick = replace(volume, voxels=voxels, geometry=geometry)
    if truth is None:
        return thick, None
    share = shrunk((truth.labels > 0).astype(np.float32))[0]
    return thick, LabelVolume((share >= _HALF).astype(np.uint8), geometry, truth.names)


def turned(volume: Volume, truth: LabelVolume | None, mistake: float) -> LabelledVolume:
    """Voxels in another order than the file says: its geometry is kept, so the patient seems turned.

    Args:
        volume: The volume.
        truth: Its labels.
        mistake: 1: left and right exchanged; 2: front and back exchanged; 3: upside down; 4: a quarter turn in the
            slices.
    """
    left, posterior, superior = (2 - axis for axis in volume.geometry.patient_axes)
    if mistake in _MIRRORED:
        axis = (left, posterior, superior)[_MIRRORED.index(int(mistake))]
        return _with(volume, truth, lambda array: np.ascontiguousarray(np.flip(array, axis)), volume.geometry)
    order = [0, 1, 2]
    order[2 - left], order[2 - posterior] = 2 - posterior, 2 - left
    i, j, k = (volume.geometry.size_ijk[axis] for axis in order)
    si, sj, sk = (volume.geometry.spacing_mm[axis] for axis in order)
    geometry = replace(volume.geometry, size_ijk=(i, j, k), spacing_mm=(si, sj, sk))
    return _with(volume, truth, lambda array: np.ascontiguousarray(np.rot90(array, axes=(posterior, left))), geometry)


def cropped(volume: Volume, truth: LabelVolume | None, share: float) -> LabelledVolume:
    """The middle ``share`` of the image's width, depth and height: the scanner showed no more."""
    kept = []
    for n in volume.voxels.shape:
        size = max(1, round(n * share))
        kept.append(slice((n - size) // 2, (n - size) // 2 + size))
    first = np.array([[part.start for part in reversed(kept)]], dtype=np.float64)
    x, y, z = (float(value) for value in volume.geometry.ijk_to_lps(first)[0])
    k, j, i = (part.stop - part.start for part in kept)
    geometry = replace(volume.geometry, size_ijk=(i, j, k), origin_lps_mm=(x, y, z))

    return _with(volume, truth, lambda array: np.ascontiguousarray(array[tuple(kept)]), geometry)


def _with(volume: Volume, truth: LabelVolume | None, move: Move, geometry: Geometry) -> LabelledVolume:
    moved = replace(volume, voxels=move(volume.voxels), geometry=geometry)
    return moved, None if truth is None else LabelVolume(move(truth.labels), geometry, truth.names)
