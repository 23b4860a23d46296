"""What the slices of a series hand on to the objects that refer to them, checked and in one character set.

A segmentation has to carry the patient and the study of its images, or no archive files it beside them; here, and only
here, they are read. Nothing of them goes into a name, a message or a log.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pydicom
from pydicom.multival import MultiValue
from pydicom.uid import CTImageStorage, MRImageStorage
from pydicom.valuerep import DS, PersonName

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.dicom import Series

CHARACTER_SET = "ISO_IR 192"
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_REFERRED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_OF_THE_SERIES = ("StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID")
# What every object has to have, empty where it is not known (type 2).
_EXPECTED = ("PatientName", "PatientID", "AccessionNumber", "StudyID", "ReferringPhysicianName")
# What is of use where it is there: whose the identifiers are, and that they were taken out.
_HANDED_ON = (
    "IssuerOfPatientID",
    "StudyDescription",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "PositionReferenceIndicator",
)
_DAY_FORMAT = "%Y%m%d"
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?")
_GREATEST_SERIES_NUMBER = 9_999_999


@contextmanager
def without_words() -> Iterator[None]:
    """Keep pydicom and highdicom from warning and logging: they quote the values of headers."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def source_headers(series: Series, name: str, slice_step_mm: float) -> list[pydicom.Dataset]:
    """One header a slice, in the order of ``series.files``, with what highdicom needs of a source image and no pixels.

    Texts are decoded, whatever their character set, and are to be written as UTF-8. A name or number that is too long
    is handed on as it is, because an archive compares it with that of the images; a date, time or sex that is none
    becomes empty, as the standard allows. All slices get the first one's orientation, from which they differ by
    rounding, and a voxel is as thick as its slices are apart.

    Args:
        series: A regular series of single slices.
        name: The folder's name, for messages.
        slice_step_mm: Distance of the slices' centres, in mm.

    Raises:
        InputError: The slices are no CT or MR image objects, have no identifiers that can be referred to, or belong to
            several studies or frames of reference.
    """
    with without_words():
        full = [_read(path, name) for path in series.files]
        why = _why_not_referred_to(full)
        if why:
            message = f"The slices in {name} {why}; no DICOM objects were written, export the series again."
            raise InputError(message)
        study = _study_of(full[0])
        return [
            _slice_of(header, study, known.ImagePositionPatient, series.headers[0], slice_step_mm)
            for header, known in zip(full, series.headers, strict=True)
        ]


def series_number(header: pydicom.Dataset, place: int) -> int:
    """A number beside that of the source series, such as 301 to 303 for the three objects of series 3."""
    return 100 * int(header.SeriesNumber or 0) + place


def _why_not_referred_to(headers: Sequence[pydicom.Dataset]) -> str:
    """Why one object cannot refer to all slices; empty where it can."""
    for keyword in _REFERRED:
        if not all(_is_uid(_value(header, keyword)) for header in headers):
            return f"cannot be referred to ({keyword} is missing or no identifier)"
    for keyword in _OF_THE_SERIES:
        if len({str(_value(header, keyword)) for header in headers}) > 1:
            return f"cannot be referred to by one segmentation (they differ in {keyword})"
    if len({str(header.SOPInstanceUID) for header in headers}) < len(headers):
        return "cannot be told apart (several have the same SOPInstanceUID)"
    if _value(headers[0], "SOPClassUID") not in (CTImageStorage, MRImageStorage):
        return "are no CT or MR image objects (secondary captures?), to which no segmentation can be tied"
    return ""


def _read(path: Path, name: str) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except Exception:
        # Damaged bytes end in errors of any kind.
        message = f"A slice in {name} cannot be read any more; no DICOM objects were written, export the series again."
        raise InputError(message) from None


def _slice_of(
    header: pydicom.Dataset,
    study: pydicom.Dataset,
    position: Sequence[float],
    first: pydicom.Dataset,
    slice_step_mm: float,
) -> pydicom.Dataset:
    made = pydicom.Dataset()
    made.update(study)
    for keyword in ("SOPClassUID", *_REFERRED):
        setattr(made, keyword, str(header[keyword].value))
    made.Modality = "CT" if header.SOPClassUID == CTImageStorage else "MR"
    made.Rows, made.Columns = int(first.Rows), int(first.Columns)
    made.ImageOrientationPatient = first.ImageOrientationPatient
    made.ImagePositionPatient = position
    made.PixelSpacing = first.PixelSpacing
    made.SpacingBetweenSlices = made.SliceThickness = DS(slice_step_mm, auto_format=True)
    return made


def _study_of(header: pydicom.Dataset) -> pydicom.Dataset:
    """The attributes that all objects of a study have in common."""
    made = pydicom.Dataset()
    made.SpecificCharacterSet = CHARACTER_SET
    for keyword in _EXPECTED:
        setattr(made, keyword, _text(header, keyword))
    for keyword in _HANDED_ON:
        if text := _text(header, keyword):
            setattr(made, keyword, text)
    made.PatientBirthDate = _date(_text(header, "PatientBirthDate"))
    made.StudyDate, made.StudyTime = _date(_text(header, "StudyDate")), _time(_text(header, "StudyTime"))
    sex = _text(header, "PatientSex")
    made.PatientSex = sex if sex in ("M", "F", "O") else ""
    if made.get("PatientIdentityRemoved") not in (None, "YES", "NO"):
        del made.PatientIdentityRemoved
    if codes := _codes(_value(header, "DeidentificationMethodCodeSequence")):
        made.DeidentificationMethodCodeSequence = codes
    number = _text(header, "SeriesNumber")
    made.SeriesNumber = int(number) if number.isdecimal() and int(number) <= _GREATEST_SERIES_NUMBER else None
    return made


def _codes(items: Any) -> list[pydicom.Dataset]:
    keywords = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    made = []
    for item in items if isinstance(items, pydicom.Sequence) else ():
        if all(_text(item, keyword) for keyword in keywords):
            code = pydicom.Dataset()
            for keyword in keywords:
                setattr(code, keyword, _text(item, keyword))
            made.append(code)
    return made


def _text(header: pydicom.Dataset, keyword: str) -> str:
    """The decoded text of an attribute, of several values the first; empty where there is none or it cannot be read."""
    value = _value(header, keyword)
    if isinstance(value, MultiValue):
        value = value[0] if len(value) else ""
    if not isinstance(value, str | int | float | PersonName | date | time):
        return ""
    # Control characters are no text; a backslash would part the value.
    return re.sub(r"[\x00-\x1f\x7f\\]", " ", str(value)).strip()


def _value(header: pydicom.Dataset, keyword: str) -> Any:
    try:
        return header.get(keyword)
    except Exception:
        # The value is converted here, by whatever type its file says it has.
        return None


def _date(text: str) -> str:
    """The date as DICOM writes it; empty where it is none. ACR-NEMA's form with dots is brought up to date."""
    digits = text.replace(".", "") if re.fullmatch(r"\d{4}\.\d{2}\.\d{2}", text) else text
    if re.fullmatch(r"[0-9]{8}", digits) is None:
        return ""
    try:
        datetime.strptime(digits, _DAY_FORMAT)
    except ValueError:
        return ""
    return digits


def _time(text: str) -> str:
    digits = text.replace(":", "") if re.fullmatch(r"\d{2}:\d{2}(:\d{2}(\.\d+)?)?", text) else text
    return digits if _TIME.fullmatch(digits) else ""


def _is_uid(value: object) -> bool:
    """Whether it can be referred to; components with leading zeros are against the standard, but common."""
    text = str(value)
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None
