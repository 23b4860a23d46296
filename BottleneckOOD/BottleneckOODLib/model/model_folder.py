"""The model folder: ``model.json`` and weights in safetensors, read as data and checked before use."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.json_object import json_object
from BottleneckOODLib.model.intensity import Intensity, read_intensity
from BottleneckOODLib.model.json_number import number
from BottleneckOODLib.tensor_file import TensorFileError, check_tensor_file, sha256_of

SCHEMA_VERSION = 1
MODEL_FILE = "model.json"
Resampling = Literal["centred", "first_voxel"]
Interpolated = Literal["logits", "probabilities"]
_MAX_MODEL_FILE_BYTES = 1_000_000
_AXES = 3
_LONGEST_REASON = 200


@dataclass(frozen=True)
class PreprocessingSettings:
    """How a volume becomes the network's input.

    Attributes:
        orientation: Patient directions in which i, j and k increase, such as ``"LPS"``.
        spacing_mm: Voxel spacing along i, j, k, in mm.
        intensity: Scaling of the values.
        resampling: ``"centred"``: the grids share their centre, and voxels are averaged where the model's are much
            larger. ``"first_voxel"``: they share their first voxel, and values are interpolated linearly, as MONAI's
            ``Spacing`` does.
    """

    orientation: str
    spacing_mm: tuple[float, float, float]
    intensity: Intensity
    resampling: Resampling = "centred"


@dataclass(frozen=True)
class InferenceSettings:
    """The sliding window.

    Attributes:
        patch: Window size along z, y, x, in voxels of the model's grid.
        overlap: Share of a window that its neighbour covers too, 0 up to but not including 1.
        blend: ``"gaussian"`` or ``"constant"`` weighting where windows overlap.
        largest_part_only: Whether only the largest connected part of what is marked is kept, as for a liver.
        padding: Network input value around an image that is smaller than a window; None takes the value of air.
    """

    patch: tuple[int, int, int]
    overlap: float
    blend: str
    largest_part_only: bool = False
    padding: float | None = None


@dataclass(frozen=True)
class ModelFolder:
    """Everything about a model but its weights' values.

    Attributes:
        folder: Where it lies.
        name: Short name, such as ``"demo"``.
        version: Version of the model, not of the program.
        licence: SPDX identifier or a sentence.
        intended_use: What it was made for, and what it was not made for.
        modality: ``"CT"`` or ``"MR"``.
        network_type: Name in the closed registry of ``networks.py``.
        network_arguments: Arguments of that network, plain data.
        preprocessing: How a volume becomes the network's input.
        inference: The sliding window.
        labels: Label value (= class of the network) of each structure in the mask, by name.
        merged: Classes of further structures that count as the first of ``labels``, by name.
        interpolated: What is interpolated on the way back to the image's grid before the largest is taken:
            ``"logits"``, or ``"probabilities"`` where who trained the model did so.
        bottleneck_layer: Dotted name of the module whose output is the deepest encoder output.
        weights_file: Name of the safetensors file in the folder.
        weights_sha256: Its SHA-256.
        fingerprint: SHA-256 of the weights and of what shapes the features.
        demonstration: Whether results must be marked as not for clinical use because the model is a demonstration.
        framework: Whose preprocessing, network and pass it is: ``"monai"`` where the file says nothing.
        framework_settings: What that framework needs besides, plain data.
        card: Training facts for people to read.
    """

    folder: Path
    name: str
    version: str
    licence: str
    intended_use: str
    modality: str
    network_type: str
    network_arguments: Mapping[str, Any]
    preprocessing: PreprocessingSettings
    inference: InferenceSettings
    labels: Mapping[str, int]
    bottleneck_layer: str
    weights_file: str
    weights_sha256: str
    fingerprint: str
    demonstration: bool = False
    merged: Mapping[str, int] = field(default_factory=dict)
    interpolated: Interpolated = "logits"
    framework: str = "monai"
    framework_settings: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights_path(self) -> Path:
        """Path of the weights."""
        return self.folder / self.weights_file

    @property
    def organ_classes(self) -> tuple[int, ...]:
        """The network's classes that are part of the mask."""
        return (*self.labels.values(), *self.merged.values())


def read_model_folder(folder: Path) -> ModelFolder:
    """Read and check a model folder; the weights are checked against their hash, not loaded.

    Raises:
        ModelError: The folder or a file is missing, damaged, of a newer format, or was changed since it was made.
    """
    model = read_model_file(folder)
    _check_weights(model)
    return model


def read_model_file(folder: Path) -> ModelFolder:
    """What ``model.json`` says, for a list of models; the weights may be large and are not looked into.

    Raises:
        ModelError: The file is missing, damaged, of a newer format, or was changed since it was made.
    """
    path = folder / MODEL_FILE
    document = _read_document(folder, path)
    _check_schema_version(document, folder)
    try:
        model = _parse(document, folder)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        why = str(error)[:_LONGEST_REASON]
        message = f"The model file {path.name} in {folder} is damaged or incomplete ({why}); restore the model folder."
        raise ModelError(message) from None
    if fingerprint_of(document, model.weights_sha256) != model.fingerprint:
        message = f"The model file {path.name} in {folder} was changed since it was made; restore the model folder."
        raise ModelError(message)
    return model


def write_model_folder(folder: Path, document: Mapping[str, Any], weights: Path) -> ModelFolder:
    """Complete ``document`` with the hash of ``weights`` and the fingerprint, and write ``model.json``.

    Args:
        folder: Existing folder that holds ``weights``.
        document: The fields of ``model.json`` but ``schema_version``, ``weights`` and ``fingerprint``.
        weights: The safetensors file, already in ``folder``.

    Raises:
        ModelError: The written folder does not read back.
    """
    digest = sha256_of(weights)
    complete: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **document}
    complete["weights"] = {"file": weights.name, "sha256": digest}
    complete["fingerprint"] = fingerprint_of(complete, digest)
    (folder / MODEL_FILE).write_text(json.dumps(complete, indent=2) + "\n", encoding="utf-8")
    return read_model_folder(folder)


def fingerprint_of(document: Mapping[str, Any], weights_sha256: str) -> str:
    """SHA-256 of the weights' hash and of every setting that shapes the bottleneck features."""
    shaping = {key: document.get(key) for key in ("modality", "network", "preprocessing", "inference", "bottleneck")}
    # Folders made before other organs could be chosen have no such entry, and keep their fingerprint.
    if "output" in document:
        shaping["output"] = [document["output"], document.get("labels")]
    # Folders that name none keep the fingerprint that they were made with.
    if "framework" in document:
        shaping["framework"] = [document["framework"], document.get("framework_settings")]
    canonical = json.dumps([weights_sha256, shaping], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def _read_document(folder: Path, path: Path) -> dict[str, Any]:
    if not path.is_file():
        message = f"The folder {folder} is not a model folder: it has no {MODEL_FILE}; choose another folder."
        raise ModelError(message)
    document = json_object(path, _MAX_MODEL_FILE_BYTES)
    if document is None:
        message = f"The model file {path.name} in {folder} cannot be read; restore the model folder."
        raise ModelError(message)
    return document


def _check_schema_version(document: Mapping[str, Any], folder: Path) -> None:
    version = document.get("schema_version")
    if type(version) is not int or version < 1:
        message = f"The model file {MODEL_FILE} in {folder} is damaged or incomplete; restore the model folder."
        raise ModelError(message)
    if version > SCHEMA_VERSION:
        message = f"The model in {folder} was made by a newer version of BottleneckOOD; update BottleneckOOD."
        raise ModelError(message)


def _parse(document: Mapping[str, Any], folder: Path) -> ModelFolder:
    preprocessing, inference, network = document["preprocessing"], document["inference"], document["network"]
    output = document.get("output", {})
    spacing = _numbers(preprocessing["spacing_mm"], _AXES)
    patch = tuple(int(n) for n in _numbers(inference["patch"], _AXES))
    overlap = number(inference["overlap"])
    padding = None if inference.get("padding") is None else number(inference["padding"])
    weights_file = _text(document["weights"]["file"])
    checks = {
        "spacing": min(spacing) > 0,
        "patch": min(patch) > 0,
        "overlap": 0 <= overlap < 1,
        "resampling": preprocessing.get("resampling", "centred") in ("centred", "first_voxel"),
        "interpolated": output.get("interpolated", "logits") in ("logits", "probabilities"),
        "blend": inference["blend"] in ("gaussian", "constant"),
        "largest_part_only": isinstance(inference.get("largest_part_only", False), bool),
        "weights": Path(weights_file).name == weights_file and weights_file.endswith(".safetensors"),
        "modality": document["modality"] in ("CT", "MR"),
        "orientation": _is_orientation(preprocessing["orientation"])
        or (document.get("framework") == "nnunet" and preprocessing["orientation"] == "stored"),
        "labels": bool(document["labels"]),
    }
    for what, holds in checks.items():
        if not holds:
            message = f"unusable {what}"
            raise ValueError(message)
    return ModelFolder(
        folder=folder,
        name=_text(document["name"]),
        version=_text(document["version"]),
        licence=_text(document["licence"]),
        intended_use=_text(document["intended_use"]),
        modality=document["modality"],
        network_type=_text(network["type"]),
        network_arguments=dict(network["arguments"]),
        preprocessing=PreprocessingSettings(
            preprocessing["orientation"],
            (spacing[0], spacing[1], spacing[2]),
            read_intensity(preprocessing["intensity"]),
            preprocessing.get("resampling", "centred"),
        ),
        inference=InferenceSettings(
            (patch[0], patch[1], patch[2]),
            overlap,
            inference["blend"],
            inference.get("largest_part_only", False),
            padding,
        ),
        labels={_text(name): int(number(value)) for name, value in document["labels"].items()},
        merged={_text(name): int(number(value)) for name, value in output.get("merged", {}).items()},
        interpolated=output.get("interpolated", "logits"),
        bottleneck_layer=_text(document["bottleneck"]["layer"]),
        weights_file=weights_file,
        weights_sha256=_text(document["weights"]["sha256"]),
        fingerprint=_text(document["fingerprint"]),
        demonstration=document.get("demonstration", False) is True,
        framework=_text(document.get("framework", "monai")),
        framework_settings=dict(document.get("framework_settings", {})),
        card=dict(document.get("card", {})),
    )


def _check_weights(model: ModelFolder) -> None:
    path = model.weights_path
    if not path.is_file():
        message = f"The weights {path.name} are missing from the model folder {model.folder}; restore the model folder."
        raise ModelError(message)
    try:
        check_tensor_file(path)
        digest = sha256_of(path)
    except TensorFileError as error:
        message = f"The weights {path.name} in {model.folder} are damaged: {error}; restore the model folder."
        raise ModelError(message) from None
    except OSError:
        message = f"The weights {path.name} in {model.folder} cannot be read; check the file's permissions."
        raise ModelError(message) from None
    if digest != model.weights_sha256:
        raise ModelError(_changed(model))


def check_still_the_same(model: ModelFolder) -> None:
    """Refuse weights that were replaced between their check and now, when they have just been loaded.

    Raises:
        ModelError: They are no longer those of ``model.json``.
    """
    try:
        same = sha256_of(model.weights_path) == model.weights_sha256
    except OSError:
        same = False
    if not same:
        raise ModelError(_changed(model))


def _changed(model: ModelFolder) -> str:
    return (
        f"The weights {model.weights_file} in {model.folder} were changed since they were made; restore the model "
        "folder."
    )


def _is_orientation(value: object) -> bool:
    pairs = ({"L", "R"}, {"P", "A"}, {"S", "I"})
    return isinstance(value, str) and len(value) == _AXES and all(len(set(value) & pair) == 1 for pair in pairs)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        message = f"{reprlib.repr(value)} where a text is needed"
        raise TypeError(message)
    return value


def _numbers(values: object, count: int) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != count:
        message = f"{values!r} where {count} numbers are needed"
        raise ValueError(message)
    return tuple(number(value) for value in values)
