"""Fixtures that read as a sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.model.model_folder import ModelFolder, write_model_folder
from BottleneckOODLib.model.networks import bottleneck_layer, build_network
from BottleneckOODLib.resources import resource_folder

ROOT = Path(__file__).resolve().parents[1]
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FAMILIES = {
    "unet": {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 2,
        "channels": [4, 8, 16],
        "strides": [2, 2],
        "num_res_units": 1,
    },
    "swin_unetr": {
        "in_channels": 1,
        "out_channels": 2,
        "feature_size": 12,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
    },
}
# The Swin encoder halves five times, and its normalisation needs more than one token.
PATCHES = {"unet": [32, 32, 32], "swin_unetr": [64, 32, 32]}


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_data_folder() -> Path:
    folder = Path(os.environ.get("BOTTLENECK_OOD_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real scans are not there ({folder}); set BOTTLENECK_OOD_DATA")
    return folder


@pytest.fixture(scope="session")
def a_ct_file() -> Path:
    """The embedded sample that is like the training cases."""
    return resource_folder() / "samples" / "sample-usual.nii.gz"


@pytest.fixture
def a_small_ct() -> Volume:
    """A round body of soft tissue and fat in air, 4 mm voxels."""
    z, y, x = np.ogrid[:40, :60, :80]
    body = ((x - 40) / 34) ** 2 + ((y - 30) / 24) ** 2 < 1
    fat = body & (((x - 40) / 29) ** 2 + ((y - 30) / 20) ** 2 > 1)
    noise = np.random.default_rng(0).normal(0, 12, (40, 60, 80))
    voxels = np.where(body, np.where(fat, -100.0, 45.0), -1000.0) + noise + 0 * z
    geometry = Geometry((80, 60, 40), (4.0, 4.0, 4.0), (-160.0, -120.0, 0.0), IDENTITY)
    return Volume(voxels.astype(np.float32), geometry, "CT", "small")


def make_model_folder(folder: Path, network_type: str, *, seed: int = 0) -> ModelFolder:
    """A model folder with random weights of one family."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    network = build_network(network_type, FAMILIES[network_type])
    weights = folder / "weights.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in network.state_dict().items()}, weights)
    document = {
        "name": f"random-{network_type}",
        "version": "1",
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
        "modality": "CT",
        "network": {"type": network_type, "arguments": FAMILIES[network_type]},
        "preprocessing": {
            "orientation": "LPS",
            "spacing_mm": [4.0, 4.0, 4.0],
            "intensity": {"clip": [-200.0, 300.0], "scale": [0.0, 1.0]},
        },
        "inference": {"patch": PATCHES[network_type], "overlap": 0.25, "blend": "gaussian"},
        "labels": {"liver": 1},
        "bottleneck": {"layer": bottleneck_layer(network_type, network)},
        "demonstration": True,
    }
    return write_model_folder(folder, document, weights)


@pytest.fixture(params=sorted(FAMILIES), scope="session")
def a_model_of_each_family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return make_model_folder(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def a_model(tmp_path: Path) -> ModelFolder:
    return make_model_folder(tmp_path / "model", "unet")


@pytest.fixture(scope="session")
def make_model() -> Callable[..., ModelFolder]:
    return make_model_folder
