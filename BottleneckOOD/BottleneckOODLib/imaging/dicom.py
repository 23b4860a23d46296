"""DICOM folders: which series lie in them, and what their headers tell without identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.errors import InvalidDicomError

from BottleneckOODLib.errors import InputError, SeriesChoiceError

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
    "ContrastBolusAgent",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
]
_NO_IMAGE = {"SEG", "RTSTRUCT", "SR", "PR", "KO", "RTDOSE", "RTPLAN", "REG"}
_POSITION_TOLERANCE_MM = 0.01
_GAP_TOLERANCE = 0.1
_MIN_SLICES = 2


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
        first = self.headers[0]
        thickness = first.get("SliceThickness")
        thick = f", {float(thickness):g} mm slices" if thickness else ""
        return f"{self.uid} ({self.modality}, {len(self.files)} slices{thick})"


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
        message = f"The folder {folder.name} holds no DICOM images; choose a folder of one scan, or an image file."
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


def read_series(series: Series, folder: Path) -> tuple[sitk.Image, list[str]]:
    """The voxels of a series.

    Returns:
        The image, and warnings.

    Raises:
        InputError: Its slices do not form one regular volume, or cannot be decoded.
    """
    warnings = _check_regular(series, folder.name)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in series.files])
    try:
        return reader.Execute(), warnings
    except RuntimeError:
        message = f"The DICOM images in {folder.name} cannot be decoded; export the series again, uncompressed."
        raise InputError(message) from None


def acquisition_facts(header: pydicom.Dataset) -> dict[str, str | float]:
    """Facts of the acquisition that identify nobody."""
    facts: dict[str, str | float] = {}
    for keyword, name in _FACTS.items():
        value = header.get(keyword)
        if value in (None, ""):
            continue
        if name.endswith(_NUMBERS):
            try:
                facts[name] = float(value)
            except (TypeError, ValueError):
                continue
        else:
            facts[name] = str(value) if isinstance(value, str) else "\\".join(str(part) for part in value)
    if header.get("Modality") == "CT":
        facts["contrast_agent"] = "yes" if header.get("ContrastBolusAgent") else "not stated"
    return facts


def _header(path: Path) -> pydicom.Dataset | None:
    try:
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


def _normal(header: pydicom.Dataset) -> np.ndarray | None:
    cosines = header.get("ImageOrientationPatient")
    if cosines is None or len(cosines) != 6:  # noqa: PLR2004 - two direction vectors
        return None
    values = np.array([float(c) for c in cosines])
    return np.cross(values[:3], values[3:])


def _position(header: pydicom.Dataset) -> float:
    normal, position = _normal(header), header.get("ImagePositionPatient")
    if normal is None or position is None:
        return 0.0
    return float(np.dot(normal, [float(p) for p in position]))


def _check_regular(series: Series, name: str) -> list[str]:
    first = series.headers[0]
    if int(first.get("NumberOfFrames", 1) or 1) > 1:
        message = f"The series in {name} is a multi-frame DICOM object; export it as single slices or as NRRD."
        raise InputError(message)
    if int(first.get("SamplesPerPixel", 1) or 1) > 1:
        message = f"The series in {name} is a colour image; choose the grey-scale series of the scan."
        raise InputError(message)
    if len(series.files) < _MIN_SLICES:
        message = f"The series in {name} has a single slice; a volume of at least {_MIN_SLICES} slices is needed."
        raise InputError(message)
    if any(_normal(h) is None or h.get("ImagePositionPatient") is None for h in series.headers):
        message = f"The series in {name} does not say where its slices lie; export it again with positions."
        raise InputError(message)
    shapes = {(h.get("Rows"), h.get("Columns")) for h in series.headers}
    normals = np.array([_normal(h) for h in series.headers])
    if len(shapes) > 1 or np.abs(normals - normals[0]).max() > _POSITION_TOLERANCE_MM:
        message = (
            f"The slices of the series in {name} differ in size or orientation (a localizer?); choose another series."
        )
        raise InputError(message)
    positions = np.array([[float(p) for p in h.ImagePositionPatient] for h in series.headers])
    steps = np.diff(positions, axis=0)
    along = steps @ normals[0]
    if along.min() < _POSITION_TOLERANCE_MM:
        message = f"The series in {name} has several slices at one position (several phases?); export one phase."
        raise InputError(message)
    if np.abs(steps - along[:, None] * normals[0]).max() > max(1.0, 0.02 * along.max()):
        message = (
            f"The slices of the series in {name} are shifted against each other (a tilted gantry); resample it first."
        )
        raise InputError(message)
    if along.max() > (1 + _GAP_TOLERANCE) * along.min():
        message = f"The slices of the series in {name} are not evenly spaced (a slice is missing?); export it again."
        raise InputError(message)
    return []
