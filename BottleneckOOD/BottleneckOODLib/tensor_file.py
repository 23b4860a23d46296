"""Reading safetensors files that nobody vouches for: the header is checked before any array is made."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_HEADER_BYTES = 1_000_000
MAX_TENSORS = 4096
_MOST_AXES = 16
_LENGTH_BYTES = 8
_ENTRY = {"dtype", "shape", "data_offsets"}
_LARGEST_SIZE = 2**62
_OS_ERROR = re.compile(r"([^:]*) \(os error (\d+)\)")
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class TensorFileError(ValueError):
    """The file is not a sound safetensors file; the text says why, in words that end a sentence."""


def write_arrays(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    """Write arrays by name.

    Raises:
        OSError: The file cannot be written.
    """
    import safetensors.numpy  # noqa: PLC0415 - Slicer's own process has it not, and writes no arrays

    with telling_the_system_s_reason():
        safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


@contextmanager
def telling_the_system_s_reason() -> Iterator[None]:
    """Let what safetensors says of a full disk be the system's own error.

    Raises:
        OSError: A file could not be written.
    """
    import safetensors  # noqa: PLC0415 - as above

    try:
        yield
    except safetensors.SafetensorError as error:
        if told := _OS_ERROR.search(str(error)):
            # Its words, since Windows counts its errors in another way than ``os.strerror``.
            raise OSError(int(told[2]), told[1].strip().removesuffix(".")) from None
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from None


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file whose header ``check_tensor_file`` has found sound.

    Raises:
        TensorFileError: The file was changed since.
        OSError: The file cannot be read.
    """
    import safetensors.numpy  # noqa: PLC0415 - Slicer's own process has it not, and reads no arrays

    try:
        loaded: dict[str, npt.NDArray[Any]] = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError:
        raise TensorFileError("it cannot be read") from None  # noqa: EM101 - as below
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
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise TensorFileError("its header cannot be read")  # noqa: EM101
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
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_doubles, parse_int=_whole_number)
        # Half a pair of surrogates is a name to this reader, and none to the one that makes the arrays.
        json.dumps(header, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise TensorFileError("its header cannot be read") from None  # noqa: EM101
    if not isinstance(header, dict):
        raise TensorFileError("its header cannot be read")  # noqa: EM101
    return header


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two entries of one name this reader would take one, and the one that makes the arrays perhaps the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")  # noqa: EM101
    return found


def _whole_number(text: str) -> int:
    """To the reader that makes the arrays minus zero is no whole number."""
    if text.startswith("-"):
        raise ValueError("a number is negative")  # noqa: EM101
    return int(text)


def _offset_of(item: tuple[str, Any]) -> tuple[int, int]:
    offsets = item[1].get("data_offsets") if isinstance(item[1], dict) else None
    if isinstance(offsets, list) and len(offsets) == 2 and all(type(o) is int for o in offsets):  # noqa: PLR2004
        return offsets[0], offsets[1]
    raise TensorFileError("its header cannot be read")  # noqa: EM101


def _entry(entry: dict[str, Any]) -> tuple[str, tuple[int, ...], int, int]:
    if entry.keys() != _ENTRY:
        raise TensorFileError("its header cannot be read")  # noqa: EM101
    dtype, shape = entry["dtype"], entry["shape"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise TensorFileError("it holds an array of an unknown type")  # noqa: EM101
    if not isinstance(shape, list) or len(shape) > _MOST_AXES or not all(type(n) is int and n >= 0 for n in shape):
        raise TensorFileError("its header cannot be read")  # noqa: EM101
    if math.prod(max(n, 1) for n in shape) > _LARGEST_SIZE:
        raise TensorFileError("its arrays do not fit its header")  # noqa: EM101
    start, stop = entry["data_offsets"]
    return str(dtype), tuple(shape), start, stop
