"""A small picture of a case: its slice through the thickest part of the mask."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from BottleneckOODLib.assessment.figures import (
    CT_WINDOW,
    percentile_window,
    show_plane,
    thickest_slices,
    upright_volume,
)
from BottleneckOODLib.imaging.volume import LabelVolume, Volume

_DPI, _SIDE_IN = 64, 3.0
MOST_BYTES = 10_000
"""No picture of a case for a list is larger, so that a page of a thousand of them can be sent around."""
_QUALITIES = (72, 60, 45, 30, 15)


def thumbnail_png(volume: Volume, segmentation: LabelVolume) -> bytes:
    """The axial slice with the mask's contour, 192 x 192 pixels, as a PNG without words or identifiers.

    Args:
        volume: The image. Not modified.
        segmentation: Its mask, on the same grid.
    """
    stream = io.BytesIO()
    _drawn(volume, segmentation).print_png(  # type: ignore[no-untyped-call]
        stream, metadata={"Software": "BottleneckOOD"}
    )
    return stream.getvalue()


def thumbnail_jpeg(volume: Volume, segmentation: LabelVolume | None) -> bytes:
    """The same as a JPEG of at most ``MOST_BYTES``, for lists of many cases; without a mask the middle slice.

    Args:
        volume: The image. Not modified.
        segmentation: Its mask, on the same grid, or None.
    """
    canvas = _drawn(volume, segmentation)
    for quality in _QUALITIES:
        stream = io.BytesIO()
        canvas.print_jpg(stream, pil_kwargs={"quality": quality, "optimize": True})  # type: ignore[no-untyped-call]
        if stream.tell() <= MOST_BYTES:
            break
    return stream.getvalue()


def _drawn(volume: Volume, segmentation: LabelVolume | None) -> FigureCanvasAgg:
    image, spacing = upright_volume(volume.voxels, volume.geometry)
    mask = None
    if segmentation is not None:
        mask = upright_volume((segmentation.labels > 0).astype(np.float32), volume.geometry)[0] > 0
    z = thickest_slices(mask, image.shape)[0]
    window = CT_WINDOW if volume.modality == "CT" else percentile_window(image)
    figure = Figure(figsize=(_SIDE_IN, _SIDE_IN), dpi=_DPI, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), facecolor="black")
    show_plane(axes, image[z], None if mask is None else mask[z], spacing[1] / spacing[2], window)
    return canvas
