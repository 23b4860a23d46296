from __future__ import annotations

import numpy as np
import pytest
import torch
from last_digits import assert_same_numbers

from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.model.local_view import CELL_VOXELS, BodyShares, cells_of, local_tokens
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.preprocessing import Preprocessing
from BottleneckOODLib.model.segmenter import Segmenter

CPU = torch.device("cpu")


def test_mean_and_deviation_of_each_cell_are_those_of_its_voxels() -> None:
    features = torch.randn(2, 3, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    tokens = local_tokens(features, (32, 16, 16)).numpy()
    assert tokens.shape == (2, 6, 4, 2, 2)
    cell = features[1, :, 4:8, 0:4, 4:8].reshape(3, -1).numpy()
    np.testing.assert_allclose(tokens[1, :3, 1, 0, 1], cell.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(tokens[1, 3:, 1, 0, 1], cell.std(axis=1), atol=1e-5)


def test_a_cell_where_nothing_changes_has_no_deviation_and_no_nan() -> None:
    tokens = local_tokens(torch.full((1, 2, 8, 8, 8), 1e3), (16, 16, 16))
    assert torch.isfinite(tokens).all()
    assert tokens[:, 2:].max() < 1


@pytest.mark.parametrize(("patch", "cells"), [((64, 64, 64), (8, 8, 8)), ((4, 20, 100), (1, 2, 12))])
def test_cells_are_at_least_as_large_as_promised(
    patch: tuple[int, int, int], cells: tuple[int, int, int]
) -> None:
    assert cells_of(patch) == cells
    assert all(n / c >= CELL_VOXELS or c == 1 for n, c in zip(patch, cells, strict=True))


def test_shares_are_of_the_body_with_its_lungs_and_not_of_the_air_around() -> None:
    tensor = np.full((64, 64, 64), -1.0, np.float32)
    tensor[:, 8:56, 16:48] = 0.2
    tensor[16:32, 24:40, 24:40] = -1.0  # air inside
    shares = BodyShares(tensor, (64, 64, 64)).of([[0, 0, 0]])[0]
    assert shares.shape == (8, 8, 8)
    assert shares[2, 3, 3] == 1
    np.testing.assert_array_equal(shares[:, 0], 0)
    np.testing.assert_array_equal(shares[:, :, :2], 0)
    np.testing.assert_array_equal(shares[:, 1:7, 2:6], 1)


def test_padding_is_no_body_and_lies_on_both_sides() -> None:
    tensor = np.random.default_rng(0).uniform(0.1, 0.3, (16, 64, 64)).astype(np.float32)
    tensor[:, :4] = -1
    shares = BodyShares(tensor, (64, 64, 64))
    assert shares.padding.tolist() == [24, 0, 0]
    depth = shares.of([[0, 0, 0]])[0].mean(axis=(1, 2))
    assert (depth[3:5] > 0.5).all()
    np.testing.assert_array_equal(np.delete(depth, [3, 4]), 0)


def the_input_of(volume: Volume, model: ModelFolder) -> np.ndarray:
    return Preprocessing.of_model(model).apply(volume)[0]


def test_looking_closer_changes_nothing_of_the_pass(a_model_of_each_family: ModelFolder, a_small_ct: Volume) -> None:
    segmenter, tensor = Segmenter(a_model_of_each_family, CPU), the_input_of(a_small_ct, a_model_of_each_family)
    plain = segmenter.run(tensor)
    closer = segmenter.run(tensor, None, lambda tokens, starts: tokens)
    assert_same_numbers(closer.logits, plain.logits)
    assert_same_numbers(closer.bottleneck.tokens, plain.bottleneck.tokens)
    assert plain.local is None
    assert closer.local is not None
    assert len(closer.local) == len(closer.bottleneck.tokens)


def test_the_local_view_sees_each_window_once_with_its_place(a_model: ModelFolder, a_small_ct: Volume) -> None:
    segmenter, tensor = Segmenter(a_model, CPU), the_input_of(a_small_ct, a_model)
    seen: list[list[int]] = []

    def look(tokens: np.ndarray, starts: list[list[int]]) -> np.ndarray:
        assert len(tokens) == len(starts)
        assert tokens.shape[2:] == cells_of(a_model.inference.patch)
        seen.extend(starts)
        return np.zeros((len(starts), 1), np.float32)

    output = segmenter.run(tensor, None, look)
    assert seen == output.bottleneck.window_starts.tolist()
    assert len({tuple(start) for start in seen}) == segmenter.window_count(tensor.shape)


def test_a_pass_that_is_repeated_keeps_only_what_it_saw_the_last_time(
    a_model: ModelFolder, a_small_ct: Volume
) -> None:
    segmenter, tensor = Segmenter(a_model, CPU), the_input_of(a_small_ct, a_model)
    calls = 0

    def once_out_of_memory(tokens: np.ndarray, starts: list[list[int]]) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 2:
            message = "CUDA error: out of memory"
            raise RuntimeError(message)
        return np.zeros((len(starts), 1), np.float32)

    output = segmenter.run(tensor, None, once_out_of_memory)
    assert output.local is not None
    assert len(output.local) == segmenter.window_count(tensor.shape)
