"""Kinds of nnU-Nets, an image for them, and nnU-Net's own predictor to compare with."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunet_models import make_dataset, make_plans

from BottleneckOODLib.imaging.volume import Geometry, Volume

CPU = torch.device("cpu")
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def plain_plans(architecture: str = "PlainConvUNet", **changes: Any) -> dict[str, Any]:
    """Plans of somebody's own dataset, whose images go to nnU-Net as they are stored."""
    return make_plans(architecture, dataset_name="Dataset003_Liver", **changes)


def edited(plans: dict[str, Any], **settings: Any) -> dict[str, Any]:
    found = copy.deepcopy(plans)
    found["configurations"]["3d_fullres"].update(settings)
    return found


def older(plans: dict[str, Any]) -> dict[str, Any]:
    """The same plans as nnU-Net wrote them before 2.4, and as they lie beside TotalSegmentator's weights."""
    found = copy.deepcopy(plans)
    settings = found["configurations"]["3d_fullres"]
    arguments = settings.pop("architecture")["arch_kwargs"]
    settings |= {"UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 4, "unet_max_num_features": 12}
    settings |= {"n_conv_per_stage_encoder": [1, 1, 1], "n_conv_per_stage_decoder": [1, 1]}
    settings |= {"num_pool_per_axis": [2, 2, 2], "pool_op_kernel_sizes": arguments["strides"]}
    settings["conv_kernel_sizes"] = arguments["kernel_sizes"]
    return found


KINDS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[int, ...]]] = {
    "plain": (plain_plans(), make_dataset(), (0,)),
    "residual": (plain_plans("ResidualEncoderUNet"), make_dataset(("liver", "tumour")), (0,)),
    "two folds": (plain_plans(), make_dataset(), (0, 1)),
    "older plans": (older(plain_plans()), make_dataset(), (0,)),
    "transposed": (plain_plans(transpose_forward=[2, 0, 1], transpose_backward=[1, 2, 0]), make_dataset(), (0,)),
    "MR": (
        edited(plain_plans(), normalization_schemes=["ZScoreNormalization"], use_mask_for_norm=[True]),
        make_dataset(channel_names={"0": "MRI"}),
        (0,),
    ),
    "large window": (edited(plain_plans(), patch_size=[32, 48, 48]), make_dataset(), (0,)),
}

# Mirroring takes eight times as long.
MIRRORED = ("plain", "two folds")


def a_volume(
    shape: tuple[int, int, int] = (22, 28, 34), direction: tuple[float, ...] = UPRIGHT, **changes: Any
) -> Volume:
    random = np.random.default_rng(1)
    voxels = np.kron(random.normal(40, 150, tuple(-(-n // 4) for n in shape)), np.ones((4, 4, 4)))
    voxels = voxels[: shape[0], : shape[1], : shape[2]] + random.normal(0, 20, shape)
    voxels[:2] = 0
    given = {"spacing": (4.3, 3.9, 5.2), "modality": "CT", **changes}
    geometry = Geometry(shape[::-1], given["spacing"], (12.0, -7.5, 88.0), direction)
    return Volume(voxels.astype(np.float32), geometry, given["modality"], "body.nii.gz")


class Upstream:
    """nnU-Net's own predictor on its own folder, with a hook on its network."""

    def __init__(self, folder: Path, folds: tuple[int, ...] = (0,)) -> None:
        quiet, patched = contextlib.redirect_stdout(io.StringIO()), pytest.MonkeyPatch.context()
        with quiet, patched as monkeypatch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from nnunetv2.inference import predict_from_raw_data
            from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

            self.predictor = predict_from_raw_data.nnUNetPredictor(device=CPU, allow_tqdm=False)
            # The search for a trainer's class imports every variant, and these import more than is installed here.
            monkeypatch.setattr(predict_from_raw_data, "recursive_find_trainer_class_by_name", lambda _n: nnUNetTrainer)
            self.predictor.initialize_from_trained_model_folder(str(folder), folds)
        self.features: list[torch.Tensor] = []

    def predict(self, array: np.ndarray, spacing_ijk: tuple[float, ...]) -> np.ndarray:
        network = self.predictor.network
        handle = network.encoder.stages[-1].register_forward_hook(lambda _m, _i, out: self.features.append(out.clone()))
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self.predictor.predict_single_npy_array(array[None], {"spacing": list(spacing_ijk[::-1])})
        handle.remove()
        return np.asarray(found)
