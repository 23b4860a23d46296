"""A whole synthetic case: a scan of a generated body, its true liver, and the facts of the scan."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.synthesis.anatomy import Anatomy, draw_anatomy
from BottleneckOODLib.synthesis.appearance import Style, draw_style, paint, scan
from BottleneckOODLib.synthesis.blending import mix_with_real
from BottleneckOODLib.synthesis.deformation import warped_points
from BottleneckOODLib.synthesis.field_of_view import FIELDS_OF_VIEW, scan_range
from BottleneckOODLib.synthesis.fields import Array
from BottleneckOODLib.synthesis.tissues import LIVER_TISSUES, OUTSIDE_BODY, Tissue

LIVER_LABEL = 1
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_COARSEST_MM = 3.2


@dataclass(frozen=True)
class BodyStyle:
    """What to ask of a generated case; what is None is drawn from the seed.

    Attributes:
        field_of_view: One of ``FIELDS_OF_VIEW``.
        appearance: Contrast phase, disease, noise and blur.
        margin_mm: Air left around the body in the slices; negative cuts into the body.
        sharp: Draw the tissues at the scan's own voxel size: slower, for pictures that are looked at.
    """

    field_of_view: str | None = None
    appearance: Style | None = None
    margin_mm: float | None = None
    sharp: bool = False


@dataclass(frozen=True)
class SyntheticCase:
    """A generated scan with its truth.

    Attributes:
        volume: The scan, in Hounsfield units; LPS axes.
        liver: Its liver, label 1, on the same grid.
        facts: Slice thickness, phase, field of view, noise and the like; plain values.
    """

    volume: Volume
    liver: LabelVolume
    facts: Mapping[str, str | float]


def generate_body(
    seed: int,
    *,
    spacing_mm: tuple[float, float, float] = (2.5, 2.5, 3.0),
    style: BodyStyle | None = None,
    anatomy: Anatomy | None = None,
    name: str | None = None,
) -> SyntheticCase:
    """Generate a scan.

    Args:
        seed: The same seed and arguments give the same case.
        spacing_mm: Voxel size along i, j, k (x, y, z).
        style: What to ask for; all is drawn from the seed if None.
        anatomy: A body to deform, such as one of ``read_real_anatomies``; a new one is drawn if None.
        name: Name of the volume; made from the seed if None.

    Returns:
        The scan, its liver, and its facts.

    Source:
        Implicit shapes and elastic deformation in the spirit of digital phantoms such as XCAT (Segars 2010), with
        domain-randomised intensities as in SynthSeg (Billot 2023).
    """
    style = style or BodyStyle()
    rng = np.random.default_rng((seed, 77))
    kind = style.field_of_view or str(rng.choice(list(FIELDS_OF_VIEW), p=list(FIELDS_OF_VIEW.values())))
    low_mm, high_mm = scan_range(rng, kind)
    native = spacing_mm[::-1]
    count = max(1, round((high_mm - low_mm) / native[0]))
    appearance = style.appearance or draw_style(rng)
    coarse = native if style.sharp else tuple(max(s, _COARSEST_MM) for s in native)
    labels, image = _painted_body(
        rng, seed, anatomy, appearance, (low_mm, low_mm + count * native[0]), coarse, style.sharp
    )
    window = _slice_window(rng, labels, coarse, style.margin_mm)
    labels, image = labels[:, window[0], window[1]], image[:, window[0], window[1]]
    liver_share = np.isin(labels, LIVER_TISSUES).astype(np.float32)
    shape = (
        count,
        *(max(8, round(n * c / s)) for n, c, s in zip(image.shape[1:], coarse[1:], native[1:], strict=True)),
    )
    if image.shape != shape:
        image, liver_share = _resized(image, shape), _resized(liver_share, shape)
    noise = min(90.0, appearance.noise_hu * (64 / float(np.prod(native))) ** 0.3)
    seen = scan(image, native, rng, _native_style(appearance, noise, native))
    origin = (-shape[2] * native[2] / 2, -shape[1] * native[1] / 2, float(np.round(rng.uniform(-900, 900), 1)))
    geometry = Geometry((shape[2], shape[1], shape[0]), spacing_mm, origin, _IDENTITY)
    liver = LabelVolume((liver_share > 0.5).astype(np.uint8), geometry, {LIVER_LABEL: "liver"})
    facts: dict[str, str | float] = {
        "field_of_view": kind,
        "slices": float(count),
        "slice_thickness_mm": float(spacing_mm[2]),
        "pixel_mm": float(spacing_mm[0]),
        "contrast_phase": appearance.phase,
        "oral_contrast": "yes" if appearance.oral_contrast else "no",
        "noise_hu": round(float(noise), 1),
        "table": "yes" if bool((labels == Tissue.TABLE).any()) else "no",
        "arms": "down" if _arms_are_down(labels) else "up",
        "anatomy": anatomy.name if anatomy is not None else "drawn",
        "liver_ml": round(liver.volume_ml(LIVER_LABEL)),
    }
    volume = Volume(seen, geometry, "CT", name or f"generated-{seed}")
    return SyntheticCase(volume, liver, facts)


def _painted_body(
    rng: np.random.Generator,
    seed: int,
    anatomy: Anatomy | None,
    appearance: Style,
    z_range_mm: tuple[float, float],
    spacing: tuple[float, ...],
    sharp: bool,
) -> tuple[NDArray[np.uint8], Array]:
    """Tissues and painted Hounsfield units over a height range that counts from the top of the liver."""
    grid = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    if anatomy is None and sharp:
        drawn = draw_anatomy(seed, spacing_mm=grid, z_range_mm=z_range_mm)
        return drawn.labels, paint(drawn.labels, grid, rng, appearance)
    if anatomy is None:
        anatomy = draw_anatomy(seed, z_range_mm=(z_range_mm[0] - 45, z_range_mm[1] + 45))
        top_mm = -(z_range_mm[0] - 45)
    else:
        rows = np.flatnonzero(np.isin(anatomy.labels, LIVER_TISSUES).any(axis=(1, 2)))
        top_mm = float(rows[-1] + 1) * anatomy.spacing_mm[0] if rows.size else 0.0
    middle = top_mm + (z_range_mm[0] + z_range_mm[1]) / 2
    centre = np.array(
        [middle, *(n * s / 2 for n, s in zip(anatomy.labels.shape[1:], anatomy.spacing_mm[1:], strict=True))]
    )
    size = (
        max(1, round((z_range_mm[1] - z_range_mm[0]) / grid[0])),
        round(380 / grid[1]),
        round(540 / grid[2]),
    )
    points = warped_points(rng, centre, anatomy.spacing_mm, size, grid, turned=False)
    labels = ndimage.map_coordinates(anatomy.labels, points, order=0, mode="constant", cval=0, prefilter=False)
    image = paint(labels, grid, rng, appearance)
    return labels, mix_with_real(anatomy, points, labels, image, rng, appearance)


def _resized(array: Array, shape: tuple[int, ...]) -> Array:
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    resized: Array = ndimage.zoom(array, factors, order=1, mode="nearest", grid_mode=True, prefilter=False)
    return resized


def _native_style(appearance: Style, noise: float, native: tuple[float, ...]) -> Style:
    """The same style on a finer grid: its blur is given for voxels of 4 mm."""
    z, y, x = (min(b * 4.0 / s, 1.2) for b, s in zip(appearance.blur, native, strict=True))
    return Style(
        phase=appearance.phase, oral_contrast=appearance.oral_contrast, noise_hu=noise,
        noise_grain=appearance.noise_grain, blur=(0.5 * z, y, x), streaks=appearance.streaks,
    )  # fmt: skip


def _slice_window(
    rng: np.random.Generator, labels: NDArray[np.uint8], spacing: tuple[float, ...], margin_mm: float | None
) -> tuple[slice, slice]:
    """The square that the scanner shows: around the body with some air, or cut into it."""
    body = ~np.isin(labels, OUTSIDE_BODY)
    if margin_mm is None:
        margin_mm = float(rng.uniform(-45, 0)) if rng.random() < 0.15 else float(rng.uniform(4, 55))
    windows = []
    for axis, step in ((1, spacing[1]), (2, spacing[2])):
        line = np.flatnonzero(body.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = (int(line[0]), int(line[-1])) if line.size else (0, labels.shape[axis] - 1)
        margin = round(margin_mm / step)
        windows.append((max(first - margin, 0), min(last + margin + 1, labels.shape[axis])))
    return slice(*windows[0]), slice(*windows[1])


def _arms_are_down(labels: NDArray[np.uint8]) -> bool:
    middle = ~np.isin(labels[len(labels) // 2], OUTSIDE_BODY)
    _, parts = ndimage.label(ndimage.binary_opening(middle, iterations=2))
    return bool(parts > 1)
