"""MONAI bundles of tiny networks, written by MONAI's own tools in the shape in which bundles are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.networks.nets.unet import UNet

NETWORK: dict[str, Any] = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "channels": [4, 8, 16],
    "strides": [2, 2],
    "num_res_units": 1,
    "norm": "batch",
}


def inference_configuration() -> dict[str, Any]:
    """As a published bundle has it: with expressions wherever a script needs them."""
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "/workspace/data",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "patch_size": "$(32, 24, 16)",
        "network_def": dict(NETWORK),
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "@image_key"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": [3.0, 3.5, 4.0], "mode": "bilinear"},
                {
                    "_target_": "ScaleIntensityRanged", "keys": "image",
                    "a_min": -150, "a_max": 250, "b_min": -1, "b_max": 1, "clip": True,
                },
                {"_target_": "EnsureTyped", "keys": "image"},
            ],
        },
        "dataset": {
            "_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 4},
        "inferer": {
            "_target_": "SlidingWindowInferer", "roi_size": "@patch_size", "sw_batch_size": 4, "overlap": 0.5,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "@image_key",
                    "nearest_interp": False, "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "handlers": [
            {"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'", "load_dict": "$dict()"},
        ],
        "evaluator": {"_target_": "SupervisedEvaluator", "device": "@device", "network": "@network"},
        "evaluating": ["$setattr(torch.backends.cudnn, 'benchmark', True)", "$@evaluator.run()"],
    }  # fmt: skip


def metadata() -> dict[str, Any]:
    """What a published bundle says about itself."""
    return {
        "version": "0.2.1",
        "monai_version": "1.5.2",
        "name": "Tiny liver segmentation",
        "task": "Liver and tumour in CT",
        "description": "A tiny network for tests.",
        "copyright": "Nobody's.",
        "data_source": "generated volumes",
        "data_type": "nibabel",
        "intended_use": "Tests alone.",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image", "format": "hounsfield", "modality": "CT", "num_channels": 1,
                    "spatial_shape": [32, 24, 16], "dtype": "float32", "value_range": [-1, 1], "is_patch_data": True,
                    "channel_def": {"0": "image"},
                },
            },
            "outputs": {
                "pred": {
                    "type": "image", "format": "segmentation", "num_channels": 3, "spatial_shape": [32, 24, 16],
                    "channel_def": {"0": "background", "1": "Liver", "2": "tumour"},
                },
            },
        },
    }  # fmt: skip


def a_network(seed: int = 3) -> torch.nn.Module:
    """The bundle's network with random weights, its batch statistics those of some noise."""
    torch.manual_seed(seed)
    network = UNet(**{key: value for key, value in NETWORK.items() if key != "_target_"})
    with torch.inference_mode():
        for _ in range(3):
            network(torch.randn(2, 1, 32, 24, 16))
    return network.eval()


def write_bundle(
    folder: Path, inference: dict[str, Any] | None = None, facts: dict[str, Any] | None = None, *, seed: int = 3
) -> Path:
    """A bundle with configurations and weights."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    configurations = {"inference.json": inference or inference_configuration(), "metadata.json": facts or metadata()}
    for name, content in configurations.items():
        ConfigParser.export_config_file(content, str(folder / "configs" / name), fmt="json", indent=4)
    torch.save(a_network(seed).state_dict(), folder / "models" / "model.pt")
    return folder
