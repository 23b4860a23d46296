"""DICOM files that are made to do harm are refused before a voxel is read, or end a process that may be ended."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hostile_dicom import deflated_without_end, nested, with_inserted, with_preamble, without_pixels
from pydicom.uid import JPEGLSLossless

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.dicom import list_series
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.reading_process import ReadingProcess

WriteSlices = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def reader() -> Iterator[ReadingProcess]:
    with ReadingProcess() as process:
        yield process


@pytest.mark.parametrize("defined", [True, False], ids=["with lengths", "without lengths"])
@pytest.mark.parametrize("depth", [250, 1_000, 10_000])
def test_nested_sequences_are_read_past_or_cost_one_sentence(
    reader: ReadingProcess, write_slices: WriteSlices, tmp_path: Path, depth: int, defined: bool
) -> None:
    stored = write_slices(tmp_path / "series", uid="1.2.3")
    with_inserted(tmp_path / "series", nested(depth, defined=defined))
    try:
        voxels = reader.read(tmp_path / "series").voxels
    except InputError:
        voxels = stored
    assert np.array_equal(voxels, stored)
    write_slices(tmp_path / "sound", uid="1.2.3")
    assert np.array_equal(reader.read(tmp_path / "sound").voxels, stored)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"MZ\x90\0", "a Windows program"),
        (b"\x7fELF\x02\x01", "a Linux program"),
        (b"\xcf\xfa\xed\xfe", "a macOS program"),
        (b"#!/bin/sh\nrm x\n", "a script"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<html><script>", "a web page"),
    ],
)
def test_a_series_that_is_something_else_too_is_refused_by_name(
    write_slices: WriteSlices, tmp_path: Path, start: bytes, kind: str
) -> None:
    write_slices(tmp_path / "series", uid="1.2.3")
    with_preamble(tmp_path / "series", start)
    with pytest.raises(InputError, match=f"is {kind} at the same time"):
        read_volume(tmp_path / "series")


@pytest.mark.parametrize("start", [b"II*\0\x10\0\0\0", b"MM\0*\0\0\0\x10", b"any text of a vendor"])
def test_a_preamble_that_the_standard_allows_is_none_of_our_business(
    write_slices: WriteSlices, tmp_path: Path, start: bytes
) -> None:
    stored = write_slices(tmp_path / "series", uid="1.2.3")
    with_preamble(tmp_path / "series", start)
    assert np.array_equal(read_volume(tmp_path / "series").voxels, stored)


@pytest.mark.parametrize(
    ("rows", "columns", "coding", "sentence"),
    [
        (55_000, 55_000, "1.2.840.10008.1.2.1", "more than a scan can have"),
        (20_000, 20_000, "1.2.840.10008.1.2.1", "pixels are missing"),
        (20_000, 20_000, str(JPEGLSLossless), "pixels are missing"),
        (65_535, 0, "1.2.840.10008.1.2.1", "no voxels|single slice"),
    ],
)
def test_some_hundred_bytes_that_ask_for_gigabytes_are_refused(
    tmp_path: Path, rows: int, columns: int, coding: str, sentence: str
) -> None:
    without_pixels(tmp_path / "series", rows, columns, coding)
    assert max(path.stat().st_size for path in (tmp_path / "series").iterdir()) < 600
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=sentence):
            read_volume(tmp_path / "series")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("hidden_in", ["", "distance", "length"])
def test_a_deflated_file_that_unpacks_without_end_takes_little_memory(tmp_path: Path, hidden_in: str) -> None:
    (tmp_path / "series").mkdir()
    deflated_without_end(tmp_path / "series" / "1.dcm", 200, hidden_in)
    assert (tmp_path / "series" / "1.dcm").stat().st_size < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="no DICOM images"):
            list_series(tmp_path / "series")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(write_slices: WriteSlices, tmp_path: Path) -> None:
    stored = write_slices(tmp_path / "series", uid="1.2.3")
    os.mkfifo(tmp_path / "series" / "pipe")
    os.mkfifo(tmp_path / "scan.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "series").voxels, stored)
    with pytest.raises(InputError, match="a device or a pipe"):
        read_volume(tmp_path / "scan.nii.gz")


def test_a_real_series_cut_anywhere_is_refused(real_data_folder: Path, tmp_path: Path) -> None:
    for name in ("01.dcm", "02.dcm", "03.dcm"):
        shutil.copy(real_data_folder / "ct_3slice_dicom" / name, tmp_path / name)
    whole = (tmp_path / "02.dcm").read_bytes()
    assert read_volume(tmp_path).voxels.shape == (3, 512, 512)
    for share in (0.5, 0.999, 0.99999):
        (tmp_path / "02.dcm").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError):
            read_volume(tmp_path)
