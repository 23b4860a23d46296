"""A MONAI bundle as a model: network, window, preprocessing and labels from its configurations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.bundle_config import BundleConfig, class_name
from BottleneckOODLib.model.bundle_transforms import (
    ImageTransforms,
    OutputTransforms,
    image_transforms,
    output_transforms,
)

NETWORKS = {
    "SwinUNETR": "swin_unetr",
    "UNet": "unet",
    "Unet": "unet",
    "BasicUNet": "basic_unet",
    "BasicUnet": "basic_unet",
    "DynUNet": "dyn_unet",
    "DynUnet": "dyn_unet",
    "SegResNet": "seg_resnet",
    "UNETR": "unetr",
    "AttentionUnet": "attention_unet",
}
"""Classes of MONAI that a bundle may name, and what they are called here."""
_MODALITIES = {"CT": "CT", "MR": "MR", "MRI": "MR"}
_WEIGHTS = ("model.safetensors", "model.pt", "model_final.pt", "model.pth")
_AXES = 3
_SIGMA_SCALE = 0.125
# Arguments of earlier releases of MONAI that say nothing about the network's weights.
_WITHOUT_MEANING = {"SwinUNETR": {"img_size"}}


@dataclass(frozen=True)
class Bundle:
    """What a bundle says about itself.

    Attributes:
        folder: Where it lies.
        weights: Its weights.
        network_type: Name in the closed registry of networks.
        network_arguments: Arguments of that network.
        image: What happens to an image before the network.
        output: What happens to the network's output.
        patch: Voxels of a window, first axis first.
        overlap: Share of a window that its neighbour covers too.
        blend: ``"gaussian"`` or ``"constant"``.
        padding: Value around an image that is smaller than a window.
        modality: ``"CT"``, ``"MR"``, or empty where it does not say.
        labels: Class of each structure by name, without the background.
        version: Version of the bundle.
        licence: What it says about its licence; may be empty.
        intended_use: What it says; may be empty.
        card: Further facts for people to read.
    """

    folder: Path
    weights: Path
    network_type: str
    network_arguments: Mapping[str, Any]
    image: ImageTransforms
    output: OutputTransforms
    patch: tuple[int, int, int]
    overlap: float
    blend: str
    padding: float
    modality: str
    labels: Mapping[str, int]
    version: str
    licence: str
    intended_use: str
    card: Mapping[str, Any]


def read_bundle(folder: Path, *, weights: Path | None = None, ignore: Collection[str] = ()) -> Bundle:
    """Read a bundle's ``configs/inference.json`` and ``configs/metadata.json``; nothing in them is run.

    Args:
        folder: The bundle. Not modified.
        weights: Take these weights instead of those in ``models/``.
        ignore: Names of transforms of the image to leave out.

    Raises:
        ModelError: Something that is needed is missing, is not understood, or would have to be run.
    """
    if not (folder / "configs").is_dir():
        message = f"The folder {folder} is no MONAI bundle: it has no folder called configs; choose another folder."
        raise ModelError(message)
    config, metadata = BundleConfig(folder / "configs" / "inference.json"), BundleConfig(_metadata_path(folder))
    network_type, arguments = _network(config)
    window = _window(config)
    preprocessing = _entry(config, "preprocessing", "preprocessing_transforms", "pre_transforms")
    postprocessing = config.first("postprocessing", "postprocessing_transforms", "post_transforms")
    facts = metadata.document
    modality, labels = _data_format(metadata)
    known = {key: facts[key] for key in ("name", "task", "data_source", "data_type", "monai_version") if key in facts}
    image = image_transforms(config, preprocessing, ignore)
    if image.ignored:
        known["left_out"] = ", ".join(image.ignored)
    return Bundle(
        folder=folder,
        weights=weights or _weights(folder),
        network_type=network_type,
        network_arguments=arguments,
        image=image,
        output=OutputTransforms() if postprocessing is None else output_transforms(config, postprocessing),
        modality=modality,
        labels=labels,
        version=str(facts.get("version") or "1"),
        licence=str(facts.get("license") or facts.get("copyright") or ""),
        intended_use=str(facts.get("intended_use") or facts.get("description") or ""),
        card={f"bundle_{key}": str(value) for key, value in known.items()},
        **window,
    )


def _metadata_path(folder: Path) -> Path:
    return folder / "configs" / "metadata.json"


def _weights(folder: Path) -> Path:
    found = next((folder / "models" / name for name in _WEIGHTS if (folder / "models" / name).is_file()), None)
    if found is None:
        message = f"The bundle {folder} has no weights in models ({', '.join(_WEIGHTS)}); name them with --weights."
        raise ModelError(message)
    return found


def _entry(config: BundleConfig, *names: str) -> str:
    found = config.first(*names)
    if found is None:
        message = f'The configuration {config.path} has no entry called "{names[0]}"; add it to the bundle.'
        raise ModelError(message)
    return found


def _network(config: BundleConfig) -> tuple[str, dict[str, Any]]:
    entry = _entry(config, "network_def", "network", "net")
    network, where = config.followed(f"@{entry}", entry)
    name = class_name(network)
    if name not in NETWORKS:
        message = (
            f"The bundle's {where} is {name or 'no network that is named'}; the networks that are understood are "
            f"{', '.join(sorted(NETWORKS))}, and nothing else is run."
        )
        raise ModelError(message)
    dropped = _WITHOUT_MEANING.get(name, set())
    arguments = {
        key: config.resolved(value, f"{where}::{key}")
        for key, value in network.items()
        if not key.startswith("_") and key not in dropped
    }
    return NETWORKS[name], arguments


def _window(config: BundleConfig) -> dict[str, Any]:
    entry = _entry(config, "inferer")
    inferer, where = config.followed(f"@{entry}", entry)
    if class_name(inferer) not in ("SlidingWindowInferer", "SlidingWindowInfererAdapt"):
        message = (
            f"The bundle's {where} is {class_name(inferer) or 'no inferer that is named'}; only SlidingWindowInferer "
            "is understood."
        )
        raise ModelError(message)

    def setting(name: str, default: Any) -> Any:
        return config.resolved(inferer.get(name, default), f"{where}::{name}")

    patch, overlap = setting("roi_size", None), setting("overlap", 0.25)
    patch = [patch] * _AXES if type(patch) is int else patch
    whole = isinstance(patch, list) and len(patch) == _AXES and all(type(n) is int and n > 0 for n in patch)
    overlaps = overlap if isinstance(overlap, list) else [overlap]
    blend, padding = setting("mode", "constant"), setting("cval", 0.0)
    sound = {
        "roi_size": whole,
        "overlap": len(set(overlaps)) == 1 and isinstance(overlaps[0], int | float) and 0 <= overlaps[0] < 1,
        "mode": blend in ("constant", "gaussian"),
        "sigma_scale": blend == "constant" or setting("sigma_scale", _SIGMA_SCALE) == _SIGMA_SCALE,
        "padding_mode": setting("padding_mode", "constant") == "constant",
        "cval": isinstance(padding, int | float),
    }
    for name, holds in sound.items():
        if not holds:
            message = f"The bundle's {where} has a {name} of {setting(name, None)!r}, which is not supported."
            raise ModelError(message)
    z, y, x = cast("list[int]", patch)
    return {"patch": (z, y, x), "overlap": float(overlaps[0]), "blend": blend, "padding": float(padding)}


def _data_format(metadata: BundleConfig) -> tuple[str, dict[str, int]]:
    """Modality and labels; empty where the metadata do not say."""
    described = metadata.document.get("network_data_format")
    described = described if isinstance(described, Mapping) else {}
    image = _first_of(described.get("inputs"))
    written = str(image.get("modality") or "").strip().upper()
    if image and int(image.get("num_channels") or 1) != 1:
        message = (
            f"The bundle takes {image['num_channels']} channels of an image; only networks of one channel are "
            "supported, since a case here is one image."
        )
        raise ModelError(message)
    modality = _MODALITIES.get(written, "")
    if written and written not in ("N/A", "NA") and not modality:
        message = f"The bundle is for {written} images; only models for CT and MR are supported."
        raise ModelError(message)
    channels = _first_of(described.get("outputs")).get("channel_def")
    labels: dict[str, int] = {}
    for value, name in (channels.items() if isinstance(channels, Mapping) else ()):
        if str(value).isdecimal() and int(value) > 0:
            labels[str(name).strip().lower()] = int(value)
    return modality, labels


def _first_of(entries: object) -> Mapping[str, Any]:
    first = next(iter(entries.values()), None) if isinstance(entries, Mapping) else None
    return first if isinstance(first, Mapping) else {}
