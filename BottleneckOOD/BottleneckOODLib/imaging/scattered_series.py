"""DICOM series whose slices lie in several folders, as some archives and discs write them: which belong together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.dicom import Series, list_series, series_of_slices, why_no_scan
from BottleneckOODLib.imaging.series_folders import has_few_files


@dataclass(frozen=True)
class SeriesPart:
    """What one folder holds of a series, to be compared with what others hold; never kept.

    Attributes:
        uid: The series.
        folder: The folder.
        files: Its slices.
        instances: UID of each slice; empty where it has none.
        places: Where each slice lies, in mm; empty where its header does not say.
        along: The same across the slices, in mm.
        is_scan: Whether these are slices of a scan, be they too few for one.
    """

    uid: str
    folder: Path
    files: tuple[Path, ...]
    instances: tuple[str, ...]
    places: tuple[tuple[float, ...], ...]
    along: tuple[float, ...]
    is_scan: bool


def part_of(folder: Path, series: Series) -> SeriesPart:
    """What a folder holds of a series."""
    slices = series.slices
    return SeriesPart(
        series.uid,
        folder,
        series.files,
        tuple(one.instance for one in slices),
        tuple(one.place for one in slices),
        tuple(one.along for one in slices),
        not why_no_scan(series),
    )


def whole_stacks(parts: Sequence[SeriesPart]) -> list[tuple[SeriesPart, ...]]:
    """Which parts of one series make it up together.

    A slice that lies in two folders is a copy: each stack takes it once, and the other folder goes to another stack.

    Args:
        parts: All that is there of the series, a folder each.

    Returns:
        The stacks that hold every slice of the series, of one part (a whole copy) or of several; parts that are in none
        hold copies alone. None where the parts do not come out even, or where two slices lie at one place (several
        phases?), so that it is not known which belong together.
    """
    every = {instance for part in parts for instance in part.instances}
    at = {place: instance for part in parts for instance, place in zip(part.instances, part.places, strict=True)}
    for part in parts:
        pairs = zip(part.instances, part.places, strict=True)
        if not all(instance and place and at[place] == instance for instance, place in pairs):
            return []
        if len(set(part.instances)) < len(part.instances):
            return []
    stacks: list[list[SeriesPart]] = []
    # The largest first, or a copy of a few slices would stand where a whole part belongs.
    for part in sorted(parts, key=lambda part: -len(part.files)):
        own = set(part.instances)
        free = (stack for stack in stacks if all(own.isdisjoint(other.instances) for other in stack))
        stack = next(free, None)
        if stack is None:
            stacks.append([part])
        else:
            stack.append(part)
    whole = (stack for stack in stacks if sum(len(part.files) for part in stack) == len(every))
    return [tuple(sorted(stack, key=parts.index)) for stack in whole]


def files_in_order(stack: Iterable[SeriesPart]) -> tuple[Path, ...]:
    """The slices of a stack in the order of their position, as those of one folder."""
    found = [(along, file.name, file) for part in stack for along, file in zip(part.along, part.files, strict=True)]
    return tuple(file for _, _, file in sorted(found))


def series_at(folder: Path) -> tuple[list[Series], list[str]]:
    """The series of a folder, as ``list_series``; or those below one that holds no images itself, but parts of series.

    There the files that were passed over are those of scans whose slices cannot be told to be one.

    Raises:
        InputError: No file in the folder is a DICOM image, and none below it is a part of a series.
    """
    try:
        return list_series(folder)
    except InputError:
        found, passed_over = _series_below(folder) if has_few_files(folder) else ([], [])
        if not found:
            raise
        return found, passed_over


def _series_below(root: Path) -> tuple[list[Series], list[str]]:
    """The scans in the folders below, and files of others that are no one stack; none unless one is scattered."""
    parts: dict[str, list[tuple[SeriesPart, Series]]] = {}
    for place, folders, _ in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        try:
            found = list_series(Path(place))[0]
        except (InputError, OSError):
            continue
        for series in found:
            if not why_no_scan(series):
                parts.setdefault(series.uid, []).append((part_of(Path(place), series), series))
    whole: list[Series] = []
    passed_over: list[str] = []
    scattered = False
    for uid, of_series in parts.items():
        stacks = whole_stacks([part for part, _ in of_series])
        scattered = scattered or any(len(stack) > 1 for stack in stacks)
        if not stacks:
            passed_over += [path.name for part, _ in of_series for path in part.files]
        for stack in stacks[:1]:
            taken = [series for part, series in of_series if part in stack]
            slices = [pair for series in taken for pair in zip(series.files, series.headers, strict=True)]
            whole.append(series_of_slices(uid, slices))
    if not scattered:
        return [], []
    return sorted(whole, key=lambda series: (-len(series.files), series.uid)), passed_over


def series_in(folders: Iterable[Path], uid: str) -> Series:
    """A series whose slices lie in several folders.

    Raises:
        InputError: A folder is gone, or holds no slice of it.
    """
    members: list[tuple[Path, pydicom.Dataset]] = []
    for folder in folders:
        try:
            found = [series for series in list_series(folder)[0] if series.uid == uid]
        except OSError:
            found = []
        if not found:
            message = f"The folder {folder.name} no longer holds slices of the series; put them back, or run it again."
            raise InputError(message)
        members.extend(zip(found[0].files, found[0].headers, strict=True))
    return series_of_slices(uid, members)
