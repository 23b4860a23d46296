from __future__ import annotations

from typing import Any

import pytest
import torch
from last_digits import assert_same_numbers
from monai.networks.nets.unetr import UNETR

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.bottleneck import BottleneckTap
from BottleneckOODLib.model.networks import NETWORK_TYPES, bottleneck_layer, build_network, local_layer

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
    "unetr": {
        "in_channels": 1, "out_channels": 2, "img_size": [64, 64, 64], "feature_size": 4, "hidden_size": 24,
        "mlp_dim": 32, "num_heads": 2,
    },
    "attention_unet": {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16, 32], "strides": [2, 2, 2],
    },
}  # fmt: skip
DEEPEST = {
    "swin_unetr": (192, 2, 2, 2),
    "unet": (32, 8, 8, 8),
    "basic_unet": (16, 4, 4, 4),
    "dyn_unet": (32, 8, 8, 8),
    "seg_resnet": (64, 8, 8, 8),
    "unetr": (24, 4, 4, 4),
    "attention_unet": (32, 8, 8, 8),
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
        # Inside of UNETR's attention five axes are heads and tokens, no map.
        if not name.startswith("vit."):
            module.register_forward_hook(keep(name))
    with torch.inference_mode():
        result = network(torch.zeros(1, 1, 64, 64, 64))
    assert result.shape == (1, 2, 64, 64, 64)
    layer = bottleneck_layer(network_type, network)
    assert shapes[layer] == DEEPEST[network_type]
    assert min(s[1] for s in shapes.values()) == shapes[layer][1]


def test_the_second_version_of_swin_unetr_has_the_same_bottleneck_layer() -> None:
    network = build_network("swin_unetr", {**ARGUMENTS["swin_unetr"], "use_v2": True}).eval()
    assert any(name.startswith("swinViT.layers1c") for name in network.state_dict())
    with torch.inference_mode(), BottleneckTap(network, bottleneck_layer("swin_unetr", network)) as tap:
        network(torch.zeros(1, 1, 64, 64, 64))
        assert tap.take().shape == (1, *DEEPEST["swin_unetr"])


def test_the_map_of_unetr_is_its_last_tokens_and_its_weights_are_those_of_monai() -> None:
    network = build_network("unetr", ARGUMENTS["unetr"]).eval()
    upstream = UNETR(**ARGUMENTS["unetr"]).eval()
    assert network.state_dict().keys() == upstream.state_dict().keys()
    upstream.load_state_dict(network.state_dict())
    image = torch.randn(1, 1, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), BottleneckTap(network, "deepest") as tap:
        assert_same_numbers(network(image), upstream(image))
        tokens = upstream.vit(image)[0]
        assert_same_numbers(tap.take()[0].flatten(1).T, tokens[0])


@pytest.mark.parametrize("network_type", NETWORK_TYPES)
def test_the_local_layer_has_half_of_the_input_s_resolution(network_type: str) -> None:
    network = build_network(network_type, ARGUMENTS[network_type]).eval()
    with torch.inference_mode(), BottleneckTap(network, local_layer(network_type, network)) as tap:
        network(torch.zeros(1, 1, 64, 64, 64))
        assert tap.take().shape[2:] == (32, 32, 32)


def test_an_attention_unet_of_two_levels_has_its_only_stage_as_local_layer() -> None:
    network = build_network("attention_unet", {**ARGUMENTS["attention_unet"], "channels": [4, 8], "strides": [2]})
    assert local_layer("attention_unet", network) == bottleneck_layer("attention_unet", network)


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
