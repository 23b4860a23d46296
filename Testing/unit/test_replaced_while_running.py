"""A model or a reference that is replaced between its check and its use is refused, or used as it was; never a mix."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from BottleneckOODLib.errors import ModelError, ReferenceSetError
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import ModelFolder, read_model_folder
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.reference import reference_folder
from BottleneckOODLib.reference.reference_folder import Reference

Make = Callable[..., ModelFolder]


def replace_in_place(old: Path, new: Path) -> None:
    for path in new.iterdir():
        shutil.copyfile(path, old / path.name)


def replace_by_name(old: Path, new: Path) -> None:
    old.rename(old.with_name("replaced"))
    shutil.copytree(new, old)


@pytest.fixture(params=[replace_in_place, replace_by_name])
def replaced(request: pytest.FixtureRequest) -> Callable[[Path, Path], None]:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("moment", ["before the weights are read", "after"])
def test_weights_that_are_replaced_between_check_and_load_are_refused(
    make_model: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    replaced: Callable[[Path, Path], None],
    moment: str,
) -> None:
    model, other = (make_model(tmp_path / name, "unet", seed=seed) for seed, name in enumerate(("one", "other")))
    read = safetensors.torch.load_file

    def load(path: Path) -> Any:
        if moment == "after":
            state = {name: tensor.clone() for name, tensor in read(path).items()}
            replaced(model.folder, other.folder)
            return state
        replaced(model.folder, other.folder)
        return read(path)

    checked = read_model_folder(model.folder)
    monkeypatch.setattr(safetensors.torch, "load_file", load)
    with pytest.raises(ModelError, match=r"weights\.safetensors.*changed since"):
        Segmenter(checked, torch.device("cpu"))
    monkeypatch.undo()
    # The next one to ask gets the new model, whole.
    again = BottleneckOODLogic(model.folder, device="cpu")
    assert again.model.fingerprint == again.segmenter.model.fingerprint == other.fingerprint


def test_a_model_that_is_loaded_stays_the_one_it_was(
    make_model: Make, tmp_path: Path, replaced: Callable[[Path, Path], None]
) -> None:
    model, other = (make_model(tmp_path / name, "unet", seed=seed) for seed, name in enumerate(("one", "other")))
    segmenter = Segmenter(model, torch.device("cpu"))
    tensor = np.random.default_rng(0).random((32, 32, 32), dtype=np.float32)
    before = segmenter.run(tensor).logits
    replaced(model.folder, other.folder)
    assert np.array_equal(segmenter.run(tensor).logits, before)
    assert segmenter.model.fingerprint == model.fingerprint


@pytest.mark.parametrize("part", ["_read_arrays", "read_cases", "read_bank"])
@pytest.mark.parametrize("before", [True, False])
def test_a_reference_that_is_replaced_while_it_is_read_is_refused(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    replaced: Callable[[Path, Path], None],
    part: str,
    before: bool,
) -> None:
    folder, other = tmp_path / "reference", tmp_path / "other"
    small = Reference.load(repository / "Testing" / "formats" / "v1" / "reference")
    tokens = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float16)
    index = np.arange(40, dtype=np.int32) % len(small.cases)
    replace(small, bank=TokenBank(tokens, index, 1.0)).save(folder)
    others = (small.cases[0], *small.cases[1:][::-1])
    replace(small, cases=others, bank=TokenBank(tokens[::-1].copy(), index, 1.0)).save(other)
    read = getattr(reference_folder, part)

    def reading(*asked: Any) -> Any:
        if before:
            replaced(folder, other)
        found = read(*asked)
        if not before:
            replaced(folder, other)
        return found

    monkeypatch.setattr(reference_folder, part, reading)
    with pytest.raises(ReferenceSetError, match="changed since it was made"):
        Reference.load(folder)
    monkeypatch.undo()
    assert Reference.load(folder).fingerprint == Reference.load(other).fingerprint
