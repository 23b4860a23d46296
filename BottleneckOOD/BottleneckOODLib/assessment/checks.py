"""The plain questions beside the score: is this the kind of image, and the kind of mask, that was meant?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.assessment.wording import PART_QUESTIONS
from BottleneckOODLib.imaging.body import BODY_LAYOUT_NAMES
from BottleneckOODLib.imaging.mask_features import MaskFeatures
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.ood.calibration import RED_LEVEL, light_of
from BottleneckOODLib.reference.cases_file import ExtentRange
from BottleneckOODLib.reference.scoring import PartScore

FloatArray = npt.NDArray[np.float64]
State = Literal["met", "soft", "hard", "not_assessed"]
Light = Literal["green", "amber", "red", "grey"]

_SEVERITY: dict[str, int] = {"green": 0, "amber": 1, "red": 2}
_LEAST_MASK_ML = 20.0
# Of the body's box, from its middle: no drawn body and 2 of 55 deformed real ones (oral contrast) go beyond these.
_LEAST_BONE_POSTERIOR, _LEAST_AIR_SUPERIOR = -0.05, -0.15
_AIR_OF_LUNGS = 0.05
_FAT_HU = -40.0
_IMPOSSIBLE_HU = -3100.0
_LEAST_EXTENTS_MM: tuple[float, ...] = (150.0, 150.0, 20.0)
_ROUNDING_MM = 0.01
_GREATEST_EXTENT_MM = 1300.0
_SPACING_MM = (0.2, 8.0)
_LEAST_LARGEST_SHARE = 0.75
_NOTABLE_BORDER_SHARE = 0.02


@dataclass(frozen=True)
class Check:
    """The answer to one question.

    Attributes:
        name: Such as ``"intensity_scale"``.
        state: ``"met"``, ``"soft"`` (at least amber), ``"hard"`` (red) or ``"not_assessed"``.
        message: One sentence for the user.
        calibrated: Whether the question is part of the p-value; then it does not turn the light a second time.
    """

    name: str
    state: State
    message: str
    calibrated: bool = False


def input_checks(volume: Volume, model_modality: str, shown: ExtentRange | None = None) -> list[Check]:
    """Questions to the image alone.

    Args:
        volume: The image. Not modified.
        model_modality: What the model was trained on.
        shown: How much of a patient the reference cases show. A scan that covers as little as one of them is not told
            of: of n + 1 cases alike at most one covers less than all others, so the light's false-alarm rate stays.
    """
    return [
        _modality(volume, model_modality),
        _intensity_scale(volume, model_modality),
        _field_of_view(volume.geometry, shown),
        _spacing(volume.geometry),
    ]


def orientation_check(layout: FloatArray | None, modality: str = "CT") -> Check:
    """Whether the spine lies at the back and the lungs at the top, as in every patient whose axes are right.

    Args:
        layout: Shape (16,), see ``BODY_LAYOUT_NAMES``.
        modality: Only in a CT bone and air are told by their values.
    """
    if layout is None or modality != "CT":
        return Check("orientation", "not_assessed", "Front and back cannot be told in this modality.")
    tissue = dict(zip(BODY_LAYOUT_NAMES, layout, strict=True))
    if not np.isfinite(layout).all():
        return Check("orientation", "hard", "The tissues of the body could not be measured.")
    if tissue["bone_posterior"] < _LEAST_BONE_POSTERIOR:
        note = "Most of the bone lies towards the front; are front and back exchanged?"
        return Check("orientation", "soft", note)
    if tissue["air_superior"] < _LEAST_AIR_SUPERIOR and tissue["air_share"] ** 2 > _AIR_OF_LUNGS:
        return Check("orientation", "soft", "Most of the air lies towards the feet; is the scan upside down?")
    if tissue["bone_posterior"] == 0:
        return Check("orientation", "not_assessed", "There is too little bone to tell the front from the back.")
    return Check("orientation", "met", "The bone lies at the back, as a spine does.")


def mask_checks(measured: MaskFeatures | None, *, largest_part_only: bool = False) -> list[Check]:
    """Questions to the mask alone.

    Args:
        measured: Its features; None for an empty mask.
        largest_part_only: Whether the other parts that the model marked were left out of the mask.
    """
    if measured is None:
        return [Check("mask_present", "hard", "The model found no liver in this image.")]
    checks = []
    # Written so that what is no number is no answer either.
    if not _LEAST_MASK_ML <= measured.volume_ml < np.inf:
        checks.append(Check("mask_present", "hard", f"The mask is almost empty ({measured.volume_ml:.0f} ml)."))
    else:
        checks.append(Check("mask_present", "met", f"The mask has {measured.volume_ml:.0f} ml."))
    parts = "one part" if measured.n_components == 1 else f"{measured.n_components} parts"
    scattered = not _LEAST_LARGEST_SHARE <= measured.largest_share <= 1
    # A share that is not the whole is not told as the whole.
    share = f"{min(99.0, 100 * measured.largest_share):.0f}% of it"
    kept = f"only the largest, {share}, is kept" if largest_part_only else f"the largest holds {share}"
    note = f"The model marked {parts}." if measured.n_components == 1 else f"The model marked {parts}; {kept}."
    checks.append(Check("mask_components", "soft" if scattered else "met", note))
    checks.append(_mask_border(measured.border_share))
    return checks


def _mask_border(share: float) -> Check:
    """Marked where the organ is cut, but the light has counted it: the share is a feature of the mask's form."""
    if 0 <= share <= _NOTABLE_BORDER_SHARE:
        return Check("mask_border", "met", "The mask lies within the scan.", calibrated=True)
    edge = f"The scan's edge cuts the mask ({100 * share:.0f}% of its surface), so part of the organ may be missing."
    return Check("mask_border", "soft", edge, calibrated=True)


def calibrated_checks(parts: Mapping[str, PartScore], named: str | None = None) -> list[Check]:
    """One check for each feature space, for showing; their weight is already in the p-value.

    Args:
        parts: Each feature space on its own.
        named: The space that the sentence names as the reason; it is marked whatever its own p-value.
    """
    checks = []
    for name, part in parts.items():
        question = PART_QUESTIONS.get(name, name)
        place = f"{question}: more unusual than {part.percentile:.0f} of 100 training cases."
        marked = part.p_value <= RED_LEVEL or name == named
        checks.append(Check(name, "soft" if marked else "met", place, calibrated=True))
    return checks


def overall_light(p_value: float | None, checks: Iterable[Check]) -> Light:
    """The worst of the p-value's light and of the checks that are not part of the p-value; grey without a p-value."""
    if p_value is None:
        return "grey"
    light = light_of(p_value)
    if light not in _SEVERITY:
        return "grey"
    for check in checks:
        if check.calibrated:
            continue
        wanted = {"hard": "red", "soft": "amber"}.get(check.state, "green")
        light = max(light, wanted, key=lambda name: _SEVERITY[name])
    return "red" if light == "red" else "amber" if light == "amber" else "green"


def _modality(volume: Volume, wanted: str) -> Check:
    if volume.modality == wanted:
        return Check("modality", "met", f"The image is {wanted}, as the model expects.")
    if volume.modality == "unknown":
        return Check("modality", "not_assessed", "The file does not say which modality the image is.")
    return Check("modality", "hard", f"The image is {volume.modality}, but the model was trained on {wanted}.")


def _intensity_scale(volume: Volume, wanted: str) -> Check:
    if wanted != "CT":
        return Check("intensity_scale", "not_assessed", "Intensities of this modality have no fixed scale.")
    voxels = volume.voxels[:, ::2, ::2]
    low, high = float(np.percentile(voxels, 1)), float(voxels.max())
    if not low <= _FAT_HU:
        return Check(
            "intensity_scale",
            "hard",
            f"The values ({voxels.min():.0f} to {high:.0f}) are not Hounsfield units: nothing is as low as fat or air.",
        )
    if float(np.mean(voxels < _IMPOSSIBLE_HU)) > 0.01:  # noqa: PLR2004 - a few padded voxels are common
        return Check(
            "intensity_scale",
            "hard",
            f"The values ({voxels.min():.0f} to {high:.0f}) are not Hounsfield units: many lie far below air.",
        )
    return Check("intensity_scale", "met", "The values are plausible Hounsfield units.")


def _field_of_view(geometry: Geometry, shown: ExtentRange | None) -> Check:
    extent = geometry.patient_extent_mm
    text = f"The scan covers {extent[0]:.0f} x {extent[1]:.0f} mm and {extent[2]:.0f} mm from head to foot"
    least, greatest = _LEAST_EXTENTS_MM, (_GREATEST_EXTENT_MM,) * len(extent)
    if shown is not None:
        # What is no length widens no limit.
        least = tuple(min(n, own) if own > 0 else n for n, own in zip(least, shown.least_mm, strict=True))
        greatest = tuple(max(n, own) if own < np.inf else n for n, own in zip(greatest, shown.greatest_mm, strict=True))
    than = "" if shown is None else " and less than any training case"
    # A case is as large as itself, whatever the rounding in the table of the reference.
    if not all(length >= limit - _ROUNDING_MM for length, limit in zip(extent, least, strict=True)):
        return Check("field_of_view", "soft", f"{text}, too little for a liver{than}.")
    if not all(length <= limit + _ROUNDING_MM for length, limit in zip(extent, greatest, strict=True)):
        return Check("field_of_view", "soft", f"{text}, more than the model can have seen.")
    return Check("field_of_view", "met", f"{text}.")


def _spacing(geometry: Geometry) -> Check:
    text = " x ".join(f"{s:.2g}" for s in geometry.spacing_mm)
    if not all(_SPACING_MM[0] <= spacing <= _SPACING_MM[1] for spacing in geometry.spacing_mm):
        return Check("spacing", "soft", f"The voxels of {text} mm are outside what the model can have seen.")
    return Check("spacing", "met", f"The voxels are {text} mm.")
