"""The volumes of a folder or a list: image files, and DICOM trees sorted into series."""

from __future__ import annotations

import csv
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from BottleneckOODLib.assessment.record import RECORD_FILE
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.dicom import LEAST_OF_A_SCAN, list_series, too_few, why_passed_over
from BottleneckOODLib.imaging.dicom_files import MAGIC, PREAMBLE_BYTES
from BottleneckOODLib.imaging.reading import IMAGE_SUFFIXES, case_id_of
from BottleneckOODLib.imaging.scattered_series import SeriesPart, files_in_order, part_of, whole_stacks
from BottleneckOODLib.imaging.series_folders import SeriesFolders, has_few_files
from BottleneckOODLib.imaging.text_headers import detached_file
from BottleneckOODLib.likely_meant import missing_path, other_separator
from BottleneckOODLib.triage.place import Place

Names = Literal["files", "hashes"]
"""How cases are named: after their files or folders, or by salted hashes of what they hold."""
_CHUNK = 1 << 20
_MOST_FOLDERS = 4


@dataclass(frozen=True)
class Candidate:
    """A volume that was found.

    Attributes:
        path: The file, or the folder of the series.
        files: What it is read from.
        series: UID where the folder holds several series, or several folders hold this one; None otherwise.
        name: How the case would be called; empty for one that is not to be named after its files.
        part: Its slices, where it is a DICOM series in one folder.
        folders: Those that hold its slices where they are several; ``path`` is the nearest one above them.
    """

    path: Path
    files: tuple[Path, ...]
    series: str | None
    name: str
    part: SeriesPart | None = field(default=None, compare=False, repr=False)
    folders: tuple[Path, ...] = ()

    @property
    def source(self) -> Path | SeriesFolders:
        """What is read."""
        return SeriesFolders(self.path, self.folders) if self.folders else self.path

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
        where = _as_text(self.path.resolve())
        # Two copies may lie below one folder, in parts.
        parts = [_as_text(folder.relative_to(self.path)) for folder in self.folders]
        series = "" if self.series is None else _hashed(where, "\0".join((self.series, *parts)))
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
    """Something that is no volume to assess, and why.

    Attributes:
        path: What; a file, or the folder of a series.
        reason: Why.
        named: Whether its names may be told: those of folders and files may be a patient's.
    """

    path: Path
    reason: str
    named: bool = field(default=True, compare=False)
    part: SeriesPart | None = field(default=None, compare=False, repr=False)


def image_at(place: Place, content: str) -> Candidate:
    """The image of a case, where it was seen; the bytes are read only where the files look changed.

    Args:
        place: Where.
        content: SHA-256 of the image's bytes, see ``Candidate.content``.

    Raises:
        InputError: It is gone, or it is another one by now.
    """
    path = Path(place.path)
    if _mode_of(path) is None:
        message = (
            f"The image {path} is not there any more, or cannot be reached; "
            "put it back, or run triage where it lies now."
        )
        raise InputError(message)
    for candidate in _candidates(path):
        now = candidate.place().salted(place.salt)
        if now.series == place.series:
            if now.stamp != place.stamp and candidate.content() != content:
                message = f"The image {path} has changed since it was assessed; run triage on it again."
                raise InputError(message)
            return candidate
    message = f"The series of this case is no longer in {path}; put it back, or run triage where it lies now."
    raise InputError(message)


def find_volumes(source: Path, names: Names = "hashes") -> Iterator[Candidate | PassedOver]:
    """What a folder or a list holds, in the order of the names; no voxel is read.

    Args:
        source: A folder, searched with its sub-folders, except those of earlier results; or a list: a CSV with a column
            ``image``, or a text with a path a line, relative to the list.
        names: How new cases are named; by hashes unless asked for, since folders and files are often named after
            patients.

    Raises:
        InputError: There is no such folder or list, or the list names nothing.
    """
    if source.is_dir():
        found = _in_tree(source)
    elif source.is_file():
        found = _in_list(source)
    else:
        message = f"The folder or list {source} does not exist; {missing_path(source)}"
        raise InputError(message)
    for item in found:
        if names == "files":
            yield item
        else:
            yield replace(item, name="") if isinstance(item, Candidate) else replace(item, named=False)


def scattered_series(found: Iterable[Candidate | PassedOver]) -> list[str]:
    """A sentence for each DICOM series whose slices lie in several folders that could not be put together.

    Folders that hold the same slices are copies, and not told of. Names of folders are told where those of cases are.
    """
    parts: dict[str, dict[Path, set[tuple[float, ...]]]] = {}
    named = True
    for item in found:
        if item.part is not None and any(item.part.places):
            named = named and (bool(item.name) if isinstance(item, Candidate) else item.named)
            parts.setdefault(item.part.uid, {})[item.part.folder] = {place for place in item.part.places if place}
    told = []
    for folders in parts.values():
        slices = list(folders.values())
        if max(len(one) for one in slices) < len(set().union(*slices)):
            names = ", ".join(str(folder) for folder in list(folders)[:_MOST_FOLDERS])
            more = ", ..." if len(folders) > _MOST_FOLDERS else ""
            which = f" ({names}{more})" if named else ""
            told.append(
                f"The slices of one series lie in {len(folders)} folders{which}, and each was taken by itself, as a "
                "part of the scan; put them into one folder and run again."
            )
    return told


def candidate_at(place: Place) -> Candidate | None:
    """The volume that was seen at a place; None where it is gone or was changed since."""
    for candidate in _candidates(Path(place.path)):
        try:
            if candidate.place().salted(place.salt) == place:
                return candidate
        except InputError:
            continue
    return None


def _candidates(path: Path) -> Iterator[Candidate]:
    mode = _mode_of(path) or 0
    found = _series_of(path) if stat.S_ISDIR(mode) else [_of_file(path)] if stat.S_ISREG(mode) else []
    yield from (item for item in found if isinstance(item, Candidate))
    if stat.S_ISDIR(mode) and has_few_files(path):
        yield from (item for item in _in_tree(path) if isinstance(item, Candidate) and item.folders)


def _in_tree(root: Path) -> Iterator[Candidate | PassedOver]:
    """What a folder and those below hold, the parts of each series put together."""
    found = list(_by_folders(root))
    of_series: dict[str, list[int]] = {}
    for number, item in enumerate(found):
        if item.part is not None and item.part.is_scan:
            of_series.setdefault(item.part.uid, []).append(number)
    instead: dict[int, Candidate | PassedOver | None] = {}
    for numbers in of_series.values():
        if len(numbers) > 1:
            instead.update(_put_together({number: found[number] for number in numbers}))
    for number, item in enumerate(found):
        chosen = instead.get(number, item)
        if chosen is not None:
            yield chosen


def _put_together(found: Mapping[int, Candidate | PassedOver]) -> dict[int, Candidate | PassedOver | None]:
    """What stands for the parts of one series, by their numbers: a stack for its first part, nothing for the others."""
    numbers = {item.part.folder: number for number, item in found.items() if item.part is not None}
    whole = whole_stacks([item.part for item in found.values() if item.part is not None])
    # Below a large tree they stay cases of their own, and are told of.
    given_up = [stack for stack in whole if len(stack) > 1 and not has_few_files(_above(stack))]
    stacks = [stack for stack in whole if stack not in given_up]
    instead: dict[int, Candidate | PassedOver | None] = {}
    for stack in stacks:
        if len(stack) == 1:
            continue
        folders, above = tuple(part.folder for part in stack), _above(stack)
        instead.update({numbers[folder]: None for folder in folders})
        joined = Candidate(above, files_in_order(stack), stack[0].uid, case_id_of(above), folders=folders)
        few = len(joined.files) < LEAST_OF_A_SCAN
        instead[numbers[folders[0]]] = PassedOver(above, too_few(len(joined.files))) if few else joined
    in_stacks = {part.folder for stack in whole for part in stack}
    for folder, number in numbers.items():
        if stacks and folder not in in_stacks:
            instead[number] = PassedOver(folder, "its slices lie in other folders too, where their series is whole")
    return instead


def _above(stack: Iterable[SeriesPart]) -> Path:
    return Path(os.path.commonpath([part.folder for part in stack]))


def _by_folders(root: Path) -> Iterator[Candidate | PassedOver]:
    closed: list[OSError] = []
    for place, folders, names in os.walk(root, onerror=closed.append):
        folder = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if RECORD_FILE in names:
            folders.clear()
            yield PassedOver(folder, "it is the folder of an earlier result")
            continue
        for name in folders:
            if _is_link(folder / name):
                # It may lead back to where it lies.
                yield PassedOver(folder / name, "it is a link to a folder, which is not followed")
        yield from _in_folder(folder, sorted(name for name in names if not name.startswith(".")))
    for error in closed:
        yield PassedOver(Path(os.fsdecode(error.filename or root)), _closed(error))


def _in_folder(folder: Path, names: list[str]) -> Iterator[Candidate | PassedOver]:
    others = []
    for name in names:
        if name.lower().endswith(".seg.nrrd"):
            yield PassedOver(folder / name, "it is a segmentation")
        elif not name.lower().endswith(IMAGE_SUFFIXES):
            others.append(name)
        elif (mode := _mode_of(folder / name)) is None:
            yield PassedOver(folder / name, "it cannot be read; check that it is there and its permissions")
        elif not stat.S_ISREG(mode):
            # A pipe would be waited for without end.
            yield PassedOver(folder / name, "it is no file but a pipe or a device")
        else:
            yield _of_file(folder / name)
    if any(_is_dicom(folder / name) for name in others):
        yield from _series_of(folder)


def _series_of(folder: Path) -> Iterator[Candidate | PassedOver]:
    try:
        found, _ = list_series(folder)
    except InputError as error:
        yield PassedOver(folder, str(error))
        return
    except OSError as error:
        yield PassedOver(folder, _closed(error))
        return
    for series in found:
        part = part_of(folder, series)
        if reason := why_passed_over(series):
            yield PassedOver(series.files[0], reason, part=part)
            continue
        uid = series.uid if len(found) > 1 else None
        yield Candidate(folder, series.files, uid, case_id_of(folder), part)


def _in_list(source: Path) -> Iterator[Candidate | PassedOver]:
    try:
        text = source.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(text.splitlines())
        rows = list(reader) if source.suffix.lower() == ".csv" else []
    except (OSError, UnicodeDecodeError, csv.Error):
        message = f"The list {source.name} cannot be read; give a CSV with a column image, or a path a line."
        raise InputError(message) from None
    if rows and (separated := other_separator(reader.fieldnames)):
        message = f"The list {source.name} cannot be used: {separated}."
        raise InputError(message)
    named = [(row.get("image") or "").strip() for row in rows] if rows else text.splitlines()
    paths = [source.parent / name.strip() for name in named if name.strip() and not name.startswith("#")]
    if not paths or (source.suffix.lower() == ".csv" and not rows):
        message = f"The list {source.name} names no image; give a CSV with a column image, or a path a line."
        raise InputError(message)
    for path in paths:
        mode = _mode_of(path)
        if mode is None:
            yield PassedOver(path, "it does not exist")
        elif stat.S_ISDIR(mode):
            yield from _in_tree(path)
        elif stat.S_ISREG(mode):
            yield _of_file(path)
        else:
            yield PassedOver(path, "it is no file but a pipe or a device")


def _of_file(path: Path) -> Candidate:
    try:
        data = detached_file(path)
    except (InputError, OSError):
        # Told when the case is read.
        data = None
    return Candidate(path, (path,) if data is None else (path, data), None, case_id_of(path))


def _mode_of(path: Path) -> int | None:
    """What kind of thing lies there; None for nothing, and where that cannot be looked at."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:
        # Told when it is looked into.
        return False


def _is_dicom(path: Path) -> bool:
    try:
        # A pipe would be waited for without end.
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(PREAMBLE_BYTES + len(MAGIC))[PREAMBLE_BYTES:] == MAGIC
    except OSError:
        return False


def _as_text(path: Path) -> str:
    return str(path).encode("utf-8", "replace").decode("utf-8")


def _hashed(where: str, series: str) -> str:
    """A series' UID names a study; what is kept, salted by the store, only tells two series of one folder apart."""
    return hashlib.sha256(f"{where}\0{series}".encode()).hexdigest()


def _closed(error: OSError) -> str:
    return f"the folder cannot be read ({error.strerror})"


def _gone(file: Path) -> str:
    return f"The file {file.name} cannot be read; check that it is there and its permissions."
