"""Nothing is concluded from a result that holds a number which is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.ood.calibration import NotFiniteError


def refuse_not_finite(*results: object) -> None:
    """Look through results and everything that they hold.

    A comparison with what is no number is false, so that a question which asks for too much or too little would be met.

    Args:
        results: Dataclasses, mappings, sequences, arrays and numbers; of a volume, voxels and geometry.

    Raises:
        NotFiniteError: Somewhere in them is a number that is not finite, or a volume or mask without its voxels.
    """
    if not all(map(_is_finite, results)):
        message = "a number of the result is not finite, or voxels are missing"
        raise NotFiniteError(message)


def refuse_other_mask(assessment: Assessment) -> None:
    """Look whether the mask that is shown is the one that was measured: an empty one would be read as no liver.

    Raises:
        ModelError: It is empty where a volume was measured, or the other way round.
    """
    mask = assessment.segmentation
    if mask is None or bool(mask.labels.any()) != (assessment.volume_ml > 0):
        message = "The mask is not the one that was measured; assess the case again."
        raise ModelError(message)


def _is_finite(value: object) -> bool:
    if isinstance(value, LabelVolume) and value.labels.shape != value.geometry.shape:
        return False
    if isinstance(value, Volume) and value.voxels.shape != value.geometry.shape:
        return False
    if isinstance(value, float | np.floating):
        return math.isfinite(value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    return all(map(_is_finite, _parts(value)))


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, Volume):
        return value.voxels, value.geometry
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, tuple | list):
        return value
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return ()
