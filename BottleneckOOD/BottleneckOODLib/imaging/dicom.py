"""DICOM folders: which series lie in them, and what their headers tell without identifiers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.multival import MultiValue

from BottleneckOODLib.errors import InputError, SeriesChoiceError
from BottleneckOODLib.imaging.acquisition import FACTS, IDENTIFIERS, facts_within_bounds
from BottleneckOODLib.imaging.dicom_files import pixel_bytes_wrong, read_header
from BottleneckOODLib.imaging.headers import check_size
from BottleneckOODLib.imaging.volume import DIRECTION_TOLERANCE

FloatArray = npt.NDArray[np.float64]

_TAGS = [
    *FACTS,
    *IDENTIFIERS,
    "Modality",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SeriesNumber",
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
LEAST_OF_A_SCAN = 3
_GREATEST_SERIES_NUMBER = 99_999
_MODALITY = re.compile(r"[A-Z]{2,16}")
_PLACE_IN_LIST = re.compile(r"-?[0-9]{1,4}")


@dataclass(frozen=True)
class Slice:
    """What tells a slice from others of its series; never stored in a result.

    Attributes:
        instance: Its SOPInstanceUID; empty where it has none.
        place: Where it lies, LPS in mm; empty where its header does not say.
        along: The same across the slices, by which they are sorted.
    """

    instance: str
    place: tuple[float, ...]
    along: float


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
    def slices(self) -> tuple[Slice, ...]:
        """Its slices, in the order of the files."""
        places = [_numbers(header, "ImagePositionPatient", 3) for header in self.headers]
        return tuple(
            Slice(
                _text(header, "SOPInstanceUID"),
                () if place is None else tuple(np.round(place, 2).tolist()),
                _position(header),
            )
            for header, place in zip(self.headers, places, strict=True)
        )

    @property
    def line(self) -> str:
        """The series in one readable line that identifies nobody: no UID and no description."""
        thickness, number = _numbers(self.headers[0], "SliceThickness", 1), _numbers(self.headers[0], "SeriesNumber", 1)
        thick = "" if thickness is None else f" of {thickness[0]:g} mm"
        known = number is not None and 0 <= number[0] <= _GREATEST_SERIES_NUMBER
        numbered = f", number {number[0]:.0f} of the study" if known and number is not None else ""
        modality = self.modality if _MODALITY.fullmatch(self.modality) else "unknown"
        return f"{modality}, {len(self.files)} slices{thick}{numbered}"


def why_passed_over(series: Series) -> str:
    """Why a series is no scan to segment, such as a localizer; empty for one that is."""
    if reason := why_no_scan(series):
        return reason
    return too_few(len(series.files)) if len(series.files) < LEAST_OF_A_SCAN else ""


def too_few(n_images: int) -> str:
    """Why a series of so many images is passed over."""
    return f"it has {n_images} image(s), too few for a volume"


def why_no_scan(series: Series) -> str:
    """Why the images of a series are no slices of a scan, however many they are; empty where they are."""
    kinds = {str(kind).upper() for header in series.headers[:1] for kind in _image_type(header)}
    if series.modality not in ("CT", "MR"):
        return f"it is {series.modality or 'of no stated modality'}, not CT or MR"
    if kinds & {"LOCALIZER", "SCOUT"}:
        return "it is a localizer"
    if "DERIVED" in kinds:
        return "it is derived from another series"
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
        header = read_header(path, _TAGS)
        if header is None:
            passed_over.append(path.name)
            continue
        modality = str(_value(header, "Modality") or "")
        if modality in _NO_IMAGE or "SeriesInstanceUID" not in header or "Rows" not in header:
            kinds.add(modality)
            passed_over.append(path.name)
            continue
        groups.setdefault(str(_value(header, "SeriesInstanceUID")), []).append((path, header))
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
    series = [series_of_slices(uid, members) for uid, members in groups.items()]
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
    if wish is None:
        what = f"holds {len(series)} series"
    else:
        # A UID is not said again: what is said may be kept.
        what = f"has no series {wish}" if _PLACE_IN_LIST.fullmatch(wish) else "has no series of that UID"
    message = (
        f"The folder {folder.name} {what}; choose one by its place in this list, or its UID, with --series: "
        + "; ".join(lines)
        + "."
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
    """Facts of the acquisition that identify nobody, within the bounds of ``imaging.acquisition``."""
    facts = facts_within_bounds(lambda keyword: _text(header, keyword))
    if _value(header, "Modality") == "CT":
        facts["contrast_agent"] = "yes" if _value(header, "ContrastBolusAgent") else "not stated"
    return facts


def _text(header: pydicom.Dataset, keyword: str) -> str:
    """The value of an attribute as text, several ones with a backslash between; empty where there is none."""
    value = _value(header, keyword)
    try:
        parts = value if isinstance(value, MultiValue) else [value]
        return "\\".join(str(part).strip() for part in parts if part is not None)
    except Exception:
        # A name is decoded here, by whatever character set its file claims.
        return ""


def series_of_slices(uid: str, members: Sequence[tuple[Path, pydicom.Dataset]]) -> Series:
    """A series of these files and their headers, sorted by position."""
    ordered = sorted(members, key=lambda member: (_position(member[1]), member[0].name))
    return Series(
        uid,
        tuple(path for path, _ in ordered),
        str(_value(ordered[0][1], "Modality") or "unknown"),
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
    except Exception:
        # The value is converted here, by whatever type its file says it has.
        return None
    return values if values.shape == (count,) and bool(np.isfinite(values).all()) else None


def _image_type(header: pydicom.Dataset) -> Sequence[str]:
    value = _value(header, "ImageType")
    return list(value) if isinstance(value, MultiValue) else [str(value or "")]


def _count(header: pydicom.Dataset, keyword: str) -> int:
    """A whole number such as that of frames; 1 where it is missing, 0 where it is no number."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(header.get(keyword) or 1)
    except Exception:
        return 0


def _value(header: pydicom.Dataset, keyword: str) -> Any:
    """The value of an attribute; None where it is missing, or its bytes are not what their type asks for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return header.get(keyword)
    except Exception:
        return None


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
    # One slice of another kind among the others would be read, its values turned into grey ones.
    if any(_count(header, "NumberOfFrames") != 1 for header in series.headers):
        message = f"The series in {name} is a multi-frame DICOM object; export it as single slices or as NRRD."
        raise InputError(message)
    if any(_count(header, "SamplesPerPixel") != 1 for header in series.headers):
        message = f"The series in {name} is a colour image; choose the grey-scale series of the scan."
        raise InputError(message)
    if len(series.files) < _MIN_SLICES:
        message = f"The series in {name} has a single slice; a volume of at least {_MIN_SLICES} slices is needed."
        raise InputError(message)
    # Each question is put so that what is no number fails it.
    orientations = _of_every_slice([_orientation(h) for h in series.headers])
    positions = _of_every_slice([_numbers(h, "ImagePositionPatient", 3) for h in series.headers])
    if orientations is None or positions is None:
        message = f"The series in {name} does not say where its slices lie; export it again with positions."
        raise InputError(message)
    pixels = _of_every_slice([_numbers(h, "PixelSpacing", 2) for h in series.headers])
    if pixels is None or not pixels.min() > 0:
        message = f"The series in {name} does not say how large its pixels are; export it again with their spacing."
        raise InputError(message)
    shapes = {(_count(h, "Rows"), _count(h, "Columns")) for h in series.headers}
    alike = np.abs(orientations - orientations[0]).max() <= _TURN_TOLERANCE
    if len(shapes) > 1 or not (alike and np.abs(pixels / pixels[0] - 1).max() <= DIRECTION_TOLERANCE):
        message = (
            f"The slices of the series in {name} differ in size or orientation (a localizer?); choose another series."
        )
        raise InputError(message)
    rows, columns = _count(first, "Rows"), _count(first, "Columns")
    check_size((columns, rows, len(series.files)), name)
    for path, header in zip(series.files, series.headers, strict=True):
        if wrong := pixel_bytes_wrong(path, header, rows, columns):
            message = f"The slice {path.name} of the series in {name} {wrong}; copy or export the series again."
            raise InputError(message)
    normal, offsets = orientations[0, 6:], positions - positions[0]
    along = offsets @ normal
    steps = np.diff(along)
    if not steps.min() >= _POSITION_TOLERANCE_MM:
        message = f"The series in {name} has several slices at one position (several phases?); export one phase."
        raise InputError(message)
    # A shift that is small from slice to slice adds up over the scan.
    if not np.linalg.norm(offsets - along[:, None] * normal, axis=1).max() <= _SHIFT_TOLERANCE * pixels.min():
        message = (
            f"The slices of the series in {name} are shifted against each other (a tilted gantry); resample it first."
        )
        raise InputError(message)
    if not steps.max() <= (1 + _GAP_TOLERANCE) * steps.min():
        message = f"The slices of the series in {name} are not evenly spaced (a slice is missing?); export it again."
        raise InputError(message)


def _of_every_slice(values: Sequence[FloatArray | None]) -> FloatArray | None:
    """One row a slice, or None where one is missing."""
    known = [value for value in values if value is not None]
    return np.array(known) if len(known) == len(values) else None
