"""The fused attention is the plain one: same weights, same numbers, in both versions of Swin UNETR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets.swin_unetr import WindowAttention

from BottleneckOODLib.model.fast_attention import use_fast_attention
from BottleneckOODLib.model.model_folder import ModelFolder, read_model_folder
from BottleneckOODLib.model.networks import build_network
from BottleneckOODLib.model.segmenter import Segmenter

ARGUMENTS = {
    "in_channels": 1, "out_channels": 2, "feature_size": 12, "depths": [2, 1, 1, 1], "num_heads": [1, 2, 2, 2],
    "window_size": 4,
}  # fmt: skip
CPU = torch.device("cpu")


def a_network(**changes: Any) -> torch.nn.Module:
    torch.manual_seed(3)
    network = build_network("swin_unetr", {**ARGUMENTS, **changes}).eval()
    for parameter in network.parameters():
        # Biases and positions start near zero, where a mistake with them would not show.
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return network


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("edge", [4, 7])
def test_one_attention_gives_the_plain_one_s_numbers(edge: int, *, shifted: bool) -> None:
    torch.manual_seed(1)
    attention = WindowAttention(24, num_heads=3, window_size=(edge,) * 3, qkv_bias=True).eval()
    attention.relative_position_bias_table.data.normal_()
    tokens = torch.randn(4, edge**3, 24)
    # Windows that were shifted beyond the edge of the image must not see each other.
    mask = -100.0 * torch.randint(0, 2, (2, edge**3, edge**3)) if shifted else None
    with torch.inference_mode():
        plain = attention(tokens, mask)
        use_fast_attention(attention)
        fast = attention(tokens, mask)
    assert float((fast - plain).abs().max() / plain.abs().max()) < 3e-6


@pytest.mark.parametrize("use_v2", [False, True])
@pytest.mark.parametrize("window_size", [4, 7])
def test_the_numbers_are_those_of_the_plain_attention(window_size: int, *, use_v2: bool) -> None:
    network = a_network(use_v2=use_v2, window_size=window_size)
    windows = torch.randn(1, 1, 64, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain = network(windows)
        # Two attentions a stage of two blocks, one a stage of one.
        assert use_fast_attention(network) == sum(ARGUMENTS["depths"])
        fast = network(windows)
        use_fast_attention(network, fast=False)
        again = network(windows)
    scale = float(plain.abs().max())
    # The network's instance normalisation over its four deepest tokens magnifies rounding.
    assert float((fast - plain).abs().max()) / scale < 1e-5
    assert not any(module.use_flash_attention for module in network.modules() if isinstance(module, WindowAttention))
    assert float((again - plain).abs().max()) / scale < 1e-4


def test_the_fused_kernel_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    kernel = torch.nn.functional.scaled_dot_product_attention

    def watched(*tensors: Any, **options: Any) -> torch.Tensor:
        calls.append(1)
        return kernel(*tensors, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    network = a_network()
    with torch.inference_mode():
        network(torch.zeros(1, 1, 64, 32, 32))
        assert calls == []
        use_fast_attention(network)
        network(torch.zeros(1, 1, 64, 32, 32))
    assert len(calls) == sum(ARGUMENTS["depths"])


def test_weights_and_their_names_stay_as_they_are() -> None:
    network = a_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    use_fast_attention(network)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_network_without_attention_is_left_alone() -> None:
    network = build_network("basic_unet", {"in_channels": 1, "out_channels": 2, "features": [4, 4, 8, 8, 8, 4]})
    assert use_fast_attention(network) == 0


def test_a_loaded_model_uses_it_with_the_same_result_and_fingerprint(make_model: Any, tmp_path: Path) -> None:
    model: ModelFolder = make_model(tmp_path / "swin", "swin_unetr")
    segmenter = Segmenter(model, CPU)
    attentions = [module for module in segmenter._network.modules() if isinstance(module, WindowAttention)]
    assert [module.use_flash_attention for module in attentions] == [True] * 4
    tensor = np.random.default_rng(0).random((64, 40, 32), dtype=np.float32)
    fast = segmenter.run(tensor)
    use_fast_attention(segmenter._network, fast=False)
    plain = segmenter.run(tensor)
    np.testing.assert_allclose(fast.logits, plain.logits, atol=1e-4)
    # The last normalisation is over two tokens in so small a window, which magnifies rounding.
    np.testing.assert_allclose(fast.bottleneck.tokens, plain.bottleneck.tokens, atol=1e-2)
    assert read_model_folder(model.folder).fingerprint == model.fingerprint
