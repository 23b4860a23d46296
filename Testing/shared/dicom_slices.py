"""DICOM slices written for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

WriteSlices = Callable[..., np.ndarray]


def write_slices(
    folder: Path,
    *,
    uid: str,
    stored: np.ndarray | None = None,
    positions: Iterable[np.ndarray] | None = None,
    axes: np.ndarray | None = None,
    names: list[str] | None = None,
    **elements: Any,
) -> np.ndarray:
    """Write one file a slice, in the order given.

    Returns:
        The stored values, shape (slices, rows, columns), as they were written.
    """
    folder.mkdir(exist_ok=True)
    axes = np.eye(3) if axes is None else axes
    if stored is None:
        stored = np.random.default_rng(len(uid)).integers(0, 2000, (4, 6, 5)).astype(np.int16)
    places = [axes[:, 2] * 2.5 * k for k in range(len(stored))] if positions is None else list(positions)
    for number, (pixels, place) in enumerate(zip(stored, places, strict=True)):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        slice_ = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        slice_.SeriesInstanceUID, slice_.StudyInstanceUID = uid, "1.2.826.0.1.3680043.8.498.1"
        slice_.Modality, slice_.InstanceNumber = "CT", number + 1
        slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = *pixels.shape, 1
        slice_.PhotometricInterpretation = "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 16, 15, 1
        slice_.PixelSpacing = [0.75, 0.5]
        slice_.SliceThickness = 2.5
        slice_.ImageOrientationPatient = [f"{v:.10f}" for v in (*axes[:, 0], *axes[:, 1])]
        slice_.ImagePositionPatient = [f"{v:.8f}" for v in place]
        slice_.PixelData = pixels.tobytes()
        for keyword, value in elements.items():
            if value is None:
                delattr(slice_, keyword)
            else:
                setattr(slice_, keyword, value)
        pydicom.dcmwrite(folder / (names[number] if names else f"{uid}-{number}"), slice_, enforce_file_format=True)
    return stored


def replace_raw(path: Path, tag: str, text: bytes) -> None:
    """Put bytes in place of an element's value (explicit little endian, short form)."""
    group_element = pydicom.tag.Tag(tag)
    key = group_element.group.to_bytes(2, "little") + group_element.element.to_bytes(2, "little")
    raw = path.read_bytes()
    at = raw.index(key, 132)
    length = int.from_bytes(raw[at + 6 : at + 8], "little")
    path.write_bytes(raw[: at + 6] + len(text).to_bytes(2, "little") + text + raw[at + 8 + length :])


@pytest.fixture(name="write_slices")
def writer_of_slices() -> WriteSlices:
    return write_slices
