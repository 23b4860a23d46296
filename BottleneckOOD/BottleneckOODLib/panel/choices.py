"""What can be chosen in the panel: models, and the references that suit the chosen one. Reads JSON, nothing heavy."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from BottleneckOODLib.atomic_folder import written_whole
from BottleneckOODLib.catalogue import list_models, list_references, user_folder
from BottleneckOODLib.errors import ModelError, OutputError, ReferenceSetError
from BottleneckOODLib.model.model_folder import MODEL_FILE, ModelFolder, read_model_file, read_model_folder
from BottleneckOODLib.reference.reference_folder import read_document

_PAPERS = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "README.md", "README.txt")


@dataclass(frozen=True)
class ModelChoice:
    """A model that can be chosen, or the reason why it cannot.

    Attributes:
        name: What to ask the worker for.
        folder: Where it lies.
        version: Its version.
        modality: ``"CT"`` or ``"MR"``; empty with a problem.
        intended_use: What it was made for, and what not.
        demonstration: Whether it is for demonstration only.
        fingerprint: SHA-256 of the weights and of what shapes the features.
        labels: Names of what it segments.
        problem: Why it cannot be used, in one sentence; empty when it can.
    """

    name: str
    folder: Path
    version: str = ""
    modality: str = ""
    intended_use: str = ""
    demonstration: bool = False
    fingerprint: str = ""
    labels: tuple[str, ...] = field(default=())
    problem: str = ""


@dataclass(frozen=True)
class ReferenceChoice:
    """A reference, and whether it suits the model.

    Attributes:
        name: What to ask the worker for.
        folder: Where it lies.
        n_cases: How many training cases it holds.
        matches: Whether the model's cases can be compared with it.
        problem: Why not, in one sentence; empty when they can.
    """

    name: str
    folder: Path
    n_cases: int
    matches: bool
    problem: str


def model_choices() -> tuple[ModelChoice, ...]:
    """Every model that can be named; the weights are checked when a case is assessed."""
    return tuple(_model_choice(name, folder) for name, folder in list_models().items())


def reference_choices(model: ModelChoice) -> tuple[ReferenceChoice, ...]:
    """Every reference that can be named, those that suit the model first; the first of these is its own."""
    choices = [_reference_choice(name, folder, model) for name, folder in list_references().items()]
    return tuple(sorted(choices, key=lambda choice: not choice.matches))


def own_reference(choices: Sequence[ReferenceChoice]) -> ReferenceChoice | None:
    """The one that is taken without being asked for; None where no reference suits the model."""
    return next((choice for choice in choices if choice.matches), None)


def add_model(folder: Path) -> ModelChoice:
    """Check a model folder and copy it, whole or not at all, to the user's own models.

    A model that is there already, with the same content, is not copied again; none is ever replaced.

    Raises:
        ModelError: The folder is no model folder, or damaged.
        OutputError: Another model of that name is there already, or the copy cannot be written.
    """
    from BottleneckOODLib.imaging.reading import safe_name  # noqa: PLC0415 - imports SimpleITK

    model = read_model_folder(folder)
    name = safe_name(model.name)
    there = list_models().get(name)
    if there is not None:
        if _same_content(there, model):
            return _model_choice(name, there)
        message = (
            f'Another model named "{name}" is there already and was kept ({there}); '
            "give the new one another name in its model.json, or remove the old one."
        )
        raise OutputError(message)
    target = user_folder() / "models" / name
    wanted = (MODEL_FILE, model.weights_file, *(paper for paper in _PAPERS if (folder / paper).is_file()))
    with written_whole(target, overwrite=False, known=()) as temporary:
        for file in wanted:
            shutil.copyfile(folder / file, temporary / file)
        # Before it stands there: the copy can be read, and is the model that was checked.
        read_model_folder(temporary)
    return _model_choice(name, target)


def _same_content(folder: Path, model: ModelFolder) -> bool:
    try:
        return read_model_folder(folder).fingerprint == model.fingerprint
    except ModelError:
        return False


def _model_choice(name: str, folder: Path) -> ModelChoice:
    try:
        model = read_model_file(folder)
    except ModelError as error:
        return ModelChoice(name, folder, problem=str(error))
    return ModelChoice(
        name,
        folder,
        version=model.version,
        modality=model.modality,
        intended_use=model.intended_use,
        demonstration=model.demonstration,
        fingerprint=model.fingerprint,
        labels=tuple(model.labels),
    )


def _reference_choice(name: str, folder: Path, model: ModelChoice) -> ReferenceChoice:
    try:
        document = read_document(folder)
    except ReferenceSetError as error:
        return ReferenceChoice(name, folder, 0, matches=False, problem=str(error))
    n_cases, settings = document.get("n_cases"), document.get("settings")
    if type(n_cases) is not int or not isinstance(settings, dict):
        problem = f"The reference in {folder} is damaged or incomplete; restore it or build it again."
        return ReferenceChoice(name, folder, 0, matches=False, problem=problem)
    problem = _mismatch(name, document, settings, model)
    return ReferenceChoice(name, folder, n_cases, matches=not problem, problem=problem)


def _mismatch(name: str, document: dict[str, Any], settings: dict[str, Any], model: ModelChoice) -> str:
    from BottleneckOODLib.case_measuring import MEASURED_ALIKE  # noqa: PLC0415 - imports SciPy

    if not model.fingerprint or document.get("model_fingerprint") != model.fingerprint:
        return f'The reference "{name}" was made by another model; choose its own, or build one with this model.'
    if settings.get("measurements") not in MEASURED_ALIKE:
        return f'The reference "{name}" was built by another version of BottleneckOOD; build it again.'
    return ""
