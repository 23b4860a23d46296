"""Reading safetensors files that nobody vouches for: the header is checked before any array is made."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_HEADER_BYTES = 1_000_000
MAX_TENSORS = 4096
_LENGTH_BYTES = 8
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class TensorFileError(ValueError):
    """The file is not a sound safetensors file; the text says why, in words that end a sentence."""


def write_arrays(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    """Write arrays by name.

    Raises:
        OSError: The file cannot be written.
    """
    import safetensors.numpy  # noqa: PLC0415 - Slicer's own process has it not, and writes no arrays

    safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file whose header ``check_tensor_file`` has found sound.

    Raises:
        OSError: The file cannot be read.
    """
    import safetensors.numpy  # noqa: PLC0415 - Slicer's own process has it not, and reads no arrays

    loaded: dict[str, npt.NDArray[Any]] = safetensors.numpy.load_file(path)
    return loaded


def check_tensor_file(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Check the header of a safetensors file against its size, without reading the arrays.

    Args:
        path: The file.

    Returns:
        Type code and shape of each tensor, by name.

    Raises:
        TensorFileError: The header is too large, is no JSON object, names an unknown type, or does not fit the file.
        OSError: The file cannot be read.

    Source:
        https://huggingface.co/docs/safetensors (format); the caps bound what a hostile header can cost.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        prefix = stream.read(_LENGTH_BYTES)
        if len(prefix) < _LENGTH_BYTES:
            raise TensorFileError("it is too short")  # noqa: EM101 - the caller makes the sentence
        (header_bytes,) = struct.unpack("<Q", prefix)
        if header_bytes > min(MAX_HEADER_BYTES, size - _LENGTH_BYTES):
            raise TensorFileError("its header is larger than allowed")  # noqa: EM101
        raw = stream.read(header_bytes)
    header = _header_object(raw)
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise TensorFileError("it holds too many arrays")  # noqa: EM101
    data_bytes = size - _LENGTH_BYTES - header_bytes
    facts: dict[str, tuple[str, tuple[int, ...]]] = {}
    end = 0
    for name, entry in sorted(header.items(), key=_offset_of):
        dtype, shape, start, stop = _entry(entry)
        if start != end or stop - start != math.prod(shape) * _ITEM_BYTES[dtype]:
            raise TensorFileError("its arrays do not fit its header")  # noqa: EM101
        end = stop
        facts[name] = (dtype, shape)
    if end != data_bytes:
        raise TensorFileError("it is truncated or has bytes that belong to no array")  # noqa: EM101
    return facts


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _header_object(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise TensorFileError("its header cannot be read") from None  # noqa: EM101
    if not isinstance(header, dict):
        raise TensorFileError("its header cannot be read")  # noqa: EM101
    return header


def _offset_of(item: tuple[str, Any]) -> tuple[int, int]:
    offsets = item[1].get("data_offsets") if isinstance(item[1], dict) else None
    if isinstance(offsets, list) and len(offsets) == 2 and all(type(o) is int for o in offsets):  # noqa: PLR2004
        return offsets[0], offsets[1]
    raise TensorFileError("its header cannot be read")  # noqa: EM101


def _entry(entry: dict[str, Any]) -> tuple[str, tuple[int, ...], int, int]:
    dtype, shape = entry.get("dtype"), entry.get("shape")
    if dtype not in _ITEM_BYTES:
        raise TensorFileError("it holds an array of an unknown type")  # noqa: EM101
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise TensorFileError("its header cannot be read")  # noqa: EM101
    start, stop = entry["data_offsets"]
    return str(dtype), tuple(shape), start, stop
