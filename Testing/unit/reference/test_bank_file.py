"""A reference may keep its cases' tokens; one without them opens too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from BottleneckOODLib.errors import ReferenceSetError
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.reference.bank_file import read_bank, write_bank
from BottleneckOODLib.reference.reference_folder import ARRAYS_FILE, REFERENCE_FILE, TOKENS_FILE, Reference
from BottleneckOODLib.tensor_file import TensorFileError


@pytest.fixture(scope="session")
def a_bank() -> TokenBank:
    tokens = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    return TokenBank.fitted(tokens, np.repeat(np.arange(20, dtype=np.int32), 10))


@pytest.fixture
def a_folder(a_reference: Reference, a_bank: TokenBank, tmp_path: Path) -> Path:
    replace(a_reference, bank=a_bank).save(tmp_path / "with")
    return tmp_path / "with"


def test_the_bank_comes_back_and_judges_alike(a_folder: Path, a_bank: TokenBank) -> None:
    loaded = Reference.load(a_folder).bank
    assert loaded is not None
    np.testing.assert_array_equal(loaded.tokens, a_bank.tokens)
    np.testing.assert_array_equal(loaded.case_index, a_bank.case_index)
    new = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    np.testing.assert_allclose(loaded.relative_distances(new), a_bank.relative_distances(new), rtol=1e-5)


def test_a_reference_without_a_bank_has_no_such_file(a_reference: Reference, tmp_path: Path) -> None:
    a_reference.save(tmp_path / "without")
    assert not (tmp_path / "without" / TOKENS_FILE).exists()
    assert Reference.load(tmp_path / "without").bank is None


def test_the_bank_is_part_of_the_fingerprint(
    a_reference: Reference, a_bank: TokenBank, a_folder: Path, tmp_path: Path
) -> None:
    without = a_reference.save(tmp_path / "without").fingerprint
    other = replace(a_bank, tokens=a_bank.tokens[::-1].copy())
    fingerprints = {without, Reference.load(a_folder).fingerprint}
    fingerprints.add(replace(a_reference, bank=other).save(tmp_path / "other").fingerprint)
    assert len(fingerprints) == 3


def test_everything_else_is_the_same_with_and_without(a_reference: Reference, a_folder: Path, tmp_path: Path) -> None:
    a_reference.save(tmp_path / "without")
    assert (a_folder / ARRAYS_FILE).read_bytes() == (tmp_path / "without" / ARRAYS_FILE).read_bytes()


def test_a_folder_with_a_bank_is_replaced_like_any_other(a_reference: Reference, a_folder: Path) -> None:
    assert a_reference.save(a_folder, overwrite=True).bank is None
    assert not (a_folder / TOKENS_FILE).exists()


def a_missing_file(folder: Path) -> None:
    (folder / TOKENS_FILE).unlink()


def a_flipped_byte(folder: Path) -> None:
    data = bytearray((folder / TOKENS_FILE).read_bytes())
    data[-10] ^= 1
    (folder / TOKENS_FILE).write_bytes(bytes(data))


def another_spread(folder: Path) -> None:
    document = json.loads((folder / REFERENCE_FILE).read_text())
    document["tokens"]["spread"] *= 2
    (folder / REFERENCE_FILE).write_text(json.dumps(document))


def a_text_for_the_spread(folder: Path) -> None:
    document = json.loads((folder / REFERENCE_FILE).read_text())
    document["tokens"] = "many"
    (folder / REFERENCE_FILE).write_text(json.dumps(document))


@pytest.mark.parametrize("damage", [a_missing_file, a_flipped_byte, another_spread, a_text_for_the_spread])
def test_damage_is_one_sentence(a_folder: Path, damage: Callable[[Path], None]) -> None:
    damage(a_folder)
    with pytest.raises(ReferenceSetError) as refused:
        Reference.load(a_folder)
    assert "build it again" in str(refused.value)


@pytest.mark.parametrize("spread", [0.0, -1.0, float("nan"), float("inf"), "1", None, True])
def test_a_spread_that_cannot_be_one_is_refused(a_bank: TokenBank, tmp_path: Path, spread: object) -> None:
    write_bank(a_bank, tmp_path / TOKENS_FILE)
    with pytest.raises(ValueError, match="damaged"):
        read_bank(tmp_path / TOKENS_FILE, spread)


@pytest.mark.parametrize(
    "arrays",
    [
        {"tokens": np.zeros((4, 2), np.float16)},
        {"tokens": np.zeros((4, 2), np.float32), "case_index": np.zeros(4, np.int32)},
        {"tokens": np.zeros((4, 2, 1), np.float16), "case_index": np.zeros(4, np.int32)},
        {"tokens": np.zeros((4, 2), np.float16), "case_index": np.zeros(4, np.int64)},
        {"tokens": np.zeros((4, 2), np.float16), "case_index": np.zeros(4, np.int32), "more": np.zeros(1)},
    ],
)
def test_other_arrays_than_a_bank_has_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    safetensors.numpy.save_file(arrays, tmp_path / TOKENS_FILE)
    with pytest.raises(TensorFileError, match="other arrays"):
        read_bank(tmp_path / TOKENS_FILE, 1.0)


def test_tables_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    arrays = {"tokens": np.zeros((4, 2), np.float16), "case_index": np.zeros(3, np.int32)}
    safetensors.numpy.save_file(arrays, tmp_path / TOKENS_FILE)
    with pytest.raises(ValueError, match="damaged"):
        read_bank(tmp_path / TOKENS_FILE, 1.0)
