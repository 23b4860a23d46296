"""The result as a structured report that refers to the segmentation: numbers and words that a program can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import highdicom as hd
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from BottleneckOODLib.assessment.wording import DEMONSTRATION, RESEARCH_USE, STATE_WORDS, training_cases
from BottleneckOODLib.dicom_results.equipment import MAKER, device_uid, equipment_of, new_uid, series_description
from BottleneckOODLib.dicom_results.segmentation_object import code_of, labels_present
from BottleneckOODLib.dicom_results.source_headers import CHARACTER_SET, series_number
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.imaging.writing import segment_codes

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.assessment import Assessment
    from BottleneckOODLib.assessment.versions import EditedVersion

SCHEME = "99BNOOD"
# What no dictionary has a code for.
LIGHT, SENTENCE = Code("LIGHT", SCHEME, "Light"), Code("SENTENCE", SCHEME, "Sentence beside the light")
SCORE = Code("SCORE", SCHEME, "Score, 1 at the 95% quantile of the training cases")
P_VALUE = Code("PVALUE", SCHEME, "Calibrated p-value among the training cases")
PERCENTILE = Code("PERCENTILE", SCHEME, "Training cases that are less unusual")
N_CASES = Code("NCASES", SCHEME, "Training cases in the reference")
REFERENCE, CHECK = Code("REFERENCE", SCHEME, "Reference"), Code("CHECK", SCHEME, "Check")
INTENDED_USE, PROGRAM = Code("USE", SCHEME, "Intended use"), Code("PROGRAM", SCHEME, "Program")
EDITED = Code("EDITED", SCHEME, "Edited mask")
DETECTOR, RESULT = Code("DETECTOR", SCHEME, "Detector"), Code("RESULT", SCHEME, "Comparison with the training cases")
_MILLILITRE = Code("ml", "UCUM", "milliliter")
_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
_SCHEME_ITEM = {"designator": SCHEME, "name": f"{MAKER} results", "responsible_organization": MAKER}


def report_object(
    assessment: Assessment,
    mask: LabelVolume,
    segmentation: Dataset,
    headers: Sequence[Dataset],
    version: EditedVersion | None = None,
) -> hd.sr.ComprehensiveSR:
    """A measurement report (TID 1500): each segment's volume, the comparison as numbers, light and sentences.

    Args:
        assessment: What is reported.
        mask: Its mask.
        segmentation: The mask as ``segmentation_object`` made it.
        headers: Of the source slices, from ``source_headers``.
        version: Which version of the mask it is, where a reader edited it.

    Source:
        DICOM PS3.16, TID 1500, 1411, 1501; PS3.3, A.35.3 (Comprehensive SR IOD).
    """
    groups = [
        _volume_of(segment, mask, value, assessment, _reference_to(segmentation, segment, headers[0]))
        for segment, value in zip(segmentation.SegmentSequence, labels_present(mask), strict=True)
    ]
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_observer(assessment)),
        procedure_reported=_procedure(str(headers[0].Modality)),
        imaging_measurements=[*groups, _comparison(assessment)],
    )
    report[0].ContentSequence.append(_in_words(assessment, version))
    equipment = equipment_of(assessment)
    return hd.sr.ComprehensiveSR(
        evidence=[segmentation, *headers],
        content=report[0],
        series_instance_uid=new_uid(),
        series_number=series_number(headers[0], 2),
        sop_instance_uid=new_uid(),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=series_description("report"),
        specific_character_set=CHARACTER_SET,
        coding_schemes=[CodingSchemeIdentificationItem(**_SCHEME_ITEM)],
        **equipment,
    )


def _volume_of(
    segment: Dataset, mask: LabelVolume, value: int, assessment: Assessment, reference: hd.sr.ReferencedSegment
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    category, kind = segment_codes(mask.names[value])
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=str(segment.TrackingUID), identifier=str(segment.TrackingID)),
        referenced_segment=reference,
        finding_category=code_of(category),
        finding_type=code_of(kind),
        algorithm_id=_algorithm(assessment),
        measurements=[
            hd.sr.Measurement(codes.SCT.Volume, round(mask.volume_ml(value), 3), _MILLILITRE),
        ],
    )


def _reference_to(segmentation: Dataset, segment: Dataset, header: Dataset) -> hd.sr.ReferencedSegment:
    return hd.sr.ReferencedSegment(
        segmentation.SOPClassUID,
        segmentation.SOPInstanceUID,
        int(segment.SegmentNumber),
        source_series=hd.sr.SourceSeriesForSegmentation(header.SeriesInstanceUID),
    )


def _comparison(assessment: Assessment) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    numbers = [
        (P_VALUE, assessment.p_value, codes.UCUM.NoUnits),
        (SCORE, assessment.score, codes.UCUM.NoUnits),
        (PERCENTILE, assessment.percentile, codes.UCUM.Percent),
        (N_CASES, assessment.reference.n_cases, codes.UCUM.NoUnits),
    ]
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=new_uid(), identifier=RESULT.meaning),
        finding_type=RESULT,
        algorithm_id=_algorithm(assessment),
        measurements=[
            hd.sr.Measurement(name, float(f"{value:.6g}"), unit) for name, value, unit in numbers if value is not None
        ],
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(LIGHT, light_code(assessment.light))],
    )


def light_code(light: str) -> Code:
    """A light as a coded value, with the words that stand beside it."""
    return Code(light.upper(), SCHEME, f"{light.capitalize()}: {STATE_WORDS[light]}")


def _in_words(assessment: Assessment, version: EditedVersion | None) -> hd.sr.ContainerContentItem:
    container = hd.sr.ContainerContentItem(_EVALUATIONS, relationship_type="CONTAINS")
    container.ContentSequence = hd.sr.ContentSequence(
        hd.sr.TextContentItem(name, text, relationship_type="CONTAINS") for name, text in _texts(assessment, version)
    )
    return container


def _texts(assessment: Assessment, version: EditedVersion | None) -> Iterator[tuple[Code, str]]:
    model, reference = assessment.model, assessment.reference
    counted = training_cases(reference.n_cases, assessment.n_calibrating)
    yield INTENDED_USE, RESEARCH_USE
    if model.demonstration:
        yield INTENDED_USE, DEMONSTRATION
    if version is not None:
        told = f"A reader edited the mask (version {version.number}, saved {version.saved}); volumes are of the edited "
        yield EDITED, told + "mask, light, sentence and the numbers of the comparison of the one that the model made."
    yield SENTENCE, assessment.sentence
    for check in assessment.checks:
        if check.state != "met":
            yield CHECK, check.message
    yield DETECTOR, assessment.detector
    yield REFERENCE, f"{reference.name}, {counted}, fingerprint {reference.fingerprint}"
    yield PROGRAM, f"{MAKER} {assessment.program_version}, assessed {assessment.created}"


def _algorithm(assessment: Assessment) -> hd.sr.AlgorithmIdentification:
    model = assessment.model
    return hd.sr.AlgorithmIdentification(
        name=f"{MAKER} {model.name}",
        version=model.version or "not stated",
        parameters=[f"model_fingerprint={model.fingerprint}", f"program_version={assessment.program_version}"],
    )


def _observer(assessment: Assessment) -> hd.sr.ObserverContext:
    equipment = equipment_of(assessment)
    return hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=device_uid(assessment),
            name=MAKER,
            manufacturer_name=equipment["manufacturer"],
            model_name=equipment["manufacturer_model_name"],
            serial_number=equipment["device_serial_number"],
        ),
    )


def _procedure(modality: str) -> Code:
    """The procedure that is reported, as LOINC has it; the body region is not known."""
    if modality == "CT":
        return Code("25045-6", "LN", "CT unspecified body region")
    return Code("25056-3", "LN", "MR unspecified body region")
