"""The pass over the windows is that of MONAI's inferer, with less work; and it goes on where memory ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from last_digits import assert_same_classes, assert_same_numbers
from monai.inferers import SlidingWindowInferer

from BottleneckOODLib.model import window_inference
from BottleneckOODLib.model.model_folder import InferenceSettings, ModelFolder
from BottleneckOODLib.model.segmenter import Segmenter, SegmenterOutput
from BottleneckOODLib.model.window_inference import (
    Attempt,
    Steps,
    batches,
    blended_logits,
    window_slices,
    windows_at_once,
)
from BottleneckOODLib.ood.pooling import pool_tokens

CPU, CARD = torch.device("cpu"), torch.device("cuda", 0)
AIR = -1.0
BY_FOUR = Attempt(CPU, 4, CPU)


def a_network(windows: torch.Tensor) -> torch.Tensor:
    """Three classes that depend on the place in the window, so that a wrong weight or place shows."""
    ramp = torch.linspace(0, 1, windows[0].numel()).reshape(windows.shape[1:])
    smooth = torch.nn.functional.avg_pool3d(windows, 3, stride=1, padding=1)
    return torch.cat([windows * ramp, smooth, torch.sin(3 * windows) + ramp], dim=1)


def an_input_in_air(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    tensor = np.full(shape, AIR, dtype=np.float32)
    block = tuple(slice(0, max(1, n // 3)) for n in shape)
    tensor[block] = np.random.default_rng(seed).random(tensor[block].shape, dtype=np.float32)
    return tensor


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(*[st.integers(3, 30)] * 3),
    patch=st.tuples(*[st.sampled_from([4, 8, 12])] * 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    blend=st.sampled_from(["gaussian", "constant"]),
    padding=st.sampled_from([AIR, 0.5]),
    steps=st.builds(Steps, air_once=st.booleans()),
    at_once=st.integers(1, 5),
)
def test_the_result_is_that_of_monai_s_inferer(
    shape: tuple[int, int, int],
    patch: tuple[int, int, int],
    overlap: float,
    blend: str,
    padding: float,
    steps: Steps,
    at_once: int,
) -> None:
    tensor = an_input_in_air(shape)
    before = tensor.copy()
    plain = SlidingWindowInferer(patch, 1, overlap, blend, cval=padding)
    expected = plain(torch.from_numpy(tensor)[None, None], a_network)[0].numpy()
    asked = InferenceSettings(patch, overlap, blend)
    found = blended_logits(
        tensor, asked, padding, AIR, lambda windows, _: a_network(windows), Attempt(CPU, at_once, CPU), steps
    )
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_array_equal(tensor, before)


def test_air_is_computed_once_for_all_windows_of_it() -> None:
    tensor = an_input_in_air((48, 48, 48))
    calls: list[tuple[int, int]] = []
    seen: list[list[int]] = []

    def predict(windows: torch.Tensor, starts: list[list[int]]) -> torch.Tensor:
        calls.append((len(windows), len(starts)))
        seen.extend(starts)
        if len(windows) != len(starts):
            assert bool((windows == AIR).all())
        return a_network(windows)

    asked = InferenceSettings((8, 8, 8), 0.0, "constant")
    once = blended_logits(tensor, asked, AIR, AIR, predict, BY_FOUR, Steps())
    computed = sum(windows for windows, _ in calls)
    # The block of 16 voxels fills 8 of 216 windows; the other 208 come in four groups of at most 64.
    assert computed == 8 + 4
    assert sorted(seen) == sorted([s.start for s in window] for window in window_slices((48,) * 3, (8,) * 3, 0.0))
    calls.clear()
    each = blended_logits(tensor, asked, AIR, AIR, predict, BY_FOUR, Steps(air_once=False))
    assert sum(windows for windows, _ in calls) == 216
    np.testing.assert_allclose(once, each, atol=2e-5)


def test_values_without_an_air_are_all_computed() -> None:
    """Z-scores have no value that air always has."""
    tensor = np.zeros((16, 16, 16), dtype=np.float32)
    calls: list[int] = []

    def predict(windows: torch.Tensor, _: list[list[int]]) -> torch.Tensor:
        calls.append(len(windows))
        return a_network(windows)

    blended_logits(tensor, InferenceSettings((8, 8, 8), 0.0, "constant"), 0.0, float("nan"), predict, BY_FOUR, Steps())
    assert sum(calls) == 8


@given(n=st.integers(0, 60), at_once=st.integers(1, 8))
def test_groups_are_even_and_in_order(n: int, at_once: int) -> None:
    windows = [(slice(i, i + 1),) for i in range(n)]
    groups = batches(windows, at_once)
    assert [window for group in groups for window in group] == windows
    sizes = [len(group) for group in groups]
    assert len(sizes) == -(-n // at_once)
    assert not sizes or max(sizes) <= at_once
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_larger_windows_come_in_smaller_groups() -> None:
    sizes = [windows_at_once(CPU, (n, n, n)) for n in (32, 64, 96, 128, 192)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1
    assert sizes[-1] == 1
    assert all(windows_at_once(CARD, (n, n, n)) >= size for n, size in zip((32, 64, 96, 128, 192), sizes, strict=True))


@pytest.fixture
def a_card_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets a pass believe that it runs on a card: the CPU computes, and memory ends where the test says."""

    def make(segmenter: Segmenter, ends: Callable[[str, int], bool]) -> list[str]:
        tried: list[str] = []
        whole_pass = segmenter._pass
        forward = segmenter._network.forward

        def on_the_cpu(tensor: np.ndarray, attempt: Attempt, *others: Any) -> Any:
            name = f"{attempt.device.type} {attempt.at_once} {attempt.blended_on.type}"
            tried.append(name)
            done = [0]

            def scarce(windows: torch.Tensor) -> torch.Tensor:
                if ends(name, done[0]):
                    message = "CUDA out of memory. Tried to allocate 2.00 GiB"
                    raise torch.OutOfMemoryError(message)
                done[0] += len(windows)
                return forward(windows)

            monkeypatch.setattr(segmenter._network, "forward", scarce)
            return whole_pass(tensor, Attempt(CPU, attempt.at_once, CPU), *others)

        monkeypatch.setattr(segmenter, "_pass", on_the_cpu)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
        return tried

    return make


LADDER = ("cuda 4 cuda", "cuda 1 cuda", "cuda 1 cpu", "cpu 4 cpu")


@pytest.mark.parametrize("fails_at", [0, 4, 7], ids=["first", "middle", "last"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_memory_that_ends_at_any_window_of_any_try_changes_no_result(
    a_model: ModelFolder, a_card_of_the_cpu: Callable[..., list[str]], step: int, fails_at: int
) -> None:
    tensor = np.random.default_rng(0).random((60, 60, 60), dtype=np.float32)
    expected = Segmenter(a_model, CPU).run(tensor)
    segmenter = Segmenter(a_model, CARD)
    last = fails_at // 4 * 4
    tried = a_card_of_the_cpu(
        segmenter, lambda name, done: LADDER.index(name) < step and done >= (last if " 4 " in name else fails_at)
    )
    output = segmenter.run(tensor)
    assert tuple(tried) == LADDER[: step + 1]
    assert_same_classes(output.logits, expected.logits)
    assert_same_numbers(output.logits, expected.logits)
    np.testing.assert_allclose(pooled(output), pooled(expected), rtol=1e-4, atol=1e-4)
    assert sorted(map(tuple, output.bottleneck.window_starts)) == sorted(map(tuple, expected.bottleneck.window_starts))
    (warning,) = output.warnings
    assert ("one window at a time", "put the windows together", "CPU was used")[step - 1] in warning


def pooled(output: SegmenterOutput) -> np.ndarray:
    return pool_tokens(output.bottleneck.tokens, output.bottleneck.occupied)


@pytest.fixture
def a_body_in_air() -> np.ndarray:
    """The input of a model for which air is 0, with much of it around."""
    tensor = np.zeros((32, 72, 72), dtype=np.float32)
    tensor[3:20, 3:28, 3:28] = np.random.default_rng(1).uniform(0.2, 1, (17, 25, 25))
    return tensor


def test_every_feature_is_that_of_computing_each_window(a_model: ModelFolder, a_body_in_air: np.ndarray) -> None:
    model, tensor = a_model, a_body_in_air

    def view(tokens: np.ndarray, starts: list[list[int]]) -> np.ndarray:
        assert len(tokens) == len(starts)
        return tokens

    def by_place(output: SegmenterOutput) -> list[np.ndarray]:
        order = np.lexsort(output.bottleneck.window_starts.T)
        stages = [a for s in output.stages for m in (s.occupied, s.in_mask) for a in (m.mean, m.deviation, m.weight)]
        assert output.local is not None
        rows = [output.bottleneck.window_starts, output.bottleneck.tokens, output.bottleneck.occupied, output.local]
        return [array[order] for array in (*rows, *stages)]

    calls: list[int] = []
    outputs = []
    for steps in (Steps(), Steps(air_once=False, several=False)):
        segmenter = Segmenter(model, CPU, steps=steps)
        segmenter._network.register_forward_hook(lambda _m, inputs, _o: calls.append(len(inputs[0])))
        outputs.append(segmenter.run(tensor, None, view, stages=True))
        calls.append(0)
    ours, each = outputs
    first = calls.index(0)
    assert sum(calls[:first]) < sum(calls[first:]) == Segmenter(model, CPU).window_count(tensor.shape)
    assert_same_numbers(ours.logits, each.logits)
    for found, expected in zip(by_place(ours), by_place(each), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(pooled(ours), pooled(each), rtol=1e-4, atol=1e-4)


def test_progress_counts_windows_of_air_too(a_model: ModelFolder) -> None:
    tensor = an_input_in_air((90, 90, 90))
    tensor[tensor == AIR] = 0.0
    told: list[tuple[int, int]] = []
    segmenter = Segmenter(a_model, CPU)
    segmenter.run(tensor, lambda done, total: told.append((done, total)))
    total = segmenter.window_count(tensor.shape)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[0] == (0, total)
    assert told[-1] == (total, total)


def test_nothing_but_air_is_still_segmented(a_model: ModelFolder) -> None:
    segmenter = Segmenter(a_model, CPU)
    output = segmenter.run(np.zeros((70, 40, 40), dtype=np.float32))
    assert output.logits.shape == (2, 70, 40, 40)
    assert len(output.bottleneck.tokens) == segmenter.window_count((70, 40, 40))
    assert not output.bottleneck.occupied.any()


def test_half_precision_is_never_on_by_itself_and_changes_numbers_where_it_is(a_model: ModelFolder) -> None:
    assert Steps().half is None
    tensor = np.random.default_rng(0).random((32, 32, 32), dtype=np.float32)
    full = Segmenter(a_model, CPU).run(tensor).logits
    half = Segmenter(a_model, CPU, steps=Steps(half=torch.bfloat16)).run(tensor).logits
    assert half.dtype == np.float32
    assert 0 < np.abs(half - full).max() < 0.1 * np.abs(full).max()


def test_the_sweep_takes_several_windows_at_a_time(a_model: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = np.random.default_rng(0).random((70, 60, 60), dtype=np.float32)
    segmenter = Segmenter(a_model, CPU)
    together = segmenter.sweep(tensor)
    monkeypatch.setattr(window_inference, "_MOST_AT_ONCE", 1)
    alone = segmenter.sweep(tensor)
    assert together is not None
    assert alone is not None
    np.testing.assert_array_equal(together.window_starts, alone.window_starts)
    np.testing.assert_allclose(together.tokens, alone.tokens, atol=1e-4)
