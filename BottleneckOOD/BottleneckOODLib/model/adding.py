"""Making a model folder of somebody's network and weights: all of it checked before any of it is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from BottleneckOODLib.atomic_folder import written_whole
from BottleneckOODLib.catalogue import list_models, user_folder
from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.bottleneck import BottleneckTap
from BottleneckOODLib.model.checkpoints import Weights, fitted, read_checkpoint
from BottleneckOODLib.model.intensity import read_intensity
from BottleneckOODLib.model.model_folder import MODEL_FILE, ModelFolder, read_model_folder, write_model_folder
from BottleneckOODLib.model.networks import bottleneck_layer, build_network
from BottleneckOODLib.tensor_file import telling_the_system_s_reason

WEIGHTS_FILE = "weights.safetensors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class NewModel:
    """What a model folder will say, in the terms of the network's own axes.

    Attributes:
        name: Short name; the folder's too.
        modality: ``"CT"`` or ``"MR"``.
        network_type: One of ``networks.NETWORK_TYPES``.
        network_arguments: Arguments of that network, plain data.
        orientation: Directions in which the network's axes increase, the first axis first, such as ``"RAS"``.
        spacing_mm: Spacing along the network's axes, the first axis first, in mm.
        intensity: The ``intensity`` of ``model.json``.
        patch: Voxels of a window, the first axis first.
        labels: The organ's class by its name.
        merged: Classes that count as the organ, by name.
        other_labels: Further classes that the network knows, by name.
        resampling: ``"first_voxel"`` or ``"centred"``, see ``PreprocessingSettings``.
        overlap: Share of a window that its neighbour covers too.
        blend: ``"gaussian"`` or ``"constant"``.
        padding: Value around an image that is smaller than a window; None takes the value of air.
        largest_part_only: Whether only the largest part of what is marked is kept.
        interpolated: ``"logits"`` or ``"probabilities"``.
        version: Version of the model.
        licence: SPDX identifier or a sentence.
        intended_use: What it was made for.
        card: Further facts for people to read.
    """

    name: str
    modality: str
    network_type: str
    network_arguments: Mapping[str, Any]
    orientation: str
    spacing_mm: tuple[float, float, float]
    intensity: Mapping[str, Any]
    patch: tuple[int, int, int]
    labels: Mapping[str, int]
    merged: Mapping[str, int] = field(default_factory=dict)
    other_labels: Mapping[str, int] = field(default_factory=dict)
    resampling: str = "first_voxel"
    overlap: float = 0.25
    blend: str = "gaussian"
    padding: float | None = None
    largest_part_only: bool = False
    interpolated: str = "logits"
    version: str = "1"
    licence: str = "not stated"
    intended_use: str = "not stated"
    card: Mapping[str, Any] = field(default_factory=dict)


def add_model(model: NewModel, checkpoint: Path, output: Path | None = None, *, ema: bool = False) -> ModelFolder:
    """Write a model folder, whole or not at all.

    Args:
        model: What it will say.
        checkpoint: The weights. Not modified.
        output: The folder to make; None takes the model's name below the user's models.
        ema: Take the moving average of the weights.

    Raises:
        ModelError: The weights do not fit, the network does not run on one window, or a setting makes no sense.
        OutputError: The folder exists, or cannot be written.
    """
    folder = output or folder_of_new_model(model.name)
    check_classes(model)
    _check_intensity(model)
    weights = read_checkpoint(checkpoint, ema=ema)
    network = build_network(model.network_type, model.network_arguments)
    weights = fitted(network, weights, checkpoint, model.network_type)
    network.load_state_dict(weights)
    layer = bottleneck_layer(model.network_type, network)
    _run_once(network.eval(), layer, model)
    with written_whole(folder, overwrite=False, known=(MODEL_FILE, WEIGHTS_FILE)) as temporary:
        _write(temporary, model, weights, layer)
    return read_model_folder(folder)


def folder_of_new_model(name: str) -> Path:
    """Where a model of that name will lie.

    Raises:
        ModelError: The name cannot be a folder's, or is taken.
    """
    if not _NAME.fullmatch(name):
        message = f'"{name}" cannot be a model\'s name; use letters, digits, dots, dashes and underscores.'
        raise ModelError(message)
    taken = list_models().get(name)
    if taken is not None:
        message = f'There is a model called "{name}" already, in {taken}; choose another name.'
        raise ModelError(message)
    return user_folder() / "models" / name


def check_classes(model: NewModel) -> None:
    """Refuse what the network has no channel for.

    Raises:
        ModelError: The network takes several channels, gives one only, or has no such class.
    """
    inputs, outputs = (model.network_arguments.get(key) for key in ("in_channels", "out_channels"))
    if inputs != 1:
        message = (
            f"The network takes {inputs} channels of an image; only networks of one channel are supported, since a "
            "case here is one image."
        )
        raise ModelError(message)
    if outputs == 1:
        message = (
            "The network gives one channel, as with a sigmoid; only networks with a channel for each class and one "
            "for the background are supported."
        )
        raise ModelError(message)
    if not model.labels:
        message = "No label was named; name the organ's, such as --label liver=1."
        raise ModelError(message)
    for name, value in {**model.labels, **model.merged}.items():
        if not isinstance(outputs, int) or not 0 < value < outputs:
            message = (
                f'The label "{name}" is class {value}, but the network has the classes 0 (background) to '
                f"{int(outputs or 0) - 1}; give the class that the model was trained with."
            )
            raise ModelError(message)


def _check_intensity(model: NewModel) -> None:
    try:
        read_intensity(model.intensity)
    except (KeyError, TypeError, ValueError) as error:
        message = f"The steps of the intensity cannot be used ({error}); end with a range, percentiles or a z-score."
        raise ModelError(message) from None


def _run_once(network: torch.nn.Module, layer: str, model: NewModel) -> None:
    """The network on one window of zeros: a patch that does not suit it shows now, and not with the first patient."""
    wanted = (1, model.network_arguments["out_channels"], *model.patch)
    try:
        with torch.inference_mode(), BottleneckTap(network, layer) as tap:
            output = network(torch.zeros(1, 1, *model.patch))
            tokens = tap.take()
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
        size = " x ".join(str(n) for n in model.patch)
        message = (
            f"The network {model.network_type} does not run on a window of {size} voxels; give the patch that it was "
            "trained with."
        )
        raise ModelError(message) from error
    output = output[0] if isinstance(output, tuple | list) else output
    if tuple(output.shape) != wanted or min(tokens.shape[2:]) < 1:
        message = (
            f"The network {model.network_type} gives {tuple(output.shape)} for a window where {wanted} is needed; give "
            "the patch and the arguments that it was trained with."
        )
        raise ModelError(message)


def _write(folder: Path, model: NewModel, weights: Weights, layer: str) -> None:
    path = folder / WEIGHTS_FILE
    with telling_the_system_s_reason():
        safetensors.torch.save_file(weights, path)
    card = dict(model.card)
    if model.other_labels:
        card["not_in_the_mask"] = ", ".join(f"{name} = {value}" for name, value in model.other_labels.items())
    inference: dict[str, Any] = {
        "patch": list(model.patch),
        "overlap": model.overlap,
        "blend": model.blend,
        "largest_part_only": model.largest_part_only,
    }
    if model.padding is not None:
        inference["padding"] = model.padding
    document = {
        "name": model.name,
        "version": model.version,
        "licence": model.licence,
        "intended_use": model.intended_use,
        "demonstration": False,
        "modality": model.modality,
        "network": {"type": model.network_type, "arguments": dict(model.network_arguments)},
        "preprocessing": {
            # The network's first axis is our arrays' first, which is k.
            "orientation": model.orientation[::-1],
            "spacing_mm": list(model.spacing_mm[::-1]),
            "resampling": model.resampling,
            "intensity": dict(model.intensity),
        },
        "inference": inference,
        "labels": dict(model.labels),
        "output": {"merged": dict(model.merged), "interpolated": model.interpolated},
        "bottleneck": {"layer": layer},
        "card": card,
    }
    write_model_folder(folder, document, path)
