"""The networks that a model folder may name: a closed list, so that no file decides what code runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from monai.networks.nets.attentionunet import AttentionUnet
from monai.networks.nets.basic_unet import BasicUNet
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.swin_unetr import SwinUNETR
from monai.networks.nets.unet import UNet
from monai.networks.nets.unetr import UNETR

from BottleneckOODLib.errors import ModelError


@dataclass(frozen=True)
class _Family:
    make: Callable[..., torch.nn.Module]
    required: frozenset[str]
    optional: frozenset[str]
    stages: Callable[[torch.nn.Module], tuple[str, ...]]
    half_resolution: Callable[[torch.nn.Module], str]


def _nested_levels(network: torch.nn.Module) -> tuple[str, ...]:
    """Both U-Nets nest their levels: model = [down, skip(submodule), up]; the innermost submodule is the deepest."""
    downs: list[str] = []
    name, module = "model", cast("torch.nn.Module", network.model)
    while True:
        inner = next((n for n, child in module.named_children() if hasattr(child, "submodule")), None)
        if inner is None:
            return (*downs, name)
        downs.append(f"{name}.0")
        name = f"{name}.{inner}.submodule"
        module = network.get_submodule(name)


def _unetr(**arguments: Any) -> torch.nn.Module:
    """UNETR keeps its deepest tokens as a list until ``decoder5``: the map it gets passes a layer of its own."""
    network = UNETR(**arguments)
    network.deepest = torch.nn.Identity()

    def through_deepest(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (network.deepest(inputs[0]), *inputs[1:])

    network.decoder5.register_forward_pre_hook(through_deepest)
    return cast("torch.nn.Module", network)


def _members(network: torch.nn.Module, modules: str) -> tuple[str, ...]:
    return tuple(f"{modules}.{index}" for index in range(len(cast("torch.nn.ModuleList", getattr(network, modules)))))


_FAMILIES: Mapping[str, _Family] = {
    "swin_unetr": _Family(
        SwinUNETR,
        frozenset({"in_channels", "out_channels"}),
        frozenset(
            {
                "patch_size",
                "depths",
                "num_heads",
                "window_size",
                "qkv_bias",
                "mlp_ratio",
                "feature_size",
                "norm_name",
                "drop_rate",
                "attn_drop_rate",
                "dropout_path_rate",
                "normalize",
                "norm_layer",
                "patch_norm",
                "use_checkpoint",
                "spatial_dims",
                "downsample",
                "use_v2",
            }
        ),
        # encoder10 takes the deepest Swin output and hands it to decoder5 at the same size and width. The output of the
        # third Swin layer goes to decoder5 without an encoder block of its own.
        lambda _: ("encoder1", "encoder2", "encoder3", "encoder4", "swinViT.layers3.0", "encoder10"),
        lambda _: "encoder2",
    ),
    "unet": _Family(
        UNet,
        frozenset({"spatial_dims", "in_channels", "out_channels", "channels", "strides"}),
        frozenset({"kernel_size", "up_kernel_size", "num_res_units", "act", "norm", "dropout", "bias", "adn_ordering"}),
        _nested_levels,
        lambda _: "model.0",
    ),
    "basic_unet": _Family(
        BasicUNet,
        frozenset({"in_channels", "out_channels"}),
        frozenset({"spatial_dims", "features", "act", "norm", "bias", "dropout", "upsample"}),
        lambda _: ("conv_0", "down_1", "down_2", "down_3", "down_4"),
        lambda _: "down_1",
    ),
    "dyn_unet": _Family(
        DynUNet,
        frozenset({"spatial_dims", "in_channels", "out_channels", "kernel_size", "strides", "upsample_kernel_size"}),
        frozenset(
            {
                "filters",
                "dropout",
                "norm_name",
                "act_name",
                "deep_supervision",
                "deep_supr_num",
                "res_block",
                "trans_bias",
            }
        ),
        lambda network: ("input_block", *_members(network, "downsamples"), "bottleneck"),
        # A network of two levels has no stage between its input and its bottleneck.
        lambda network: "downsamples.0" if len(cast("torch.nn.ModuleList", network.downsamples)) else "input_block",
    ),
    "seg_resnet": _Family(
        SegResNet,
        frozenset({"in_channels", "out_channels"}),
        frozenset(
            {
                "spatial_dims",
                "init_filters",
                "dropout_prob",
                "act",
                "norm",
                "num_groups",
                "use_conv_final",
                "blocks_down",
                "blocks_up",
            }
        ),
        lambda network: _members(network, "down_layers"),
        lambda network: _members(network, "down_layers")[:2][-1],
    ),
    "unetr": _Family(
        _unetr,
        frozenset({"in_channels", "out_channels", "img_size"}),
        frozenset(
            {
                "feature_size",
                "hidden_size",
                "mlp_dim",
                "num_heads",
                "proj_type",
                "norm_name",
                "conv_block",
                "res_block",
                "dropout_rate",
                "spatial_dims",
                "qkv_bias",
            }
        ),
        lambda _: ("encoder1", "encoder2", "encoder3", "encoder4", "deepest"),
        lambda _: "encoder2",
    ),
    "attention_unet": _Family(
        AttentionUnet,
        frozenset({"spatial_dims", "in_channels", "out_channels", "channels", "strides"}),
        frozenset({"kernel_size", "up_kernel_size", "dropout"}),
        _nested_levels,
        lambda network: _nested_levels(network)[:2][-1],
    ),
}

NETWORK_TYPES = tuple(_FAMILIES)


def build_network(network_type: str, arguments: Mapping[str, object]) -> torch.nn.Module:
    """Make a network with fresh weights.

    Args:
        network_type: One of ``NETWORK_TYPES``.
        arguments: Arguments of MONAI's network of that name.

    Returns:
        The network, in training mode.

    Raises:
        ModelError: The type or an argument is unknown, missing, or has an unusable value.
    """
    family = _family(network_type)
    unknown = set(arguments) - family.required - family.optional
    if unknown:
        message = f"The network {network_type} has no argument called {', '.join(sorted(unknown))}."
        raise ModelError(message)
    missing = family.required - set(arguments)
    if missing:
        message = f"The network {network_type} needs {', '.join(sorted(missing))}."
        raise ModelError(message)
    try:
        return family.make(**arguments)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, NotImplementedError, RuntimeError) as error:
        message = f"The network {network_type} cannot be made with these arguments: {error}"
        raise ModelError(message) from error


def bottleneck_layer(network_type: str, network: torch.nn.Module) -> str:
    """Name of the module whose output is the deepest encoder feature map.

    Args:
        network_type: One of ``NETWORK_TYPES``.
        network: A network made by ``build_network`` for that type.

    Returns:
        Dotted module name, for ``network.get_submodule``. The output has shape (batch, channels, z, y, x).

    Raises:
        ModelError: The type is unknown.
    """
    return encoder_stages(network_type, network)[-1]


def encoder_stages(network_type: str, network: torch.nn.Module) -> tuple[str, ...]:
    """Names of the modules whose outputs are the encoder's feature maps, from shallow to deep, the bottleneck last.

    Args:
        network_type: One of ``NETWORK_TYPES``.
        network: A network made by ``build_network`` for that type.

    Returns:
        Dotted module names, one a resolution. Each output has shape (batch, channels, z, y, x).

    Raises:
        ModelError: The type is unknown.
    """
    return _family(network_type).stages(network)


def local_layer(network_type: str, network: torch.nn.Module) -> str:
    """Name of the module whose output is the encoder's stage at half of the input's resolution.

    Args:
        network_type: One of ``NETWORK_TYPES``.
        network: A network made by ``build_network`` for that type.

    Returns:
        Dotted module name, for ``network.get_submodule``. The output has shape (batch, channels, z, y, x).

    Raises:
        ModelError: The type is unknown.
    """
    return _family(network_type).half_resolution(network)


def _family(network_type: str) -> _Family:
    if network_type not in _FAMILIES:
        message = f"The network type {network_type!r} is unknown; known are {', '.join(NETWORK_TYPES)}."
        raise ModelError(message)
    return _FAMILIES[network_type]
