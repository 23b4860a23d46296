"""Where a DICOM series lies whose slices are in several folders."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MOST_FILES = 10_000
"""A tree with more files is not searched for the rest of a series: each header has to be read to know whose it is."""


@dataclass(frozen=True)
class SeriesFolders(os.PathLike[str]):
    """Stands for a path where an image is read, and for the folder above the others where one is told of.

    Attributes:
        above: The nearest folder that holds all of them.
        folders: Those that hold slices of the series.
    """

    above: Path
    folders: tuple[Path, ...]

    def __fspath__(self) -> str:
        return str(self.above)


def folders_of(source: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The folders of a series that lies in several; empty for any other image."""
    return source.folders if isinstance(source, SeriesFolders) else ()


def folders_below(root: Path) -> list[Path]:
    """A folder and those below."""
    return [Path(place) for place, _, _ in os.walk(root)]


def has_few_files(root: Path) -> bool:
    """Whether a folder and those below hold few enough files to be searched."""
    count = 0
    for _, _, names in os.walk(root):
        count += len(names)
        if count > MOST_FILES:
            return False
    return True
