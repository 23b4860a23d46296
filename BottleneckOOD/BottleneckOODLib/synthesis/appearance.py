"""What a CT scanner shows of an anatomy: Hounsfield units for each tissue, contrast phases, disease, noise."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from BottleneckOODLib.synthesis.fields import Array, smooth_field
from BottleneckOODLib.synthesis.tissues import Tissue

PHASES = ("none", "arterial", "portal", "late")
AIR_HU = -1000.0

Range = tuple[float, float]
# Plausible means in Hounsfield units: without contrast, arterial, portal venous, late phase. Sources: textbook ranges
# of abdominal CT; deliberately wider, since a network should not learn one scanner's numbers.
_SAME: dict[Tissue, Range] = {
    Tissue.OUTSIDE: (-1005, -990),
    Tissue.FAT: (-118, -88),
    Tissue.INNER_FAT: (-118, -78),
    Tissue.CORTICAL_BONE: (350, 1000),
    Tissue.MARROW: (80, 320),
    Tissue.LUNG: (-920, -720),
    Tissue.GUT_GAS: (-1000, -900),
    Tissue.STOOL: (-60, 90),
    Tissue.TABLE: (-985, -780),
    Tissue.TABLE_SHELL: (-500, 100),
    Tissue.SPINAL_CANAL: (10, 45),
    Tissue.CARTILAGE: (60, 190),
    Tissue.AIRWAY: (-1000, -930),
    Tissue.BRAIN: (25, 42),
}
_BY_PHASE: dict[Tissue, tuple[Range, Range, Range, Range]] = {
    Tissue.SKIN: ((-20, 50), (-20, 60), (-10, 70), (-10, 70)),
    Tissue.MUSCLE: ((40, 65), (45, 70), (48, 78), (48, 75)),
    Tissue.LIVER: ((38, 68), (50, 85), (80, 135), (70, 110)),
    Tissue.SPLEEN: ((38, 58), (85, 160), (95, 145), (75, 110)),
    Tissue.KIDNEY: ((25, 42), (110, 210), (140, 230), (120, 190)),
    Tissue.GUT_WALL: ((25, 50), (45, 95), (55, 105), (50, 85)),
    Tissue.GUT_FLUID: ((-5, 40), (-5, 40), (-5, 40), (-5, 40)),
    Tissue.GALLBLADDER: ((-2, 25), (-2, 25), (-2, 25), (0, 40)),
    Tissue.AORTA: ((32, 52), (180, 420), (120, 200), (90, 140)),
    Tissue.VEIN: ((32, 50), (50, 160), (105, 185), (90, 140)),
    Tissue.LIVER_VESSEL: ((30, 50), (50, 130), (125, 200), (90, 140)),
    Tissue.MYOCARDIUM: ((38, 55), (75, 130), (85, 140), (75, 115)),
    Tissue.HEART_BLOOD: ((30, 50), (160, 400), (115, 190), (90, 140)),
    Tissue.PANCREAS: ((28, 50), (70, 125), (65, 115), (55, 90)),
    Tissue.URINE: ((-5, 15), (-5, 15), (-5, 20), (40, 400)),
    Tissue.SOFT_TISSUE: ((25, 55), (35, 75), (45, 90), (40, 80)),
}


@dataclass(frozen=True)
class Style:
    """How a case is scanned and how ill it is; drawn by ``draw_style``, or given to ask for something.

    Attributes:
        phase: One of ``PHASES``.
        oral_contrast: Whether stomach and bowel hold positive contrast.
        noise_hu: Standard deviation of the noise on the finished grid.
        noise_grain: Correlation length of the noise, in voxels.
        blur: Gaussian blur of the scanner and the slices, in voxels along (Z, Y, X).
        liver_hu: Mean of the liver, or None for the phase's.
        lesions: How many lesions the liver holds.
        ascites: Whether the belly's fat is replaced by fluid.
        streaks: Strength of metal streaks, in HU.
    """

    phase: str = "portal"
    oral_contrast: bool = False
    noise_hu: float = 10.0
    noise_grain: float = 0.6
    blur: tuple[float, float, float] = (0.5, 0.5, 0.5)
    liver_hu: float | None = None
    lesions: int = 0
    ascites: bool = False
    streaks: float = 0.0


def draw_style(rng: np.random.Generator) -> Style:
    """A plausible way to scan a plausible patient."""
    phase = str(rng.choice(PHASES, p=[0.36, 0.14, 0.40, 0.10]))
    liver = None
    if rng.random() < 0.14:  # fat (or, seldom, iron) in the liver
        liver = float(rng.uniform(-15, 40) if rng.random() < 0.85 else rng.uniform(70, 100))
        liver += {"none": 0, "arterial": 15, "portal": 45, "late": 30}[phase]
    thick = rng.uniform(0.2, 0.9)
    flat = rng.uniform(0.25, 0.7)
    return Style(
        phase=phase,
        oral_contrast=bool(rng.random() < 0.22),
        noise_hu=float(np.exp(rng.uniform(np.log(2.5), np.log(32)))),
        noise_grain=float(rng.uniform(0, 1.1)),
        blur=(float(thick), float(flat), float(flat)),
        liver_hu=liver,
        lesions=int(rng.choice([0, 1, 2, 4, 9], p=[0.55, 0.18, 0.12, 0.1, 0.05])),
        ascites=bool(rng.random() < 0.09),
        streaks=float(rng.uniform(10, 90)) if rng.random() < 0.06 else 0.0,
    )


def tissue_means(rng: np.random.Generator, style: Style) -> Array:
    """Mean Hounsfield units of each tissue, indexed by ``Tissue``; shape (32,)."""
    phase = PHASES.index(style.phase)
    means = np.full(32, AIR_HU, np.float32)
    for tissue, (low, high) in _SAME.items():
        means[tissue] = rng.uniform(low, high)
    level = rng.random()
    for tissue, ranges in _BY_PHASE.items():
        low, high = ranges[phase]
        # One body's enhancement is shared: strong in all organs, or weak in all.
        means[tissue] = low + (high - low) * np.clip(0.6 * level + 0.4 * rng.random(), 0, 1)
    if style.liver_hu is not None:
        means[Tissue.LIVER] = style.liver_hu
    elif phase == 0:
        means[Tissue.LIVER_VESSEL] = min(means[Tissue.LIVER_VESSEL], means[Tissue.LIVER] + 2)
    if style.oral_contrast:
        means[Tissue.GUT_FLUID] = rng.uniform(90, 450)
    if style.ascites:
        means[Tissue.INNER_FAT] = rng.uniform(0, 22)
    if rng.random() < 0.1:  # a body that no table foresees
        soft = [t for t in _BY_PHASE if t is not Tissue.SKIN]
        means[soft] += rng.normal(0, 18, len(soft))
    return means


def paint(
    labels: NDArray[np.uint8], spacing_mm: tuple[float, float, float], rng: np.random.Generator, style: Style
) -> Array:
    """Hounsfield units of an anatomy before the scanner blurs it.

    Args:
        labels: ``Tissue`` values, shape (Z, Y, X).
        spacing_mm: Voxel size along (Z, Y, X).
        rng: Source of randomness.
        style: Phase and disease.

    Returns:
        Hounsfield units, shape (Z, Y, X).
    """
    means = tissue_means(rng, style)
    image: Array = means[labels]
    coarse = smooth_field(rng, labels.shape, spacing_mm, 60)
    fine = smooth_field(rng, labels.shape, spacing_mm, 14)
    mottle = np.full(32, 6.0, np.float32)
    mottle[[Tissue.OUTSIDE, Tissue.GUT_GAS, Tissue.AIRWAY]] = 2
    mottle[[Tissue.MARROW, Tissue.CORTICAL_BONE, Tissue.STOOL, Tissue.LUNG]] = 45
    mottle[[Tissue.FAT, Tissue.INNER_FAT, Tissue.GUT_WALL]] = 9
    mottle[Tissue.LIVER] = rng.uniform(1, 7)
    image = image + mottle[labels] * (0.5 * coarse + 0.5 * fine)
    if rng.random() < 0.6:  # vessels and strands in belly fat and lung
        strands = np.abs(smooth_field(rng, labels.shape, spacing_mm, 22)) < rng.uniform(0.03, 0.14)
        image[strands & (labels == Tissue.INNER_FAT)] = rng.uniform(0, 60)
        image[strands & (labels == Tissue.LUNG)] = rng.uniform(-400, 20)
    if style.lesions:
        _add_lesions(image, labels, spacing_mm, rng, style.lesions)
    return image


def _add_lesions(
    image: Array,
    labels: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
    count: int,
) -> None:
    places = np.argwhere(labels == Tissue.LIVER)
    if not len(places):
        return
    for _ in range(count):
        centre = places[rng.integers(len(places))]
        radius = float(np.exp(rng.uniform(np.log(4), np.log(38 if count < 4 else 16))))
        reach = [int(radius / s) + 1 for s in spacing_mm]
        box = tuple(
            slice(max(c - r, 0), min(c + r + 1, n)) for c, r, n in zip(centre, reach, labels.shape, strict=True)
        )
        grid = np.ogrid[box]
        distance = np.sqrt(sum(((g - c) * s / radius) ** 2 for g, c, s in zip(grid, centre, spacing_mm, strict=True)))
        inside = np.isin(labels[box], (Tissue.LIVER, Tissue.LIVER_VESSEL))
        change = float(
            rng.choice([rng.uniform(-60, -15), rng.uniform(-110, -60), rng.uniform(15, 70)], p=[0.65, 0.15, 0.2])
        )
        core = np.where((distance < 0.6) & (rng.random() < 0.4), 0.4, 1.0)  # a rim
        image[box] += np.where(inside & (distance < 1), change * core, 0).astype(np.float32)


def scan(image: Array, spacing_mm: tuple[float, float, float], rng: np.random.Generator, style: Style) -> Array:
    """Blur, noise and streaks of a scanner on a painted body; Hounsfield units, shape (Z, Y, X)."""
    seen: Array = ndimage.gaussian_filter(np.clip(image, -1024, 1500), style.blur, truncate=2.5)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    if style.noise_grain > 0.15:
        noise = ndimage.gaussian_filter(
            noise, (0.3 * style.noise_grain, style.noise_grain, style.noise_grain), truncate=2.5
        )
        noise /= max(float(noise.std()), 1e-6)
    strength = style.noise_hu * (1 + 0.25 * smooth_field(rng, image.shape, spacing_mm, 150))
    seen = seen + noise * strength.astype(np.float32)
    if style.streaks:
        z, y, x = np.ogrid[tuple(slice(0, n) for n in image.shape)]
        cz, cy, cx = (rng.uniform(0.2, 0.8) * n for n in image.shape)
        angle = np.arctan2(y - cy, x - cx)
        rays = np.cos(angle * rng.integers(5, 16) + rng.uniform(0, 6)) ** 5 + np.cos(angle * rng.integers(17, 40)) ** 3
        near = np.exp(-np.hypot(y - cy, x - cx) * spacing_mm[1] / 90) * np.exp(-np.abs(z - cz) * spacing_mm[0] / 20)
        seen = seen + (style.streaks * rays * near).astype(np.float32)
    return np.asarray(np.clip(seen, -1024, 3071), dtype=np.float32)
