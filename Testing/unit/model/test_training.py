from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model import training
from BottleneckOODLib.model.networks import build_network
from BottleneckOODLib.model.training import train_demo_model
from BottleneckOODLib.progress import CancelToken, Progress


@pytest.fixture(autouse=True)
def easy_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bright balls instead of bodies: what is tested is the loop."""

    def draw(
        _bank: object, rng: np.random.Generator, _settings: object, *, progress: float
    ) -> tuple[np.ndarray, np.ndarray]:
        assert 0 <= progress <= 1
        z, y, x = np.ogrid[:16, :16, :16]
        centre = rng.uniform(5, 11, 3)
        mask = ((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < 16).astype(np.uint8)
        return (mask + rng.normal(0, 0.1, mask.shape)).astype(np.float32), mask

    small = {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2], "norm": "INSTANCE",
    }  # fmt: skip
    monkeypatch.setattr(training, "draw_patch", draw)
    monkeypatch.setattr(training, "DEMO_NETWORKS", {"unet": small})


def test_it_learns(tmp_path: Path) -> None:
    losses: list[str] = []
    train_demo_model(tmp_path, steps=250, progress=lambda p: losses.append(p.message))
    values = [float(message.rsplit(" ", 1)[1]) for message in losses if message]
    # The shown loss is a running mean that starts at 1, below the first real losses.
    assert values[-1] < 0.8 * max(values)


def test_the_weights_fit_the_network_that_the_settings_name(tmp_path: Path) -> None:
    weights = train_demo_model(tmp_path, steps=3)
    settings = json.loads((tmp_path / training.SETTINGS).read_text())
    network = build_network(settings["network"]["type"], settings["network"]["arguments"])
    network.load_state_dict(load_file(weights))
    assert settings["orientation"] == "LPS"
    assert settings["intensity"] == {"clip": [-200.0, 300.0], "scale": [-1.0, 1.0]}
    assert settings["bottleneck_layer"] in dict(network.named_modules())
    training_told = settings["training"]
    assert training_told.pop("seconds") >= 0
    assert training_told == {"seed": 0, "steps": 3, "real_data": False}


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = load_file(train_demo_model(tmp_path / "whole", steps=6))
    token = CancelToken()

    def stop(report: Progress) -> None:
        if report.message.startswith("step 3,"):
            token.cancel()

    train_demo_model(tmp_path / "parts", steps=6, progress=stop, cancel=token)
    assert json.loads((tmp_path / "parts" / training.SETTINGS).read_text())["training"]["steps"] == 3
    parts = load_file(train_demo_model(tmp_path / "parts", steps=6))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value)


def test_the_seed_matters_and_repeats(tmp_path: Path) -> None:
    a, b, c = (load_file(train_demo_model(tmp_path / n, steps=2, seed=s)) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)


def test_no_resume_starts_anew(tmp_path: Path) -> None:
    train_demo_model(tmp_path, steps=3)
    train_demo_model(tmp_path, steps=2, resume=False)
    assert json.loads((tmp_path / training.SETTINGS).read_text())["training"]["steps"] == 2


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    train_demo_model(tmp_path, steps=1, seed=1)
    with pytest.raises(ModelError, match=r"made with other settings; choose an empty folder\.$"):
        train_demo_model(tmp_path, steps=2, seed=2)


def test_an_unknown_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not as 'vgg'"):
        train_demo_model(tmp_path / "new", network="vgg")
    assert not (tmp_path / "new").exists()
