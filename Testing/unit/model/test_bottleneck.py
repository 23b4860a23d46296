"""Which part of a token's region is marked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from BottleneckOODLib.model.bottleneck import occupied_share, share_in_windows
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.segmenter import Segmenter


def test_a_share_is_the_mean_of_the_token_s_block() -> None:
    marked = np.random.default_rng(0).random((24, 20, 16)) < 0.3
    starts = np.array([[0, 0, 0], [8, 4, 0]])
    shares = share_in_windows(marked, starts, (16, 16, 16), (4, 4, 2))
    assert shares.shape == (2, 4, 4, 2)
    assert shares[1, 2, 0, 1] == pytest.approx(marked[16:20, 4:8, 8:16].mean())


def test_what_is_padded_is_not_marked() -> None:
    shares = share_in_windows(np.ones((8, 16, 16), bool), np.array([[0, 0, 0]]), (16, 16, 16), (4, 1, 1))
    np.testing.assert_array_equal(shares.ravel(), [0, 1, 1, 0])


def test_shares_stand_where_the_pass_has_its_tokens(a_model: ModelFolder) -> None:
    """Marking what is no air gives the occupied shares of the pass itself, on an image that is padded."""
    tensor = np.random.default_rng(1).random((20, 40, 50), dtype=np.float32)
    tensor[:, :13] = 0
    bottleneck = Segmenter(a_model, torch.device("cpu")).run(tensor).bottleneck
    patch = a_model.inference.patch
    shares = share_in_windows(tensor > 0, bottleneck.window_starts, patch, bottleneck.tokens.shape[2:])
    np.testing.assert_allclose(shares, bottleneck.occupied, atol=1e-6)


def test_a_pass_and_what_follows_it_count_voxels_alike() -> None:
    drawn = torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    windows = drawn.clamp(min=0)
    counted = occupied_share(windows, torch.Size((2, 2, 2)), 0.0)
    assert counted[1, 0, 1, 1] == pytest.approx(float((drawn[1, 0, :8, 8:, 8:] > 0).float().mean()))


def test_what_is_darker_than_air_is_no_air() -> None:
    """Where values are z-scores, tissue lies on both sides of the value of air."""
    windows = torch.full((1, 1, 8, 8, 8), -2.0)
    assert occupied_share(windows, torch.Size((1, 1, 1)), 0.0).item() == 1
