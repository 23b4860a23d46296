"""A JSON object from a file that others may have written or damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def json_object(path: Path, most_bytes: int) -> dict[str, Any] | None:
    """The object that a file holds; None where it cannot be read, is larger, or holds something else.

    Args:
        path: The file, JSON in UTF-8.
        most_bytes: How large it may be.
    """
    try:
        if path.stat().st_size > most_bytes:
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
