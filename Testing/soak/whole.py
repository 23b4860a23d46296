"""Whether what lies there is whole, and whether anything lies there that should not."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image
from tiny_cases import facts_of

from BottleneckOODLib.assessment.assessment import CASE_FILES, Assessment
from BottleneckOODLib.errors import BottleneckOODError
from BottleneckOODLib.reference.reference_folder import Reference

TEMPORARY = re.compile(r"\.(writing|replaced)-[a-z0-9_]{8}(\..*)?")


class Torn(Exception):
    """Something under a final name is not whole; the text says what."""


def assessment_facts(folder: Path) -> dict[str, Any]:
    """What an assessment's folder says, all of its files read.

    Raises:
        Torn: A file is missing, cut off or foreign.
    """
    names = {path.name for path in folder.iterdir()}
    if not {"assessment.json", "overview.png"} <= names <= {*CASE_FILES, "thumbnail.png"}:
        raise Torn(f"{folder.name} holds {sorted(names)}")
    try:
        Assessment.load(folder)
        for name in (name for name in names if name.endswith(".png")):
            with Image.open(folder / name) as picture:
                picture.load()
        facts = facts_of((folder / "assessment.json").read_text(encoding="utf-8"))
    except (BottleneckOODError, OSError, ValueError) as error:
        raise Torn(f"{folder.name}: {error}") from None
    volumes = [name for name in sorted(names) if name.endswith(".nrrd")]
    return {"record": facts, "volumes": {name: digest(folder / name) for name in volumes}}


def reference_facts(folder: Path) -> str:
    """The fingerprint of a reference, all of it read and checked against that fingerprint.

    Raises:
        Torn: It is not whole.
    """
    try:
        return Reference.load(folder).fingerprint
    except BottleneckOODError as error:
        raise Torn(str(error)) from None


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def store_is_sound(store: Path) -> bool:
    """What SQLite itself says of the file."""
    with closing(sqlite3.connect(store)) as database:
        return bool(database.execute("PRAGMA integrity_check").fetchone() == ("ok",))


def strays(folder: Path, expected: set[str], *, temporaries: bool) -> list[str]:
    """Names in a folder that are neither expected nor, where these are allowed, temporary."""
    if not folder.is_dir():
        return []
    return [
        path.name
        for path in sorted(folder.iterdir())
        if path.name not in expected and not (temporaries and TEMPORARY.fullmatch(path.name))
    ]
