"""The volumes of a folder or a list: image files, and DICOM trees sorted into series."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from BottleneckOODLib.assessment.record import RECORD_FILE
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.dicom import list_series, why_passed_over
from BottleneckOODLib.imaging.reading import IMAGE_SUFFIXES, case_id_of
from BottleneckOODLib.triage.store import Place

_CHUNK = 1 << 20
_HEADER_BYTES = 65_536
_DETACHED = re.compile(rb"^\s*(?:ElementDataFile\s*=|data ?file\s*:)\s*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_PREAMBLE, _MAGIC = 132, b"DICM"


@dataclass(frozen=True)
class Candidate:
    """A volume that was found.

    Attributes:
        path: The file, or the folder of the series.
        files: What it is read from.
        series: UID where the folder holds several series; None otherwise.
        name: How the case would be called.
    """

    path: Path
    files: tuple[Path, ...]
    series: str | None
    name: str

    def place(self) -> Place:
        """Where it lies; the stamp changes when a size or a time does.

        Raises:
            InputError: A file is gone.
        """
        digest = hashlib.sha256()
        for file in self.files:
            try:
                facts = file.stat()
            except OSError:
                raise InputError(_gone(file)) from None
            digest.update(f"{file.name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode("utf-8", "surrogatepass"))
        where = str(self.path.resolve()).encode("utf-8", "replace").decode("utf-8")
        # A series' UID names a study; what is kept only tells two series of one folder apart.
        series = "" if self.series is None else hashlib.sha256(f"{where}\0{self.series}".encode()).hexdigest()
        return Place(where, series, digest.hexdigest())

    def content(self) -> str:
        """SHA-256 of the image's bytes, whatever its files are called and wherever they lie.

        Raises:
            InputError: A file cannot be read.
        """
        digest = hashlib.sha256()
        for file in self.files:
            part = hashlib.sha256()
            try:
                with file.open("rb") as stream:
                    while chunk := stream.read(_CHUNK):
                        part.update(chunk)
            except OSError:
                raise InputError(_gone(file)) from None
            digest.update(part.digest())
        return digest.hexdigest()


@dataclass(frozen=True)
class PassedOver:
    """Something that is no volume to assess, and why."""

    path: Path
    reason: str


def find_volumes(source: Path) -> Iterator[Candidate | PassedOver]:
    """What a folder or a list holds, in the order of the names; no voxel is read.

    Args:
        source: A folder, searched with its sub-folders, except those of earlier results; or a list: a CSV with a column
            ``image``, or a text with a path a line, relative to the list.

    Raises:
        InputError: There is no such folder or list, or the list names nothing.
    """
    if source.is_dir():
        yield from _in_tree(source)
    elif source.is_file():
        yield from _in_list(source)
    else:
        message = f"The folder or list {source} does not exist; check the path."
        raise InputError(message)


def _in_tree(root: Path) -> Iterator[Candidate | PassedOver]:
    for place, folders, names in os.walk(root):
        folder = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if RECORD_FILE in names:
            folders.clear()
            yield PassedOver(folder, "it is the folder of an earlier result")
            continue
        yield from _in_folder(folder, sorted(name for name in names if not name.startswith(".")))


def _in_folder(folder: Path, names: list[str]) -> Iterator[Candidate | PassedOver]:
    others = []
    for name in names:
        if name.lower().endswith(".seg.nrrd"):
            yield PassedOver(folder / name, "it is a segmentation")
        elif name.lower().endswith(IMAGE_SUFFIXES):
            yield _of_file(folder / name)
        else:
            others.append(name)
    if any(_is_dicom(folder / name) for name in others):
        yield from _series_of(folder)


def _series_of(folder: Path) -> Iterator[Candidate | PassedOver]:
    try:
        found, _ = list_series(folder)
    except InputError as error:
        yield PassedOver(folder, str(error))
        return
    for series in found:
        if reason := why_passed_over(series):
            yield PassedOver(series.files[0], reason)
            continue
        uid = series.uid if len(found) > 1 else None
        yield Candidate(folder, series.files, uid, case_id_of(folder))


def _in_list(source: Path) -> Iterator[Candidate | PassedOver]:
    try:
        text = source.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(text.splitlines())) if source.suffix.lower() == ".csv" else []
    except (OSError, UnicodeDecodeError, csv.Error):
        message = f"The list {source.name} cannot be read; give a CSV with a column image, or a path a line."
        raise InputError(message) from None
    named = [(row.get("image") or "").strip() for row in rows] if rows else text.splitlines()
    paths = [source.parent / name.strip() for name in named if name.strip() and not name.startswith("#")]
    if not paths or (source.suffix.lower() == ".csv" and not rows):
        message = f"The list {source.name} names no image; give a CSV with a column image, or a path a line."
        raise InputError(message)
    for path in paths:
        if path.is_dir():
            yield from _in_tree(path)
        elif path.is_file():
            yield _of_file(path)
        else:
            yield PassedOver(path, "it does not exist")


def _of_file(path: Path) -> Candidate:
    files = [path]
    if path.suffix.lower() in (".mhd", ".nhdr"):
        try:
            with path.open("rb") as stream:
                named = _DETACHED.search(stream.read(_HEADER_BYTES))
        except OSError:
            named = None
        data = None if named is None else path.parent / named.group(1).decode("utf-8", "replace").strip()
        if data is not None and data.is_file():
            files.append(data)
    return Candidate(path, tuple(files), None, case_id_of(path))


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(_PREAMBLE)[_PREAMBLE - len(_MAGIC) :] == _MAGIC
    except OSError:
        return False


def _gone(file: Path) -> str:
    return f"The file {file.name} cannot be read; check that it is there and its permissions."
