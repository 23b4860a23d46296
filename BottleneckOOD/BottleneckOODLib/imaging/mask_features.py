"""What can be measured on a segmentation: its size, form and place, and the intensities inside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from BottleneckOODLib.imaging.body import MEASURING_SPACING_MM, thinned, thinned_array
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MASK_SHAPE_NAMES = (
    "log_volume",
    "log_extent_left",
    "log_extent_posterior",
    "log_extent_superior",
    "compactness",
    "log_components",
    "largest_share",
    "left",
    "posterior",
    "superior",
    "border_share",
)
MASK_INTENSITY_NAMES = ("mean", "deviation", "p5", "median", "p95", "contrast_to_surroundings")
_RING_VOXELS = 2
_SOFT_HU = (-30.0, 300.0)


@dataclass(frozen=True, eq=False)
class MarkedParts:
    """The connected parts (26 neighbours) of everything that the model marked.

    Attributes:
        n_components: How many have at least one ml, at least 1.
        count: How many there are, of any size; 0 when nothing is marked.
        largest_share: Share of what is marked in the largest part; 0 when nothing is marked.
        largest: The largest part, shape (Z, Y, X).
        marked: All of them, shape (Z, Y, X).
    """

    n_components: int
    count: int
    largest_share: float
    largest: BoolArray
    marked: BoolArray


def marked_parts(marked: BoolArray, voxel_volume_ml: float) -> MarkedParts:
    """Tell the connected parts of a mask, shape (Z, Y, X), apart.

    Raises:
        ValueError: The volume of a voxel is not a positive finite number.
    """
    if not 0 < voxel_volume_ml < np.inf:
        message = f"a voxel of {voxel_volume_ml} ml"
        raise ValueError(message)
    parts, count = scipy.ndimage.label(marked, structure=np.ones((3, 3, 3), dtype=bool))
    sizes = np.bincount(parts.ravel(), minlength=2)[1:]
    n_components = max(1, int(np.count_nonzero(sizes * voxel_volume_ml >= 1.0)))
    largest_share = float(sizes.max() / max(1, sizes.sum()))
    return MarkedParts(n_components, int(count), largest_share, np.asarray(parts == 1 + sizes.argmax()), marked)


@dataclass(frozen=True)
class MaskFeatures:
    """Measurements of a mask that is not empty.

    Attributes:
        volume_ml: Volume of the mask, in ml.
        n_components: Connected parts of at least one ml that the model marked, those that were left out too.
        largest_share: Share of what the model marked in its largest part.
        border_share: Share of the mask's surface that lies on the edge of the scan.
        shape: Shape (11,), see ``MASK_SHAPE_NAMES``: lengths in log mm, place within the body's box (-0.5 to 0.5).
        intensity: Shape (6,), see ``MASK_INTENSITY_NAMES``, in HU.
    """

    volume_ml: float
    n_components: int
    largest_share: float
    border_share: float
    shape: FloatArray
    intensity: FloatArray


def mask_features(labels: LabelVolume, volume: Volume, body: BoolArray, marked: MarkedParts) -> MaskFeatures | None:
    """Measure the mask (every label together) on the thinned grid.

    Args:
        labels: The segmentation, in the volume's geometry.
        volume: The volume.
        body: The body on the grid of ``thinned(volume)``.
        marked: The parts of what the model marked, on any grid.

    Returns:
        The measurements, or None for an empty mask.
    """
    volume_ml = float(np.count_nonzero(labels.labels)) * labels.geometry.voxel_volume_ml
    voxels, geometry = thinned(volume)
    if volume_ml == 0:
        return None
    mask = _thinned_mask(labels.labels, labels.geometry)
    if not mask.any():
        # So thin that it lies between the samples: what is near a sample counts.
        reach = [int(MEASURING_SPACING_MM // s) for s in labels.geometry.spacing_mm[::-1]]
        near = scipy.ndimage.maximum_filter(labels.labels > 0, [2 * n + 1 for n in reach])
        mask = _thinned_mask(near, labels.geometry)
    surface = mask & ~scipy.ndimage.binary_erosion(mask, border_value=0)
    on_edge = _edge(mask.shape) & surface
    border_share = float(np.count_nonzero(on_edge) / np.count_nonzero(surface))
    extent = [np.log(np.ptp(axis) * s + s) for axis, s in zip(np.nonzero(mask)[::-1], geometry.spacing_mm, strict=True)]
    ml = np.count_nonzero(mask) * geometry.voxel_volume_ml
    surface_cm2 = np.count_nonzero(surface) * geometry.voxel_volume_ml ** (2 / 3)
    shape = np.array(
        [
            np.log(volume_ml),
            *extent,
            ml ** (2 / 3) / surface_cm2,
            np.log(max(marked.count, 1)),
            marked.largest_share,
            *_place_in_box(mask, body),
            border_share,
        ]
    )
    intensity = _intensities(voxels, mask)
    return MaskFeatures(volume_ml, marked.n_components, marked.largest_share, border_share, shape, intensity)


def _thinned_mask(labels: npt.NDArray[np.uint8] | BoolArray, geometry: Geometry) -> BoolArray:
    return np.asarray(thinned_array(labels, geometry)[0].astype(bool))


def _place_in_box(mask: BoolArray, body: BoolArray) -> list[float]:
    boxes = scipy.ndimage.find_objects(body.astype(np.uint8))
    box = boxes[0] if boxes else tuple(slice(0, n) for n in mask.shape)
    centre = [float(np.mean(axis)) for axis in np.nonzero(mask)]
    place = [(c + 0.5 - s.start) / (s.stop - s.start) - 0.5 for c, s in zip(centre, box, strict=True)]
    return place[::-1]


def _intensities(voxels: npt.NDArray[np.float32], mask: BoolArray) -> FloatArray:
    values = voxels[mask]
    ring = scipy.ndimage.binary_dilation(mask, iterations=_RING_VOXELS) & ~mask
    around = voxels[ring]
    around = around[(around > _SOFT_HU[0]) & (around < _SOFT_HU[1])]
    median = float(np.median(values))
    contrast = median - float(np.median(around)) if len(around) else 0.0
    p5, p95 = np.percentile(values, [5, 95])
    return np.array([values.mean(), values.std(), p5, median, p95, contrast], dtype=np.float64)


def _edge(shape: tuple[int, ...]) -> BoolArray:
    edge = np.ones(shape, dtype=bool)
    edge[tuple(slice(1, -1) for _ in shape)] = False
    return edge
