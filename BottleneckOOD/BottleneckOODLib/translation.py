"""Texts of the panel in the application's language, where there is an application that translates."""

from __future__ import annotations

import sys
from collections.abc import Callable


def _as_written(text: str) -> str:
    return text


# Slicer's own function looks at the calling file, so it is handed on as it is and not called from here.
_: Callable[[str], str] = getattr(sys.modules.get("slicer.i18n"), "tr", _as_written)
"""Translates a text; outside Slicer it gives the text back."""
