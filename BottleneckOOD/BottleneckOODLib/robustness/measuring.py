"""All that is measured on one image for every detector: one pass, and one more for each flip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.assessment.checks import Check, input_checks, mask_checks, orientation_check
from BottleneckOODLib.case_measuring import measured_case
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.ood.metrics import dice
from BottleneckOODLib.ood.output_scores import disagreement, output_scores
from BottleneckOODLib.ood.pooling import pool_moments
from BottleneckOODLib.progress import CancelToken
from BottleneckOODLib.reference.cases_file import ExtentRange

if TYPE_CHECKING:
    from BottleneckOODLib.model.adapter import Adapter
    from BottleneckOODLib.model.segmenter import SegmenterOutput
    from BottleneckOODLib.model.stages import StageFeatures, WindowMoments

FloatArray = npt.NDArray[np.float64]

FLIPS = "flips"
MEAN_STD, IN_MASK, STAGES = "bottleneck_mean_std", "bottleneck_in_mask", "stages"
_FLIPPED_AXES = (0, 1, 2)


@dataclass(frozen=True)
class Measured:
    """What one image gives.

    Attributes:
        features: One vector a feature space; a space without a mask is not there.
        scores: Scores that need no reference features, by name; higher is more unusual.
        failed_checks: Names of the checks that failed and turn the light, by ``"hard"`` and ``"soft"``.
        dice: Dice of the mask with the organ; None where the organ is not known.
        volume_ml: Volume of the mask, in ml.
    """

    features: dict[str, FloatArray]
    scores: dict[str, float]
    failed_checks: dict[str, list[str]]
    dice: float | None
    volume_ml: float


class _Watched:
    """A segmenter that keeps what it was given and gave back in its last pass."""

    def __init__(self, segmenter: Adapter, cancel: CancelToken) -> None:
        self._segmenter = segmenter
        self._cancel = cancel
        self.tensor: npt.NDArray[np.float32] | None = None
        self.output: SegmenterOutput | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)

    def run(self, tensor: npt.NDArray[np.float32], *_arguments: object, **_options: object) -> SegmenterOutput:
        self.tensor, self.output = tensor, self.again(tensor, stages=True)
        return self.output

    def again(self, tensor: npt.NDArray[np.float32], *, stages: bool = False) -> SegmenterOutput:
        return self._segmenter.run(tensor, lambda _done, _total: self._cancel.raise_if_cancelled(), stages=stages)


def measure(
    volume: Volume,
    truth: LabelVolume | None,
    segmenter: Adapter,
    pooling: str,
    cancel: CancelToken | None = None,
    shown: ExtentRange | None = None,
) -> Measured:
    """Segment an image and measure it for every detector.

    Args:
        volume: The image. Not modified.
        truth: Its organ on the same grid, or None.
        segmenter: The model, loaded.
        pooling: How the bottleneck's tokens are pooled, as the reference has it.
        cancel: Stops between windows.
        shown: How much of a patient the reference's cases show.

    Raises:
        ModelError: The network failed on this volume.
        Cancelled: The run was stopped.
    """
    watched = _Watched(segmenter, cancel or CancelToken())
    case = measured_case(volume, cast("Adapter", watched), pooling)
    if watched.tensor is None or watched.output is None:
        message = "the segmenter was not run"
        raise RuntimeError(message)
    checks = [
        *input_checks(volume, segmenter.model.modality, shown),
        orientation_check(case.features["body_layout"], segmenter.model.modality),
        *mask_checks(case.mask, largest_part_only=segmenter.model.inference.largest_part_only),
    ]
    logits, organ = watched.output.logits, segmenter.model.organ_classes
    scores = output_scores(logits, _marked(logits, organ))
    scores[FLIPS] = disagreement(
        [_marked(logits, organ), *(_flipped_mask(watched, axis, organ) for axis in _FLIPPED_AXES)]
    )
    features = case.features | _stage_features(watched.output.stages)
    return Measured(
        features={name: vector for name, vector in features.items() if vector is not None},
        scores={name: float(score) for name, score in scores.items()},
        failed_checks={state: _failed(checks, state) for state in ("hard", "soft")},
        dice=None if truth is None else dice(case.segmentation.labels > 0, truth.labels > 0),
        volume_ml=0.0 if case.mask is None else case.mask.volume_ml,
    )


def _stage_features(stages: Sequence[StageFeatures]) -> dict[str, FloatArray | None]:
    """The bottleneck's mean and deviation, its mean in the mask, and both moments of all stages before it."""

    def pooled(moments: WindowMoments, method: str = "mean_std") -> FloatArray:
        return pool_moments(moments.mean, moments.deviation, moments.weight, method)

    if not stages:
        return {}
    *earlier, deepest = stages
    return {
        MEAN_STD: pooled(deepest.occupied),
        IN_MASK: pooled(deepest.in_mask, "mean") if deepest.in_mask.weight.any() else None,
        STAGES: np.concatenate([pooled(stage.occupied) for stage in earlier]) if earlier else None,
    }


def _flipped_mask(watched: _Watched, axis: int, organ: Sequence[int]) -> npt.NDArray[np.bool_]:
    """What the model marks in the mirrored image, mirrored back."""
    tensor = np.ascontiguousarray(np.flip(cast("npt.NDArray[np.float32]", watched.tensor), axis))
    return np.flip(_marked(watched.again(tensor).logits, organ), axis)


def _marked(logits: npt.NDArray[np.float32], organ: Sequence[int]) -> npt.NDArray[np.bool_]:
    return np.isin(logits.argmax(axis=0), organ)


def _failed(checks: list[Check], state: str) -> list[str]:
    return [check.name for check in checks if check.state == state and not check.calibrated]
