"""One DICOM file, from which nothing is believed: its header, or nothing."""

from __future__ import annotations

import io
import os
import stat
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.headers import MAX_GZIP_RATIO

PREAMBLE_BYTES, MAGIC = 128, b"DICM"
_BYTES_AS_THEY_ARE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_TIGHTEST_CODING = 20_000
"""A slice of one value, packed losslessly, is some hundred bytes; no coding of DICOM does better."""
_PIXEL_TAGS = (b"\xe0\x7f\x10\0", b"\x7f\xe0\0\x10")
_PIXEL_ELEMENT_BYTES = (12, 8)
"""What stands before the pixels: explicit VR, implicit VR."""
_MOST_SURPLUS_BYTES = 1 << 20
_MISSING = "is truncated: pixels are missing"
_TOO_MUCH = "holds far more than its header declares"
_BLOCK_BYTES = 1 << 20
_OTHER_KINDS = {
    b"MZ": "a Windows program",
    b"\x7fELF": "a Linux program",
    b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xce\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "a macOS or Java program",
    b"#!": "a script",
    b"PK\x03\x04": "a ZIP archive",
    b"%PDF": "a PDF document",
    b"<": "a web page",
}
"""What else a file can be whose preamble, which DICOM leaves free, begins so. TIFF is meant to be possible."""


def read_header(path: Path, tags: Sequence[str]) -> pydicom.Dataset | None:
    """The attributes of a DICOM file, without its pixels; None for what is none, or is too damaged to be told.

    Args:
        path: A file of any kind.
        tags: Keywords of the attributes; others are passed over.

    Raises:
        InputError: It is a DICOM file and a program or another document at once.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as stream:
            start = stream.read(PREAMBLE_BYTES + len(MAGIC))
        if start[PREAMBLE_BYTES:] != MAGIC:
            return None
        _check_preamble(start, path)
        with warnings.catch_warnings():
            # Values that break the standard are judged where they are used, in one sentence.
            warnings.simplefilter("ignore")
            with path.open("rb", buffering=0) as raw, _Watched(raw) as stream:
                return pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=[*tags, "BitsAllocated"])
    except InputError:
        raise
    except Exception:
        # pydicom raises whatever its parsing trips over.
        return None


def pixel_bytes_wrong(path: Path, header: pydicom.Dataset, rows: int, columns: int) -> str:
    """Why a file cannot hold the pixels that its header declares, however they are coded; empty where it can.

    Raises:
        OSError: The file is gone.
    """
    try:
        bits = int(header.get("BitsAllocated") or 0)
        coding = str(header.file_meta.get("TransferSyntaxUID", ""))
    except Exception:
        return _MISSING
    size = path.stat().st_size
    declared = rows * columns * max(bits, 1) // 8
    if coding in _BYTES_AS_THEY_ARE:
        left = size - _pixels_begin(path, declared) - declared
        # Each byte behind the pixels is taken for a part of an element by the reading library, in memory.
        return _MISSING if left < 0 else _TOO_MUCH if left > _MOST_SURPLUS_BYTES else ""
    most = size * (MAX_GZIP_RATIO if coding == DeflatedExplicitVRLittleEndian else _TIGHTEST_CODING)
    return _MISSING if declared > most else ""


def _pixels_begin(path: Path, declared: int) -> int:
    """Where the pixels of a file that is not packed begin; the file's end where they are missing."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        # Nearly always they are the last that a file holds.
        for element in _PIXEL_ELEMENT_BYTES:
            begin = size - declared - declared % 2 - element
            if begin > 0:
                stream.seek(begin)
                if stream.read(4) in _PIXEL_TAGS:
                    return begin + element
        stream.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=[])
        except Exception:
            return size
        found = stream.tell()
        return found + 8 if stream.read(4) in _PIXEL_TAGS else size


def _check_preamble(start: bytes, path: Path) -> None:
    for mark, kind in _OTHER_KINDS.items():
        if start.startswith(mark):
            message = (
                f"The DICOM file {path.name} is {kind} at the same time, and was not read; have its source checked, "
                "and export the series again."
            )
            raise InputError(message)


class _Watched(io.BufferedReader):
    """A file that pydicom reads: all that is left of it, which it reads where it would unpack it at once, is looked at.

    Only pydicom knows where it takes a deflated data set to begin; what the header says of it may be wrong.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """As ``io.BufferedReader.read``.

        Raises:
            ValueError: What is left would unpack to more than its size allows.
        """
        found = super().read(size)
        if (size is None or size < 0) and _unpacks_without_end(found):
            message = "it unpacks without end"
            raise ValueError(message)
        return found


def _unpacks_without_end(packed: bytes) -> bool:
    left = _BLOCK_BYTES + 100 * len(packed)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    waiting = packed
    while waiting and not unpacker.eof:
        left -= len(unpacker.decompress(waiting, _BLOCK_BYTES))
        if left < 0:
            return True
        waiting = unpacker.unconsumed_tail
    return False
