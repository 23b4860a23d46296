"""Tiny nnU-Net v2 models, made by nnU-Net's own trainer: it builds, trains, and saves in its own format."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

ORGANS = ("spleen", "kidney_right", "kidney_left", "gallbladder", "liver")
"""As TotalSegmentator numbers its first organs: the liver is 5."""
LAYERS = "torch.nn.modules."


def labels_of(organs: tuple[str, ...] = ORGANS) -> dict[str, int]:
    return {"background": 0, **{organ: number for number, organ in enumerate(organs, start=1)}}


def make_plans(architecture: str = "PlainConvUNet", **changes: Any) -> dict[str, Any]:
    """Plans as nnU-Net's planner writes them, for a network of three small stages."""
    blocks = "n_conv_per_stage" if architecture == "PlainConvUNet" else "n_blocks_per_stage"
    settings = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [16, 24, 32],
        "median_image_size_in_voxels": [24.0, 32.0, 40.0],
        "spacing": [5.0, 4.0, 4.0],
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{architecture}",
            "arch_kwargs": {
                "n_stages": 3,
                "features_per_stage": [4, 8, 12],
                "conv_op": f"{LAYERS}conv.Conv3d",
                "kernel_sizes": [[3, 3, 3]] * 3,
                "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
                blocks: [1, 1, 1],
                "n_conv_per_stage_decoder": [1, 1],
                "conv_bias": True,
                "norm_op": f"{LAYERS}instancenorm.InstanceNorm3d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": False,
    }
    intensity = {"max": 1500.0, "mean": 60.0, "median": 55.0, "min": -1000.0}
    intensity |= {"percentile_00_5": -958.0, "percentile_99_5": 271.0, "std": 120.0}
    plans = {
        "dataset_name": "Dataset291_TotalSegmentator_part1_organs_1559subj",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [5.0, 4.0, 4.0],
        "original_median_shape_after_transp": [24, 32, 40],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"2d": {**settings, "patch_size": [24, 32]}, "3d_fullres": settings},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": intensity},
    }
    return {**plans, **changes}


def make_dataset(organs: tuple[str, ...] = ORGANS, **changes: Any) -> dict[str, Any]:
    dataset = {"channel_names": {"0": "CT"}, "labels": labels_of(organs), "numTraining": 2, "file_ending": ".nii.gz"}
    return {**dataset, **changes}


def train(
    root: Path,
    plans: dict[str, Any],
    dataset: dict[str, Any],
    *,
    folds: tuple[int, ...] = (0,),
    trainer: str = "nnUNetTrainer",
    steps: int = 3,
) -> Path:
    """Let nnU-Net's trainer make a network, take ``steps`` of its own training, and save its checkpoint.

    Its data loaders are left out, because they start processes; generated batches go into its ``train_step``.

    Returns:
        ``root/DATASET/TRAINER__PLANS__3d_fullres``, as nnU-Net lays it out.
    """
    results = root / "results"
    preprocessed = root / "preprocessed" / plans["dataset_name"] / "nnUNetPlans_3d_fullres"
    preprocessed.mkdir(parents=True, exist_ok=True)
    (preprocessed / "case.b2nd").touch()
    places = {"nnUNet_results": str(results), "nnUNet_preprocessed": str(preprocessed.parents[1])}
    before = {name: os.environ.get(name) for name in places}
    os.environ.update(places)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for fold in folds:
                folder = _trained_fold(plans, dataset, fold, trainer, steps)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def _trained_fold(plans: dict[str, Any], dataset: dict[str, Any], fold: int, name: str, steps: int) -> Path:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class Mirroring(nnUNetTrainer):
        pass

    if "NoMirroring" in name:

        class Mirroring(nnUNetTrainer):  # type: ignore[no-redef]
            def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> Any:
                found = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
                self.inference_allowed_mirroring_axes = None
                return (*found[:-1], None)

    # A checkpoint keeps the class's name alone, and TotalSegmentator's trainers are none of nnU-Net's own.
    Mirroring.__name__ = name
    torch.manual_seed(fold)
    given = {**copy.deepcopy(plans), "continue_training": False}
    trainer = Mirroring(given, "3d_fullres", fold, copy.deepcopy(dataset), torch.device("cpu"))
    trainer.initialize()
    trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    trainer.network.train()
    trainer.logger.log("train_losses", np.float32(1.5), 0)
    trainer.logger.log("dice_per_class_or_region", [np.float64(0.25)], 0)
    losses = [trainer.train_step(_batch(plans, len(dataset["labels"]), seed)) for seed in range(steps)]
    trainer._best_ema = np.float64(np.mean([loss["loss"] for loss in losses]))
    trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
    return Path(trainer.output_folder_base)


def _batch(plans: dict[str, Any], n_classes: int, seed: int) -> dict[str, Any]:
    patch = plans["configurations"]["3d_fullres"]["patch_size"]
    random = np.random.default_rng(seed)
    coarse = random.integers(0, n_classes, (2, 1, *(n // 4 for n in patch)))
    target = torch.from_numpy(coarse.repeat(4, 2).repeat(4, 3).repeat(4, 4))
    noise = torch.from_numpy(random.normal(0, 0.3, target.shape).astype(np.float32))
    return {"data": target / n_classes + noise, "target": [target, target[..., ::2, ::2, ::2]]}
