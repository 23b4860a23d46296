"""Where the embedded model, reference and samples lie."""

from __future__ import annotations

from pathlib import Path


def resource_folder() -> Path:
    """The folder with ``models``, ``references`` and ``samples``.

    In a checkout it is the top-level ``Resources``; an installed package carries it as ``_resources``.
    """
    library = Path(__file__).resolve().parent
    installed = library / "_resources"
    return installed if installed.is_dir() else library.parents[1] / "Resources"
