from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.synthesis.anatomy import Anatomy
from BottleneckOODLib.synthesis.patches import AnatomyBank, PatchSettings, draw_patch

SMALL = PatchSettings(size=(24, 28, 32), spacing_mm=4.0)


@pytest.fixture(scope="module")
def a_bank(a_drawn_body: Anatomy) -> AnatomyBank:
    bank = AnatomyBank(drawn=6)
    liver = np.argwhere(a_drawn_body.labels == 7).astype(np.int32)
    for index in range(6):
        bank._cache["drawn", index] = (a_drawn_body, liver, liver)
    return bank


def test_patches_are_in_the_network_s_range(a_bank: AnatomyBank) -> None:
    for seed in range(15):
        image, mask = draw_patch(a_bank, np.random.default_rng(seed), SMALL)
        assert image.shape == mask.shape == SMALL.size
        assert image.dtype == np.float32
        assert image.min() >= -1
        assert image.max() <= 1
        assert set(np.unique(mask)) <= {0, 1}


def test_the_same_seed_gives_the_same_patch(a_bank: AnatomyBank) -> None:
    first, second = (draw_patch(a_bank, np.random.default_rng(8), SMALL) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_what_is_out_of_view_is_padding_and_no_liver(a_bank: AnatomyBank) -> None:
    padded = 0
    for seed in range(20):
        image, mask = draw_patch(a_bank, np.random.default_rng(seed), SMALL)
        empty = (image == -1).all(axis=(1, 2))
        padded += bool(empty.any())
        assert not mask[empty].any()
    assert padded


def test_most_patches_show_liver(a_bank: AnatomyBank) -> None:
    shown = [draw_patch(a_bank, np.random.default_rng(seed), SMALL)[1].any() for seed in range(30)]
    assert np.mean(shown) > 0.6


def test_another_range_is_respected(a_bank: AnatomyBank) -> None:
    settings = PatchSettings(size=(16, 16, 16), clip_hu=(-300, 400), scale=(0.0, 1.0))
    image, _ = draw_patch(a_bank, np.random.default_rng(0), settings)
    assert image.min() == 0
    assert image.max() <= 1


def test_real_anatomies_are_used_when_given(a_bank: AnatomyBank, a_scanned_body: Anatomy) -> None:
    bank = AnatomyBank([a_scanned_body], drawn=6)
    bank._cache.update(a_bank._cache)
    names = [bank.pick(np.random.default_rng(seed))[0].name for seed in range(40)]
    assert 8 < names.count("block") < 32


def test_few_drawn_bodies_are_in_use_at_the_start(a_bank: AnatomyBank) -> None:
    bank = AnatomyBank(drawn=200)
    bank._cache.update(a_bank._cache)
    for seed in range(20):
        bank.pick(np.random.default_rng(seed), progress=0.0)
    assert len(bank._cache) == 6
