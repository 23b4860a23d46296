"""Edited versions of a mask: files beside the original, each with who made it, when, and of which version.

What is known of a version stands in its own file's header, so that neither can be without the other, wherever the file
is carried. A folder with an edited version in it is never replaced (``atomic_folder``): it holds more than a result.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import SimpleITK as sitk

from BottleneckOODLib.assessment.reader_names import reader_name
from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.text_headers import check_nrrd_header
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, geometry_of
from BottleneckOODLib.imaging.writing import read_label_volume, write_label_volume
from BottleneckOODLib.temporaries import synced, temporary_folder
from BottleneckOODLib.version import __version__

_STEM, _ENDING = SEGMENTATION_FILE.split(".", 1)
_NAME = re.compile(rf"{re.escape(_STEM)}\.v(\d+)\.{re.escape(_ENDING)}")
_FIELD = "BottleneckOODVersion"
_SCHEMA_VERSION = 1
"""Of what stands in that field; where it says none, as program 0.1.0 did first, it is 1."""
_ATTEMPTS = 1000


@dataclass(frozen=True)
class EditedVersion:
    """An edited mask.

    Attributes:
        number: 2 for the first one: the model's own mask is version 1.
        file: Name of the file in the case's folder.
        parent: Name of the file that was edited.
        reader: Who saved it.
        saved: When, ISO 8601 with time zone.
        assessment_created: When the assessment was made whose mask was edited.
        program: Version of the program that saved it.
    """

    number: int
    file: str
    parent: str
    reader: str
    saved: str
    assessment_created: str
    program: str


def version_file(number: int) -> str:
    """Name of a version's file.

    >>> version_file(1), version_file(2)
    ('segmentation.seg.nrrd', 'segmentation.v2.seg.nrrd')
    """
    return SEGMENTATION_FILE if number == 1 else f"{_STEM}.v{number}.{_ENDING}"


def edited_versions(folder: Path) -> tuple[EditedVersion, ...]:
    """The edited versions of a case, in the order of their numbers; a file that cannot be read is left out."""
    found = []
    for number, path in _numbered(folder):
        with contextlib.suppress(InputError):
            found.append(_read_facts(number, path))
    return tuple(sorted(found, key=lambda version: version.number))


def latest_version(
    folder: Path, assessment_created: str, read_labels: Callable[[Path], LabelVolume] = read_label_volume
) -> tuple[EditedVersion, LabelVolume] | None:
    """The version of an assessment's mask that was saved last, with its labels; None where nobody edited it.

    Raises:
        InputError: An edited mask cannot be read, or does not say whose it is: it might be the one that counts.
    """
    found = sorted((_read_facts(number, path) for number, path in _numbered(folder)), key=lambda one: one.number)
    of_this = [version for version in found if version.assessment_created == assessment_created]
    return (of_this[-1], read_labels(folder / of_this[-1].file)) if of_this else None


def save_version(
    labels: LabelVolume,
    folder: Path,
    *,
    reader: str,
    parent: str,
    assessment_created: str,
    saved: datetime | None = None,
) -> EditedVersion:
    """Write an edited mask as the next version; no file that is there is ever replaced, also by two who save at once.

    Args:
        labels: The edited mask, on the grid of the original.
        folder: The case's folder.
        reader: Who saves it.
        parent: Name of the file that was edited.
        assessment_created: When the assessment was made whose mask was edited.
        saved: When; None is now.

    Raises:
        InputError: The original is missing, or lies on another grid.
        OutputError: It cannot be written; nothing is left of it.
    """
    _check_grid(labels.geometry, folder / parent)
    moment = (datetime.now().astimezone() if saved is None else saved).isoformat(timespec="seconds")
    facts = {"parent": parent, "reader": reader_name(reader), "saved": moment}
    facts |= {"assessment_created": assessment_created, "program": __version__}
    try:
        with temporary_folder(folder) as temporary:
            written = temporary / SEGMENTATION_FILE
            # ASCII in one line, as a header takes it.
            write_label_volume(labels, written, {_FIELD: json.dumps({"schema_version": _SCHEMA_VERSION, **facts})})
            number = max((number for number, _ in _numbered(folder)), default=1) + 1
            for candidate in range(number, number + _ATTEMPTS):
                if _placed(written, folder / version_file(candidate)):
                    return EditedVersion(candidate, version_file(candidate), **facts)
    except OSError as error:
        why = error.strerror or "unknown reason"
        message = f"The edited mask cannot be saved in {folder} ({why}); check its permissions and the free space."
        raise OutputError(message) from None
    message = f"The folder {folder} takes no further version of the mask; move some of them away."
    raise OutputError(message)


def _placed(written: Path, target: Path) -> bool:
    """Give a finished file its name, unless that is taken."""
    try:
        os.link(written, target)
    except FileExistsError:
        return False
    except OSError:
        # A drive without hard links: there a name that is taken is only seen, or refused by the system itself.
        if target.exists():
            return False
        try:
            written.rename(target)
        except FileExistsError:
            return False
    synced(target.parent)
    return True


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    try:
        paths = list(folder.iterdir())
    except OSError:
        return
    for path in paths:
        if match := _NAME.fullmatch(path.name):
            yield int(match.group(1)), path


def _check_grid(geometry: Geometry, original: Path) -> None:
    try:
        same = geometry.is_close(geometry_of(_described(original)))
    except (RuntimeError, OSError, InputError):
        message = f"The mask {original} cannot be read, so no version of it can be saved; put the case's folder back."
        raise InputError(message) from None
    if not same:
        message = f"The edited mask has another grid than {original.name} and was not saved; edit on the case's image."
        raise InputError(message)


def _read_facts(number: int, path: Path) -> EditedVersion:
    try:
        facts = json.loads(_described(path).GetMetaData(_FIELD))
        newer = int(facts.get("schema_version", 1)) > _SCHEMA_VERSION
        named = {key: str(facts[key]) for key in ("parent", "reader", "saved", "assessment_created", "program")}
    except (RuntimeError, OSError, InputError, ValueError, KeyError, TypeError, AttributeError):
        message = f"The file {path} does not say whose version of the mask it is; look at it."
        raise InputError(message) from None
    if newer:
        message = f"The edited mask {path} was saved by a newer version of BottleneckOOD; update BottleneckOOD."
        raise InputError(message)
    return EditedVersion(number, path.name, **named)


def _described(path: Path) -> sitk.ImageFileReader:
    """A mask's header, found sound before the reading library sees it.

    Raises:
        InputError, OSError, RuntimeError: It cannot be read.
    """
    check_nrrd_header(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader
