"""The cases' pictures, as they stand in the page itself."""

from __future__ import annotations

import base64
from pathlib import Path

from BottleneckOODLib.assessment.assessment import THUMBNAIL_FILE
from BottleneckOODLib.assessment.thumbnail import MOST_BYTES

_JPEG_BEGINS, _JPEG_ENDS = b"\xff\xd8\xff", b"\xff\xd9"


def picture_of(folder: str) -> str:
    """A case's small picture as a ``data:`` address; empty where its folder has none, or one that we did not make."""
    if not folder:
        return ""
    path = Path(folder) / THUMBNAIL_FILE
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError:
        return ""
    if len(content) > MOST_BYTES or not (content.startswith(_JPEG_BEGINS) and content.endswith(_JPEG_ENDS)):
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
