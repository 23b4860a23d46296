"""The grid that the organs of a drawn body are painted on."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from BottleneckOODLib.synthesis.fields import Array, smooth_field
from BottleneckOODLib.synthesis.tissues import Tissue

Labels = NDArray[np.uint8]


@dataclass
class Canvas:
    """The grid that organs are painted on, in a body's own (already deformed) coordinates.

    Attributes:
        x: Millimetres to the patient's left of the body's middle, shape (Z, Y, X).
        y: Millimetres to the back.
        z: Millimetres above the top of the right diaphragm.
        spacing_mm: Voxel size along (Z, Y, X).
        rng: Source of randomness of the whole body.
        labels: What was painted so far.
        depth: Millimetres below the skin, negative outside.
        inner: Millimetres inside the inner face of the body wall, negative outside.
        floor: Height of the diaphragm over each voxel's column.
        back_mm: Depth of the cavity behind the body's middle.
        spine_y_mm: Where the vertebrae lie.
    """

    x: Array
    y: Array
    z: Array
    spacing_mm: tuple[float, float, float]
    rng: np.random.Generator
    labels: Labels
    depth: Array = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    inner: Array = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    floor: Array = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    back_mm: float = 0.0
    spine_y_mm: float = 0.0

    def box(
        self, low: tuple[float, float, float], high: tuple[float, float, float], margin_mm: float = 25
    ) -> tuple[slice, ...]:
        """Index ranges that hold a box given along x, y, z in mm; the margin covers the coordinates' deformation."""
        slices = []
        for axis, (grid, a, b) in enumerate(zip((self.z, self.y, self.x), low[::-1], high[::-1], strict=True)):
            index = [n // 2 for n in grid.shape]
            line_index: list[int | slice] = list(index)
            line_index[axis] = slice(None)
            line = grid[tuple(line_index)]
            inside = np.flatnonzero((line > a - margin_mm) & (line < b + margin_mm))
            slices.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0))
        return tuple(slices)

    def paint(self, where: NDArray[np.bool_], tissue: Tissue, box: tuple[slice, ...] | None = None) -> None:
        """Give ``tissue`` to the voxels of ``where`` (on ``box``, or everywhere)."""
        target = self.labels if box is None else self.labels[box]
        target[where] = tissue

    def ball(
        self,
        centre: tuple[float, float, float],
        radii: tuple[float, float, float],
        tissue: Tissue,
        *,
        over: tuple[Tissue, ...] | None = None,
        inside_cavity: bool = False,
    ) -> None:
        """Paint an ellipsoid; ``over`` restricts it to voxels of these tissues."""
        low = tuple(c - r for c, r in zip(centre, radii, strict=True))
        high = tuple(c + r for c, r in zip(centre, radii, strict=True))
        box = self.box(low, high)  # type: ignore[arg-type]
        x, y, z = self.x[box], self.y[box], self.z[box]
        if not x.size:
            return
        where = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + (
            (z - centre[2]) / radii[2]
        ) ** 2 < 1
        if inside_cavity:
            where &= self.inner[box] > 2  # two millimetres of peritoneum and fat
        if over is not None:
            where &= np.isin(self.labels[box], over)
        self.paint(where, tissue, box)


def blank_canvas(
    rng: np.random.Generator, spacing_mm: tuple[float, float, float], z_range_mm: tuple[float, float]
) -> Canvas:
    """An empty canvas whose coordinates are bent, so that every shape painted on it is irregular.

    Args:
        rng: Source of randomness.
        spacing_mm: Voxel size along (Z, Y, X).
        z_range_mm: Lowest and highest slice, relative to the top of the right diaphragm.

    Returns:
        The canvas, all outside the body.
    """
    half_x, half_y = 270.0, 190.0
    z_line = np.arange(z_range_mm[0], z_range_mm[1], spacing_mm[0], dtype=np.float32)
    y_line = np.arange(-half_y, half_y, spacing_mm[1], dtype=np.float32)
    x_line = np.arange(-half_x, half_x, spacing_mm[2], dtype=np.float32)
    shape = (z_line.size, y_line.size, x_line.size)
    bend = rng.uniform(3, 9)
    wobble = rng.uniform(0.5, 2.0)
    scale = rng.uniform(0.9, 1.1)

    def shift(strength: float) -> Array:
        return strength * bend * smooth_field(rng, shape, spacing_mm, 110) + wobble * smooth_field(
            rng, shape, spacing_mm, 28
        )

    x = x_line[None, None, :] + shift(0.8)
    y = y_line[None, :, None] + shift(0.8)
    z = z_line[:, None, None] / np.float32(scale) + shift(1.0)
    return Canvas(
        x.astype(np.float32), y.astype(np.float32), z.astype(np.float32), spacing_mm, rng, np.zeros(shape, np.uint8)
    )
