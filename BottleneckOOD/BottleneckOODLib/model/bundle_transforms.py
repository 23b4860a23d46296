"""The transforms before and after the network of a MONAI bundle, as settings of a model folder."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.bundle_config import BundleConfig, class_name

# What they do is done here for every image: reading it, one channel, single precision.
_NO_MATTER = {"LoadImaged", "EnsureChannelFirstd", "AddChanneld", "EnsureTyped", "ToTensord", "ToDeviced", "Identityd"}
_AXES = 3


@dataclass
class ImageTransforms:
    """What happens to an image before the network sees it.

    Attributes:
        orientation: Axis codes, first axis first; None where the bundle names none.
        spacing_mm: First axis first; None where the bundle names none.
        steps: Steps of the intensity, as in ``model.json``.
        before_resampling: How many of them come before resampling.
        ignored: Names of transforms that were left out because the user said so.
    """

    orientation: str | None = None
    spacing_mm: tuple[float, float, float] | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    before_resampling: int = 0
    ignored: list[str] = field(default_factory=list)


@dataclass
class OutputTransforms:
    """What happens to the network's output.

    Attributes:
        interpolated: ``"logits"`` or ``"probabilities"``.
        largest_part_only: Whether only the largest part is kept.
    """

    interpolated: str = "logits"
    largest_part_only: bool = False


def image_transforms(config: BundleConfig, entry: str, ignore: Collection[str] = ()) -> ImageTransforms:
    """Read the transforms of an image.

    Args:
        config: The configuration.
        entry: Id of the composed transforms.
        ignore: Names of transforms to leave out.

    Raises:
        ModelError: A transform or one of its settings is not understood; nothing is guessed.
    """
    read = ImageTransforms()
    image = ""
    for where, transform in _transforms(config, entry):
        name, keys = _name_of(transform), _keys(config, transform, where)
        if name == "LoadImaged" and keys:
            image = keys[0]
        if image and keys and image not in keys:
            continue
        if name in ignore:
            read.ignored.append(name)
        elif name not in _NO_MATTER:
            reader = _READERS.get(name)
            if reader is None:
                message = (
                    f"The bundle's {where} is {name or 'no transform that is named'}, which is not among the "
                    f"transforms that are understood ({', '.join(sorted(_READERS))}); if the model does without it, "
                    f"add --ignore {name or 'NAME'}."
                )
                raise ModelError(message)
            reader(read, _arguments(config, transform, where), where)
    return read


def output_transforms(config: BundleConfig, entry: str) -> OutputTransforms:
    """Read from the transforms of the output how a mask comes of it; those that only write files do not matter.

    Raises:
        ModelError: The output goes through a sigmoid.
    """
    read = OutputTransforms()
    seen: list[str] = []
    for where, transform in _transforms(config, entry):
        name = _name_of(transform)
        if name == "Activationsd":
            activation = {key: config.resolved(transform.get(key), where) for key in ("softmax", "sigmoid")}
            if _any_true(activation["sigmoid"]):
                message = (
                    f"The bundle's {where} is a sigmoid, so that its channels may overlap; only networks whose largest "
                    "channel is the label are supported."
                )
                raise ModelError(message)
            seen.append("softmax" if _any_true(activation["softmax"]) else "")
        elif name == "AsDiscreted":
            seen.append("argmax")
        elif name == "Invertd":
            seen.append("inverted")
        elif name == "KeepLargestConnectedComponentd":
            read.largest_part_only = True
    before = seen[: seen.index("inverted")] if "inverted" in seen else []
    if "softmax" in before and "argmax" not in before:
        read.interpolated = "probabilities"
    return read


def _transforms(config: BundleConfig, entry: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The transforms under an entry with their places; each is looked into no further than it is needed."""
    composed, where = config.followed(f"@{entry}", entry)
    if class_name(composed) == "Compose":
        composed, where = config.followed(composed.get("transforms"), f"{where}::transforms")
    found: list[tuple[str, Mapping[str, Any]]] = []
    for index, written in enumerate(composed if isinstance(composed, list) else [composed]):
        transform, place = config.followed(written, f"{where}::{index}")
        if not isinstance(transform, Mapping):
            message = f"The bundle's {place} is no transform; copy the bundle again."
            raise ModelError(message)
        if config.resolved(transform.get("_disabled_", False), place) not in (True, "true", "True"):
            found.append((place, transform))
    return found


def _name_of(transform: Mapping[str, Any]) -> str:
    """MONAI writes ``Spacingd`` in three ways."""
    return re.sub(r"(?:Dict|D)$", "d", class_name(transform))


def _keys(config: BundleConfig, transform: Mapping[str, Any], where: str) -> list[str]:
    keys = config.resolved(transform.get("keys", []), f"{where}::keys")
    return [str(key) for key in keys] if isinstance(keys, list) else [str(keys)]


def _arguments(config: BundleConfig, transform: Mapping[str, Any], where: str) -> dict[str, Any]:
    plain = {key: value for key, value in transform.items() if not key.startswith("_") and key != "keys"}
    resolved = {key: config.resolved(value, f"{where}::{key}") for key, value in plain.items()}
    # Transforms of dictionaries take some settings as one for all keys or as a list of one.
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 and key != "pixdim" else value
        for key, value in resolved.items()
    }


def _orientation(read: ImageTransforms, arguments: dict[str, Any], where: str) -> None:
    if read.spacing_mm is not None:
        message = (
            f"The bundle's {where} turns the image after Spacingd, so that its spacing belongs to no fixed axes; write "
            "Orientationd before Spacingd."
        )
        raise ModelError(message)
    _only(arguments, {"axcodes", "as_closest_canonical", "labels", "lazy", "allow_missing_keys"}, where)
    _must(arguments, where, labels=None)
    canonical = arguments.get("as_closest_canonical") is True
    axes = "RAS" if canonical else arguments.get("axcodes")
    pairs = ({"L", "R"}, {"P", "A"}, {"S", "I"})
    if not isinstance(axes, str) or len(axes) != _AXES or any(len(set(axes) & pair) != 1 for pair in pairs):
        message = f'The bundle\'s {where} has the axes {axes!r}; three letters such as "RAS" are needed.'
        raise ModelError(message)
    read.orientation = axes


def _spacing(read: ImageTransforms, arguments: dict[str, Any], where: str) -> None:
    known = {"pixdim", "mode", "padding_mode", "align_corners", "dtype", "diagonal", "scale_extent"}
    _only(arguments, known | {"recompute_affine", "lazy", "allow_missing_keys"}, where)
    _must(arguments, where, mode="bilinear", padding_mode="border", diagonal=False, scale_extent=False)
    _must(arguments, where, recompute_affine=False)
    pixdim = arguments.get("pixdim")
    values = [pixdim] * _AXES if _is_number(pixdim) else pixdim
    if isinstance(values, list) and len(values) == 1:
        values = values * _AXES
    if not isinstance(values, list) or len(values) != _AXES or not all(_is_number(v) and v > 0 for v in values):
        message = f"The bundle's {where} has the spacing {pixdim!r}; three numbers above 0 are needed."
        raise ModelError(message)
    read.spacing_mm = (float(values[0]), float(values[1]), float(values[2]))
    read.before_resampling = len(read.steps)


def _range(read: ImageTransforms, arguments: dict[str, Any], where: str) -> None:
    _only(arguments, {"a_min", "a_max", "b_min", "b_max", "clip", "dtype", "allow_missing_keys"}, where)
    source, target = _numbers(arguments, ("a_min", "a_max"), where), _numbers(arguments, ("b_min", "b_max"), where)
    read.steps.append({"kind": "range", "from": source, "to": target, "clip": arguments.get("clip") is True})


def _percentiles(read: ImageTransforms, arguments: dict[str, Any], where: str) -> None:
    known = {"lower", "upper", "b_min", "b_max", "clip", "relative", "channel_wise", "dtype", "allow_missing_keys"}
    _only(arguments, known, where)
    _must(arguments, where, relative=False)
    source, target = _numbers(arguments, ("lower", "upper"), where), _numbers(arguments, ("b_min", "b_max"), where)
    clip = arguments.get("clip") is True
    read.steps.append({"kind": "percentiles", "from": source, "to": target, "clip": clip, "over": "all"})


def _clipping(read: ImageTransforms, arguments: dict[str, Any], where: str) -> None:
    known = {"lower", "upper", "sharpness_factor", "channel_wise", "return_clipping_values", "dtype"}
    _only(arguments, known | {"allow_missing_keys"}, where)
    _must(arguments, where, sharpness_factor=None)
    source = _numbers(arguments, ("lower", "upper"), where)
    read.steps.append({"kind": "percentiles", "from": source, "to": None, "clip": True, "over": "all"})


def _scaling(read: ImageTransforms, arguments: dict[str, Any], where: str) -> None:
    _only(arguments, {"minv", "maxv", "factor", "channel_wise", "dtype", "allow_missing_keys"}, where)
    _must(arguments, where, factor=None)
    target = _numbers({"minv": 0.0, "maxv": 1.0, **arguments}, ("minv", "maxv"), where)
    read.steps.append({"kind": "percentiles", "from": [0, 100], "to": target, "clip": False, "over": "all"})


def _z_score(read: ImageTransforms, arguments: dict[str, Any], where: str) -> None:
    _only(arguments, {"subtrahend", "divisor", "nonzero", "channel_wise", "dtype", "allow_missing_keys"}, where)
    step: dict[str, Any] = {"kind": "z_score", "over": "nonzero" if arguments.get("nonzero") is True else "all"}
    if arguments.get("subtrahend") is not None or arguments.get("divisor") is not None:
        step["mean"], step["deviation"] = _numbers(arguments, ("subtrahend", "divisor"), where)
    read.steps.append(step)


_READERS = {
    "Orientationd": _orientation,
    "Spacingd": _spacing,
    "ScaleIntensityRanged": _range,
    "ScaleIntensityRangePercentilesd": _percentiles,
    "ScaleIntensityd": _scaling,
    "NormalizeIntensityd": _z_score,
    "ClipIntensityPercentilesd": _clipping,
}


def _only(arguments: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for name, value in arguments.items():
        if name not in known and value is not None:
            message = f"The bundle's {where} has the setting {name}, which is not understood; leave it out if it may."
            raise ModelError(message)


def _must(arguments: Mapping[str, Any], where: str, **wanted: Any) -> None:
    for name, value in wanted.items():
        given = arguments.get(name, value)
        # Keys of a dictionary have a mode each; the image is the first.
        given = given[0] if isinstance(given, list) and given else given
        if given != value:
            message = f"The bundle's {where} sets {name} to {given!r}; only {value!r} is supported."
            raise ModelError(message)


def _numbers(arguments: Mapping[str, Any], names: tuple[str, str], where: str) -> list[float]:
    values = [arguments.get(name) for name in names]
    if not all(_is_number(value) for value in values):
        message = f"The bundle's {where} has {names[0]} and {names[1]} of {values!r}; two numbers are needed."
        raise ModelError(message)
    return [float(value) for value in values if isinstance(value, int | float)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _any_true(value: object) -> bool:
    return value is True or (isinstance(value, list) and any(item is True for item in value))
