"""Models that nnU-Net's own trainer made, each once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from nnunet_cases import KINDS, MIRRORED
from nnunet_models import train

from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.nnunet import NnunetSegmenter
from BottleneckOODLib.model.nnunet_import import NnunetChoice, add_nnunet


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, ModelFolder]]:
    """A model that nnU-Net's trainer made, and ours of it; each is made once."""
    made: dict[str, tuple[Path, ModelFolder]] = {}

    def make(kind: str) -> tuple[Path, ModelFolder]:
        if kind not in made:
            root = tmp_path_factory.mktemp("nnunet")
            plans, dataset, folds = KINDS[kind]
            trainer = "nnUNetTrainer" if kind in MIRRORED else "nnUNetTrainerNoMirroring"
            folder = train(root, plans, dataset, folds=folds, trainer=trainer)
            made[kind] = folder, add_nnunet("tiny", folder, NnunetChoice(label="liver"), root / "ours")
        return made[kind]

    return make


@pytest.fixture
def a_segmenter(trained: Callable[[str], tuple[Path, ModelFolder]]) -> NnunetSegmenter:
    return NnunetSegmenter(trained("plain")[1], torch.device("cpu"), ("A note.",))
