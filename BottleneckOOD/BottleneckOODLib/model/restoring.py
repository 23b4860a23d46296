"""The way back: from the network's output on the model's grid to labels on the volume's own."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product

import numpy as np
import numpy.typing as npt
import scipy

from BottleneckOODLib.imaging.volume import Geometry, image_on, to_sitk

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Box = tuple[slice, slice, slice]

_TWO_CLASSES = 2
SLAB_VOXELS = 8_000_000
"""So many voxels of the volume's grid are interpolated at a time; 32 MB a class that is held."""


def restored_labels(
    logits: Float32Array,
    source: Geometry,
    target: Geometry,
    labels: Collection[int],
    leave_out: BoolArray | None = None,
    slab_voxels: int = SLAB_VOXELS,
) -> npt.NDArray[np.uint8]:
    """Interpolate each class linearly and take the largest, where anything but background can win.

    A label wins at a voxel only where it beats background at one of the eight neighbours on the model's grid, so that
    only the box around those is interpolated, slab by slab: no class is ever held at the volume's size.

    Args:
        logits: Network output, shape (n_classes, Z, Y, X) of ``source``. Not modified.
        source: The model's grid.
        target: The volume's grid; outside of ``source`` the nearest value counts.
        labels: The class indices to keep; all others become background.
        leave_out: Where background is taken whatever the network says, shape (Z, Y, X) of ``source``.
        slab_voxels: Voxels of ``target`` that are interpolated at a time.

    Returns:
        Class indices, shape (Z, Y, X) of ``target``; 0 is background.
    """
    winner = np.zeros(target.shape, dtype=np.uint8)
    kept = [value for value in labels if 0 < value < len(logits)]
    marked = np.zeros(source.shape, dtype=bool)
    for value in kept:
        marked |= logits[value] > logits[0]
    if leave_out is not None:
        marked &= ~leave_out
    if not marked.any():
        return winner
    box = scipy.ndimage.find_objects(marked.astype(np.uint8))[0]
    with_margin = _grown(box, source.shape)
    z, y, x = with_margin
    part = logits[:, z, y, x]
    if leave_out is not None and leave_out[with_margin].any():
        part = part.copy()
        part[0] = np.where(leave_out[with_margin], part.max(axis=0) + 1, part[0])
    # Interpolation is linear: the difference of two classes has the same winner at half the cost.
    fields = [part[1] - part[0]] if len(part) == _TWO_CLASSES else list(part)
    images = [to_sitk(field, source.part(with_margin)) for field in fields]
    lookup = np.zeros(max(len(logits), _TWO_CLASSES), dtype=np.uint8)
    lookup[kept] = kept
    for slab in _slabs(_reached(box, source, target), slab_voxels):
        where = target.part(slab)
        values = (image_on(image, where) for image in images)
        best = next(values)
        index = (best > 0).astype(np.uint8) if len(fields) == 1 else np.zeros(best.shape, dtype=np.uint8)
        for number, candidate in enumerate(values, start=1):
            index[candidate > best] = number
            np.maximum(best, candidate, out=best)
        winner[slab] = lookup[index]
    return winner


def _grown(box: Box, shape: tuple[int, ...]) -> Box:
    z, y, x = (slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, shape, strict=True))
    return z, y, x


def _reached(box: Box, source: Geometry, target: Geometry) -> Box:
    """The voxels of ``target`` for which a voxel of ``box`` is among the neighbours that are interpolated."""
    ends: list[tuple[float, float]] = []
    far = float(np.hypot.reduce(target.extent_mm) + np.hypot.reduce(source.extent_mm)) / min(source.spacing_mm)
    for part, n in zip(box[::-1], source.size_ijk, strict=True):
        # The edge of the source stands for everything beyond it.
        ends.append((-far if part.start == 0 else part.start - 1.0, far if part.stop == n else float(part.stop)))
    corners = target.lps_to_ijk(source.ijk_to_lps(np.array(list(product(*ends)))))
    first = np.floor(corners.min(axis=0)).clip(0, target.size_ijk).astype(int)
    last = np.ceil(corners.max(axis=0) + 1).clip(first, target.size_ijk).astype(int)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(first[::-1], last[::-1], strict=True))
    return z, y, x


def _slabs(box: Box, slab_voxels: int) -> list[Box]:
    z, y, x = box
    if z.start == z.stop or y.start == y.stop or x.start == x.stop:
        return []
    thickness = max(1, slab_voxels // ((y.stop - y.start) * (x.stop - x.start)))
    return [(slice(start, min(z.stop, start + thickness)), y, x) for start in range(z.start, z.stop, thickness)]
