"""One case of a reference: loaded, asked whether it can be one, and measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from BottleneckOODLib.assessment.checks import Check, input_checks, mask_checks
from BottleneckOODLib.case_measuring import MEASUREMENTS, MeasuredCase, measured_case
from BottleneckOODLib.errors import InputError, UserError
from BottleneckOODLib.gathering.rows import MeasuredRow, RowFiles, image_fingerprint
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.local_regions import LOCAL_TOKENS, TokenGatherer
from BottleneckOODLib.ood.metrics import dice
from BottleneckOODLib.progress import ProgressReporter
from BottleneckOODLib.reference.cases_file import ReferenceCase

if TYPE_CHECKING:
    from BottleneckOODLib.model.adapter import Adapter

_LABEL_TOLERANCE_MM = 0.5
_SEED_DIGITS = 8


@dataclass(frozen=True)
class CaseForReference:
    """One case that a reference is built from.

    Attributes:
        case_id: Its name in the reference.
        load: Reads the image and, when there are labels, the true mask. To be picklable for several processes.
        facts: Acquisition facts to keep with it, no identifiers.
        labelled: Whether ``load`` gives a true mask, as far as that is known before it is called.
    """

    case_id: str
    load: Callable[[], tuple[Volume, LabelVolume | None]]
    facts: Mapping[str, str] = field(default_factory=dict)
    labelled: bool = False


@dataclass(frozen=True)
class GatheringPlan:
    """How the cases are measured; the same for all of them.

    Attributes:
        load_segmenter: Gives the model, loaded; picklable for several processes.
        fingerprint: The model's.
        pooling: How tokens are pooled.
        keep_unusual: Keep cases that ``assess`` would call very unusual by a plain fact.
        cache: Folder in which each measured case is kept until the reference is saved; None keeps nothing.
        thumbnails: Whether a small picture of each case is made.
    """

    load_segmenter: Callable[[], Adapter]
    fingerprint: str
    pooling: str
    keep_unusual: bool = False
    cache: Path | None = None
    thumbnails: bool = False


@dataclass(frozen=True, eq=False)
class GatheredCase:
    """A case that was measured.

    Attributes:
        case: What the reference keeps of it.
        row: What was measured.
        image: Fingerprint of its voxels.
        ran: Whether the model ran; False where the row had been kept.
    """

    case: ReferenceCase
    row: MeasuredRow
    image: str
    ran: bool


@dataclass(frozen=True)
class LeftOutCase:
    """A case that cannot be used, and why."""

    case_id: str
    reason: str


def measured_for_reference(
    case: CaseForReference, segmenter: Adapter, plan: GatheringPlan, reporter: ProgressReporter | None = None
) -> GatheredCase | LeftOutCase:
    """One case, loaded and measured, or taken from the rows that were kept.

    Raises:
        Cancelled: The run was stopped.
    """
    try:
        return _gathered(case, segmenter, plan, reporter)
    except UserError as error:
        return LeftOutCase(case.case_id, str(error))


def _gathered(
    case: CaseForReference, segmenter: Adapter, plan: GatheringPlan, reporter: ProgressReporter | None
) -> GatheredCase:
    volume, truth = case.load()
    if truth is not None and not truth.geometry.is_close(volume.geometry, _LABEL_TOLERANCE_MM):
        message = "Its labels lie elsewhere than its image."
        raise InputError(message)
    if not plan.keep_unusual:
        _refuse_hard_facts(input_checks(volume, segmenter.model.modality))
    image = image_fingerprint(volume)
    row, ran = _row(volume, truth, image, segmenter, plan, reporter)
    if row.mask_facts is None:
        message = "The model found nothing in it."
        raise InputError(message)
    if not all(np.isfinite(vector).all() for vector in row.features.values()):
        message = "Its features are not finite numbers."
        raise InputError(message)
    if not plan.keep_unusual:
        _refuse_hard_facts(mask_checks(row.mask, largest_part_only=segmenter.model.inference.largest_part_only))
    geometry = volume.geometry
    kept = ReferenceCase(
        case.case_id,
        row.known_outcome(0, digits=4),
        {name: str(value) for name, value in {**volume.acquisition, **case.facts}.items()},
        surface_mm=row.known_outcome(1, digits=3),
        hausdorff95_mm=row.known_outcome(2, digits=3),
        modality=volume.modality,
        spacing_mm=_rounded(geometry.spacing_mm),
        extent_mm=_rounded(geometry.patient_extent_mm),
    )
    return GatheredCase(kept, row, image, ran)


def _row(
    volume: Volume,
    truth: LabelVolume | None,
    image: str,
    segmenter: Adapter,
    plan: GatheringPlan,
    reporter: ProgressReporter | None,
) -> tuple[MeasuredRow, bool]:
    files = None if plan.cache is None else RowFiles(plan.cache, _settings(plan))
    key = "" if files is None else files.key(image, volume, truth)
    kept = None if files is None else files.read(key)
    if kept is not None:
        return kept, False
    gatherer = TokenGatherer(seed=int(image[:_SEED_DIGITS], 16))
    measured = measured_case(volume, segmenter, plan.pooling, reporter, gatherer=gatherer)
    mask = measured.mask
    row = MeasuredRow(
        {space: vector for space, vector in measured.features.items() if vector is not None},
        _outcome(measured, truth),
        None
        if mask is None
        else np.array([mask.volume_ml, mask.n_components, mask.largest_share, mask.border_share], dtype=np.float64),
        gatherer.kept(measured.local_tokens),
        _thumbnail(volume, measured) if plan.thumbnails else None,
    )
    if files is not None:
        files.keep(key, row)
    return row, True


def _outcome(measured: MeasuredCase, truth: LabelVolume | None) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if truth is None:
        return np.full(3, math.nan)
    from BottleneckOODLib.model.mask_distances import surface_distances  # noqa: PLC0415 - imports torch

    mask, wanted = measured.segmentation.labels > 0, truth.labels > 0
    spacing = truth.geometry.spacing_mm[::-1]
    return np.array([dice(mask, wanted), *surface_distances(mask, wanted, spacing)], dtype=np.float64)


def _thumbnail(volume: Volume, measured: MeasuredCase) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    from BottleneckOODLib.assessment.thumbnail import thumbnail_png  # noqa: PLC0415 - imports matplotlib

    return np.frombuffer(thumbnail_png(volume, measured.segmentation), dtype=np.uint8)


def _settings(plan: GatheringPlan) -> str:
    """What a row depends on beside its image and its labels."""
    return f"{plan.fingerprint} {MEASUREMENTS} {LOCAL_TOKENS} {plan.pooling} {plan.thumbnails}"


def _rounded(lengths_mm: tuple[float, float, float]) -> tuple[float, float, float]:
    first, second, third = (round(length, 3) for length in lengths_mm)
    return first, second, third


def _refuse_hard_facts(checks: list[Check]) -> None:
    for check in checks:
        if check.state == "hard":
            raise InputError(check.message)
