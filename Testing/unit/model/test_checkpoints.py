"""Weights are found in the wrappings that trainings put around them, fit in full or not at all, and run nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from monai.networks.nets.swin_unetr import SwinUNETR
from monai.networks.nets.unet import UNet

from BottleneckOODLib.errors import DependencyError, ModelError
from BottleneckOODLib.model import saved_by_torch
from BottleneckOODLib.model.checkpoints import fitted, read_checkpoint
from BottleneckOODLib.model.networks import build_network
from BottleneckOODLib.model.swin_arguments import swin_arguments

ARGUMENTS: dict[str, Any] = {
    "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2], "norm": "batch",
}  # fmt: skip


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return dict(UNet(**ARGUMENTS).state_dict())


def with_prefix(prefix: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda weights: {prefix + name: value for name, value in weights.items()}


def saved(content: object, folder: Path) -> Path:
    path = folder / "checkpoint.pt"
    torch.save(content, path)
    return path


def read(path: Path, **options: Any) -> dict[str, torch.Tensor]:
    return fitted(build_network("unet", ARGUMENTS), read_checkpoint(path, **options), path, "unet")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "net.", "module.model.", "_orig_mod."])
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda w: w,
        lambda w: {"epoch": 3, "state_dict": w, "optimizer": {"state": {}}},
        lambda w: {"model": w, "best_metric": 0.9},
        lambda w: {"model_state_dict": w},
        lambda w: {"network_weights": w},
        lambda w: {"model": {"state_dict": w}},
    ],
)
def test_usual_wrappings_are_taken_off(
    weights: dict[str, torch.Tensor], tmp_path: Path, prefix: str, wrapped: Callable[[Any], Any]
) -> None:
    assert same(read(saved(wrapped(with_prefix(prefix)(weights)), tmp_path)), weights)


def test_safetensors_are_read_and_halves_become_the_network_s_own_type(
    weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    halves = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    safetensors.torch.save_file(halves, path)
    found = read(path)
    assert {value.dtype for value in found.values()} == {torch.float32, torch.int64}
    assert all(torch.equal(found[name], halves[name].to(found[name].dtype)) for name in found)


def test_the_moving_average_is_taken_when_it_is_asked_for(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    average = {name: value + 1 for name, value in weights.items()}
    for kept in (
        {"state_dict": weights, "ema_state_dict": average},
        {"state_dict": weights, "ema": {"n_averaged": torch.tensor(4), **with_prefix("module.")(average)}},
        {**with_prefix("online_model.")(weights), **with_prefix("ema_model.")(average), "step": torch.tensor(9)},
    ):
        assert same(read(saved(kept, tmp_path), ema=True), average)
    assert same(read(saved({"state_dict": weights, "ema_state_dict": average}, tmp_path)), weights)


def test_an_average_that_is_not_there_is_said(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="keeps no moving average"):
        read(saved({"state_dict": weights}, tmp_path), ema=True)


def test_missing_and_left_over_weights_are_named_and_counted(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    names = list(weights)
    fewer = {name: weights[name] for name in names[5:]} | {"loss.weight": torch.ones(2)}
    with pytest.raises(ModelError, match=rf"{names[0]}, .* and 2 more are missing and loss.weight is left over"):
        read(saved(fewer, tmp_path))


def test_another_shape_is_named(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    name = next(iter(weights))
    with pytest.raises(ModelError, match=rf"{name} has the shape \(7,\) instead of \(4, 1, 3, 3, 3\)"):
        read(saved({**weights, name: torch.zeros(7)}, tmp_path))


def test_values_that_are_not_numbers_are_refused(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    name = next(iter(weights))
    with pytest.raises(ModelError, match="not numbers"):
        read(saved({**weights, name: torch.full_like(weights[name], float("nan"))}, tmp_path))


class Canary:
    """What a hostile pickle would do: make a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (Path(self.path),)


def test_code_in_a_checkpoint_never_runs(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = saved({"state_dict": weights, "hyper_parameters": Canary(str(canary))}, tmp_path)
    with pytest.raises(ModelError, match="holds more than tensors"):
        read(path)
    assert not canary.exists()
    torch.load(path, weights_only=False)
    assert canary.exists()


def test_a_whole_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds more than tensors"):
        read(saved(UNet(**ARGUMENTS), tmp_path))


def test_pickled_checkpoints_need_a_torch_that_reads_them_safely(
    weights: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(weights, tmp_path)
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    assert saved_by_torch.torch_version() == (2, 9)
    with pytest.raises(DependencyError, match=r"PyTorch 2\.10 or newer"):
        read(path)


def truncated(weights: dict[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()[:-200]


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x80\x04\x95\xff"])
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot be read|damaged|holds more"):
        read(tmp_path / name)


def test_truncated_weights_are_refused(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(truncated(weights))
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / "w.pt")
    safetensors.torch.save_file(weights, tmp_path / "w.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-9])
    with pytest.raises(ModelError, match="truncated"):
        read(tmp_path / "cut.safetensors")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"state_dict": {}}, torch.zeros(3)])
def test_a_file_without_weights_by_name_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ModelError, match="no weights by name"):
        read(saved(content, tmp_path))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="were not found"):
        read(tmp_path / "gone.pt")


@pytest.mark.parametrize("use_v2", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_swin_unetr_tells_its_own_arguments(use_v2: bool, prefix: str) -> None:
    arguments = {
        "in_channels": 1, "out_channels": 5, "feature_size": 24, "depths": [1, 2, 1, 1], "num_heads": [1, 2, 4, 8],
        "window_size": 5, "use_v2": use_v2, "spatial_dims": 3,
    }  # fmt: skip
    state = SwinUNETR(**arguments).state_dict()
    assert swin_arguments(with_prefix(prefix)(state)) == arguments


def test_other_weights_tell_nothing(weights: dict[str, torch.Tensor]) -> None:
    assert swin_arguments(weights) == {}
