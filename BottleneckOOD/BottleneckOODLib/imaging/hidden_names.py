"""An image, and sentences about it, without the names of its files, which may be a patient's."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from pathlib import Path

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.series_folders import folders_of
from BottleneckOODLib.imaging.text_headers import data_file_named
from BottleneckOODLib.imaging.volume import Volume

_LONGEST_TOLD = 100
_SMALL_NUMBER = re.compile(r"\d{0,4}")
"""Names nobody, and stands in sentences for other things."""


def without_names(sentence: str, source: str | os.PathLike[str], shown: str) -> str:
    """A sentence in which an image goes by another name.

    Args:
        sentence: What is told of the image.
        source: Its file, whose header may name another one; or the folders of its series, whose files may be named too.
        shown: What stands in the place of each name.

    >>> without_names("The series in JANE is cut; see /scans/JANE.", Path("/scans/JANE"), "case-1")
    'The series in case-1 is cut; see case-1.'
    """
    names: set[str] = set()
    for path in (Path(source), *folders_of(source)):
        names |= {str(path), str(path.absolute()), path.name}
        # What is gone cannot be looked into; its own name is known.
        with contextlib.suppress(OSError, InputError):
            names |= {entry.name for entry in os.scandir(path)} if path.is_dir() else _names_in_header(path)
    for name in sorted((name for name in names if not _SMALL_NUMBER.fullmatch(name)), key=len, reverse=True):
        for written in {name, repr(name)[1:-1]}:
            sentence = re.sub(rf"(?<![\w-]){re.escape(written)}(?![\w-])", lambda _match: shown, sentence)
    return sentence


def under_another_name(volume: Volume, source: str | os.PathLike[str] | Volume, name: str) -> Volume:
    """The same volume, which its files name neither in its name nor in a warning.

    Args:
        volume: The volume.
        source: Where it was read from; the volume itself where nobody knows.
        name: What it is called instead.
    """
    called = volume.name if isinstance(source, Volume) else source
    return replace(volume, name=name, warnings=tuple(without_names(text, called, name) for text in volume.warnings))


def _names_in_header(path: Path) -> set[str]:
    named = data_file_named(path)
    # As it stands there, as it is told where it is missing, and as a file that lies there is called.
    return {named, named[:_LONGEST_TOLD], Path(named).name}
