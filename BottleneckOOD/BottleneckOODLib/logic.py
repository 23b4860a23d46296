"""The whole data path, from an image to an assessment, top to bottom."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.assessment.assessment import Assessment, InputFacts, MapPoint, Memory, ModelFacts, ReferenceFacts
from BottleneckOODLib.assessment.checks import (
    Check,
    calibrated_checks,
    input_checks,
    mask_checks,
    orientation_check,
    overall_light,
)
from BottleneckOODLib.assessment.finite import refuse_not_finite, refuse_other_mask
from BottleneckOODLib.assessment.outcome import OutcomeEstimate
from BottleneckOODLib.assessment.record import TIMED_STEPS
from BottleneckOODLib.assessment.wording import light_sentence, missing_spaces, unreachable_levels
from BottleneckOODLib.case_measuring import MEASURED_ALIKE, MEASUREMENTS, STEPS, MeasuredCase, measured_case
from BottleneckOODLib.catalogue import find_model
from BottleneckOODLib.errors import BottleneckOODError, ModelError, ReferenceSetError, fault_sentence, faults_told
from BottleneckOODLib.gathering.case import CaseForReference, GatheredCase, GatheringPlan, LeftOutCase
from BottleneckOODLib.gathering.gathered import Gathered
from BottleneckOODLib.gathering.running import FITTING, gathered_cases
from BottleneckOODLib.imaging.hidden_names import under_another_name
from BottleneckOODLib.imaging.reading import case_id_of, read_volume
from BottleneckOODLib.imaging.reading_process import ReadVolume
from BottleneckOODLib.imaging.volume import Modality, Volume
from BottleneckOODLib.local_regions import LOCAL_TOKENS
from BottleneckOODLib.model.peak_memory import card_peak_bytes, forget_card_peak, process_peak_bytes
from BottleneckOODLib.ood.calibration import NotFiniteError
from BottleneckOODLib.ood.pooling import pool_tokens
from BottleneckOODLib.progress import CancelToken, Progress, ProgressCallback, ProgressReporter, StepClock
from BottleneckOODLib.reference.choosing import reference_for
from BottleneckOODLib.reference.outcomes import FAILURE_DICE
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import Score
from BottleneckOODLib.version import __version__

if TYPE_CHECKING:
    from BottleneckOODLib.model.adapter import Adapter
    from BottleneckOODLib.model.model_folder import ModelFolder
    from BottleneckOODLib.model.segmenter import Bottleneck

FloatArray = npt.NDArray[np.float64]

POOLING = "mean"
_LOG = logging.getLogger(__name__)


class BottleneckOODLogic:
    """Segments a case and tells how unusual it is among the training cases.

    Args:
        model: Name of an embedded or added model, or a model folder.
        reference: Name or folder of a reference; None takes the one that was made for the model.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        read: Reads the files that ``assess`` is given: in this process, or ``imaging.reading_process``'s
            ``ReadingProcess().read`` for files that nobody vouches for.

    Raises:
        ModelError: There is no such model.

    Model and reference are read when they are first used, and kept.
    """

    def __init__(
        self,
        model: str | Path = "demo",
        reference: str | Path | None = None,
        device: str = "auto",
        *,
        read: ReadVolume = read_volume,
    ) -> None:
        self._model_folder = find_model(model)
        self._read = read
        self._reference_wish = reference
        self._device_wish = device

    def assess(
        self,
        source: str | PathLike[str] | Volume,
        *,
        case_id: str | None = None,
        series: str | None = None,
        modality: Modality | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        keep_file_name: bool = True,
    ) -> Assessment:
        """Segment a case and judge how unusual it is.

        Args:
            source: An image file, a DICOM folder, or a volume.
            case_id: Name of the case; None takes the file's name.
            series: Number or UID of the DICOM series where the folder holds several.
            modality: What the image is, where the file does not say.
            progress: Called with every step; a preliminary light comes as a message.
            cancel: Stops the run between windows.
            keep_file_name: Whether the record tells the file's name beside the case's.

        Returns:
            The assessment. A case that could be read but not judged is grey.

        Raises:
            InputError: The image cannot be read.
            ModelError: The model folder is damaged.
            ReferenceSetError: The reference is missing, damaged, or of another model.
            DeviceError: The device is not available.
            Cancelled: The run was stopped.
            ProgramFault: Something failed that should not have, before there was a volume to tell of.
        """
        with faults_told():
            reporter, clock = ProgressReporter(progress, cancel, STEPS), StepClock(TIMED_STEPS[:-1])
            reporter.report("Reading")
            with clock.timing("load"):
                volume = source if isinstance(source, Volume) else self._read(source, series=series, modality=modality)
                _ = self.segmenter, self.reference
                forget_card_peak()
            name = case_id or case_id_of(volume.name if isinstance(source, Volume) else source)
            told = volume if keep_file_name else under_another_name(volume, source, name)
            return self._assessed(name, told, reporter, clock)

    def _assessed(self, name: str, volume: Volume, reporter: ProgressReporter, clock: StepClock) -> Assessment:
        checks = input_checks(volume, self.model.modality, self.reference.extent_range)
        measured: MeasuredCase | None = None
        try:
            _check_finite(volume)
            pooling = str(self.reference.settings["pooling"])
            measured = measured_case(volume, self.segmenter, pooling, reporter, clock, self.reference)
            reporter.report("Judging")
            with clock.timing("ood"):
                score = self.reference.score(measured.features)
            refuse_not_finite(measured, score)
            assessment = self._judged(name, volume, checks, measured, score, clock)
            refuse_not_finite(assessment)
            refuse_other_mask(assessment)
        except (ModelError, ReferenceSetError) as error:
            reason = str(error)
        except NotFiniteError as error:
            reason = f"The features cannot be compared: {error}."
        except BottleneckOODError:
            raise
        except Exception as error:
            _LOG.exception("A case could not be judged.")
            reason = fault_sentence(error)
        else:
            return assessment
        return self._grey(name, volume, checks, measured, reason, clock)

    @cached_property
    def model(self) -> ModelFolder:
        """The model folder, checked."""
        from BottleneckOODLib.model.model_folder import read_model_folder  # noqa: PLC0415 - no torch before its use

        return read_model_folder(self._model_folder)

    @cached_property
    def segmenter(self) -> Adapter:
        """The model, loaded, by the class that its folder asks for."""
        from BottleneckOODLib.model.adapter import loaded  # noqa: PLC0415 - no torch before its use
        from BottleneckOODLib.model.devices import choose_device, unused_card  # noqa: PLC0415 - no torch before its use

        device, note = choose_device(self._device_wish), unused_card(self._device_wish)
        return loaded(self.model, device, (note,) if note else ())

    @cached_property
    def reference(self) -> Reference:
        """The reference: the one asked for, or the first that this model made."""
        return reference_for(self._reference_wish, self.model.name, self.model.fingerprint, MEASURED_ALIKE)

    def build_reference(
        self,
        name: str,
        cases: Iterable[CaseForReference],
        *,
        n_cases: int | None = None,
        pooling: str = POOLING,
        n_components: int | None = None,
        keep_unusual: bool = False,
        workers: int = 1,
        cache: Path | None = None,
        thumbnails: bool = False,
        known_dice: Mapping[str, float] | None = None,
        failure_dice: float = FAILURE_DICE,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Reference:
        """Run the model on every case and build a reference from the features.

        Args:
            name: Name of the reference.
            cases: The cases; each is loaded when its turn comes.
            n_cases: How many there are, for the progress.
            pooling: How tokens are pooled; kept in the reference and used for every case that it judges.
            n_components: Reduce the pooled bottleneck to so many principal components; None keeps it whole.
            keep_unusual: Keep cases that ``assess`` calls very unusual by a plain fact, such as another modality.
            workers: Processes that run the model.
            cache: Folder in which each measured case is kept, so that a run that was stopped goes on; the caller
                removes it with ``remove_row_files`` when the reference is saved.
            thumbnails: Keep a small picture of each case.
            known_dice: Dice of cases without labels, by name.
            failure_dice: A mask with this Dice or less has failed: for the detector's choice and the operating point.
            progress: Called with every case.
            cancel: Stops between windows.

        Returns:
            The reference, not yet saved. Cases without a mask or that cannot be read are left out and counted.

        Raises:
            ReferenceSetError: Too few cases can be used.
            Cancelled: The run was stopped.
        """
        from BottleneckOODLib.reference.building import build_reference  # noqa: PLC0415 - imports umap when it fits

        results = self.measured_cases(
            cases,
            n_cases=n_cases,
            pooling=pooling,
            keep_unusual=keep_unusual,
            workers=workers,
            cache=cache,
            thumbnails=thumbnails,
            progress=progress,
            cancel=cancel,
        )
        gathered = Gathered.of(results, known_dice or {})
        if progress is not None:
            progress(Progress("Fitting", FITTING))
        settings: dict[str, Any] = {"pooling": pooling, "left_out": list(gathered.left_out)}
        settings |= {"measurements": MEASUREMENTS, "local_tokens": LOCAL_TOKENS}
        settings["built"] = f"{datetime.now(timezone.utc).date().isoformat()}, BottleneckOOD {__version__}"
        reference = build_reference(
            name,
            self.model.fingerprint,
            gathered.features,
            gathered.cases,
            settings,
            n_components=n_components,
            failure_dice=failure_dice,
            bank=gathered.bank,
        )
        return replace(reference, thumbnails=gathered.thumbnails) if thumbnails else reference

    def measured_cases(
        self,
        cases: Iterable[CaseForReference],
        *,
        n_cases: int | None = None,
        pooling: str = POOLING,
        keep_unusual: bool = False,
        workers: int = 1,
        cache: Path | None = None,
        thumbnails: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[GatheredCase | LeftOutCase]:
        """Run the model on cases as for a reference; the arguments are those of ``build_reference``.

        Yields:
            Each case in its order: measured, or left out with the reason.

        Raises:
            ModelError: The model cannot be loaded.
            ReferenceSetError: A process ended before its case was measured.
            Cancelled: The run was stopped.
        """
        load = partial(_loaded_segmenter, self._model_folder, self._device_wish)
        if workers == 1:
            # It may be loaded already.
            load = partial(getattr, self, "segmenter")
        plan = GatheringPlan(load, self.model.fingerprint, pooling, keep_unusual, cache, thumbnails)
        return gathered_cases(cases, plan, n_cases=n_cases, workers=workers, progress=progress, cancel=cancel)

    def pooled(self, bottleneck: Bottleneck, pooling: str | None = None) -> FloatArray:
        """The bottleneck as one vector, pooled as the reference was."""
        method = pooling or str(self.reference.settings["pooling"])
        return pool_tokens(bottleneck.tokens, bottleneck.occupied, method)

    def _judged(
        self, case_id: str, volume: Volume, checks: list[Check], measured: MeasuredCase, score: Score, clock: StepClock
    ) -> Assessment:
        own = [*checks, orientation_check(measured.features["body_layout"], self.model.modality)]
        own += mask_checks(measured.mask, largest_part_only=self.model.inference.largest_part_only)
        light = overall_light(score.p_value, own)
        hard, soft = ([c.message for c in own if c.state == state and not c.calibrated] for state in ("hard", "soft"))
        # A plain fact is the better reason; a soft one only where the light is its doing and not the p-value's.
        reason = hard[0] if hard else soft[0] if soft and light != score.light else None
        why = {"farthest_part": score.farthest, "reason": reason, "beside": soft[0] if soft and not reason else None}
        bottleneck = measured.features["bottleneck"]
        with clock.timing("placement"):
            placement = None if bottleneck is None else self.reference.place(bottleneck)
            neighbours = () if bottleneck is None else self.reference.neighbours(bottleneck)
        return Assessment(
            **self._facts(case_id, volume, measured),
            light=light,
            sentence=light_sentence(light, percentile=score.percentile, p_value=score.p_value, **why),
            detector=score.detector,
            score=score.score,
            p_value=score.p_value,
            percentile=score.percentile,
            parts=score.parts,
            checks=(*own, *calibrated_checks(score.parts, None if score.light == "green" else score.farthest)),
            neighbours=neighbours,
            placement=placement,
            volume_ml=0.0 if measured.mask is None else measured.mask.volume_ml,
            n_components=0 if measured.mask is None else measured.mask.n_components,
            timings_s=clock.seconds(),
            device=measured.device,
            warnings=(
                *volume.warnings,
                *measured.warnings,
                *unreachable_levels(score.attainable_p),
                *missing_spaces(self.reference.spaces),
            ),
            # A plain fact that is wrong says more than what other cases had.
            outcome=None if hard else self._outcome(score),
            segmentation=measured.segmentation,
            regions=measured.regions,
            volume=volume,
        )

    def _outcome(self, score: Score) -> OutcomeEstimate | None:
        return OutcomeEstimate.of(self.reference.outcomes, score.score, unusual=score.light != "green")

    def _grey(
        self,
        case_id: str,
        volume: Volume,
        checks: list[Check],
        measured: MeasuredCase | None,
        reason: str,
        clock: StepClock,
    ) -> Assessment:
        mask = None if measured is None else measured.mask
        return Assessment(
            **self._facts(case_id, volume, measured),
            light="grey",
            sentence=light_sentence("grey", percentile=None, p_value=None, farthest_part=None, reason=reason),
            detector="none",
            score=None,
            p_value=None,
            percentile=None,
            parts={},
            checks=tuple(checks),
            neighbours=(),
            placement=None,
            volume_ml=0.0 if mask is None else mask.volume_ml,
            n_components=0 if mask is None else mask.n_components,
            timings_s=clock.seconds(),
            device="none" if measured is None else measured.device,
            warnings=volume.warnings if measured is None else (*volume.warnings, *measured.warnings),
            segmentation=None if measured is None else measured.segmentation,
            volume=volume,
        )

    def _facts(self, case_id: str, volume: Volume, measured: MeasuredCase | None) -> dict[str, Any]:
        geometry, reference = volume.geometry, self.reference
        return {
            "case_id": case_id,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "program_version": __version__,
            "input": InputFacts(
                volume.name, volume.modality, geometry.shape, geometry.spacing_mm, geometry.orientation
            ),
            "model": ModelFacts(self.model.name, self.model.version, self.model.fingerprint, self.model.demonstration),
            "reference": ReferenceFacts(reference.name, reference.fingerprint, len(reference.cases)),
            "n_calibrating": int(reference.calibrating.sum()),
            "disagreement": {} if measured is None else dict(measured.disagreement),
            "peak_memory": Memory(process_peak_bytes(), card_peak_bytes()),
            "map_points": tuple(
                MapPoint(round(float(x), 4), round(float(y), 4), case.dice, case.case_id, dict(case.facts))
                for (x, y), case in zip(reference.map_xy, reference.cases, strict=True)
            ),
        }


def _loaded_segmenter(model: Path, device: str) -> Adapter:
    return BottleneckOODLogic(model, None, device).segmenter


def _check_finite(volume: Volume) -> None:
    if not np.isfinite(volume.voxels).all():
        message = "a voxel is not a finite number"
        raise NotFiniteError(message)
    refuse_not_finite(volume.geometry)
