"""DICOM folders: which series lie in them, and what their headers tell without identifiers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.errors import InvalidDicomError

from BottleneckOODLib.errors import InputError, SeriesChoiceError
from BottleneckOODLib.imaging.volume import DIRECTION_TOLERANCE

FloatArray = npt.NDArray[np.float64]

_FACTS = {
    "Manufacturer": "manufacturer",
    "ManufacturerModelName": "scanner_model",
    "SliceThickness": "slice_thickness_mm",
    "KVP": "kvp",
    "ConvolutionKernel": "kernel",
    "MagneticFieldStrength": "field_strength_t",
    "ScanningSequence": "scanning_sequence",
    "SequenceVariant": "sequence_variant",
    "RepetitionTime": "repetition_time_ms",
    "EchoTime": "echo_time_ms",
    "FlipAngle": "flip_angle_deg",
    "PatientPosition": "patient_position",
    "BodyPartExamined": "body_part",
}
_NUMBERS = ("_mm", "_ms", "_t", "_deg", "kvp")
_TAGS = [
    *_FACTS,
    "Modality",
    "SeriesInstanceUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "SOPClassUID",
    "ImageType",
    "ContrastBolusAgent",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
]
_NO_IMAGE = {"SEG", "RTSTRUCT", "SR", "PR", "KO", "RTDOSE", "RTPLAN", "REG"}
_POSITION_TOLERANCE_MM = 0.01
_GAP_TOLERANCE = 0.1
_TURN_TOLERANCE = 0.01
_SHIFT_TOLERANCE = 0.75
_MIN_SLICES = 2
_LEAST_OF_A_SCAN = 3


@dataclass(frozen=True)
class Series:
    """One image series of a folder.

    Attributes:
        uid: Its SeriesInstanceUID; used to choose, never stored in a result.
        files: Its files in the order of their position.
        modality: As the header says.
        headers: One header a file, in the same order, without pixels.
    """

    uid: str
    files: tuple[Path, ...]
    modality: str
    headers: tuple[pydicom.Dataset, ...]

    @property
    def line(self) -> str:
        """The series in one readable line."""
        thickness = _numbers(self.headers[0], "SliceThickness", 1)
        thick = "" if thickness is None else f", {thickness[0]:g} mm slices"
        return f"{self.uid} ({self.modality}, {len(self.files)} slices{thick})"


def why_passed_over(series: Series) -> str:
    """Why a series is no scan to segment, such as a localizer; empty for one that is."""
    kinds = {str(kind).upper() for header in series.headers[:1] for kind in _image_type(header)}
    if series.modality not in ("CT", "MR"):
        return f"it is {series.modality or 'of no stated modality'}, not CT or MR"
    if kinds & {"LOCALIZER", "SCOUT"}:
        return "it is a localizer"
    if "DERIVED" in kinds:
        return "it is derived from another series"
    if len(series.files) < _LEAST_OF_A_SCAN:
        return f"it has {len(series.files)} image(s), too few for a volume"
    return ""


def list_series(folder: Path) -> tuple[list[Series], list[str]]:
    """The image series of a folder (not of its sub-folders), and the names of the files that belong to none.

    Raises:
        InputError: No file in the folder is a DICOM image.
    """
    groups: dict[str, list[tuple[Path, pydicom.Dataset]]] = {}
    passed_over: list[str] = []
    kinds: set[str] = set()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        header = _header(path)
        if header is None:
            passed_over.append(path.name)
            continue
        modality = str(header.get("Modality", ""))
        if modality in _NO_IMAGE or "SeriesInstanceUID" not in header or "Rows" not in header:
            kinds.add(modality)
            passed_over.append(path.name)
            continue
        groups.setdefault(str(header.SeriesInstanceUID), []).append((path, header))
    if not groups:
        if kinds & _NO_IMAGE:
            found = ", ".join(sorted(kinds))
            message = (
                f"The folder {folder.name} holds DICOM objects ({found}) but no images; choose the images' folder."
            )
            raise InputError(message)
        message = (
            f"The folder {folder.name} itself holds no DICOM images; choose a folder of one scan, or name image files."
        )
        raise InputError(message)
    series = [_sorted_series(uid, members) for uid, members in groups.items()]
    return sorted(series, key=lambda s: (-len(s.files), s.uid)), passed_over


def choose_series(series: Sequence[Series], wish: str | None, folder: Path) -> Series:
    """The series that the user named by UID or by its number in the list, or the only one.

    Raises:
        SeriesChoiceError: There are several and none, or an unknown one, was named.
    """
    if wish is None and len(series) == 1:
        return series[0]
    for number, candidate in enumerate(series, start=1):
        if wish in (candidate.uid, str(number)):
            return candidate
    lines = [f"{number}: {candidate.line}" for number, candidate in enumerate(series, start=1)]
    what = f"has no series {wish}" if wish is not None else f"holds {len(series)} series"
    message = (
        f"The folder {folder.name} {what}; choose one by its number or UID with --series: " + "; ".join(lines) + "."
    )
    raise SeriesChoiceError(message, lines)


def read_series(series: Series, folder: Path) -> sitk.Image:
    """The voxels of a series.

    Raises:
        InputError: Its slices do not form one regular volume, or cannot be decoded.
    """
    _check_regular(series, folder.name)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in series.files])
    # Slices may have rescale slopes of their own: whole numbers in the first do not mean whole numbers in all.
    reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        return reader.Execute()
    except RuntimeError:
        message = f"The DICOM images in {folder.name} cannot be decoded; export the series again, uncompressed."
        raise InputError(message) from None


def acquisition_facts(header: pydicom.Dataset) -> dict[str, str | float]:
    """Facts of the acquisition that identify nobody."""
    facts: dict[str, str | float] = {}
    for keyword, name in _FACTS.items():
        if name.endswith(_NUMBERS):
            number = _numbers(header, keyword, 1)
            if number is not None:
                facts[name] = float(number[0])
            continue
        value = header.get(keyword)
        if value not in (None, ""):
            facts[name] = str(value) if isinstance(value, str) else "\\".join(str(part) for part in value)
    if header.get("Modality") == "CT":
        facts["contrast_agent"] = "yes" if header.get("ContrastBolusAgent") else "not stated"
    return facts


def _header(path: Path) -> pydicom.Dataset | None:
    try:
        with warnings.catch_warnings():
            # Values that break the standard are judged here, in one sentence.
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
    except (InvalidDicomError, OSError, ValueError, KeyError, AttributeError, RecursionError, EOFError):
        return None


def _sorted_series(uid: str, members: list[tuple[Path, pydicom.Dataset]]) -> Series:
    ordered = sorted(members, key=lambda member: (_position(member[1]), member[0].name))
    return Series(
        uid,
        tuple(path for path, _ in ordered),
        str(ordered[0][1].get("Modality", "unknown")),
        tuple(header for _, header in ordered),
    )


def _numbers(header: pydicom.Dataset, keyword: str, count: int) -> FloatArray | None:
    """The finite numbers of an attribute, or None where it is missing, has another count, or holds something else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = header[keyword].value
        parts = [value] if isinstance(value, str | int | float) else value
        values = np.array([float(part) for part in parts], dtype=np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return values if values.shape == (count,) and bool(np.isfinite(values).all()) else None


def _image_type(header: pydicom.Dataset) -> Sequence[str]:
    value = header.get("ImageType", [])
    return [value] if isinstance(value, str) else list(value or [])


def _count(header: pydicom.Dataset, keyword: str) -> int:
    """A whole number such as that of frames; 1 where it is missing, 0 where it is no number."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(header.get(keyword) or 1)
    except (TypeError, ValueError, OverflowError):
        return 0


def _orientation(header: pydicom.Dataset) -> FloatArray | None:
    """Unit vectors along a slice's rows, its columns and across it, LPS, (9,); None where there is no such triple."""
    cosines = _numbers(header, "ImageOrientationPatient", 6)
    if cosines is None:
        return None
    row, column = cosines[:3], cosines[3:]
    products = np.array([row @ row - 1, column @ column - 1, row @ column])
    if np.abs(products).max() > DIRECTION_TOLERANCE:
        return None
    return np.concatenate([row, column, np.cross(row, column)])


def _position(header: pydicom.Dataset) -> float:
    orientation, position = _orientation(header), _numbers(header, "ImagePositionPatient", 3)
    return 0.0 if orientation is None or position is None else float(orientation[6:] @ position)


def _check_regular(series: Series, name: str) -> None:
    first = series.headers[0]
    if _count(first, "NumberOfFrames") != 1:
        message = f"The series in {name} is a multi-frame DICOM object; export it as single slices or as NRRD."
        raise InputError(message)
    if _count(first, "SamplesPerPixel") != 1:
        message = f"The series in {name} is a colour image; choose the grey-scale series of the scan."
        raise InputError(message)
    if len(series.files) < _MIN_SLICES:
        message = f"The series in {name} has a single slice; a volume of at least {_MIN_SLICES} slices is needed."
        raise InputError(message)
    orientations = _of_every_slice([_orientation(h) for h in series.headers])
    positions = _of_every_slice([_numbers(h, "ImagePositionPatient", 3) for h in series.headers])
    if orientations is None or positions is None:
        message = f"The series in {name} does not say where its slices lie; export it again with positions."
        raise InputError(message)
    pixels = _of_every_slice([_numbers(h, "PixelSpacing", 2) for h in series.headers])
    if pixels is None or pixels.min() <= 0:
        message = f"The series in {name} does not say how large its pixels are; export it again with their spacing."
        raise InputError(message)
    shapes = {(h.get("Rows"), h.get("Columns")) for h in series.headers}
    turned = np.abs(orientations - orientations[0]).max() > _TURN_TOLERANCE
    if len(shapes) > 1 or turned or np.abs(pixels / pixels[0] - 1).max() > DIRECTION_TOLERANCE:
        message = (
            f"The slices of the series in {name} differ in size or orientation (a localizer?); choose another series."
        )
        raise InputError(message)
    normal, offsets = orientations[0, 6:], positions - positions[0]
    along = offsets @ normal
    steps = np.diff(along)
    if steps.min() < _POSITION_TOLERANCE_MM:
        message = f"The series in {name} has several slices at one position (several phases?); export one phase."
        raise InputError(message)
    # A shift that is small from slice to slice adds up over the scan.
    if np.linalg.norm(offsets - along[:, None] * normal, axis=1).max() > _SHIFT_TOLERANCE * pixels.min():
        message = (
            f"The slices of the series in {name} are shifted against each other (a tilted gantry); resample it first."
        )
        raise InputError(message)
    if steps.max() > (1 + _GAP_TOLERANCE) * steps.min():
        message = f"The slices of the series in {name} are not evenly spaced (a slice is missing?); export it again."
        raise InputError(message)


def _of_every_slice(values: Sequence[FloatArray | None]) -> FloatArray | None:
    """One row a slice, or None where one is missing."""
    known = [value for value in values if value is not None]
    return np.array(known) if len(known) == len(values) else None
