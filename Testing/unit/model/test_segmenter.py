"""One pass gives what MONAI's own inferer gives, and the bottleneck of every window with it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from last_digits import assert_same_numbers
from monai.inferers import SlidingWindowInferer

from BottleneckOODLib.errors import Cancelled, ModelError
from BottleneckOODLib.model.bottleneck import BottleneckTap
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.model.window_inference import Attempt

CPU = torch.device("cpu")


def an_input(shape: tuple[int, ...] = (70, 50, 33)) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def test_logits_are_those_of_the_plain_inferer(a_model_of_each_family: ModelFolder) -> None:
    segmenter = Segmenter(a_model_of_each_family, CPU)
    tensor = an_input()
    plain = SlidingWindowInferer(a_model_of_each_family.inference.patch, sw_batch_size=1, overlap=0.25, mode="gaussian")
    with torch.inference_mode():
        expected = plain(torch.from_numpy(tensor)[None, None], segmenter._network)
    output = segmenter.run(tensor)
    assert output.logits.shape == (2, *tensor.shape)
    np.testing.assert_allclose(output.logits, expected[0].numpy(), atol=1e-4)


def test_every_window_has_its_own_bottleneck(a_model_of_each_family: ModelFolder) -> None:
    segmenter = Segmenter(a_model_of_each_family, CPU)
    tensor = an_input()
    bottleneck = segmenter.run(tensor).bottleneck
    assert len(bottleneck.tokens) == segmenter.window_count(tensor.shape) == len(bottleneck.window_starts)
    for tokens, start in zip(bottleneck.tokens, bottleneck.window_starts, strict=True):
        window = tensor[tuple(slice(s, s + n) for s, n in zip(start, segmenter.model.inference.patch, strict=True))]
        with torch.inference_mode(), BottleneckTap(segmenter._network, segmenter.model.bottleneck_layer) as tap:
            segmenter._network(torch.from_numpy(np.ascontiguousarray(window))[None, None])
        # The last normalisation is over a few tokens, which magnifies rounding.
        np.testing.assert_allclose(tokens, tap.take()[0].numpy(), atol=1e-2)


def test_the_bottleneck_is_the_deepest_output(a_model_of_each_family: ModelFolder) -> None:
    segmenter = Segmenter(a_model_of_each_family, CPU)
    shapes: list[torch.Size] = []
    handles = [
        module.register_forward_hook(
            lambda _m, _i, out: shapes.append(out.shape) if isinstance(out, torch.Tensor) else None
        )
        for module in segmenter._network.modules()
    ]
    tokens = segmenter.run(an_input(segmenter.model.inference.patch)).bottleneck.tokens
    for handle in handles:
        handle.remove()
    smallest = min(shape[2:].numel() for shape in shapes if len(shape) == 5)
    assert np.prod(tokens.shape[2:]) == smallest


def test_the_sweep_gives_the_same_bottleneck_without_the_decoder(a_model_of_each_family: ModelFolder) -> None:
    segmenter = Segmenter(a_model_of_each_family, CPU)
    tensor = an_input(segmenter.model.inference.patch)
    np.testing.assert_allclose(segmenter.sweep(tensor).tokens, segmenter.run(tensor).bottleneck.tokens, atol=1e-3)


def test_the_sweep_covers_everything_with_fewer_windows(a_model: ModelFolder) -> None:
    segmenter = Segmenter(a_model, CPU)
    tensor = an_input((70, 60, 60))
    starts = segmenter.sweep(tensor).window_starts
    covered = np.zeros(tensor.shape, dtype=bool)
    for start in starts:
        covered[tuple(slice(s, s + 32) for s in start)] = True
    assert covered.all()
    assert len(starts) < segmenter.window_count(tensor.shape)


def test_air_and_padding_count_as_unoccupied(a_model: ModelFolder) -> None:
    segmenter = Segmenter(a_model, CPU)
    tensor = np.zeros((32, 32, 16), dtype=np.float32)
    tensor[:16] = 0.5
    occupied = segmenter.run(tensor).bottleneck.occupied
    assert occupied.shape == segmenter.run(tensor).bottleneck.tokens[:, 0].shape
    assert occupied.mean() == pytest.approx(0.25)


def test_the_input_is_not_modified(a_model: ModelFolder) -> None:
    tensor = an_input()
    before = tensor.copy()
    Segmenter(a_model, CPU).run(tensor)
    np.testing.assert_array_equal(tensor, before)


def test_a_run_is_stopped_between_windows(a_model: ModelFolder) -> None:
    calls: list[tuple[int, int]] = []

    def stop_at_second(done: int, total: int) -> None:
        calls.append((done, total))
        if done:
            raise Cancelled

    segmenter = Segmenter(a_model, CPU)
    tensor = an_input((60, 60, 60))
    with pytest.raises(Cancelled):
        segmenter.run(tensor, stop_at_second)
    assert 0 < calls[-1][0] < calls[-1][1] == segmenter.window_count(tensor.shape)


@pytest.mark.parametrize("fails_at", [0, 4, 7])
def test_out_of_memory_falls_back_to_single_windows(
    a_model: ModelFolder, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    segmenter = Segmenter(a_model, CPU)
    tensor = an_input((60, 60, 60))
    expected = segmenter.run(tensor)
    forward, seen = segmenter._network.forward, [0]

    def scarce(windows: torch.Tensor) -> torch.Tensor:
        if len(windows) > 1 and seen[0] >= fails_at:
            message = "CUDA out of memory. Tried to allocate 20.00 GiB"
            raise torch.OutOfMemoryError(message)
        seen[0] += len(windows)
        return forward(windows)

    monkeypatch.setattr(segmenter._network, "forward", scarce)
    output = segmenter.run(tensor)
    assert_same_numbers(output.logits, expected.logits)
    assert_same_numbers(output.bottleneck.tokens, expected.bottleneck.tokens)
    assert expected.warnings == ()
    (warning,) = output.warnings
    assert "one window at a time" in warning


def test_a_card_that_is_too_small_leaves_the_work_to_the_cpu_and_says_so(
    a_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = an_input((60, 60, 60))
    expected = Segmenter(a_model, CPU).run(tensor)
    card = torch.device("cuda", 0)
    segmenter = Segmenter(a_model, card, ("A note.",))
    whole_pass, tried = segmenter._pass, []

    def only_on_the_cpu(tensor: np.ndarray, attempt: Attempt, *others: object) -> object:
        tried.append((attempt.device.type, attempt.at_once, attempt.blended_on.type))
        if attempt.device.type == "cuda":
            message = "CUDA error: out of memory"
            raise RuntimeError(message)
        return whole_pass(tensor, attempt, *others)

    monkeypatch.setattr(segmenter, "_pass", only_on_the_cpu)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    output = segmenter.run(tensor)
    assert tried == [("cuda", 4, "cuda"), ("cuda", 1, "cuda"), ("cuda", 1, "cpu"), ("cpu", 4, "cpu")]
    assert_same_numbers(output.logits, expected.logits)
    assert output.device == "cpu"
    assert output.warnings[0] == "A note."
    (warning,) = output.warnings[1:]
    assert "cuda:0" in warning
    assert "CPU was used" in warning


def test_no_memory_at_all_is_a_sentence(a_model: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = Segmenter(a_model, CPU)

    def empty(_windows: torch.Tensor) -> torch.Tensor:
        message = "[enforce fail] DefaultCPUAllocator: can't allocate memory"
        raise RuntimeError(message)

    monkeypatch.setattr(segmenter._network, "forward", empty)
    with pytest.raises(ModelError, match="memory"):
        segmenter.run(an_input((32, 32, 32)))


def test_another_failure_is_not_taken_for_want_of_memory(a_model: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = Segmenter(a_model, CPU)
    attempts: list[int] = []

    def broken(windows: torch.Tensor) -> torch.Tensor:
        attempts.append(len(windows))
        message = "mat1 and mat2 shapes cannot be multiplied"
        raise RuntimeError(message)

    monkeypatch.setattr(segmenter._network, "forward", broken)
    with pytest.raises(ModelError, match="failed on this volume"):
        segmenter.run(an_input((32, 32, 32)))
    assert len(attempts) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(
    a_model: ModelFolder, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    segmenter = Segmenter(a_model, CPU)
    forward = segmenter._network.forward
    monkeypatch.setattr(segmenter._network, "forward", lambda windows: forward(windows) + value)
    with pytest.raises(ModelError, match="not numbers"):
        segmenter.run(an_input((32, 32, 32)))


def test_weights_of_another_network_are_refused(a_model: ModelFolder) -> None:
    other = dataclasses.replace(a_model, network_arguments={**a_model.network_arguments, "channels": [4, 8, 32]})
    with pytest.raises(ModelError, match="do not fit"):
        Segmenter(other, CPU)


def test_a_missing_bottleneck_layer_is_refused(a_model: ModelFolder) -> None:
    other = dataclasses.replace(a_model, bottleneck_layer="model.9")
    with pytest.raises(ModelError, match=r"model\.9"):
        Segmenter(other, CPU).run(an_input((32, 32, 32)))
