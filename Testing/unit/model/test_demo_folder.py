from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.demo_folder import WEIGHTS, write_demo_folder
from BottleneckOODLib.model.model_folder import read_model_folder
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.model.training import DEMO_NETWORKS, train_demo_model
from BottleneckOODLib.progress import CancelToken


@pytest.fixture(scope="module", params=sorted(DEMO_NETWORKS))
def a_training(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As short as a training can be: its weights are random, its files are not."""
    folder = tmp_path_factory.mktemp("training")
    stopped = CancelToken()
    stopped.cancel()
    train_demo_model(folder, steps=1, network=request.param, cancel=stopped)
    return folder


def test_a_training_becomes_a_model_that_says_what_it_is(a_training: Path, tmp_path: Path) -> None:
    write_demo_folder(a_training, tmp_path / "demo", "7")
    model = read_model_folder(tmp_path / "demo")
    assert (model.name, model.version, model.modality, model.demonstration) == ("demo", "7", "CT", True)
    assert "synthetic bodies" in model.intended_use
    assert "not for clinical use" in model.intended_use
    assert model.labels == {"liver": 1}
    assert model.card["trained_on"] == "generated bodies alone"


def test_it_fits_into_16_mb_and_runs(a_training: Path, tmp_path: Path) -> None:
    model = write_demo_folder(a_training, tmp_path / "demo", "1")
    assert model.weights_path.stat().st_size <= 16_000_000
    output = Segmenter(model, torch.device("cpu")).run(np.full((64, 64, 64), -1, np.float32))
    assert output.logits.shape == (2, 64, 64, 64)


def test_half_precision_keeps_every_weight_to_three_digits(a_training: Path, tmp_path: Path) -> None:
    write_demo_folder(a_training, tmp_path / "demo", "1")
    before, after = load_file(a_training / WEIGHTS), load_file(tmp_path / "demo" / WEIGHTS)
    for name, value in before.items():
        torch.testing.assert_close(after[name].float(), value.float(), rtol=1e-3, atol=1e-6)


def test_a_folder_without_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no finished training"):
        write_demo_folder(tmp_path, tmp_path / "demo", "1")
