"""The catalogue of damage: what is done to an image, in which grades."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.robustness import degradations, displacements
from BottleneckOODLib.robustness.displacements import LabelledVolume

Float32Array = npt.NDArray[np.float32]
Degradation = Callable[[Float32Array, Geometry, float, np.random.Generator], Float32Array]
Displacement = Callable[[Volume, LabelVolume | None, float], LabelledVolume]

CLEAN = "clean"
AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Corruption:
    """One kind of damage.

    Attributes:
        name: Such as ``"noise"``.
        grades: In words, such as ``"40 HU"``, mildest first where they can be ordered; grade 1 is the first.
        strengths: What each grade asks of the operation, as many.
        degrade: Changes the values; or None.
        displace: Changes where voxels lie; or None.
    """

    name: str
    grades: tuple[str, ...]
    strengths: tuple[float, ...]
    degrade: Degradation | None = None
    displace: Displacement | None = None

    def apply(self, volume: Volume, truth: LabelVolume | None, grade: int, seed: int = 0) -> LabelledVolume:
        """Damage an image.

        Args:
            volume: The image. Not modified.
            truth: Its labels, or None. Not modified.
            grade: 0 leaves everything as it is; 1 to the number of grades.
            seed: The same seed gives the same damage to the same image; every grade takes the same randomness.

        Returns:
            The damaged image and the labels that belong to it.

        Raises:
            ValueError: There is no such grade.
        """
        if not 0 <= grade <= len(self.strengths):
            message = f"{self.name} has no grade {grade}"
            raise ValueError(message)
        if grade == 0:
            return volume, truth
        strength = self.strengths[grade - 1]
        if self.displace is not None:
            return self.displace(volume, truth, strength)
        if self.degrade is None:
            message = f"{self.name} does nothing"
            raise ValueError(message)
        rng = np.random.default_rng((seed, zlib.crc32(f"{self.name}/{volume.name}".encode())))
        return replace(volume, voxels=self.degrade(volume.voxels, volume.geometry, strength, rng)), truth


def _hu(*strengths: float) -> tuple[str, ...]:
    return tuple(f"{strength:g} HU" for strength in strengths)


def _mm(*strengths: float) -> tuple[str, ...]:
    return tuple(f"{strength:g} mm" for strength in strengths)


_ALL = (
    Corruption("noise", _hu(40, 100, 250), (40, 100, 250), degrade=degradations.noise),
    Corruption("blur", _mm(3, 6, 12), (3, 6, 12), degrade=degradations.blur),
    Corruption("low dose", _hu(60, 150, 400), (60, 150, 400), degrade=degradations.low_dose),
    Corruption("thick slices", _mm(8, 15, 30), (8, 15, 30), displace=displacements.thick_slices),
    Corruption(
        "wrong intensity scale",
        ("times 1.2", "1024 HU too high", "8 bit window", "times 10"),
        (1, 2, 3, 4),
        degrade=degradations.misread_scale,
    ),
    Corruption(
        "wrong orientation",
        ("left and right", "front and back", "upside down", "quarter turn"),
        (1, 2, 3, 4),
        displace=displacements.turned,
    ),
    Corruption("cropped", ("80% shown", "60% shown", "40% shown"), (0.8, 0.6, 0.4), displace=displacements.cropped),
    Corruption("metal streaks", _hu(200, 600, 1500), (200, 600, 1500), degrade=degradations.metal),
    Corruption(
        "less contrast", ("times 0.6", "times 0.35", "times 0.15"), (0.6, 0.35, 0.15), degrade=degradations.flatter
    ),
)
CATALOGUE: Mapping[str, Corruption] = {corruption.name: corruption for corruption in _ALL}
