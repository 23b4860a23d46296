"""What an nnU-Net v2 model is, from its ``plans.json`` and ``dataset.json``, read as data and against closed lists.

nnU-Net looks classes and functions up by the names in its plans. Only names that stand here are let through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.json_object import json_object
from BottleneckOODLib.model.json_number import number

PLANS_FILE = "plans.json"
DATASET_FILE = "dataset.json"
CONFIGURATIONS = ("3d_fullres", "3d_lowres")
ARCHITECTURES = {
    "PlainConvUNet": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "ResidualEncoderUNet": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
}
AS_STORED = "stored"
_OPERATIONS = {
    "torch.nn.modules.conv.Conv3d",
    "torch.nn.Conv3d",
    "torch.nn.modules.instancenorm.InstanceNorm3d",
    "torch.nn.InstanceNorm3d",
    "torch.nn.modules.batchnorm.BatchNorm3d",
    "torch.nn.BatchNorm3d",
    "torch.nn.modules.dropout.Dropout3d",
    "torch.nn.Dropout3d",
    "torch.nn.LeakyReLU",
    "torch.nn.modules.activation.LeakyReLU",
    "torch.nn.ReLU",
    "torch.nn.modules.activation.ReLU",
}
_RESAMPLING = {"resample_data_or_seg_to_shape", "resample_torch_fornnunet", "resample_torch_simple"}
_NORMALIZATION = {"CTNormalization", "ZScoreNormalization"}
_READERS = {"SimpleITKIO": AS_STORED, "NibabelIO": AS_STORED, "NibabelIOWithReorient": "RAS"}
_MAX_BYTES = 20_000_000
_AXES = 3
_LONGEST_REASON = 200
_MOST_CLASSES = 255


@dataclass(frozen=True)
class NnunetPlans:
    """What the two files say of one configuration.

    Attributes:
        plans: Content of ``plans.json``.
        dataset: Content of ``dataset.json``.
        configuration: ``"3d_fullres"`` or ``"3d_lowres"``.
        architecture: A key of ``ARCHITECTURES``.
        n_stages: Stages of the encoder.
        patch: Voxels of a window along the network's axes.
        spacing_mm: Spacing along the network's axes, in mm.
        normalization: ``"CTNormalization"`` or ``"ZScoreNormalization"``.
        only_nonzero: Whether the z-score is that of the voxels that are not 0.
        intensity: Mean, standard deviation and percentiles of the training cases' foreground.
        orientation: Directions in which i, j and k of the image increase when it is handed to nnU-Net, or
            ``AS_STORED``.
        labels: Class of each structure by name, without the background.
    """

    plans: Mapping[str, Any]
    dataset: Mapping[str, Any]
    configuration: str
    architecture: str
    n_stages: int
    patch: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    normalization: str
    only_nonzero: bool
    intensity: Mapping[str, float]
    orientation: str
    labels: Mapping[str, int]

    @property
    def dataset_name(self) -> str:
        """Such as ``"Dataset297_TotalSegmentator_total_3mm_1559subj"``."""
        return str(self.plans.get("dataset_name", "not stated"))

    @property
    def modality(self) -> str | None:
        """``"CT"`` or ``"MR"``, where the channel's name says so."""
        name = next(iter(_channels(self.dataset).values()), "").casefold()
        if name == "ct" or self.normalization == "CTNormalization":
            return "CT"
        # TotalSegmentator's MR models and most others name their channel so.
        return "MR" if any(word in name for word in ("mr", "t1", "t2", "flair", "dixon")) else None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ModelError: The file is missing, too large, or no JSON object.
    """
    document = json_object(path, _MAX_BYTES)
    if document is None:
        message = f"The file {path} cannot be read as JSON; copy the folder of the trained model again."
        raise ModelError(message)
    return document


def read_plans(folder: Path, configuration: str) -> NnunetPlans:
    """Read and check both files.

    Args:
        folder: Holds ``plans.json`` and ``dataset.json``.
        configuration: The configuration that the weights are of.

    Raises:
        ModelError: A file is damaged, or asks for what is not supported; the sentence names it.
    """
    plans, dataset = read_json(folder / PLANS_FILE), read_json(folder / DATASET_FILE)
    try:
        return _checked(plans, dataset, configuration, folder)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        why = str(error)[:_LONGEST_REASON]
        message = f"The plans in {folder} are damaged or incomplete ({why}); copy the trained model again."
        raise ModelError(message) from None


def _checked(
    plans: Mapping[str, Any], dataset: Mapping[str, Any], configuration: str, folder: Path
) -> NnunetPlans:
    if configuration not in CONFIGURATIONS:
        _refuse(folder, f"is of the configuration {configuration}", f"use {' or '.join(CONFIGURATIONS)}")
    settings = _inherited(plans["configurations"], configuration)
    if settings.get("previous_stage"):
        _refuse(folder, "is the second stage of a cascade", "use a 3d_fullres or 3d_lowres model of one stage")
    channels = _channels(dataset)
    if len(channels) != 1:
        names = ", ".join(channels.values())
        _refuse(folder, f"takes {len(channels)} channels ({names})", "only models of one channel are supported")
    if settings.get("preprocessor_name", "DefaultPreprocessor") != "DefaultPreprocessor":
        _refuse(folder, f"is preprocessed by {settings['preprocessor_name']}", "only DefaultPreprocessor is supported")
    if plans.get("label_manager", "LabelManager") != "LabelManager":
        _refuse(folder, f"has the label manager {plans['label_manager']}", "only LabelManager is supported")
    for use in ("data", "seg", "probabilities"):
        function = settings[f"resampling_fn_{use}"]
        if function not in _RESAMPLING:
            _refuse(folder, f"is resampled by {function}", f"only {', '.join(sorted(_RESAMPLING))} are supported")
    normalization = settings["normalization_schemes"][0]
    if normalization not in _NORMALIZATION:
        _refuse(folder, f"is normalised by {normalization}", f"only {', '.join(sorted(_NORMALIZATION))} are supported")
    reader = plans["image_reader_writer"]
    if reader not in _READERS:
        _refuse(folder, f"reads its images with {reader}", f"only {', '.join(_READERS)} are supported")
    intensity = plans.get("foreground_intensity_properties_per_channel") or plans.get(
        "foreground_intensity_properties_by_modality"
    )
    architecture, n_stages = _architecture(settings, folder)
    if sorted(plans["transpose_forward"]) != [0, 1, 2] or sorted(plans["transpose_backward"]) != [0, 1, 2]:
        message = "transpose_forward"
        raise ValueError(message)
    wanted = ("mean", "std", "percentile_00_5", "percentile_99_5")
    numbers = {key: number((intensity or {})["0"][key]) for key in wanted} if normalization[:2] == "CT" else {}
    patch, spacing = settings["patch_size"], settings["spacing"]
    if len(patch) != _AXES or len(spacing) != _AXES or min(patch) < 1 or min(spacing) <= 0:
        message = "patch_size or spacing"
        raise ValueError(message)
    return NnunetPlans(
        plans=plans,
        dataset=dataset,
        configuration=configuration,
        architecture=architecture,
        n_stages=n_stages,
        patch=(int(patch[0]), int(patch[1]), int(patch[2])),
        spacing_mm=(number(spacing[0]), number(spacing[1]), number(spacing[2])),
        normalization=normalization,
        only_nonzero=settings["use_mask_for_norm"][0] is True,
        intensity=numbers,
        orientation=_orientation(plans, reader),
        labels=_labels(dataset, folder),
    )


def _refuse(folder: Path, what: str, instead: str) -> None:
    message = f"The nnU-Net model in {folder} {what}, which is not supported; {instead}."
    raise ModelError(message)


def _inherited(configurations: Mapping[str, Any], name: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    seen: list[str] = []
    following: str | None = name
    while following is not None:
        if following in seen:
            message = f"the configurations {', '.join(seen)} inherit from each other"
            raise ValueError(message)
        seen.append(following)
        settings = {**configurations[following], **settings}
        following = configurations[following].get("inherits_from")
    return settings


def _channels(dataset: Mapping[str, Any]) -> dict[str, str]:
    # "modality" is what the first version wrote.
    return {str(key): str(name) for key, name in (dataset.get("channel_names") or dataset["modality"]).items()}


def _architecture(settings: Mapping[str, Any], folder: Path) -> tuple[str, int]:
    if "architecture" not in settings:
        # Plans of before nnU-Net 2.4, TotalSegmentator's among them; nnU-Net itself brings them into the newer form.
        name, n_stages = settings["UNet_class_name"], len(settings["n_conv_per_stage_encoder"])
        if name not in ARCHITECTURES:
            _refuse(folder, f"has the network {name}", f"only {' and '.join(ARCHITECTURES)} are supported")
        return str(name), n_stages
    described = settings["architecture"]
    full_name = str(described["network_class_name"])
    name = full_name.rsplit(".", 1)[-1]
    if name not in ARCHITECTURES or not full_name.startswith("dynamic_network_architectures.architectures."):
        _refuse(folder, f"has the network {full_name}", f"only {' and '.join(ARCHITECTURES)} are supported")
    for key in described["_kw_requires_import"]:
        operation = described["arch_kwargs"][key]
        if operation is not None and operation not in _OPERATIONS:
            _refuse(folder, f"has {operation} in its network", "only nnU-Net's usual layers are supported")
    return name, int(described["arch_kwargs"]["n_stages"])


def _orientation(plans: Mapping[str, Any], reader: str) -> str:
    # TotalSegmentator, whose MR models are called TotalSegMRI, turns images to the closest canonical orientation first.
    return "RAS" if "TotalSeg" in str(plans.get("dataset_name", "")) else _READERS[reader]


def _labels(dataset: Mapping[str, Any], folder: Path) -> dict[str, int]:
    labels: dict[str, int] = {}
    for name, value in dataset["labels"].items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            _refuse(folder, f'was trained with regions ("{name}" is {list(value)})', "use one with plain labels")
        if name not in ("background", "ignore") and int(value) != 0:
            labels[str(name)] = int(value)
    if not labels or sorted(labels.values()) != list(range(1, len(labels) + 1)) or len(labels) > _MOST_CLASSES:
        message = "the labels are not 1, 2, 3 and so on"
        raise ValueError(message)
    return labels
