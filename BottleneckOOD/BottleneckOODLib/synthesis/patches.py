"""Training patches: warped anatomies, painted or mixed with their real scan, scanned, and cut to a field of view."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from BottleneckOODLib.synthesis.anatomy import Anatomy, draw_anatomy
from BottleneckOODLib.synthesis.appearance import draw_style, paint, scan
from BottleneckOODLib.synthesis.blending import mix_with_real
from BottleneckOODLib.synthesis.deformation import warped_points
from BottleneckOODLib.synthesis.field_of_view import patch_field_of_view
from BottleneckOODLib.synthesis.fields import Array
from BottleneckOODLib.synthesis.tissues import LIVER_TISSUES, OUTSIDE_BODY

Places = NDArray[np.int32]


@dataclass(frozen=True)
class PatchSettings:
    """What a patch is like.

    Attributes:
        size: Voxels along (Z, Y, X).
        spacing_mm: Voxel size, the same on each axis.
        clip_hu: Hounsfield units below and above are cut off.
        scale: What the two ends become; the lower one also fills what lies outside the field of view.
    """

    size: tuple[int, int, int] = (64, 64, 64)
    spacing_mm: float = 4.0
    clip_hu: tuple[float, float] = (-200.0, 300.0)
    scale: tuple[float, float] = (-1.0, 1.0)


class AnatomyBank:
    """Anatomies by number: real ones given, drawn ones made when first asked for.

    Args:
        real: Anatomies from labelled scans; may be empty.
        seed: Seed of the first drawn body.
        drawn: How many drawn bodies there are.
    """

    def __init__(self, real: Sequence[Anatomy] = (), *, seed: int = 0, drawn: int = 240) -> None:
        self.real = tuple(real)
        self._seed = seed
        self._drawn = drawn
        self._cache: dict[tuple[str, int], tuple[Anatomy, Places, Places]] = {}

    def pick(self, rng: np.random.Generator, *, progress: float = 1.0) -> tuple[Anatomy, Places, Places]:
        """Choose an anatomy; ``progress`` (0 to 1) limits how many drawn bodies are in use, so that a start is quick.

        Returns:
            The anatomy, and voxels of its liver and of its body, each (n, 3) along Z, Y, X.
        """
        if self.real and rng.random() < 0.5:  # half of the patches are of real anatomy
            # The ones with their own intensities are worth more than the others.
            weights = np.array([1.0 if anatomy.intensities is None else 2.5 for anatomy in self.real])
            return self._get("real", int(rng.choice(len(self.real), p=weights / weights.sum())))
        available = max(6, min(self._drawn, int(self._drawn * progress)))
        return self._get("drawn", int(rng.integers(available)))

    def _get(self, kind: str, index: int) -> tuple[Anatomy, Places, Places]:
        key = (kind, index)
        if key not in self._cache:
            anatomy = self.real[index] if kind == "real" else self._draw(index)
            liver = np.argwhere(np.isin(anatomy.labels, LIVER_TISSUES))[::17].astype(np.int32)
            body = np.argwhere(~np.isin(anatomy.labels, OUTSIDE_BODY))[::101].astype(np.int32)
            self._cache[key] = (anatomy, liver, body)
        return self._cache[key]

    def _draw(self, index: int) -> Anatomy:
        # A quarter shows neck and throat too: places where no liver is to be found.
        top = 390.0 if index % 4 == 1 else 270.0
        return draw_anatomy(self._seed + index, z_range_mm=(-400.0, top))


def draw_patch(
    bank: AnatomyBank, rng: np.random.Generator, settings: PatchSettings | None = None, *, progress: float = 1.0
) -> tuple[Array, NDArray[np.uint8]]:
    """One training pair.

    Args:
        bank: Where the anatomies come from.
        rng: Source of randomness.
        settings: Size, spacing and intensity range.
        progress: See ``AnatomyBank.pick``.

    Returns:
        Intensities in ``settings.scale`` and the liver mask, both of shape (Z, Y, X); x grows to the patient's left,
        y to the back, z to the head.
    """
    settings = settings or PatchSettings()
    anatomy, liver, body = bank.pick(rng, progress=progress)
    places = liver if len(liver) and rng.random() < 0.68 else body
    jitter = rng.uniform(-0.28, 0.28, 3) * np.array(settings.size) * settings.spacing_mm
    centre = places[rng.integers(len(places))] * np.array(anatomy.spacing_mm) + jitter
    spacing = (settings.spacing_mm,) * 3
    points = warped_points(rng, centre, anatomy.spacing_mm, settings.size, spacing)
    labels = ndimage.map_coordinates(anatomy.labels, points, order=0, mode="constant", cval=0, prefilter=False)
    style = draw_style(rng)
    image = paint(labels, spacing, rng, style)
    if anatomy.intensities is not None and rng.random() < 0.8:
        image = mix_with_real(anatomy, points, labels, image, rng, style)
    image = scan(image, spacing, rng, style)
    if rng.random() < 0.3:  # scanners differ in calibration
        image = image * rng.uniform(0.93, 1.07) + rng.uniform(-12, 12)
    mask = np.isin(labels, LIVER_TISSUES)
    seen = patch_field_of_view(rng, mask)
    low, high = settings.clip_hu
    image = (np.clip(image, low, high) - low) / (high - low)
    image = settings.scale[0] + image * (settings.scale[1] - settings.scale[0])
    image[~seen] = settings.scale[0]
    return np.asarray(image, dtype=np.float32), (mask & seen).astype(np.uint8)
