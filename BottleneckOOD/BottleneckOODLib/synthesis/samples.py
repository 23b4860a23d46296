"""The embedded samples, and the cases of the demo reference."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.synthesis.anatomy import Anatomy
from BottleneckOODLib.synthesis.appearance import Style
from BottleneckOODLib.synthesis.body import LIVER_LABEL, BodyStyle, SyntheticCase, generate_body
from BottleneckOODLib.synthesis.fields import smooth_field

USUAL_SAMPLE = "sample-usual"
UNUSUAL_SAMPLE = "sample-unusual"
_USUAL_SEED = 20_241
_UNUSUAL_SEED = 20_260
_VOXEL_BUDGET = 5_000_000.0


def embedded_samples() -> dict[str, SyntheticCase]:
    """The two scans that the demo comes with: one like the reference cases, one unlike them.

    Returns:
        Cases by name, ``USUAL_SAMPLE`` and ``UNUSUAL_SAMPLE``.
    """
    usual = generate_body(
        _USUAL_SEED,
        spacing_mm=(2.5, 2.5, 4.0),
        style=BodyStyle(
            "whole abdomen", Style(phase="portal", noise_hu=6, noise_grain=0.7, lesions=0), 15.0, sharp=True
        ),
        name=USUAL_SAMPLE,
    )
    return {USUAL_SAMPLE: _in_whole_hu(usual), UNUSUAL_SAMPLE: _in_whole_hu(_unusual())}


def _in_whole_hu(case: SyntheticCase) -> SyntheticCase:
    """As a scanner stores it, so that the file holds the very same values."""
    volume = case.volume
    whole = np.round(volume.voxels).astype(np.float32)
    return replace(case, volume=Volume(whole, volume.geometry, volume.modality, volume.name))


def _unusual() -> SyntheticCase:
    """A body with a belly full of fluid, a huge mass in the liver, and a scan full of noise and streaks."""
    style = Style(phase="none", noise_hu=55, noise_grain=1.0, ascites=True, lesions=9, streaks=260, liver_hu=5)
    case = generate_body(
        _UNUSUAL_SEED,
        spacing_mm=(2.5, 2.5, 4.0),
        style=BodyStyle("whole abdomen", style, 15.0, sharp=True),
        name=UNUSUAL_SAMPLE,
    )
    rng = np.random.default_rng(_UNUSUAL_SEED)
    voxels = np.array(case.volume.voxels)
    geometry = case.volume.geometry
    spacing = geometry.spacing_mm[::-1]
    liver = case.liver.labels == LIVER_LABEL
    rows = np.argwhere(liver)
    centre = rows.mean(axis=0)
    grid = np.ogrid[tuple(slice(0, n) for n in voxels.shape)]
    distance = np.sqrt(sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, spacing, strict=True)))
    mass = distance + 14 * smooth_field(rng, voxels.shape, spacing, 35) < 62
    body = ndimage.binary_erosion(voxels > -300, iterations=4)
    texture = 120 * smooth_field(rng, voxels.shape, spacing, 12)
    voxels = np.where(mass & body, 140 + texture + rng.normal(0, 40, voxels.shape), voxels).astype(np.float32)
    volume = Volume(np.clip(voxels, -1024, 3071).astype(np.float32), geometry, "CT", UNUSUAL_SAMPLE)
    labels = LabelVolume((liver & ~mass).astype(np.uint8), geometry, case.liver.names)
    return replace(case, volume=volume, liver=labels, facts={**case.facts, "made_unusual": "yes"})


def reference_case(index: int, seed: int, *, real: Sequence[Anatomy] = ()) -> SyntheticCase:
    """One of the varied cases for the demo reference: thin or tall, with or without contrast, table, arms and noise.

    Args:
        index: Which; each is the same however many there are.
        seed: The same seed gives the same case.
        real: Anatomies of labelled scans; a third of the cases are deformed copies of them when there are any.
    """
    rng = np.random.default_rng((seed, index))
    anatomy = real[int(rng.integers(len(real)))] if real and rng.random() < 0.33 else None
    thickness = float(
        rng.choice([1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0], p=[0.06, 0.1, 0.08, 0.1, 0.14, 0.16, 0.1, 0.2, 0.06])
    )
    kinds = ["whole abdomen", "upper abdomen", "liver slab", "thorax-abdomen", "abdomen-pelvis", "trunk"]
    odds = [0.24, 0.17, 0.25, 0.1, 0.15, 0.09]
    if anatomy is not None and anatomy.labels.shape[0] * anatomy.spacing_mm[0] < 300:
        # A short scan can be completed above its cut, not below.
        kinds, odds = ["liver slab"], [1.0]
    kind = str(rng.choice(kinds, p=odds))
    height = {"whole abdomen": 260, "upper abdomen": 160, "liver slab": 30, "trunk": 550}.get(kind, 390)
    affordable = float(np.sqrt(390 * 290 * (height / thickness) / _VOXEL_BUDGET))
    pixel = max(affordable, float(rng.uniform(0.8, 2.0)))
    return generate_body(
        int(seed * 100_003 + index),
        spacing_mm=(round(pixel, 3), round(pixel, 3), thickness),
        style=BodyStyle(field_of_view=kind),
        anatomy=anatomy,
        name=f"reference-{index:03d}",
    )


def reference_cases(n: int, seed: int, *, real: Sequence[Anatomy] = (), first: int = 0) -> Iterator[SyntheticCase]:
    """Cases ``first`` to ``n - 1`` of ``reference_case``, one at a time; those before are skipped."""
    for index in range(first, n):
        yield reference_case(index, seed, real=real)
