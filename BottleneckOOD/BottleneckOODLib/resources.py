"""Where the embedded model, reference and samples lie."""

from __future__ import annotations

from pathlib import Path


def resource_folder() -> Path:
    """The folder with ``models``, ``references`` and ``samples``.

    A wheel and Slicer's build and install trees carry it in the library, as ``_resources``; in a checkout it is the
    top-level ``Resources``. The library's own counts first: above an installed one, ``Resources`` may be anything.
    """
    library = Path(__file__).resolve().parent
    installed = library / "_resources"
    return installed if installed.is_dir() else library.parents[1] / "Resources"
