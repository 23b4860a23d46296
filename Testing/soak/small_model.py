"""A model of a few hundred weights, and round bodies that it can be run on in a few milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

NETWORK = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8, 16],
    "strides": [2, 2],
    "num_res_units": 1,
}


def small_model(folder: Path, modality: str, resampling: str) -> Path:
    """A model folder with random weights."""
    from BottleneckOODLib.model.model_folder import write_model_folder
    from BottleneckOODLib.model.networks import bottleneck_layer, build_network

    folder.mkdir(parents=True)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build_network("unet", NETWORK)
    weights = folder / "weights.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in network.state_dict().items()}, weights)
    intensity = {"clip": [-200.0, 300.0], "scale": [0.0, 1.0]}
    document = {
        "name": f"small-{modality}",
        "version": "1",
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
        "modality": modality,
        "network": {"type": "unet", "arguments": NETWORK},
        "preprocessing": {
            "orientation": "LPS",
            "spacing_mm": [12.0, 12.0, 12.0],
            "intensity": intensity,
            "resampling": resampling,
        },
        "inference": {"patch": [16, 16, 16], "overlap": 0.25, "blend": "gaussian"},
        "labels": {"liver": 1},
        "bottleneck": {"layer": bottleneck_layer("unet", network)},
        "demonstration": True,
    }
    write_model_folder(folder, document, weights)
    return folder


def a_round_body(number: int, modality: str = "CT") -> Any:
    """Soft tissue, fat and a spine in air; size, place and intensities vary with the number."""
    from BottleneckOODLib.imaging.volume import Geometry, Volume

    rng = np.random.default_rng(number)
    shape = (int(rng.integers(18, 26)), 40, 56)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    radius = ((x - 28) / rng.uniform(20, 25)) ** 2 + ((y - 20) / rng.uniform(13, 17)) ** 2 + 0 * z
    spine = ((x - 28) ** 2 + (y - 28) ** 2 + 0 * z) < rng.uniform(6, 14)
    voxels = np.where(radius < 1, np.where(radius < rng.uniform(0.6, 0.8), rng.uniform(35, 60), -100.0), -1000.0)
    voxels = np.where(spine, rng.uniform(250, 500), voxels) + rng.normal(0, rng.uniform(5, 15), shape)
    if modality != "CT":
        voxels = (voxels + 1100) * rng.uniform(0.5, 2)
    geometry = Geometry((shape[2], shape[1], shape[0]), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Volume(voxels.astype(np.float32), geometry, modality, f"round-{number}")


def small_cases(n: int, modality: str) -> list[Any]:
    """Cases for a reference."""
    from BottleneckOODLib.gathering.case import CaseForReference

    def loader(number: int) -> Any:
        return lambda: (a_round_body(number, modality), None)

    return [CaseForReference(f"round-{number:02d}", loader(number)) for number in range(n)]
