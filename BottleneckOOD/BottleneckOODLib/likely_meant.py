"""What somebody may have meant whose word, path or table is not quite what was asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

_ALIKE = 0.6
_MOST_NAMES = 10_000
"""A folder may hold more; a hint is not worth reading them all."""


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """The known name that a mistyped or shortened word is closest to; None where none is close.

    >>> nearest_name("staus", ["status", "report"]), nearest_name("--stor", ["--store"]), nearest_name("x", ["status"])
    ('status', '--store', None)
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=_ALIKE)
    return close[0] if close else None


def missing_path(path: Path) -> str:
    """The end of a sentence on a path that does not exist, with its full stop: what may have been meant.

    Args:
        path: What was asked for.
    """
    try:
        whole = path.expanduser().absolute()
        parent = whole.parent
        while not parent.is_dir() and parent != parent.parent:
            whole, parent = parent, parent.parent
        meant = nearest_name(whole.name, sorted(found.name for found in islice(parent.iterdir(), _MOST_NAMES)))
    except (OSError, RuntimeError, ValueError):
        return "check the path."
    if meant is not None:
        return f"did you mean {parent / meant}?"
    return f'the folder {parent} is there, but nothing in it is called "{whole.name}".'


def other_separator(columns: Sequence[str] | None) -> str:
    """What to do about a table whose only column looks like several that another sign keeps apart; else empty.

    Args:
        columns: The names in the table's first line, as they were read with commas.
    """
    if columns is None or len(columns) != 1:
        return ""
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if sign in columns[0]:
            return f"its columns are kept apart by {name}; save it with commas between them"
    return ""
