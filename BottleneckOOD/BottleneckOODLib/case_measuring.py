"""One pass over a case: what the network, the image and the mask give to be judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.assessment.checks import input_checks, overall_light
from BottleneckOODLib.assessment.record import TIMED_STEPS
from BottleneckOODLib.assessment.regions import RegionMap
from BottleneckOODLib.assessment.wording import preliminary_sentence
from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.body import body_layout, body_mask, intensity_histogram, thinned
from BottleneckOODLib.imaging.brightness import on_a_common_scale
from BottleneckOODLib.imaging.mask_features import MaskFeatures, mask_features
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.local_regions import LOCAL_TOKENS, RegionJudge, TokenGatherer
from BottleneckOODLib.ood.output_scores import OUTPUT_CONFIDENCE, output_confidence
from BottleneckOODLib.ood.pooling import pool_tokens
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.progress import ProgressReporter, StepClock
from BottleneckOODLib.reference.reference_folder import Reference

if TYPE_CHECKING:
    from BottleneckOODLib.model.adapter import Adapter
    from BottleneckOODLib.model.segmenter import Bottleneck, SegmenterOutput

FloatArray = npt.NDArray[np.float64]
OnPass = Callable[[npt.NDArray[np.float32], "SegmenterOutput", npt.NDArray[np.bool_]], None]
"""Given the network's input (Z, Y, X), what the pass gave, and the mask that is kept of it, on the model's grid."""

# Relative cost of the steps of a case on a CPU: how fast the bar moves, nothing else.
STEPS = {"Reading": 5.0, "Preparing": 5.0, "Looking ahead": 5.0, "Segmenting": 75.0, "Measuring": 8.0, "Judging": 2.0}
# Looking ahead costs an encoder pass; below this many windows the light itself is there in seconds.
_WINDOWS_WORTH_LOOKING_AHEAD = 60
MEASUREMENTS = 2
"""Goes up with what is measured on a case."""
MEASURED_ALIKE = (1, MEASUREMENTS)
"""References of these can judge: since then features came and none was defined anew. 1 has no ``output_confidence``."""


@dataclass(frozen=True)
class MeasuredCase:
    """What one pass over a case gives.

    Attributes:
        segmentation: Labels in the volume's own geometry.
        mask: Features of the mask; None where it is empty.
        features: One vector a feature space; None where there is nothing to measure.
        device: The device that computed, in words.
        warnings: What a user should know.
        regions: The map of unusual regions; None without a bank of tokens.
        local_tokens: Tokens for a bank, when a reference is built.
        disagreement: As ``SegmenterOutput.disagreement``.
    """

    segmentation: LabelVolume
    mask: MaskFeatures | None
    features: dict[str, FloatArray | None]
    device: str
    warnings: tuple[str, ...]
    regions: RegionMap | None
    local_tokens: npt.NDArray[np.float32] | None
    disagreement: Mapping[str, float] = field(default_factory=dict)


def measured_case(
    volume: Volume,
    segmenter: Adapter,
    pooling: str,
    reporter: ProgressReporter | None = None,
    clock: StepClock | None = None,
    reference: Reference | None = None,
    gatherer: TokenGatherer | None = None,
    *,
    stages: bool = False,
    on_pass: OnPass | None = None,
) -> MeasuredCase:
    """Run the model on a volume, once, and measure image, mask and bottleneck.

    Args:
        volume: The volume. Not modified.
        segmenter: The model, loaded.
        pooling: How tokens are pooled.
        reporter: Told of every step.
        clock: Times the steps.
        reference: What the case is compared with: for a preliminary light, and for the map of unusual regions.
        gatherer: Keeps local tokens, when a reference is built.
        stages: Pool every encoder stage in the pass, for ``on_pass``.
        on_pass: Shown the pass before it is let go; what it raises ends the run.

    Raises:
        ModelError: The network failed on this volume.
        Cancelled: The run was stopped.
    """
    from BottleneckOODLib.model.organ import organ_mask  # noqa: PLC0415 - no SimpleITK filters before

    reporter, clock = reporter or ProgressReporter(None, None, STEPS), clock or StepClock(TIMED_STEPS[:-1])
    reporter.report("Preparing")
    with clock.timing("preprocess"):
        tensor, grid = segmenter.prepare(volume)
        body = body_mask(thinned(volume)[0])
        measured_on = on_a_common_scale(volume, segmenter.model.modality)
        voxels, _ = thinned(measured_on)
        features: dict[str, FloatArray | None] = {
            "intensity_histogram": intensity_histogram(voxels, body),
            "body_layout": body_layout(voxels, body),
        }
    with clock.timing("inference"):
        if reference is not None and segmenter.window_count(tensor.shape) > _WINDOWS_WORTH_LOOKING_AHEAD:
            ahead = segmenter.sweep(tensor, lambda done, total: reporter.report("Looking ahead", done / total))
            if ahead is not None:
                features["bottleneck"] = pool_tokens(*_tokens(ahead), pooling)
                p_value = reference.score(features).p_value
                asked = input_checks(volume, segmenter.model.modality, reference.extent_range)
                light = overall_light(p_value, asked)
                reporter.report("Looking ahead", 1.0, preliminary_sentence(light))
        patch, bank = segmenter.model.inference.patch, _bank_of(reference)
        windows = segmenter.window_count(tensor.shape)
        judge = None if bank is None else RegionJudge(bank, tensor, grid, patch, windows)
        view = judge.view if judge else gatherer.view_of(tensor, patch) if gatherer else None
        run = partial(segmenter.run, stages=True) if stages else segmenter.run
        output = run(tensor, lambda done, total: reporter.report("Segmenting", done / total), view)
        if not output.is_finite:
            message = f"The model {segmenter.model.name} gave values that are not numbers for this volume."
            raise ModelError(message)
        reporter.report("Measuring")
        segmentation, parts = organ_mask(output.logits, grid, segmenter.model)
        if on_pass is not None:
            kept = parts.largest if segmenter.model.inference.largest_part_only else parts.marked
            on_pass(tensor, output, kept)
    with clock.timing("ood"):
        mask = mask_features(segmentation, measured_on, body, parts)
        features["bottleneck"] = pool_tokens(*_tokens(output.bottleneck), pooling)
        # Of all that was marked: what is left out of the mask, too, tells how sure the network was of it.
        sure = output_confidence(output.logits, parts.marked, segmenter.model.organ_classes)
        _refuse_contradiction(segmenter.model.name, body, output.bottleneck, mask, sure)
        features[OUTPUT_CONFIDENCE] = None if mask is None else sure
        features["mask_shape"] = None if mask is None else mask.shape
        features["mask_intensity"] = None if mask is None else mask.intensity
        regions = None if judge is None else judge.region_map(output)
    tokens = None if gatherer is None else output.local
    beside = regions, tokens, output.disagreement
    return MeasuredCase(segmentation, mask, features, output.device, output.warnings, *beside)


def _refuse_contradiction(
    model: str,
    body: npt.NDArray[np.bool_],
    bottleneck: Bottleneck,
    mask: MaskFeatures | None,
    sure: FloatArray | None,
) -> None:
    """What is pooled over nothing, or asked of nothing, would be judged as if it were the case's."""
    if body.any() and not bottleneck.occupied.any():
        message = f"The model {model} was shown nothing of the body; check its intensity settings."
        raise ModelError(message)
    if mask is not None and sure is None:
        message = f"The model {model} marked nothing where its mask lies."
        raise ModelError(message)


def _bank_of(reference: Reference | None) -> TokenBank | None:
    if reference is None or reference.settings.get("local_tokens") != LOCAL_TOKENS:
        return None
    return reference.bank


def _tokens(bottleneck: Bottleneck) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    return bottleneck.tokens, bottleneck.occupied
