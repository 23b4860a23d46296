"""Models and references by name: the embedded ones, the user's own, and any folder."""

from __future__ import annotations

import os
from pathlib import Path

from BottleneckOODLib.errors import ModelError, ReferenceSetError
from BottleneckOODLib.resources import resource_folder

HOME_VARIABLE = "BOTTLENECK_OOD_HOME"
_MARKERS = {"models": "model.json", "references": "reference.json"}


def user_folder() -> Path:
    """Where the user's own models and references are kept: ``BOTTLENECK_OOD_HOME``, or ``.bottleneck-ood`` at home."""
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".bottleneck-ood"


def list_models() -> dict[str, Path]:
    """Folder of each model that can be named, the user's own before embedded ones of the same name."""
    return _listed("models")


def list_references() -> dict[str, Path]:
    """Folder of each reference that can be named."""
    return _listed("references")


def find_model(name_or_folder: str | Path) -> Path:
    """The model folder of that name or path.

    Raises:
        ModelError: There is neither.
    """
    found = _found("models", name_or_folder)
    if found is None:
        message = f'The model "{name_or_folder}" was not found; use one of {_names(list_models())}, or a model folder.'
        raise ModelError(message)
    return found


def find_reference(name_or_folder: str | Path) -> Path:
    """The reference folder of that name or path.

    Raises:
        ReferenceSetError: There is neither.
    """
    found = _found("references", name_or_folder)
    if found is None:
        message = (
            f'The reference "{name_or_folder}" was not found; use one of {_names(list_references())}, '
            "or a reference folder."
        )
        raise ReferenceSetError(message)
    return found


def _listed(kind: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for parent in (resource_folder() / kind, user_folder() / kind):
        if parent.is_dir():
            found.update({path.name: path for path in sorted(parent.iterdir()) if (path / _MARKERS[kind]).is_file()})
    return found


def _found(kind: str, name_or_folder: str | Path) -> Path | None:
    named = _listed(kind).get(str(name_or_folder))
    if named is not None:
        return named
    folder = Path(name_or_folder)
    return folder if folder.is_dir() else None


def _names(found: dict[str, Path]) -> str:
    return ", ".join(f'"{name}"' for name in found) or "(none are there)"
