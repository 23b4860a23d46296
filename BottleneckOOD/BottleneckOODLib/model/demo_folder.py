"""The demo model's folder, from what its training left."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.model_folder import ModelFolder, write_model_folder

WEIGHTS = "weights.safetensors"
_OVERLAP = 0.25
_INTENDED_USE = (
    "A demonstration of BottleneckOOD on abdominal CT: trained on synthetic bodies, not validated on patients, "
    "not for clinical use."
)


def write_demo_folder(training: Path, output: Path, version: str) -> ModelFolder:
    """Make the model folder of the demo model.

    Args:
        training: Folder with ``settings.json`` and ``weights.safetensors`` of the training.
        output: The model folder to make, another than the training's; the weights in it are replaced.
        version: Version of the demo model.

    Raises:
        ModelError: The training left no usable weights.
    """
    try:
        settings = json.loads((training / "settings.json").read_text(encoding="utf-8"))
        output.mkdir(parents=True, exist_ok=True)
        weights = safetensors.torch.load_file(training / WEIGHTS)
        # Half precision halves what every clone of the repository carries, and changes no mask that was measured.
        safetensors.torch.save_file({name: value.half() for name, value in weights.items()}, output / WEIGHTS)
        (output / WEIGHTS).chmod(0o644)
    except (OSError, ValueError, SafetensorError):
        message = f"The folder {training} holds no finished training; run: bottleneck-ood model train-demo."
        raise ModelError(message) from None
    document = {
        "name": "demo",
        "version": version,
        "licence": "Apache-2.0",
        "intended_use": _INTENDED_USE,
        "demonstration": True,
        "modality": "CT",
        "network": settings["network"],
        "preprocessing": {
            "orientation": settings["orientation"],
            "spacing_mm": settings["spacing_mm"],
            "intensity": settings["intensity"],
        },
        "inference": {
            "patch": settings["patch"],
            "overlap": _OVERLAP,
            "blend": "gaussian",
            "largest_part_only": True,
        },
        "labels": {name: int(value) for value, name in settings["labels"].items()},
        "bottleneck": {"layer": settings["bottleneck_layer"]},
        "card": {
            "trained_on": "generated bodies"
            + (" and deformed copies of labelled public scans" if settings["training"]["real_data"] else " alone"),
            "training_steps": settings["training"]["steps"],
            "training_minutes_on_one_core": round(settings["training"]["seconds"] / 60),
            "seed": settings["training"]["seed"],
        },
    }
    return write_model_folder(output, document, output / WEIGHTS)
