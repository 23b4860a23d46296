"""What can be measured on an image without a network: the body, its intensities, and how its tissues lie."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import scipy

from BottleneckOODLib.imaging.volume import Geometry, Volume

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)

MEASURING_SPACING_MM = 3.5
"""Images are measured on about this grid; finer voxels change no feature beyond noise."""
_FINE_EDGES_HU = (-900, -700, -500, -300, -200, -150, -125, -100, -75, -50, -25, 0, 15, 30, 45, 60, 75, 90, 105, 120,
                  140, 160, 180, 200, 230, 260, 300, 400, 550, 800)  # fmt: skip
HISTOGRAM_EDGES_HU: FloatArray = np.array([-np.inf, *_FINE_EDGES_HU, np.inf])
"""31 bins over the body: wide where there is air, lung and bone, narrow over fat and soft tissue."""
_SHARED_WITH_NEXT_BINS = (0.25, 0.5, 0.25)
_BODY_HU = -400.0
_TISSUES_HU = {"air": (-np.inf, -500.0), "fat": (-150.0, -30.0), "soft": (0.0, 150.0), "bone": (200.0, np.inf)}
BODY_LAYOUT_NAMES: tuple[str, ...] = tuple(
    f"{tissue}_{what}" for tissue in _TISSUES_HU for what in ("share", "left", "posterior", "superior")
)
_LEAST_SHARE = 0.002
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def thinned(volume: Volume) -> tuple[Float32Array, Geometry]:
    """The volume on a coarser grid with the patient's axes, by taking every n-th voxel.

    Returns:
        Voxels (Z, Y, X) with x growing to the patient's left, y to posterior, z to superior, and their geometry;
        an oblique volume is treated as the nearest upright one.
    """
    return thinned_array(volume.voxels, volume.geometry)


def thinned_array(array: npt.NDArray[Number], geometry: Geometry) -> tuple[npt.NDArray[Number], Geometry]:
    """``thinned`` for any array (Z, Y, X) on a volume's grid, such as labels: a view, nothing is copied."""
    strides = [max(1, int(MEASURING_SPACING_MM / s)) for s in geometry.spacing_mm]
    # Sampling starts in the middle of the first step, so that a flipped axis takes nearly the same voxels.
    starts = [min(s // 2, n - 1) for s, n in zip(strides, geometry.size_ijk, strict=True)]
    kept = tuple(slice(starts[axis], None, strides[axis]) for axis in (2, 1, 0))
    return upright(array[kept], geometry, strides)


def upright(
    array: npt.NDArray[Number], geometry: Geometry, strides: list[int]
) -> tuple[npt.NDArray[Number], Geometry]:
    """Permute and flip an array (k, j, i) so that its axes grow to superior, posterior, left.

    Args:
        array: Voxels of ``geometry``, every n-th of them.
        geometry: The geometry before thinning.
        strides: The n along i, j, k.

    Returns:
        A view of the array, and a geometry with its spacing, upright, its position dropped.
    """
    nearest = geometry.patient_axes
    backwards = [geometry.axes[row, nearest[row]] < 0 for row in range(3)]
    # Array axes of i, j, k are 2, 1, 0; rows 0, 1, 2 of the direction are left, posterior, superior.
    moved = np.transpose(array, [2 - nearest[2], 2 - nearest[1], 2 - nearest[0]])
    moved = moved[tuple(slice(None, None, -1 if backwards[row] else 1) for row in (2, 1, 0))]
    left, posterior, superior = (geometry.spacing_mm[axis] * strides[axis] for axis in nearest)
    k, j, i = moved.shape
    return moved, Geometry((i, j, k), (left, posterior, superior), (0.0, 0.0, 0.0), _IDENTITY)


def body_mask(voxels: Float32Array) -> BoolArray:
    """The patient: the largest thing denser than air, without table and clothes, filled slice by slice.

    Args:
        voxels: Shape (Z, Y, X), as ``thinned`` gives them; HU, or any scale in which air is low.

    Returns:
        Shape (Z, Y, X). Everything when no body can be told from air.

    Raises:
        ValueError: A voxel is not a finite number.
    """
    threshold = _BODY_HU if voxels.min() < _BODY_HU else _a_little_above_the_darkest(voxels)
    if not np.isfinite(threshold):
        message = f"a threshold of {threshold} between air and body"
        raise ValueError(message)
    dense = voxels > threshold
    across = np.ones((1, 3, 3), dtype=bool)
    # Opening cuts the thin bridges to the table.
    labels, count = scipy.ndimage.label(scipy.ndimage.binary_opening(dense, structure=across))
    if count == 0:
        return np.ones(voxels.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body = scipy.ndimage.binary_dilation(labels == sizes.argmax(), structure=across) & dense
    # Lungs and bowel gas belong to the body although they are air.
    for index in range(body.shape[0]):
        body[index] = scipy.ndimage.binary_fill_holes(body[index])
    return np.asarray(body)


def intensity_histogram(voxels: Float32Array, body: BoolArray) -> FloatArray:
    """Square root of the share of the body's voxels in each bin of ``HISTOGRAM_EDGES_HU``, neighbouring bins blended.

    Unblended, a scanner's shift of a few HU moves whole tissues from one bin into the next and makes every real scan
    unusual; blended, the neighbouring bins overlap and only a change of the tissues' shares is seen.

    Args:
        voxels: Shape (Z, Y, X), HU.
        body: Shape (Z, Y, X).

    Returns:
        Shape (31,), 0 to 1; squared they sum to 1. The square root makes Euclidean distance the Hellinger distance.

    Source:
        After the intensity-histogram features of Vasiliuk et al., J. Imaging 9:191 (2023).
    """
    values = voxels[body] if body.any() else voxels.ravel()
    counts = np.histogram(values, bins=HISTOGRAM_EDGES_HU)[0].astype(np.float64)
    blended = scipy.ndimage.convolve1d(counts / counts.sum(), _SHARED_WITH_NEXT_BINS, mode="reflect")
    return np.asarray(np.sqrt(blended))


def body_layout(voxels: Float32Array, body: BoolArray) -> FloatArray:
    """Where air, fat, soft tissue and bone lie in the body, and how much of each there is.

    An upside-down or mirrored image, or another part of the body, shows here before any network sees it.

    Args:
        voxels: Shape (Z, Y, X), HU, axes growing to superior, posterior, left (see ``thinned``).
        body: Shape (Z, Y, X).

    Returns:
        Shape (16,), see ``BODY_LAYOUT_NAMES``: of each tissue the square root of its share of the body, and its centre
        within the body's box (-0.5 to 0.5) towards left, posterior and superior; 0 where there is almost none.
    """
    where = body if body.any() else np.ones(voxels.shape, dtype=bool)
    box = scipy.ndimage.find_objects(where.astype(np.uint8))[0]
    inside, values = where[box], voxels[box]
    total = np.count_nonzero(inside)
    features: list[float] = []
    for low, high in _TISSUES_HU.values():
        tissue = inside & (values > low) & (values <= high)
        count = np.count_nonzero(tissue)
        features.append(float(np.sqrt(count / total)))
        features.extend(_centre_in_box(tissue) if count > _LEAST_SHARE * total else (0.0, 0.0, 0.0))
    return np.array(features)


def _centre_in_box(tissue: BoolArray) -> tuple[float, float, float]:
    """Centre of ``tissue`` within its array towards left, posterior, superior, -0.5 to 0.5."""
    profiles = [tissue.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in (2, 1, 0)]
    left, posterior, superior = (
        float(np.average((np.arange(len(p)) + 0.5) / len(p) - 0.5, weights=p)) for p in profiles
    )
    return left, posterior, superior


def _a_little_above_the_darkest(voxels: Float32Array) -> float:
    low, high = np.percentile(voxels, [1, 90])
    return float(low + 0.15 * (high - low))
