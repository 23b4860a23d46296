from __future__ import annotations

from typing import Any

import pytest
import torch

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.networks import NETWORK_TYPES, bottleneck_layer, build_network

ARGUMENTS: dict[str, dict[str, Any]] = {
    "swin_unetr": {"in_channels": 1, "out_channels": 2, "feature_size": 12, "spatial_dims": 3, "window_size": 4},
    "unet": {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16, 32], "strides": [2, 2, 2],
        "num_res_units": 2, "norm": "INSTANCE",
    },
    "basic_unet": {"in_channels": 1, "out_channels": 2, "spatial_dims": 3, "features": [4, 4, 8, 8, 16, 4]},
    "dyn_unet": {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "kernel_size": [3, 3, 3, 3], "strides": [1, 2, 2, 2],
        "upsample_kernel_size": [2, 2, 2], "filters": [4, 8, 16, 32],
    },
    "seg_resnet": {"in_channels": 1, "out_channels": 2, "init_filters": 8},
}  # fmt: skip
DEEPEST = {
    "swin_unetr": (192, 2, 2, 2),
    "unet": (32, 8, 8, 8),
    "basic_unet": (16, 4, 4, 4),
    "dyn_unet": (32, 8, 8, 8),
    "seg_resnet": (64, 8, 8, 8),
}


def test_the_list_is_closed() -> None:
    assert set(NETWORK_TYPES) == set(ARGUMENTS)


@pytest.mark.parametrize("network_type", NETWORK_TYPES)
def test_the_bottleneck_is_the_deepest_and_smallest_feature_map(network_type: str) -> None:
    network = build_network(network_type, ARGUMENTS[network_type]).eval()
    shapes: dict[str, tuple[int, ...]] = {}

    def keep(name: str) -> Any:
        def hook(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim == 5:
                shapes[name] = tuple(output.shape[1:])

        return hook

    for name, module in network.named_modules():
        module.register_forward_hook(keep(name))
    with torch.inference_mode():
        result = network(torch.zeros(1, 1, 64, 64, 64))
    assert result.shape == (1, 2, 64, 64, 64)
    layer = bottleneck_layer(network_type, network)
    assert shapes[layer] == DEEPEST[network_type]
    assert min(s[1] for s in shapes.values()) == shapes[layer][1]


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ModelError, match="'transformer9' is unknown; known are swin_unetr"):
        build_network("transformer9", {})
    with pytest.raises(ModelError, match="unknown"):
        bottleneck_layer("transformer9", torch.nn.Identity())


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ModelError, match="has no argument called __class__"):
        build_network("unet", {**ARGUMENTS["unet"], "__class__": "os.system"})


def test_a_missing_argument_is_refused() -> None:
    arguments = {k: v for k, v in ARGUMENTS["unet"].items() if k != "strides"}
    with pytest.raises(ModelError, match="needs strides"):
        build_network("unet", arguments)


@pytest.mark.parametrize("channels", [[4], "many"])
def test_an_unusable_value_is_refused(channels: object) -> None:
    with pytest.raises(ModelError, match="cannot be made with these arguments"):
        build_network("unet", {**ARGUMENTS["unet"], "channels": channels})
