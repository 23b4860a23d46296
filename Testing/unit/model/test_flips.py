from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from last_digits import assert_same_numbers

from BottleneckOODLib.errors import Cancelled
from BottleneckOODLib.model.flips import FLIPS, flipped_logits
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.ood.output_scores import disagreement

CPU = torch.device("cpu")


def an_input() -> np.ndarray:
    return np.random.default_rng(0).random((32, 60, 36), dtype=np.float32)


class AThreshold(torch.nn.Module):
    """Marks bright voxels, so that a mirrored image gives the mirrored mask."""

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return torch.cat([0.5 - windows, windows - 0.5], dim=1)


def with_network(model: ModelFolder, network: torch.nn.Module) -> Segmenter:
    """The network of the model is replaced; its bottleneck's layer is there, and does nothing."""
    segmenter = Segmenter(model, CPU)
    down = segmenter._network.get_submodule(model.bottleneck_layer)
    whole = segmenter._network

    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.other = whole.model, network

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            self.model(windows)
            return self.other(windows)

    segmenter._network = Both().eval()
    assert segmenter._network.get_submodule(model.bottleneck_layer) is down
    return segmenter


def test_what_looks_at_single_voxels_only_sees_the_same_in_a_mirror(a_model: ModelFolder) -> None:
    segmenter, tensor = with_network(a_model, AThreshold()), an_input()
    masks = [segmenter.run(tensor).logits.argmax(axis=0) > 0]
    for _, logits in flipped_logits(segmenter, tensor):
        assert logits.shape == (2, *tensor.shape)
        masks.append(logits.argmax(axis=0) > 0)
    np.testing.assert_array_equal(masks[0], tensor > 0.5)
    assert disagreement(masks) == 0


def test_each_flip_is_a_plain_run_on_the_mirrored_image(a_model: ModelFolder) -> None:
    segmenter, tensor = Segmenter(a_model, CPU), an_input()
    outputs = dict(flipped_logits(segmenter, tensor))
    assert list(outputs) == list(FLIPS)
    mirrored = segmenter.run(tensor[::-1, ::-1, ::-1].copy()).logits
    assert_same_numbers(outputs["zyx"], mirrored[:, ::-1, ::-1, ::-1])
    assert_same_numbers(outputs["x"], segmenter.run(tensor[:, :, ::-1].copy()).logits[..., ::-1])


def test_no_two_flips_are_the_same() -> None:
    assert all(FLIPS[a] != FLIPS[b] for a, b in itertools.combinations(FLIPS, 2))
    assert len(FLIPS) == 4


def test_the_image_stays_as_it_is(a_model: ModelFolder) -> None:
    tensor = an_input()
    before = tensor.copy()
    list(flipped_logits(Segmenter(a_model, CPU), tensor))
    np.testing.assert_array_equal(tensor, before)


def test_a_flip_is_stopped_between_windows(a_model: ModelFolder) -> None:
    told: list[tuple[str, int, int]] = []

    def stop_in_the_second(name: str, done: int, total: int) -> None:
        told.append((name, done, total))
        if name == "y" and done:
            raise Cancelled

    flips = flipped_logits(Segmenter(a_model, CPU), an_input(), stop_in_the_second)
    assert next(flips)[0] == "z"
    with pytest.raises(Cancelled):
        next(flips)
    assert {name for name, _, _ in told} == {"z", "y"}
    assert 0 < told[-1][1] < told[-1][2]
