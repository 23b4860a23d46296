"""An nnU-Net's pass can be stopped, watched, repeated and fall back; what goes wrong is one sentence."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from last_digits import assert_same_numbers
from nnunet_cases import CPU, a_volume

from BottleneckOODLib.errors import Cancelled, DependencyError, ModelError
from BottleneckOODLib.model import nnunet, nnunet_network
from BottleneckOODLib.model.adapter import loaded
from BottleneckOODLib.model.local_view import BodyShares
from BottleneckOODLib.model.memory_steps import Attempt
from BottleneckOODLib.model.model_folder import ModelFolder, read_model_folder
from BottleneckOODLib.model.nnunet import NnunetSegmenter
from BottleneckOODLib.model.nnunet_import import NnunetChoice, add_nnunet
from BottleneckOODLib.ood.pooling import pool_tokens

LIVER = NnunetChoice(label="liver")


def assert_no_thread_stays(before: set[threading.Thread]) -> None:
    """Nobody joins nnU-Net's thread, so it may still be about to end when the pass is over."""
    end = time.monotonic() + 60
    while not set(threading.enumerate()) <= before and time.monotonic() < end:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


def test_twice_the_same_input_gives_the_same_numbers(a_segmenter: NnunetSegmenter) -> None:
    tensor, _ = a_segmenter.prepare(a_volume())
    first, second = a_segmenter.run(tensor), a_segmenter.run(tensor)
    assert_same_numbers(second.logits, first.logits)
    assert_same_numbers(second.bottleneck.tokens, first.bottleneck.tokens)
    assert first.warnings == ("A note.",)


@pytest.mark.parametrize("at", [0, 3])
def test_a_stop_between_windows_ends_the_pass_and_nnunets_thread(a_segmenter: NnunetSegmenter, at: int) -> None:
    tensor, _ = a_segmenter.prepare(a_volume())
    threads = set(threading.enumerate())
    calls: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if done == at:
            raise Cancelled

    with pytest.raises(Cancelled):
        a_segmenter.run(tensor, stop)
    assert calls == [(n, a_segmenter.window_count(tensor.shape)) for n in range(at + 1)]
    assert_no_thread_stays(threads)
    assert a_segmenter.run(tensor).logits.shape == (6, *tensor.shape)


def test_every_window_is_counted_once_and_the_last_call_says_all(
    trained: Callable[[str], tuple[Path, ModelFolder]],
) -> None:
    segmenter = loaded(trained("two folds")[1], CPU)
    tensor, _ = segmenter.prepare(a_volume())
    calls: list[tuple[int, int]] = []
    segmenter.run(tensor, lambda done, total: calls.append((done, total)))
    total = segmenter.window_count(tensor.shape)
    assert calls == [(n, total) for n in range(total + 1)]


def test_local_tokens_and_stages_come_from_the_same_pass(a_segmenter: NnunetSegmenter) -> None:
    tensor, _ = a_segmenter.prepare(a_volume())
    shares = BodyShares(tensor, a_segmenter.model.inference.patch)
    starts: list[list[int]] = []

    def view(tokens: np.ndarray, at: list[list[int]]) -> np.ndarray:
        starts.extend(at)
        assert tokens.shape[2:] == shares.of(at).shape[1:]
        return tokens

    output = a_segmenter.run(tensor, None, view, stages=True)
    assert output.local is not None
    # Mean and deviation of the second stage's 8 channels.
    assert output.local.shape[:2] == (len(output.bottleneck.tokens), 16)
    np.testing.assert_array_equal(starts, output.bottleneck.window_starts)
    assert [stage.name for stage in output.stages] == list(a_segmenter.stage_names)
    deepest = output.stages[-1].occupied
    bottleneck = output.bottleneck
    expected = [
        pool_tokens(t[None], o[None], "mean") for t, o in zip(bottleneck.tokens, bottleneck.occupied, strict=True)
    ]
    np.testing.assert_allclose(deepest.mean, expected, rtol=1e-3, atol=1e-3)


def test_padding_and_air_have_no_vote(trained: Callable[[str], tuple[Path, ModelFolder]]) -> None:
    segmenter = loaded(trained("large window")[1], CPU)
    volume = a_volume()
    voxels = np.full(volume.voxels.shape, -1000, np.float32)
    voxels[6:16, 8:20, 8:26] = 50
    tensor, _ = segmenter.prepare(dataclasses.replace(volume, voxels=voxels))
    occupied = segmenter.run(tensor).bottleneck.occupied
    solid = tensor > segmenter.model.preprocessing.intensity.air + 0.5
    patch = segmenter.model.inference.patch
    assert occupied.sum() * np.prod(patch) / np.prod(occupied.shape[1:]) == pytest.approx(solid.sum(), rel=0.25)
    assert occupied[:, 0].max() == 0, "the outermost tokens see padding alone"


def test_a_look_ahead_gives_the_same_kind_of_tokens(a_segmenter: NnunetSegmenter) -> None:
    tensor, _ = a_segmenter.prepare(a_volume((40, 56, 70)))
    ahead = a_segmenter.sweep(tensor)
    assert ahead is not None
    assert 0 < len(ahead.tokens) < a_segmenter.window_count(tensor.shape)
    patch = a_segmenter.model.inference.patch
    for tokens, start in zip(ahead.tokens[:3], ahead.window_starts[:3], strict=True):
        window = tensor[tuple(slice(s, s + n) for s, n in zip(start, patch, strict=True))]
        with torch.inference_mode():
            expected = a_segmenter._network.encoder(torch.from_numpy(window.copy())[None, None])[-1][0].numpy()
        np.testing.assert_allclose(tokens, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("window", [0, 4])
def test_memory_that_ends_where_a_window_is_fed_is_told_and_not_waited_for(
    a_segmenter: NnunetSegmenter, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    tensor, _ = a_segmenter.prepare(a_volume())
    expected = a_segmenter.run(tensor)
    threads = set(threading.enumerate())
    clone, fed = torch.clone, []

    def short_of_memory(*arguments: Any, **named: Any) -> torch.Tensor:
        # nnU-Net's thread copies each window for the card while the network holds its memory.
        fed.append(threading.current_thread())
        if len(fed) == window + 1:
            message = "out of memory"
            raise torch.OutOfMemoryError(message)
        return clone(*arguments, **named)

    monkeypatch.setattr(torch, "clone", short_of_memory)
    on_a_card = [Attempt(CPU, 1, torch.device("cuda")), Attempt(CPU, 1, CPU)]
    monkeypatch.setattr(nnunet, "attempts", lambda *_: [(attempt, "told") for attempt in on_a_card])
    found: list[Any] = []
    # Who waits for ever must not hold the tests.
    run = threading.Thread(target=lambda: found.append(a_segmenter.run(tensor)), daemon=True)
    run.start()
    run.join(300)
    assert found, "still waiting for a window"
    assert threading.main_thread() not in fed
    assert found[0].warnings[-1] == "told"
    assert_same_numbers(found[0].logits, expected.logits)
    assert_same_numbers(found[0].bottleneck.tokens, expected.bottleneck.tokens)
    assert_no_thread_stays(threads)


@pytest.mark.parametrize("window", [0, 4, 7])
def test_out_of_memory_on_a_card_ends_on_the_cpu_with_the_same_result(
    a_segmenter: NnunetSegmenter, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    tensor, _ = a_segmenter.prepare(a_volume())
    expected = a_segmenter.run(tensor)
    threads = set(threading.enumerate())
    tried: list[Attempt] = []
    as_on_a_card = [Attempt(CPU, 1, torch.device("cuda")), Attempt(CPU, 1, CPU), Attempt(CPU, 1, CPU)]
    monkeypatch.setattr(nnunet, "attempts", lambda *_: [(attempt, "told") for attempt in as_on_a_card])
    plain = NnunetSegmenter._pass

    def short_of_memory(self: NnunetSegmenter, tensor: Any, attempt: Attempt, on_window: Any, *rest: Any) -> Any:
        tried.append(attempt)
        if len(tried) == 3:
            return plain(self, tensor, attempt, on_window, *rest)

        def fail(done: int, _total: int) -> None:
            if done == window:
                message = "out of memory"
                raise torch.OutOfMemoryError(message)

        return plain(self, tensor, attempt, fail, *rest)

    monkeypatch.setattr(NnunetSegmenter, "_pass", short_of_memory)
    output = a_segmenter.run(tensor)
    assert tried == as_on_a_card
    assert output.warnings[-1] == "told"
    assert_same_numbers(output.logits, expected.logits)
    assert_same_numbers(output.bottleneck.tokens, expected.bottleneck.tokens)
    assert_no_thread_stays(threads)


def test_a_network_that_fails_is_told_as_such(a_segmenter: NnunetSegmenter) -> None:
    tensor, _ = a_segmenter.prepare(a_volume())
    a_segmenter._network.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("broken")))
    with pytest.raises(ModelError, match="failed on this volume"):
        a_segmenter.run(tensor)
    assert a_segmenter.sweep(tensor) is not None, "the decoder is not needed to look ahead"


def test_weights_that_give_no_numbers_are_told(a_segmenter: NnunetSegmenter) -> None:
    tensor, _ = a_segmenter.prepare(a_volume())
    a_segmenter._folds[0]["encoder.stages.0.0.convs.0.conv.weight"].fill_(float("inf"))
    with pytest.raises(ModelError, match="not numbers"):
        a_segmenter.run(tensor)


@pytest.mark.parametrize(("index", "value"), [(0, np.nan), (1, np.nan), (3, np.inf)])
def test_resampling_that_gives_no_numbers_is_told_and_not_taken_for_background(
    a_segmenter: NnunetSegmenter, index: int, value: float
) -> None:
    tensor, grid = a_segmenter.prepare(a_volume())
    logits = a_segmenter.run(tensor).logits
    assert grid.restore(logits, {"liver": 1}).labels.shape == a_volume().voxels.shape
    resampled = type(grid)._resampled
    calls: list[int] = []

    class Broken(type(grid)):  # type: ignore[misc]
        def _resampled(self, logit: np.ndarray) -> np.ndarray:
            found = np.array(resampled(self, logit))
            if len(calls) == index:
                found.flat[found.size // 2] = value
            calls.append(index)
            return found

    fields = {field.name: getattr(grid, field.name) for field in dataclasses.fields(grid)}
    with pytest.raises(ModelError, match="resampling of nnU-Net gave values that are not numbers"):
        Broken(**fields).restore(logits, {"liver": 1})


def test_a_volume_of_zeros_is_refused(a_segmenter: NnunetSegmenter) -> None:
    with pytest.raises(ModelError, match="nothing but zeros"):
        a_segmenter.prepare(dataclasses.replace(a_volume(), voxels=np.zeros((22, 28, 34), np.float32)))


@pytest.mark.parametrize("name", ["plans.json", "dataset.json", "fold_0.safetensors"])
def test_a_file_that_was_changed_since_is_refused(
    trained: Callable[[str], tuple[Path, ModelFolder]], tmp_path: Path, name: str
) -> None:
    folder, _ = trained("plain")
    model = add_nnunet("again", folder, LIVER, tmp_path / "again")
    path = model.folder / name
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1) if name.endswith("json") else path.read_bytes()[:-4])
    with pytest.raises(ModelError, match=r"changed|missing|damaged"):
        NnunetSegmenter(read_model_folder(model.folder), CPU)


def test_without_nnunet_one_sentence_says_what_to_install(
    trained: Callable[[str], tuple[Path, ModelFolder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained("plain")[1]
    monkeypatch.setattr(nnunet_network.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DependencyError, match=r"pip install .*nnunet"):
        loaded(model, CPU)
