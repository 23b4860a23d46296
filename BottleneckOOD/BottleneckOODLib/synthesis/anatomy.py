"""A trunk with a known liver, drawn from a seed: where each tissue lies, without any image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from BottleneckOODLib.synthesis.body_wall import draw_wall
from BottleneckOODLib.synthesis.canvas import Labels, blank_canvas
from BottleneckOODLib.synthesis.fields import Array
from BottleneckOODLib.synthesis.organs import draw_organs
from BottleneckOODLib.synthesis.tissues import Tissue


@dataclass(frozen=True)
class Anatomy:
    """Tissues on a grid.

    Attributes:
        labels: ``Tissue`` values, shape (Z, Y, X); x grows to the patient's left, y to the back, z to the head.
        spacing_mm: Voxel size along (Z, Y, X).
        intensities: Hounsfield units of a real scan on the same grid, or None for a drawn body.
        known: Where ``intensities`` are real, shape (Z, Y, X), or None.
        name: What the body is, for logs.
    """

    labels: Labels
    spacing_mm: tuple[float, float, float]
    intensities: Array | None = None
    known: NDArray[np.bool_] | None = None
    name: str = "drawn"

    @cached_property
    def tissue_medians(self) -> Array:
        """Median Hounsfield units of each tissue of the real scan, indexed by ``Tissue``; shape (32,)."""
        medians = np.zeros(32, np.float32)
        if self.intensities is not None and self.known is not None:
            for tissue in Tissue:
                here = self.known & (self.labels == tissue)
                medians[tissue] = np.median(self.intensities[here]) if here.any() else 0
        return medians


def draw_anatomy(
    seed: int,
    *,
    spacing_mm: tuple[float, float, float] = (4.0, 4.0, 4.0),
    z_range_mm: tuple[float, float] = (-400.0, 270.0),
) -> Anatomy:
    """Draw a body.

    Args:
        seed: The same seed gives the same body.
        spacing_mm: Voxel size along (Z, Y, X).
        z_range_mm: Lowest and highest slice, relative to the top of the right diaphragm.

    Returns:
        The drawn anatomy.
    """
    rng = np.random.default_rng(seed)
    canvas = blank_canvas(rng, spacing_mm, z_range_mm)
    draw_wall(canvas)
    draw_organs(canvas)
    return Anatomy(canvas.labels, spacing_mm, name=f"drawn {seed}")
