"""DICOM files that are made to do harm, from sound slices."""

from __future__ import annotations

import struct
from pathlib import Path

import pydicom
from mutations import deflated
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

PIXELS = struct.pack("<HH", 0x7FE0, 0x0010)
UNDEFINED = 0xFFFFFFFF


def nested(depth: int, *, defined: bool) -> bytes:
    """A sequence in a sequence, ``depth`` levels deep, as explicit VR little endian."""
    tag = struct.pack("<HH", 0x0040, 0xA730) + b"SQ\0\0"
    if not defined:
        begin = tag + struct.pack("<IHHI", UNDEFINED, 0xFFFE, 0xE000, UNDEFINED)
        return begin * depth + struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0) * depth
    # Each level is 12 bytes of element and 8 of item around what is inside.
    inside = range(20 * (depth - 1), -1, -20)
    return b"".join(tag + struct.pack("<IHHI", size + 8, 0xFFFE, 0xE000, size) for size in inside)


def with_inserted(folder: Path, content: bytes) -> None:
    """Put bytes before the pixels of every slice of a folder."""
    for path in folder.iterdir():
        before, after = path.read_bytes().split(PIXELS, 1)
        path.write_bytes(before + content + PIXELS + after)


def with_preamble(folder: Path, start: bytes) -> None:
    """Let every file of a folder begin so."""
    for path in folder.iterdir():
        path.write_bytes(start.ljust(128, b"\0") + path.read_bytes()[128:])


def without_pixels(folder: Path, rows: int, columns: int, coding: str = ExplicitVRLittleEndian) -> None:
    """Three slices of some hundred bytes that declare as many pixels as they like."""
    folder.mkdir()
    for number in range(3):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = coding, CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"1.2.{number + 1}"
        slice_ = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        slice_.SeriesInstanceUID, slice_.Modality = "1.2", "CT"
        slice_.Rows, slice_.Columns, slice_.SamplesPerPixel, slice_.BitsAllocated = rows, columns, 1, 16
        slice_.PixelSpacing, slice_.ImageOrientationPatient = [1, 1], [1, 0, 0, 0, 1, 0]
        slice_.ImagePositionPatient = [0, 0, number]
        pydicom.dcmwrite(folder / f"{number}.dcm", slice_, enforce_file_format=True)


def deflated_without_end(path: Path, megabytes: int, hidden_in: str = "") -> None:
    """A deflated data set of some kilobytes that unpacks to as many megabytes.

    Args:
        path: Where it is written.
        megabytes: How many.
        hidden_in: ``"distance"``: the header says late that it is deflated; ``"length"``: the header's length leads to
            another data set, which is harmless; empty: it is not hidden.
    """
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = DeflatedExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    slice_ = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    slice_.SeriesInstanceUID, slice_.Modality, slice_.Rows = "1.2", "CT", 4
    pydicom.dcmwrite(path, slice_, enforce_file_format=True)
    raw = path.read_bytes()
    begin = raw.index(DeflatedExplicitVRLittleEndian.encode()) + len(DeflatedExplicitVRLittleEndian)
    length = struct.unpack_from("<I", raw, 140)[0]
    assert begin < 144 + length < len(raw)
    head, meta_elements = raw[:140], raw[144 : 144 + length]
    # Of even length, as every value.
    harmless = deflated(struct.pack("<HH2sH", 0x0008, 0x0060, b"CS", 2) + b"CT") + b"\0\0"
    notes = {"distance": bytes(4000), "length": harmless[: len(harmless) // 2 * 2]}
    if note := notes.get(hidden_in, b""):
        private = struct.pack("<HH", 0x0002, 0x0102) + b"OB\0\0" + struct.pack("<I", len(note))
        if hidden_in == "distance":
            meta_elements, length = private + note + meta_elements, length + len(private) + len(note)
        else:
            meta_elements, length = meta_elements + private + note, length + len(private)
    private = struct.pack("<HH", 0x0009, 0x1010) + b"OB\0\0" + struct.pack("<I", megabytes << 20)
    packed = deflated(private + bytes(megabytes << 20))
    path.write_bytes(head + struct.pack("<I", length) + meta_elements + packed)
