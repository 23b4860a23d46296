"""The overview picture as a secondary capture, which every viewer shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import highdicom as hd
from pydicom import Dataset

from BottleneckOODLib.assessment.figures import overview_pixels
from BottleneckOODLib.assessment.wording import RESEARCH_USE
from BottleneckOODLib.dicom_results.equipment import equipment_of, new_uid, series_description
from BottleneckOODLib.dicom_results.source_headers import CHARACTER_SET, series_number

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.assessment import Assessment
    from BottleneckOODLib.assessment.versions import EditedVersion
    from BottleneckOODLib.imaging.volume import LabelVolume


def picture_object(
    assessment: Assessment, mask: LabelVolume, header: Dataset, version: EditedVersion | None = None
) -> hd.sc.SCImage:
    """The overview, 920 x 1200 pixels in colour, uncompressed.

    Args:
        assessment: With its volume, whose slices are drawn.
        mask: What is drawn on them.
        header: Of a source slice, from ``source_headers``.
        version: Which version of the mask it is, where a reader edited it: then the picture says so.

    Source:
        DICOM PS3.3, A.8.1 (Secondary Capture Image IOD).
    """
    equipment = equipment_of(assessment)
    made = hd.sc.SCImage(
        pixel_array=overview_pixels(replace(assessment, segmentation=mask), _of_an_edited(mask, version)),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=new_uid(),
        series_number=series_number(header, 3),
        sop_instance_uid=new_uid(),
        instance_number=1,
        patient_id=header.PatientID,
        patient_name=header.PatientName,
        patient_birth_date=header.PatientBirthDate,
        patient_sex=header.PatientSex,
        accession_number=header.AccessionNumber,
        study_id=header.StudyID,
        study_date=header.StudyDate,
        study_time=header.StudyTime,
        referring_physician_name=header.ReferringPhysicianName,
        series_description=series_description("result"),
        specific_character_set=CHARACTER_SET,
        **equipment,
    )
    made.copy_patient_and_study_information(header)
    # Three planes and text have no one orientation and no side.
    made.PatientOrientation = made.Laterality = None
    # The case's name stands in the picture, and may be anything.
    made.BurnedInAnnotation = "YES"
    made.ImageComments = RESEARCH_USE
    return made


def _of_an_edited(mask: LabelVolume, version: EditedVersion | None) -> tuple[str, ...]:
    if version is None:
        return ()
    volume_ml = sum(mask.volume_ml(value) for value in mask.names)
    told = f"Mask edited by a reader (version {version.number}): {volume_ml:,.0f} ml"
    return told, "Light, checks, p-value: of the model's own"
