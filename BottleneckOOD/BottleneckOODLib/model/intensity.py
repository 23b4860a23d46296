"""How the values of a volume become those of the network's input: a few kinds of steps, read as data."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.model.json_number import number

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Over = Literal["all", "nonzero", "foreground"]

_OVER = ("all", "nonzero", "foreground")
_PERCENT = 100.0
_N4_VOXELS = 64
_MOST_STEPS = 8


@dataclass(frozen=True)
class IntensitySettings:
    """Linear scaling of clipped intensities.

    Attributes:
        clip: Lowest and highest value that is kept, in the volume's units (HU for CT).
        scale: What ``clip`` is mapped to.
    """

    clip: tuple[float, float]
    scale: tuple[float, float]

    @property
    def air(self) -> float:
        """The network's input value for air and for padding."""
        return self.scale[0]

    @property
    def before_resampling(self) -> int:
        """How many steps come before resampling: none."""
        return 0

    def apply(self, array: Float32Array, *, before: bool = False) -> Float32Array:
        """The scaled values, shape as given. Not modified.

        Args:
            array: Values in the volume's units.
            before: Take what comes before resampling, which is nothing.
        """
        if before:
            return array
        (low, high), (bottom, top) = self.clip, self.scale
        share = (np.clip(array, low, high) - low) / (high - low)
        return np.asarray(bottom + share * (top - bottom), dtype=np.float32)

    def words(self) -> str:
        """For a card."""
        return f"{self.clip[0]:g} to {self.clip[1]:g}"


class IntensityStep(Protocol):
    """One change of all values."""

    def apply(self, array: Float32Array) -> Float32Array:
        """The changed values, shape as given. Not modified."""

    def air(self, before: float | None) -> float | None:
        """What air and padding have after this step, given what they had; None where no step has fixed it."""

    def words(self) -> str:
        """For a card."""


@dataclass(frozen=True)
class RangeStep:
    """A fixed range is mapped linearly, as MONAI's ``ScaleIntensityRange`` does.

    Attributes:
        source: Two values of the volume.
        target: What they are mapped to.
        clip: Whether values beyond take the nearest of ``target``.
    """

    source: tuple[float, float]
    target: tuple[float, float]
    clip: bool

    def apply(self, array: Float32Array) -> Float32Array:
        return _mapped(array, self.source, self.target, clip=self.clip)

    def air(self, before: float | None) -> float | None:
        return self.target[0]

    def words(self) -> str:
        return f"{self.source[0]:g} to {self.source[1]:g} mapped to {self.target[0]:g} to {self.target[1]:g}"


@dataclass(frozen=True)
class PercentilesStep:
    """The range between two percentiles of the image is kept, and mapped linearly where ``target`` is given.

    Attributes:
        percentiles: The lower and the upper, 0 to 100; 0 and 100 are the smallest and the largest value.
        target: What they are mapped to; None clips only.
        clip: Whether values beyond take the nearest of the range; without a target always.
        over: Which voxels the percentiles are taken from.
    """

    percentiles: tuple[float, float]
    target: tuple[float, float] | None
    clip: bool
    over: Over

    def apply(self, array: Float32Array) -> Float32Array:
        chosen = array[_voxels(array, self.over)]
        if not chosen.size:
            chosen = array.ravel()
        low, high = (float(value) for value in np.percentile(chosen, self.percentiles))
        if self.target is None:
            return np.clip(array, low, high)
        if high <= low:
            return np.full_like(array, self.target[0])
        return _mapped(array, (low, high), self.target, clip=self.clip)

    def air(self, before: float | None) -> float | None:
        return before if self.target is None else self.target[0]

    def words(self) -> str:
        kept = f"percentiles {self.percentiles[0]:g} to {self.percentiles[1]:g} of {_OVER_WORDS[self.over]}"
        return f"{kept} kept" if self.target is None else f"{kept} mapped to {self.target[0]:g} to {self.target[1]:g}"


@dataclass(frozen=True)
class ZScoreStep:
    """Mean 0 and standard deviation 1, as MONAI's ``NormalizeIntensity`` does; what lies outside of ``over`` becomes 0.

    Air and padding count as 0 where mean and deviation are the image's own: so pads who trains such networks.

    Attributes:
        over: Which voxels are measured and changed.
        mean: A fixed mean instead of the image's.
        deviation: A fixed standard deviation instead of the image's.
    """

    over: Over
    mean: float | None = None
    deviation: float | None = None

    def apply(self, array: Float32Array) -> Float32Array:
        chosen = _voxels(array, self.over)
        values = array[chosen]
        if not values.size:
            return np.zeros_like(array)
        mean = float(values.mean(dtype=np.float64)) if self.mean is None else self.mean
        deviation = float(values.std(dtype=np.float64)) if self.deviation is None else self.deviation
        scaled = (array - np.float32(mean)) / np.float32(deviation or 1.0)
        return np.asarray(np.where(chosen, scaled, 0), dtype=np.float32)

    def air(self, before: float | None) -> float | None:
        if self.over != "all" or self.mean is None or self.deviation is None or before is None:
            return 0.0
        return float((np.float32(before) - np.float32(self.mean)) / np.float32(self.deviation))

    def words(self) -> str:
        fixed = "" if self.mean is None else f" with mean {self.mean:g} and deviation {self.deviation:g}"
        return f"z-score of {_OVER_WORDS[self.over]}{fixed}"


@dataclass(frozen=True)
class BiasFieldStep:
    """N4 bias field correction, for MR: the field is fitted inside the foreground on a grid of at most 64 voxels.

    Source:
        Tustison et al., IEEE TMI 29:1310 (2010), as SimpleITK has it.
    """

    def apply(self, array: Float32Array) -> Float32Array:
        import SimpleITK as sitk  # noqa: PLC0415 - a model's settings are read where no image is

        low = float(array.min())
        # N4 takes logarithms: everything is lifted above 0 for it, and comes down again after it.
        lifted = sitk.GetImageFromArray(np.asarray(array - low + 1, dtype=np.float32))
        foreground = sitk.GetImageFromArray(_voxels(array, "foreground").astype(np.uint8))
        factors = [max(1, -(-n // _N4_VOXELS)) for n in lifted.GetSize()]
        small = sitk.Shrink(lifted, factors)
        corrector = sitk.N4BiasFieldCorrectionImageFilter()
        corrector.SetMaximumNumberOfIterations([50, 50])
        # A plane or two hold no field to fit.
        if min(small.GetSize()) < 4:  # noqa: PLR2004
            return array
        corrector.Execute(small, sitk.Shrink(foreground, factors))
        field = sitk.Exp(corrector.GetLogBiasFieldAsImage(lifted))
        corrected = sitk.GetArrayFromImage(lifted) / np.maximum(sitk.GetArrayFromImage(field), np.float32(1e-6))
        return np.asarray(corrected - 1 + low, dtype=np.float32)

    def air(self, before: float | None) -> float | None:
        return before

    def words(self) -> str:
        return "N4 bias field correction"


@dataclass(frozen=True)
class IntensitySteps:
    """Steps one after another.

    Attributes:
        steps: The steps.
        before_resampling: How many of them come before the volume is brought onto the model's grid.
    """

    steps: tuple[IntensityStep, ...]
    before_resampling: int = 0

    @property
    def air(self) -> float:
        """The network's input value for air and for padding."""
        value: float | None = None
        for step in self.steps:
            value = step.air(value)
        return math.nan if value is None else value

    def apply(self, array: Float32Array, *, before: bool = False) -> Float32Array:
        """The changed values, shape as given. Not modified.

        Args:
            array: Values in the volume's units.
            before: Take the steps before resampling instead of those after it.
        """
        n = self.before_resampling
        for step in self.steps[:n] if before else self.steps[n:]:
            array = step.apply(array)
        return array

    def words(self) -> str:
        """For a card."""
        return ", then ".join(step.words() for step in self.steps)


Intensity = IntensitySettings | IntensitySteps
_OVER_WORDS = {"all": "the whole image", "nonzero": "the voxels that are not 0", "foreground": "the foreground"}


def read_intensity(document: Mapping[str, Any]) -> Intensity:
    """The intensity settings of a ``model.json``.

    Args:
        document: ``clip`` and ``scale``, or ``steps`` and ``before_resampling``.

    Raises:
        ValueError: A value makes no sense.
        TypeError: A value is of the wrong type.
        KeyError: A value is missing.
    """
    if "steps" not in document:
        clip, scale = _pair(document["clip"]), _pair(document["scale"])
        if not (clip[0] < clip[1] and scale[0] != scale[1]):
            message = "unusable intensity"
            raise ValueError(message)
        return IntensitySettings(clip, scale)
    steps, before = document["steps"], document.get("before_resampling", 0)
    if not isinstance(steps, list) or not 0 < len(steps) <= _MOST_STEPS:
        message = "unusable intensity: no list of steps"
        raise ValueError(message)
    if type(before) is not int or not 0 <= before <= len(steps):
        message = "unusable intensity: before_resampling"
        raise ValueError(message)
    settings = IntensitySteps(tuple(_step(entry) for entry in steps), before)
    if not math.isfinite(settings.air):
        message = "unusable intensity: the steps leave open what value air has"
        raise ValueError(message)
    return settings


def _step(entry: Mapping[str, Any]) -> IntensityStep:
    kind = entry["kind"]
    if kind == "range":
        step: IntensityStep = RangeStep(_pair(entry["from"], rising=True), _pair(entry["to"]), _flag(entry["clip"]))
    elif kind == "percentiles":
        target = None if entry["to"] is None else _pair(entry["to"])
        low, high = _pair(entry["from"], rising=True)
        if low < 0 or high > _PERCENT:
            message = "unusable intensity: a percentile lies beyond 0 to 100"
            raise ValueError(message)
        step = PercentilesStep((low, high), target, _flag(entry["clip"]), _over(entry["over"]))
    elif kind == "z_score":
        mean, deviation = (None if entry.get(key) is None else number(entry[key]) for key in ("mean", "deviation"))
        if (mean is None) != (deviation is None) or (deviation is not None and deviation <= 0):
            message = "unusable intensity: mean and deviation of the z-score"
            raise ValueError(message)
        step = ZScoreStep(_over(entry["over"]), mean, deviation)
    elif kind == "n4":
        step = BiasFieldStep()
    else:
        message = f"unusable intensity: the step {kind!r} is unknown"
        raise ValueError(message)
    return step


def _mapped(
    array: Float32Array, source: tuple[float, float], target: tuple[float, float], *, clip: bool
) -> Float32Array:
    # In this order, and in single precision, MONAI computes it: a mask at a tie should not depend on who did.
    share = (array - np.float32(source[0])) / np.float32(source[1] - source[0])
    mapped = share * np.float32(target[1] - target[0]) + np.float32(target[0])
    return np.asarray(np.clip(mapped, min(target), max(target)) if clip else mapped, dtype=np.float32)


def _voxels(array: Float32Array, over: Over) -> BoolArray:
    if over == "all":
        return np.ones(array.shape, dtype=bool)
    if over == "nonzero":
        return np.asarray(array != 0)
    import SimpleITK as sitk  # noqa: PLC0415 - a model's settings are read where no image is

    inside = sitk.OtsuThreshold(sitk.GetImageFromArray(array), 0, 1)
    return np.asarray(sitk.GetArrayFromImage(inside) > 0)


def _pair(value: object, *, rising: bool = False) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004
        message = f"{reprlib.repr(value)} where 2 numbers are needed"
        raise ValueError(message)
    first, second = number(value[0]), number(value[1])
    if first == second or (rising and first > second):
        message = f"unusable intensity: {value!r} is no range"
        raise ValueError(message)
    return first, second


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        message = f"{reprlib.repr(value)} where true or false is needed"
        raise TypeError(message)
    return value


def _over(value: object) -> Over:
    if value not in _OVER:
        message = f"{reprlib.repr(value)} where one of {', '.join(_OVER)} is needed"
        raise ValueError(message)
    return cast("Over", value)
