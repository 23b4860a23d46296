"""Running a model once a case, and saving what an evaluation takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.atomic_folder import taken_for_one
from BottleneckOODLib.case_measuring import MEASUREMENTS, STEPS, MeasuredCase, measured_case
from BottleneckOODLib.embedding.folder import FLIPS, OUTPUTS, CaseRecord, EmbeddingFolder
from BottleneckOODLib.errors import InputError, ModelError
from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.imaging.mask_features import MASK_INTENSITY_NAMES, MASK_SHAPE_NAMES
from BottleneckOODLib.imaging.reading import safe_name
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.ood.output_scores import OUTPUT_CONFIDENCE, OUTPUT_CONFIDENCE_NAMES
from BottleneckOODLib.ood.pooling import pool_in_mask, pool_moments, pool_tokens
from BottleneckOODLib.progress import CancelToken, Progress, ProgressCallback, ProgressReporter

if TYPE_CHECKING:
    from BottleneckOODLib.model.adapter import Adapter
    from BottleneckOODLib.model.segmenter import SegmenterOutput
    from BottleneckOODLib.model.stages import StageFeatures

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

ALWAYS = (
    "bottleneck",
    "bottleneck_pooled",
    "bottleneck_in_mask",
    "intensity_histogram",
    "body_layout",
    "mask_shape",
    "mask_intensity",
    OUTPUT_CONFIDENCE,
)
"""What is saved of every case, a folder each."""
_RUNNING, _MIRRORED = "Running the model on the cases", "Segmenting mirrored images"
_LABEL_TOLERANCE_MM = 0.5
_PASS_COST = STEPS["Segmenting"]
# Only of models that mirror their windows or have several folds, so no part that every case must have.
_DISAGREEMENT = "disagreement"


@dataclass(frozen=True)
class EmbeddingPlan:
    """What is saved beside what always is.

    Attributes:
        stages: Every encoder stage, in ``stage_1`` (the shallowest), ``stage_2``, ... and ``stage_1_in_mask``, ...
        flips: Logits of mirrored images and of the image as it is, in ``flips/<case>/``; as many passes more.
        logits: Logits, in ``outputs``.
    """

    stages: bool = False
    flips: bool = False
    logits: bool = False

    def parts(self, n_stages: int) -> tuple[str, ...]:
        """Names of the folders that a case is saved in, for a network of so many stages."""
        stages = [f"stage_{n}" for n in range(1, n_stages + 1)] if self.stages else []
        more = [*stages, *(f"{stage}_in_mask" for stage in stages)]
        return (*ALWAYS, *more, *([OUTPUTS] if self.logits else []), *([FLIPS] if self.flips else []))


@dataclass(frozen=True)
class EmbeddingReport:
    """What a run did.

    Attributes:
        embedded: Cases that it ran the model on.
        kept: Cases that were there already.
        left_out: A line for each case that could not be used, with the reason.
        empty: Cases in which the model marked nothing.
        labelled: Cases in the table of outcomes, those of earlier runs too.
    """

    embedded: int
    kept: int
    left_out: tuple[str, ...]
    empty: tuple[str, ...]
    labelled: int


def embed_cases(
    segmenter: Adapter,
    cases: Sequence[CaseForReference],
    output: Path,
    plan: EmbeddingPlan,
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> EmbeddingReport:
    """Run the model on every case and save its features, one case after the other.

    A case that is there already is not run again; one that cannot be read is told of, and the others go on.

    Args:
        segmenter: The model, loaded.
        cases: The cases; each is loaded when its turn comes.
        output: The folder, new or of an earlier run with the same model.
        plan: What is saved.
        progress: Told how far it is, with the time left.
        cancel: Stops between windows; cases that are done are kept.

    Raises:
        InputError: Two cases have one name, a name cannot be that of a file, or no case could be used.
        OutputError: The folder cannot be used or written.
        Cancelled: The run was stopped.
    """
    _check_names([case.case_id for case in cases])
    model, stages = segmenter.model, list(segmenter.stage_names)
    facts = {"model": model.name, "fingerprint": model.fingerprint, "measurements": MEASUREMENTS, "stages": stages}
    folder = EmbeddingFolder(output, facts)
    parts = plan.parts(len(stages))
    waiting = [case for case in cases if not folder.has(case.case_id, parts, labelled=case.labelled)]
    outer = ProgressReporter(progress, cancel, {_RUNNING: 1.0})
    left_out: list[str] = []
    empty: list[str] = []
    for number, case in enumerate(waiting):
        outer.report(_RUNNING, number / len(waiting), case.case_id)
        run = _CaseRun(segmenter, case, folder, plan, _part_of(outer, cancel, number, len(waiting), plan))
        try:
            record = run.done(parts)
        except (InputError, ModelError) as error:
            left_out.append(f"{case.case_id}: {error}")
            folder.drop(case.case_id, (*parts, _DISAGREEMENT))
            continue
        except BaseException:
            folder.drop(case.case_id, (*parts, _DISAGREEMENT))
            raise
        if record.empty:
            empty.append(case.case_id)
    folder.write_performance()
    outer.report(_RUNNING, 1.0)
    if cases and len(left_out) == len(cases):
        message = f"None of the {len(cases)} cases could be used; the first is {left_out[0]}"
        raise InputError(message)
    embedded = len(waiting) - len(left_out)
    return EmbeddingReport(embedded, len(cases) - len(waiting), tuple(left_out), tuple(empty), folder.labelled)


class _CaseRun:
    """The run of one case."""

    def __init__(
        self,
        segmenter: Adapter,
        case: CaseForReference,
        folder: EmbeddingFolder,
        plan: EmbeddingPlan,
        reporter: ProgressReporter,
    ) -> None:
        self._segmenter = segmenter
        self._case = case
        self._folder = folder
        self._plan = plan
        self._reporter = reporter

    def done(self, parts: tuple[str, ...]) -> CaseRecord:
        volume, truth = self._case.load()
        if truth is not None and not truth.geometry.is_close(volume.geometry, _LABEL_TOLERANCE_MM):
            message = "its labels lie elsewhere than its image"
            raise InputError(message)
        measured = measured_case(
            volume, self._segmenter, "mean", self._reporter, stages=self._plan.stages, on_pass=self._save_pass
        )
        for name, vector in _image_and_mask_features(measured).items():
            self._write(name, vector)
        outcomes = None if truth is None else self._outcomes(measured, truth, volume)
        record = CaseRecord(self._case.case_id, parts, outcomes, measured.mask is None)
        self._folder.finish(record)
        return record

    def _save_pass(self, tensor: Float32Array, output: SegmenterOutput, mask: BoolArray) -> None:
        from BottleneckOODLib.model.bottleneck import share_in_windows  # noqa: PLC0415 - no torch before its use

        bottleneck, patch = output.bottleneck, self._segmenter.model.inference.patch
        tokens, occupied = bottleneck.tokens, bottleneck.occupied
        organ = share_in_windows(mask, bottleneck.window_starts, patch, tokens.shape[2:])
        self._write("bottleneck", tokens)
        self._write("bottleneck_pooled", pool_tokens(tokens, occupied))
        self._write("bottleneck_in_mask", pool_in_mask(tokens, organ, occupied))
        if output.disagreement:
            by_name = [output.disagreement[name] for name in ("mirroring", "folds") if name in output.disagreement]
            self._write(_DISAGREEMENT, np.array(by_name))
        for number, stage in enumerate(output.stages, start=1):
            self._write(f"stage_{number}", _pooled(stage, in_mask=False))
            self._write(f"stage_{number}_in_mask", _pooled(stage, in_mask=True))
        if self._plan.logits:
            self._write(OUTPUTS, _half(output.logits))
        if self._plan.flips:
            self._write(FLIPS, _half(output.logits), "as_it_is")
            for name, logits in self._flipped(tensor):
                self._write(FLIPS, _half(logits), f"flipped_{name}")

    def _flipped(self, tensor: Float32Array) -> Iterator[tuple[str, Float32Array]]:
        from BottleneckOODLib.model.flips import FLIPS as EVERY_FLIP  # noqa: PLC0415 - no torch before its use
        from BottleneckOODLib.model.flips import flipped_logits  # noqa: PLC0415

        order = list(EVERY_FLIP)

        def tell(name: str, done: int, total: int) -> None:
            self._reporter.report(_MIRRORED, (order.index(name) + done / total) / len(order))

        yield from flipped_logits(self._segmenter, tensor, tell)

    def _write(self, folder: str, array: npt.NDArray[Any], member: str | None = None) -> None:
        values = array.astype(np.float32) if array.dtype == np.float64 else array
        self._folder.write(self._case.case_id, folder, values, member)

    @staticmethod
    def _outcomes(measured: MeasuredCase, truth: LabelVolume, volume: Volume) -> dict[str, float | None]:
        from BottleneckOODLib.model.mask_performance import mask_performance  # noqa: PLC0415 - no torch before its use

        i, j, k = volume.geometry.spacing_mm
        return mask_performance(measured.segmentation.labels > 0, truth.labels > 0, (k, j, i))


def _pooled(stage: StageFeatures, *, in_mask: bool) -> npt.NDArray[np.float64]:
    # An empty mask has no inside: what is pooled then is the body, as for the bottleneck.
    moments = stage.in_mask if in_mask and stage.in_mask.weight.any() else stage.occupied
    return pool_moments(moments.mean, moments.deviation, moments.weight)


def _image_and_mask_features(measured: MeasuredCase) -> dict[str, npt.NDArray[np.float64]]:
    """The vectors that need no network; an empty mask's are zeros, so that an evaluation keeps the failure."""
    sizes = {"mask_shape": MASK_SHAPE_NAMES, "mask_intensity": MASK_INTENSITY_NAMES}
    # Even odds: as unsure as a network with two classes can be.
    sizes[OUTPUT_CONFIDENCE] = OUTPUT_CONFIDENCE_NAMES
    kept: dict[str, npt.NDArray[np.float64]] = {}
    for name, vector in measured.features.items():
        if name != "bottleneck":
            kept[name] = np.zeros(len(sizes[name])) if vector is None else vector
    return kept


def _half(logits: Float32Array) -> npt.NDArray[np.float16]:
    limit = float(np.finfo(np.float16).max)
    return np.clip(logits, -limit, limit).astype(np.float16)


def _part_of(
    outer: ProgressReporter, cancel: CancelToken | None, number: int, count: int, plan: EmbeddingPlan
) -> ProgressReporter:
    """A reporter of one case's steps that tells the whole run's progress."""
    steps: dict[str, float] = {}
    for name, cost in STEPS.items():
        steps[name] = cost
        if name == "Measuring" and plan.flips:
            steps[_MIRRORED] = 4 * _PASS_COST

    def tell(progress: Progress) -> None:
        outer.report(_RUNNING, (number + progress.fraction) / count)

    return ProgressReporter(tell, cancel, steps)


def _check_names(names: Sequence[str]) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        message = f"The case name {repeated[0]} stands for several cases; give each its own name."
        raise InputError(message)
    if pair := taken_for_one(names):
        message = f"The case names {pair[0]} and {pair[1]} are one file on some systems; give one another name."
        raise InputError(message)
    unsafe = [name for name in names if safe_name(name) != name or name.startswith(".")]
    if unsafe:
        message = f"The case name {unsafe[0]!r} cannot be that of a file; use {safe_name(unsafe[0]).lstrip('.')!r}."
        raise InputError(message)
