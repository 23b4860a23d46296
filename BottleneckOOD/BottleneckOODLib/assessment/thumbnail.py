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


def thumbnail_png(volume: Volume, segmentation: LabelVolume) -> bytes:
    """The axial slice with the mask's contour, 192 x 192 pixels, as a PNG without words or identifiers.

    Args:
        volume: The image. Not modified.
        segmentation: Its mask, on the same grid.
    """
    image, spacing = upright_volume(volume.voxels, volume.geometry)
    marked = (segmentation.labels > 0).astype(np.float32)
    mask = upright_volume(marked, volume.geometry)[0] > 0
    z = thickest_slices(mask, image.shape)[0]
    window = CT_WINDOW if volume.modality == "CT" else percentile_window(image)
    figure = Figure(figsize=(_SIDE_IN, _SIDE_IN), dpi=_DPI, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), facecolor="black")
    show_plane(axes, image[z], mask[z], spacing[1] / spacing[2], window)
    stream = io.BytesIO()
    canvas.print_png(stream, metadata={"Software": "BottleneckOOD"})  # type: ignore[no-untyped-call]
    return stream.getvalue()
