"""Every encoder stage, pooled in the pass that segments, is what a plain second pass with naive pooling gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from last_digits import assert_same_numbers

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.bottleneck import occupied_share
from BottleneckOODLib.model.memory_steps import attempts, first_output_that_fits
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.networks import NETWORK_TYPES, bottleneck_layer, build_network, encoder_stages
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.model.stages import StageFeatures, StagePool, WindowMoments
from BottleneckOODLib.ood.pooling import pool_moments, pool_tokens

CPU = torch.device("cpu")
AIR = 0.0
ARGUMENTS: dict[str, dict[str, Any]] = {
    "unet": {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16, 32], "strides": [2, 2, 2],
        "num_res_units": 1,
    },
    "swin_unetr": {
        "in_channels": 1, "out_channels": 2, "feature_size": 12, "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2], "window_size": 4,
    },
    "basic_unet": {"in_channels": 1, "out_channels": 2, "features": [4, 4, 8, 8, 8, 4]},
    "dyn_unet": {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "kernel_size": [3, 3, 3], "strides": [1, 2, 2],
        "upsample_kernel_size": [2, 2], "filters": [4, 8, 16],
    },
    "seg_resnet": {"in_channels": 1, "out_channels": 2, "init_filters": 8},
    "unetr": {
        "in_channels": 1, "out_channels": 2, "img_size": [64, 64, 64], "feature_size": 4, "hidden_size": 24,
        "mlp_dim": 32, "num_heads": 2,
    },
    "attention_unet": {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16], "strides": [2, 2],
    },
}  # fmt: skip
SIZES = {
    "unet": (32, 16, 8, 8),
    "swin_unetr": (64, 32, 16, 8, 4, 2),
    "basic_unet": (64, 32, 16, 8, 4),
    "dyn_unet": (64, 32, 16),
    "seg_resnet": (64, 32, 16, 8),
    "unetr": (64, 32, 16, 8, 4),
    "attention_unet": (64, 32, 16),
}


def an_input(shape: tuple[int, ...] = (64, 40, 32)) -> np.ndarray:
    """Noise, with air in a third of it."""
    tensor = np.random.default_rng(0).random(shape, dtype=np.float32)
    tensor[: shape[0] // 3] = AIR
    return tensor


@pytest.fixture(params=NETWORK_TYPES)
def a_network(request: pytest.FixtureRequest) -> tuple[str, torch.nn.Module]:
    torch.manual_seed(0)
    return request.param, build_network(request.param, ARGUMENTS[request.param]).eval()


def copies_of(network: torch.nn.Module, layers: tuple[str, ...], windows: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the layers give, copied at once, before anything that follows can change it in its place."""
    kept: dict[str, torch.Tensor] = {}

    def keeps(layer: str) -> Any:
        def hook(_module: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            kept[layer] = output.clone()

        return hook

    handles = [network.get_submodule(layer).register_forward_hook(keeps(layer)) for layer in layers]
    with torch.inference_mode():
        kept["logits"] = network(windows)
    for handle in handles:
        handle.remove()
    return kept


def naive_moments(tokens: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the tokens of one window, shape (C, z, y, x), one channel after the other."""
    flat = weights.ravel().astype(np.float64)
    if not flat.any():
        flat = np.ones_like(flat)
    rows = [channel.ravel().astype(np.float64) for channel in tokens]
    means = [np.average(row, weights=flat) for row in rows]
    variances = [np.average((row - mean) ** 2, weights=flat) for row, mean in zip(rows, means, strict=True)]
    return np.array(means), np.sqrt(variances)


def block_means(marked: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Share of each token's block of voxels; the window is a multiple of the tokens."""
    blocks = marked.reshape([n for voxels, t in zip(marked.shape, shape, strict=True) for n in (t, voxels // t)])
    return blocks.mean(axis=(1, 3, 5))


def windows_of(segmenter: Segmenter, tensor: np.ndarray, starts: np.ndarray) -> Iterator[torch.Tensor]:
    patch = segmenter.model.inference.patch
    missing = [max(p - n, 0) for p, n in zip(patch, tensor.shape, strict=True)]
    padded = np.pad(tensor, [(m // 2, m - m // 2) for m in missing], constant_values=AIR)
    for start in starts:
        window = padded[tuple(slice(s, s + n) for s, n in zip(start, patch, strict=True))]
        yield torch.from_numpy(np.ascontiguousarray(window))[None, None]


def stages_of(segmenter: Segmenter) -> tuple[str, ...]:
    return encoder_stages(segmenter.model.network_type, segmenter._network)


def test_the_stages_of_each_family_go_from_shallow_to_deep(a_network: tuple[str, torch.nn.Module]) -> None:
    family, network = a_network
    layers = encoder_stages(family, network)
    assert layers[-1] == bottleneck_layer(family, network)
    outputs = copies_of(network, layers, torch.zeros(1, 1, 64, 64, 64))
    assert tuple(outputs[layer].shape[2] for layer in layers) == SIZES[family]


def test_each_stage_is_pooled_as_a_plain_pass_with_copies_would_be(a_network: tuple[str, torch.nn.Module]) -> None:
    family, network = a_network
    layers = encoder_stages(family, network)
    windows = torch.rand(2, 1, 64, 64, 64, generator=torch.Generator().manual_seed(1))
    windows[0, :, :24] = AIR
    with torch.inference_mode(), StagePool(network, layers, AIR) as pool:
        pool.add(windows, network(windows))
    kept = copies_of(network, layers, windows)
    organ = kept["logits"].argmax(dim=1) > 0
    assert 0 < organ.float().mean() < 1
    assert [stage.name for stage in pool.features()] == list(layers)
    for stage in pool.features():
        for index, tokens in enumerate(kept[stage.name].numpy()):
            occupied = block_means((windows[index, 0] > AIR).numpy(), tokens.shape[1:])
            weights = {"occupied": np.where(occupied > 0.05, occupied, 0)}
            weights["in_mask"] = block_means(organ[index].numpy(), tokens.shape[1:])
            for way, expected_weights in weights.items():
                moments: WindowMoments = getattr(stage, way)
                mean, deviation = naive_moments(tokens, expected_weights)
                scale = np.abs(tokens).max()
                np.testing.assert_allclose(moments.mean[index], mean, atol=1e-5 * scale)
                np.testing.assert_allclose(moments.deviation[index], deviation, atol=1e-4 * scale)
                np.testing.assert_allclose(moments.weight[index], expected_weights.sum(), rtol=1e-4)


def test_a_pass_pools_every_window_of_the_case(a_model_of_each_family: ModelFolder) -> None:
    segmenter, tensor = Segmenter(a_model_of_each_family, CPU), an_input()
    output = segmenter.run(tensor, stages=True)
    layers = stages_of(segmenter)
    assert tuple(stage.name for stage in output.stages) == layers
    windows = windows_of(segmenter, tensor, output.bottleneck.window_starts)
    for index, window in enumerate(windows):
        kept = copies_of(segmenter._network, layers, window)
        for stage in output.stages:
            tokens = kept[stage.name]
            shares = occupied_share(window, tokens.shape[2:], AIR).numpy()
            expected = pool_tokens(tokens.numpy(), shares, "mean_std")
            found = np.concatenate([stage.occupied.mean[index], stage.occupied.deviation[index]])
            np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(tokens.numpy()).max())
    assert all(len(stage.occupied.mean) == index + 1 for stage in output.stages)


def test_the_deepest_stage_of_all_windows_is_the_pooled_bottleneck(a_model_of_each_family: ModelFolder) -> None:
    output = Segmenter(a_model_of_each_family, CPU).run(an_input(), stages=True)
    bottleneck, deepest = output.bottleneck, output.stages[-1].occupied
    for method in ("mean", "mean_std"):
        expected = pool_tokens(bottleneck.tokens, bottleneck.occupied, method)
        found = pool_moments(deepest.mean, deepest.deviation, deepest.weight, method)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(bottleneck.tokens).max())


def test_the_network_runs_as_often_as_without_the_stages_and_gives_the_same(a_model: ModelFolder) -> None:
    segmenter, tensor = Segmenter(a_model, CPU), an_input((60, 60, 60))
    calls: list[int] = []
    handle = segmenter._network.register_forward_hook(lambda _module, inputs, _out: calls.append(len(inputs[0])))
    plain = segmenter.run(tensor)
    alone, calls[:] = list(calls), []
    with_stages = segmenter.run(tensor, stages=True)
    handle.remove()
    assert calls == alone
    assert sum(calls) == segmenter.window_count(tensor.shape)
    assert plain.stages == ()
    assert_same_numbers(with_stages.logits, plain.logits)
    assert_same_numbers(with_stages.bottleneck.tokens, plain.bottleneck.tokens)


def test_no_hook_stays_when_the_pass_is_over(a_model: ModelFolder) -> None:
    segmenter = Segmenter(a_model, CPU)
    segmenter.run(an_input((32, 32, 32)), stages=True)
    assert not any(module._forward_hooks for module in segmenter._network.modules())


def test_no_hook_stays_where_a_layer_is_missing(a_model: ModelFolder) -> None:
    network = Segmenter(a_model, CPU)._network
    with pytest.raises(ModelError, match=r"model\.9"), StagePool(network, ("model.0", "model.9"), AIR):
        pass
    assert not any(module._forward_hooks for module in network.modules())


def test_in_the_mask_nothing_else_has_a_say() -> None:
    logits = torch.zeros(1, 2, 32, 32, 32)
    logits[:, 1, :16, 8:24] = 1
    found: list[StageFeatures] = []
    for outside in (1, 100):
        windows = torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(2))
        windows[:, :, 16:] *= outside
        network = torch.nn.Sequential(torch.nn.AvgPool3d(2))
        with StagePool(network, ("0",), AIR) as pool:
            network(windows)
            pool.add(windows, logits)
        found.extend(pool.features())
    np.testing.assert_allclose(found[0].in_mask.mean, found[1].in_mask.mean, rtol=1e-4)
    assert found[0].in_mask.weight[0] == 8 * 8 * 16
    assert not np.allclose(found[0].occupied.mean, found[1].occupied.mean)


def test_a_window_without_an_organ_has_no_weight_and_no_nan(a_model: ModelFolder) -> None:
    segmenter = Segmenter(a_model, CPU)
    windows = torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(3))
    logits = torch.zeros(1, 2, 32, 32, 32)
    logits[:, 0] = 1
    with torch.inference_mode(), StagePool(segmenter._network, stages_of(segmenter), AIR) as pool:
        segmenter._network(windows)
        pool.add(windows, logits)
    for stage in pool.features():
        assert stage.in_mask.weight[0] == 0
        np.testing.assert_allclose(stage.in_mask.mean, stage.occupied.mean, atol=1e-6)
        assert np.isfinite(stage.in_mask.deviation).all()


def test_a_pass_that_is_repeated_keeps_only_what_it_saw_the_last_time(
    a_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter, tensor = Segmenter(a_model, CPU), an_input((60, 60, 60))
    expected = segmenter.run(tensor, stages=True)
    forward, seen = segmenter._network.forward, [0]

    def scarce(windows: torch.Tensor) -> torch.Tensor:
        if len(windows) > 1 and seen[0] >= 4:
            message = "CUDA out of memory. Tried to allocate 20.00 GiB"
            raise torch.OutOfMemoryError(message)
        seen[0] += len(windows)
        return forward(windows)

    monkeypatch.setattr(segmenter._network, "forward", scarce)
    output = segmenter.run(tensor, stages=True)
    assert output.warnings
    for again, before in zip(output.stages, expected.stages, strict=True):
        np.testing.assert_allclose(again.occupied.mean, before.occupied.mean, atol=1e-4)
        np.testing.assert_allclose(again.in_mask.weight, before.in_mask.weight, atol=1)


def test_a_large_mean_costs_the_deviation_no_digits() -> None:
    class Shifted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stage = torch.nn.Identity()

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            return self.stage(windows + 1e4)

    network, windows = Shifted(), torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(4)) + 0.01
    with StagePool(network, ("stage",), AIR) as pool:
        pool.add(windows, network(windows))
    (stage,) = pool.features()
    assert stage.occupied.deviation[0, 0] == pytest.approx(float(windows.std(correction=0)), rel=1e-2)


def test_features_are_plain_data(a_model: ModelFolder) -> None:
    (*_, stage) = Segmenter(a_model, CPU).run(an_input((32, 32, 32)), stages=True).stages
    for moments in (stage.occupied, stage.in_mask):
        assert all(value.dtype == np.float32 for value in dataclasses.astuple(moments))
        assert moments.mean.shape == moments.deviation.shape == (len(moments.weight), 16)


@pytest.mark.parametrize("organ_classes", [(1,), (2, 3), (0, 4)])
def test_the_organ_is_where_argmax_says_so_and_the_first_of_equals_wins(organ_classes: tuple[int, ...]) -> None:
    logits = torch.randint(0, 4, (2, 5, 8, 8, 8), generator=torch.Generator().manual_seed(5)).float()
    windows = torch.ones(2, 1, 8, 8, 8)
    network = torch.nn.Sequential(torch.nn.Identity())
    with StagePool(network, ("0",), AIR, organ_classes) as pool:
        network(windows)
        pool.add(windows, logits)
    (stage,) = pool.features()
    expected = np.isin(logits.numpy().argmax(axis=1), organ_classes).sum(axis=(1, 2, 3))
    np.testing.assert_array_equal(stage.in_mask.weight, expected)


@pytest.mark.parametrize("part", ["mean", "deviation", "weight"])
@pytest.mark.parametrize("which", ["occupied", "in_mask"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_stage_that_holds_no_numbers_is_refused(a_model: ModelFolder, which: str, part: str, value: float) -> None:
    """Squares in single precision overflow where the tokens themselves, and all that follows them, do not."""
    output = Segmenter(a_model, CPU).run(an_input((32, 32, 32)), stages=True)
    assert output.is_finite
    moments = getattr(output.stages[-1], which)
    spoilt = getattr(moments, part).copy()
    spoilt.flat[-1] = value
    stage = dataclasses.replace(output.stages[-1], **{which: dataclasses.replace(moments, **{part: spoilt})})
    broken = dataclasses.replace(output, stages=(*output.stages[:-1], stage))
    with pytest.raises(ModelError, match="not numbers"):
        first_output_that_fits(attempts(CPU, lambda _: 1), "a model", (), lambda _: broken)
