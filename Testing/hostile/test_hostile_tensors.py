"""A safetensors header is believed in nothing; one changed byte of a model or a reference is noticed."""

from __future__ import annotations

import json
import random
import shutil
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from mutations import mutated_tensors

from BottleneckOODLib.errors import ModelError, ReferenceSetError
from BottleneckOODLib.model.model_folder import ModelFolder, read_model_folder
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.tensor_file import MAX_HEADER_BYTES, MAX_TENSORS, TensorFileError, check_tensor_file, read_arrays

FORMATS = Path(__file__).resolve().parents[1] / "formats" / "v1"
EVERY_BYTES = 1000


def tensor_file(path: Path, header: Any, data: bytes = b"", *, length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def entry(start: int, stop: int, dtype: str = "U8", shape: list[Any] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [stop - start] if shape is None else shape, "data_offsets": [start, stop]}


@pytest.mark.parametrize("batch", range(10))
def test_a_thousand_mutated_headers_are_refused_or_true(tmp_path: Path, batch: int) -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(3, 4)), "b": np.arange(5, dtype=np.int32), "c": rng.normal(size=7)}
    sound = safetensors.numpy.save({**arrays, "d": np.zeros(2, bool)})
    refused = 0
    tracemalloc.start()
    try:
        for number in range(100 * batch, 100 * (batch + 1)):
            path = tmp_path / "arrays.safetensors"
            path.write_bytes(mutated_tensors(sound, random.Random(number)))
            try:
                facts = check_tensor_file(path)
            except TensorFileError:
                refused += 1
                continue
            if any(dtype == "BF16" for dtype, _ in facts.values()):
                continue
            found = read_arrays(path)
            assert {name: array.shape for name, array in found.items()} == {n: shape for n, (_, shape) in facts.items()}
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert refused > 50


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": entry(0, 4), "b": entry(3, 8)}, bytes(8)),
        ({"a": entry(0, 4), "b": entry(5, 8)}, bytes(8)),
        ({"a": entry(1, 4)}, bytes(4)),
        ({"a": entry(0, 4)}, bytes(5)),
        ({"a": entry(0, 4)}, bytes(3)),
        ({"a": entry(4, 0)}, bytes(4)),
        ({"a": entry(-4, 0)}, bytes(4)),
        ({"a": entry(0, 4, shape=[2, 3])}, bytes(4)),
        ({"a": entry(0, 4, shape=[-4])}, bytes(4)),
        ({"a": entry(0, 4, shape=[2.0, 2])}, bytes(4)),
        ({"a": entry(0, 4, shape=[True, 4])}, bytes(4)),
        ({"a": entry(0, 4, shape=[2**62, 2**62, 4])}, bytes(4)),
        ({"a": entry(0, 4, shape=[1] * 200 + [4])}, bytes(4)),
        ({"a": entry(0, 4, "F8_E4M3")}, bytes(4)),
        ({"a": entry(0, 4, "object")}, bytes(4)),
        ({"a": {**entry(0, 4), "dtype": ["U8"]}}, bytes(4)),
        ({"a": {**entry(0, 4), "dtype": None}}, bytes(4)),
        ({"a": {**entry(0, 4), "data_offsets": [0, 4, 8]}}, bytes(4)),
        ({"a": {**entry(0, 4), "data_offsets": [0, "4"]}}, bytes(4)),
        ({"a": {**entry(0, 4), "data_offsets": {"0": 4}}}, bytes(4)),
        ({"a": [0, 4]}, bytes(4)),
        ({"a": entry(0, 4), "__metadata__": {"x": 1}}, bytes(4)),
        ({"a": entry(0, 4), "__metadata__": "x"}, bytes(4)),
        (b'{"a": %s, "a": %s}' % ((json.dumps(entry(0, 4)).encode(),) * 2), bytes(4)),
        (b'{"a": {"dtype": "U8", "dtype": "I8", "shape": [4], "data_offsets": [0, 4]}}', bytes(4)),
        ([entry(0, 4)], bytes(4)),
        (b"[" * 100_000, b""),
        (b'{"a": ' + b"9" * 5000 + b"}", b""),
        (b"\xff\xfe", b""),
        (b"", b""),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(tmp_path: Path, header: Any, data: bytes) -> None:
    with pytest.raises(TensorFileError):
        check_tensor_file(tensor_file(tmp_path / "a.safetensors", header, data))


SOUND = b'"dtype": "U8", "shape": [4], "data_offsets": [0, 4]'


@pytest.mark.parametrize(
    "header",
    [
        b'{"\\ud800": {%s}}' % SOUND,
        b'{"a": {%s}, "__metadata__": {"note": "\\udc00"}}' % SOUND,
        b'{"a": {"dtype": "U8", "shape": [4], "data_offsets": [-0, 4]}}',
        b'{"a": {%s, "more": NaN}}' % SOUND,
        b'{"a": {%s, "more": 1e999}}' % SOUND,
        b'{"a": {%s}, "b": {"dtype": "U8", "shape": [0, 99999999999999999999], "data_offsets": [4, 4]}}' % SOUND,
        b'{"a": {%s}, "b": {"dtype": "U8", "shape": [9999999999, 9999999999, 0], "data_offsets": [4, 4]}}' % SOUND,
    ],
)
def test_what_the_reader_of_the_arrays_refuses_is_refused_before(tmp_path: Path, header: bytes) -> None:
    path = tensor_file(tmp_path / "arrays.safetensors", header, bytes(4))
    with pytest.raises(safetensors.SafetensorError):
        safetensors.numpy.load_file(path)
    with pytest.raises(TensorFileError):
        check_tensor_file(path)
    with pytest.raises(TensorFileError):
        read_arrays(path)


def test_caps_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    check_tensor_file(tensor_file(path, {f"t{n}": entry(n, n + 1) for n in range(MAX_TENSORS)}, bytes(MAX_TENSORS)))
    with pytest.raises(TensorFileError, match="too many"):
        check_tensor_file(tensor_file(path, {f"{n}": entry(0, 0) for n in range(MAX_TENSORS + 1)}))
    with pytest.raises(TensorFileError, match="larger than allowed"):
        check_tensor_file(tensor_file(path, b"{}".ljust(MAX_HEADER_BYTES + 1)))
    for length in (2**63 - 1, 2**64 - 1, 3):
        with pytest.raises(TensorFileError, match="larger than allowed"):
            check_tensor_file(tensor_file(path, b"{}", length=length))


def test_a_flipped_byte_anywhere_in_the_weights_is_refused(a_model: ModelFolder) -> None:
    whole = a_model.weights_path.read_bytes()
    rng = random.Random(0)
    for start in range(0, len(whole), EVERY_BYTES):
        at = min(len(whole) - 1, start + rng.randrange(EVERY_BYTES))
        a_model.weights_path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        with pytest.raises(ModelError, match=r"were changed|are damaged"):
            read_model_folder(a_model.folder)
    a_model.weights_path.write_bytes(whole)
    read_model_folder(a_model.folder)


@pytest.mark.parametrize("name", ["arrays.safetensors", "cases.csv", "reference.json"])
def test_a_flipped_byte_anywhere_in_a_reference_is_refused(tmp_path: Path, name: str) -> None:
    shutil.copytree(FORMATS / "reference", tmp_path / "reference")
    path = tmp_path / "reference" / name
    whole = path.read_bytes()
    every = EVERY_BYTES if len(whole) > 10_000 else 20
    rng = random.Random(0)
    for start in range(0, len(whole), every):
        at = min(len(whole) - 1, start + rng.randrange(every))
        flipped = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
        path.write_bytes(flipped)
        # Where the document's own spaces changed it still says the same.
        if name == "reference.json" and _same_document(flipped, whole):
            continue
        with pytest.raises(ReferenceSetError):
            Reference.load(tmp_path / "reference")
    path.write_bytes(whole)
    Reference.load(tmp_path / "reference")


def _same_document(first: bytes, second: bytes) -> bool:
    try:
        return bool(json.loads(first) == json.loads(second))
    except ValueError:
        return False
