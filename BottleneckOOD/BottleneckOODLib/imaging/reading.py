"""Reading a volume: NIfTI, NRRD, MetaImage, or a folder of DICOM slices."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BottleneckOODLib.errors import InputError, NoScanError
from BottleneckOODLib.imaging.headers import check_nifti_header, check_nifti_voxels, check_size, not_finite_sentence
from BottleneckOODLib.imaging.series_folders import folders_of
from BottleneckOODLib.imaging.text_headers import check_meta_header, check_nrrd_header
from BottleneckOODLib.imaging.volume import Geometry, Modality, Volume, geometry_of

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_READERS = {
    ".nii.gz": "NiftiImageIO",
    ".nii": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
_AXES = 3
LONGEST_NAME = 120
_GREATEST_EXTENT_MM = 3000.0
_MAX_LABELS = 256
_AIR_HU = -900.0
_SOFT_TISSUE_HU = (-200.0, 300.0)
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}


def read_volume(path: str | PathLike[str], *, series: str | None = None, modality: Modality | None = None) -> Volume:
    """Read one volume; nothing is ever written.

    Args:
        path: A NIfTI, NRRD or MetaImage file, or a folder with the slices of a DICOM series, below it where
            they lie in several folders; or ``SeriesFolders``.
        series: Number or UID of the series where the folder holds several.
        modality: What the image is, where the file does not say; overrules a guess, not a DICOM header.

    Returns:
        The volume. Without a DICOM header the modality is ``"CT"`` when the values are Hounsfield units: air below
        -900 beside soft tissue; otherwise ``"unknown"``.

    Raises:
        SeriesChoiceError: The folder holds several series and none was chosen.
        InputError: The image cannot be read, or is not one three-dimensional image of a patient.
    """
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    source = Path(path)
    if no_text := [part for part in source.parts if part != part.encode("utf-8", "replace").decode("utf-8")]:
        message = f"The name {no_text[-1]!r} holds bytes that are no text; rename the file or the folder."
        raise InputError(message)
    try:
        kind = source.stat().st_mode
    except (OSError, ValueError):
        message = f"The file {source} does not exist; check the path."
        raise InputError(message) from None
    if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
        # A pipe would be waited for without end.
        message = f"The file {source} is a device or a pipe; choose an image file, or a folder."
        raise InputError(message)
    try:
        volume = _read_folder(source, series, folders_of(path)) if stat.S_ISDIR(kind) else _read_file(source, modality)
    except PermissionError:
        message = f"The file {source.name} cannot be opened; check its permissions."
        raise InputError(message) from None
    except OSError as error:
        message = f"The file {source.name} cannot be read ({error.strerror}); check the drive that it lies on."
        raise InputError(message) from None
    except MemoryError:
        message = f"The image {source.name} does not fit into the memory of this computer; crop it."
        raise InputError(message) from None
    return volume


def case_id_of(path: str | PathLike[str]) -> str:
    """Identity of a case: the file's name without its image extensions, or the folder's name; safe as a file name.

    >>> case_id_of("scans/patient.7.nii.gz")
    'patient.7'
    >>> case_id_of("a:b?.nrrd")
    'a_b_'
    """
    source = Path(path)
    name = source.name or source.resolve().name
    if not source.is_dir():
        for suffix in IMAGE_SUFFIXES:
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)]
                break
    return safe_name(name)


def safe_name(name: str) -> str:
    """The name as it can stand as a folder's on every system; a name that can already is given back as it is.

    >>> safe_name("../x"), safe_name("CON"), safe_name(""), safe_name("case 7")
    ('.._x', 'CON_', 'case', 'case 7')
    """
    readable = name.encode("utf-8", "replace").decode("utf-8")
    cleaned = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", readable)[:LONGEST_NAME].rstrip(". ")
    if not cleaned.strip("."):
        return "case"
    return f"{cleaned}_" if cleaned.split(".")[0].lower() in _WINDOWS_DEVICES else cleaned


def checked_image(path: Path) -> tuple[sitk.Image, tuple[str, ...]]:
    """The image in a file whose header was found sound before any voxel was read, and what had to be guessed.

    Raises:
        InputError: It is no image of a known kind, damaged, or not one three-dimensional image.
        OSError: It cannot be read.
    """
    suffix = next((s for s in IMAGE_SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        hint = (
            "for DICOM choose the folder of the series"
            if _is_dicom(path)
            else f"use {', '.join(IMAGE_SUFFIXES)} or a DICOM folder"
        )
        message = f"The file {path.name} is not an image of a known kind; {hint}."
        raise InputError(message)
    if path.stat().st_size == 0:
        message = f"The file {path.name} is empty; copy or download it again."
        raise InputError(message)
    warnings: tuple[str, ...] = ()
    if suffix.startswith(".nii"):
        warnings = check_nifti_header(path)
        check_nifti_voxels(path)
    elif suffix in (".nrrd", ".nhdr"):
        warnings = check_nrrd_header(path)
    else:
        check_meta_header(path)
    return _execute(path, suffix), warnings


def _read_file(path: Path, modality: Modality | None) -> Volume:
    image, warnings = checked_image(path)
    try:
        geometry = geometry_of(image)
    except InputError as error:
        message = f"The image {path.name} cannot be used. {error}"
        raise InputError(message) from None
    _check_extent(geometry, path.name)
    raw = sitk.GetArrayViewFromImage(image)
    _check_not_labels(raw, path.name)
    voxels = raw.astype(np.float32)
    _check_values(voxels, path.name)
    return Volume(voxels, geometry, modality or _modality_of(voxels), path.name, warnings=warnings)


def _execute(path: Path, suffix: str) -> sitk.Image:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_READERS[suffix])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size, components = reader.GetSize(), reader.GetNumberOfComponents()
    except RuntimeError as error:
        raise InputError(_sentence_for(error, path)) from None
    if components > 1:
        message = (
            f"The image {path.name} has {components} values a voxel (colour or vectors); choose a grey-scale image."
        )
        raise InputError(message)
    check_size(size, path.name)
    if len(size) > _AXES:
        reader.SetExtractSize([*size[:_AXES], *([0] * (len(size) - _AXES))])
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise InputError(_sentence_for(error, path)) from None


def _sentence_for(error: RuntimeError, path: Path) -> str:
    text = str(error).lower()
    if "orthonormal" in text or "direction" in text or "determinant" in text:
        return f"The image {path.name} has axes that are not perpendicular (sheared); resample it to a regular grid."
    if "spacing" in text:
        return f"The voxel spacing of {path.name} is zero or not a number; export the image again."
    if "memory" in text:
        return f"The image {path.name} does not fit into the memory of this computer; crop it."
    return f"The file {path.name} is no image that can be read: damaged, truncated or of another kind; export it again."


def _read_folder(folder: Path, wish: str | None, parts: Sequence[Path]) -> Volume:
    from BottleneckOODLib.imaging.dicom import (  # noqa: PLC0415 - imports pydicom, which takes longer than a panel may
        acquisition_facts,
        choose_series,
        read_series,
    )
    from BottleneckOODLib.imaging.scattered_series import series_at, series_in  # noqa: PLC0415 - as above

    passed_over: list[str] = []
    if parts:
        series = series_in(parts, wish or "")
    else:
        found, passed_over = series_at(folder)
        series = choose_series(found, wish, folder)
    if series.modality not in ("CT", "MR"):
        stated = series.modality or "of no stated modality"
        message = f"The series in {folder.name} is {stated}, not CT or MR; choose another series."
        raise InputError(message)
    image = read_series(series, folder)
    try:
        geometry = geometry_of(image)
    except InputError as error:
        message = f"The series in {folder.name} cannot be used. {error}"
        raise InputError(message) from None
    _check_extent(geometry, folder.name)
    if image.GetNumberOfComponentsPerPixel() > 1:
        message = f"The series in {folder.name} is a colour image; choose the grey-scale series of the scan."
        raise InputError(message)
    voxels = sitk.GetArrayViewFromImage(image).astype(np.float32)
    _check_values(voxels, folder.name)
    warning = f"{len(passed_over)} file(s) in the folder are no part of the series and were passed over."
    return Volume(
        voxels,
        geometry,
        "CT" if series.modality == "CT" else "MR",
        folder.resolve().name,
        acquisition_facts(series.headers[0]),
        (warning,) if passed_over else (),
    )


def _check_extent(geometry: Geometry, name: str) -> None:
    longest = max(geometry.extent_mm)
    if longest > _GREATEST_EXTENT_MM:
        message = (
            f"The image {name} is {longest / 1000:.1f} m long by its header (is its voxel spacing in another unit than "
            "mm?); export it again."
        )
        raise InputError(message)


def _check_values(voxels: npt.NDArray[np.float32], name: str) -> None:
    wrong = voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
    if wrong:
        raise InputError(not_finite_sentence(wrong, name))
    if voxels.min() == voxels.max():
        message = f"The image {name} has the same value everywhere; check that the right file was chosen."
        raise InputError(message)


def _check_not_labels(raw: npt.NDArray[Any], name: str) -> None:
    if not np.issubdtype(raw.dtype, np.integer) or raw.min() < 0 or raw.max() >= _MAX_LABELS:
        return
    # A label map is flat inside its structures; an 8-bit image is not. Along rows nearly every neighbour is equal.
    row_steps = raw[..., 1:] != raw[..., :-1]
    inside = raw[..., 1:] > 0
    busy = int(np.count_nonzero(row_steps & inside)) / max(1, int(np.count_nonzero(inside)))
    if busy < 0.12 and len(np.unique(raw)) <= 128:  # noqa: PLR2004 - measured: label maps below 0.1, 8-bit scans above 0.5
        message = f"The image {name} looks like a label map, not like a scan; choose the image that was segmented."
        raise NoScanError(message)


def _modality_of(voxels: npt.NDArray[np.float32]) -> Modality:
    sample = voxels[:: max(1, voxels.shape[0] // 40), ::4, ::4]
    soft = np.mean((sample > _SOFT_TISSUE_HU[0]) & (sample < _SOFT_TISSUE_HU[1]))
    return "CT" if sample.min() < _AIR_HU and soft > 0.05 else "unknown"  # noqa: PLR2004 - a twentieth is tissue


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"
