"""How much of a body a scan or a patch shows."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def patch_field_of_view(rng: np.random.Generator, mask: Mask) -> Mask:
    """Which voxels the scanner saw: whole, cut at one end, a slab of a few slices, or a tight box or circle."""
    seen = np.ones(mask.shape, bool)
    size = mask.shape[0]
    kind = rng.random()
    if kind < 0.42:  # a slab
        height = max(1, round(float(np.exp(rng.uniform(0, np.log(24))))))
        rows = np.flatnonzero(mask.any(axis=(1, 2)))
        if rows.size and rng.random() < 0.85:
            middle = int(rng.integers(rows[0], rows[-1] + 1))
        else:
            middle = int(rng.integers(size))
        start = int(np.clip(middle - height // 2, 0, max(size - height, 0)))
        seen[:start] = False
        seen[start + height :] = False
    elif kind < 0.68:  # the scan begins or ends here
        cut = int(rng.integers(4, size - 4))
        if rng.random() < 0.6:
            seen[cut:] = False
        else:
            seen[:cut] = False
    tight = rng.random()
    if tight < 0.1:
        for axis in (1, 2):
            low, high = sorted(rng.uniform(-0.3, 1.3, 2) * mask.shape[axis])
            if high - low > 0.4 * mask.shape[axis]:
                index = np.arange(mask.shape[axis])
                keep = (index >= low) & (index < high)
                seen &= keep[None, :, None] if axis == 1 else keep[None, None, :]
    elif tight < 0.18:
        y, x = np.ogrid[: mask.shape[1], : mask.shape[2]]
        cy, cx = rng.uniform(0.2, 0.8, 2) * mask.shape[1:]
        seen &= (np.hypot(y - cy, x - cx) < rng.uniform(0.4, 0.85) * mask.shape[2])[None]
    return seen


FIELDS_OF_VIEW = {
    "whole abdomen": 0.24,
    "upper abdomen": 0.16,
    "liver slab": 0.22,
    "thorax-abdomen": 0.12,
    "abdomen-pelvis": 0.16,
    "trunk": 0.10,
}
"""How much of the trunk a case shows, and how often."""


def scan_range(rng: np.random.Generator, kind: str) -> tuple[float, float]:
    """Lowest and highest slice of a scan, in mm from the top of the liver.

    Args:
        rng: Source of randomness.
        kind: A key of ``FIELDS_OF_VIEW``.

    Returns:
        Low and high, in mm.
    """
    if kind == "liver slab":
        height = float(np.exp(rng.uniform(np.log(10), np.log(60))))
        middle = float(rng.uniform(-120, -20))
        return middle - height / 2, middle + height / 2
    ends = {
        "whole abdomen": ((-260, -200), (5, 50)),
        "upper abdomen": ((-190, -120), (-40, 40)),
        "thorax-abdomen": ((-230, -120), (160, 240)),
        "abdomen-pelvis": ((-390, -330), (-30, 45)),
        "trunk": ((-390, -300), (150, 250)),
    }[kind]
    return float(rng.uniform(*ends[0])), float(rng.uniform(*ends[1]))
