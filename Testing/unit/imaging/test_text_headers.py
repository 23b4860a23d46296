"""A text header is believed neither about its size nor about where its voxels lie."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.text_headers import check_meta_header, check_nrrd_header, detached_file
from BottleneckOODLib.imaging.writing import read_label_volume

NOISE = np.random.default_rng(0).normal(0, 100, (4, 5, 6)).astype(np.float32)


def a_nrrd(path: Path, *fields: str, sizes: str = "6 5 4", kind: str = "float", encoding: str = "raw") -> Path:
    header = ["NRRD0004", f"type: {kind}", "dimension: 3", f"sizes: {sizes}", f"encoding: {encoding}", "endian: little"]
    path.write_text("\n".join([*header, "spacings: 1 1 1", *fields, "", ""]), encoding="latin-1")
    return path


def a_meta(path: Path, data: str, *fields: str, sizes: str = "6 5 4") -> Path:
    header = ["ObjectType = Image", "NDims = 3", "BinaryData = True", f"DimSize = {sizes}", "ElementType = MET_FLOAT"]
    path.write_text("\n".join([*header, *fields, f"ElementDataFile = {data}", ""]), encoding="latin-1")
    return path


@pytest.mark.parametrize("name", ["v.raw", "below/v.raw"])
def test_voxels_beside_the_header_or_below_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / name).write_bytes(NOISE.tobytes())
    for path in (a_nrrd(tmp_path / "a.nhdr", f"data file: {name}"), a_meta(tmp_path / "a.mhd", name)):
        assert detached_file(path) == tmp_path / name
        np.testing.assert_array_equal(read_volume(path).voxels, NOISE)


@pytest.mark.parametrize(
    "form",
    ["../v.raw", "below/../../v.raw", "{outside}/v.raw", "C:\\v.raw", "\\\\host\\v.raw", "..\\v.raw"],
)
def test_voxels_elsewhere_are_not_read(tmp_path: Path, form: str) -> None:
    inside = tmp_path / "inside"
    (inside / "below").mkdir(parents=True)
    (tmp_path / "v.raw").write_bytes(NOISE.tobytes())
    name = form.format(outside=tmp_path)
    for path in (
        a_nrrd(inside / "a.nhdr", f"data file: {name}"),
        a_nrrd(inside / "b.nrrd", f"DATA FILE: {name}"),
        a_nrrd(inside / "c.nrrd", f"datafile: {name}"),
        a_meta(inside / "a.mhd", name),
    ):
        with pytest.raises(InputError, match="lie in another folder"):
            read_volume(path)


@pytest.mark.parametrize(
    "fields",
    [
        "data file: ../v.raw\nnote:=x\x85data file: ok.raw",
        "data file: ../v.raw\n# x\x0bdata file: ok.raw",
        "data file: ../v.raw\n\r\ndata file: ok.raw",
        "data file: ../v.raw\ndata file: ok.raw",
    ],
)
def test_what_is_no_line_of_its_own_hides_no_voxels_elsewhere_in_nrrd(tmp_path: Path, fields: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for path in (tmp_path / "v.raw", inside / "ok.raw"):
        path.write_bytes(NOISE.tobytes())
    with pytest.raises(InputError, match=r"lie in another folder|is damaged"):
        read_volume(a_nrrd(inside / "a.nhdr", *fields.split("\n")))


@pytest.mark.parametrize(
    "fields",
    [
        "Comment = x\rElementDataFile = ok.raw\nElementDataFile = ../v.raw",
        "Note\nElementDataFile = ok.raw\nElementDataFile = ../v.raw",
        "Offset = 0 0\nElementDataFile = ok.raw\nElementDataFile = ../v.raw",
        "Offset = 0 0\nElementDataFile = LOCAL\n" + 5_000_000 * " " + "\nElementDataFile = ../v.raw",
        "ElementDataFile\xa0= ok.raw\nElementDataFile = ../v.raw",
        "ElementDataFile =\n../v.raw",
        "ElementDataFile \nElementDataFile\xa0= ../v.raw",
        "ElementDataFile == {outside}/v.raw",
        "ElementDataFile = LISTED.raw\n" + 4 * "../v.raw\n",
    ],
)
def test_what_is_no_line_of_its_own_hides_no_voxels_elsewhere_in_metaimage(tmp_path: Path, fields: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for path in (tmp_path / "v.raw", inside / "ok.raw", inside / "LISTED.raw"):
        path.write_bytes(NOISE.tobytes())
    path = a_meta(inside / "a.mhd", "")
    start = path.read_text(encoding="latin-1").removesuffix("ElementDataFile = \n")
    path.write_text(start + fields.format(outside=tmp_path) + "\n", encoding="latin-1", newline="")
    with pytest.raises(InputError, match=r"lie in another folder|lie in several files|is damaged"):
        read_volume(path)


def test_a_size_continued_in_the_next_line_asks_for_no_memory(tmp_path: Path) -> None:
    path = a_meta(tmp_path / "a.mha", "LOCAL", sizes="6 5\n1000000000 = 4")
    path.write_bytes(path.read_bytes() + NOISE.tobytes())
    with pytest.raises(InputError, match="is damaged"):
        check_meta_header(path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin"])
def test_a_colon_instead_of_an_equals_sign_hides_nothing(tmp_path: Path, device: str) -> None:
    path = a_meta(tmp_path / "a.mhd", "LOCAL")
    path.write_text(path.read_text().replace("ElementDataFile = LOCAL", f"ElementDataFile: {device}"))
    with pytest.raises(InputError, match="lie in another folder"):
        read_volume(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_beside_the_header_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "v.raw")
    for path in (a_nrrd(tmp_path / "a.nhdr", "data file: v.raw"), a_meta(tmp_path / "a.mhd", "v.raw")):
        with pytest.raises(InputError, match="missing"):
            read_volume(path)


def test_lists_of_files_are_refused_however_long(tmp_path: Path) -> None:
    many = "\n".join(f"s{number}.raw" for number in range(1_000_000))
    for path in (
        a_nrrd(tmp_path / "a.nhdr", "data file: LIST\na.raw\nb.raw"),
        a_nrrd(tmp_path / "b.nhdr", "data file: s%03d.raw 1 1000000 1"),
        a_meta(tmp_path / "a.mhd", "LIST\na.raw\nb.raw"),
        a_meta(tmp_path / "b.mhd", "s%03d.raw 1 1000000 1"),
    ):
        with pytest.raises(InputError, match="lie in several files"):
            read_volume(path)
    for path in (a_nrrd(tmp_path / "c.nhdr", f"data file: LIST\n{many}"), a_meta(tmp_path / "c.mhd", f"LIST\n{many}")):
        with pytest.raises(InputError, match=r"lie in several files|longer than that of a scan"):
            read_volume(path)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii", "hex", "bzip2"])
@pytest.mark.parametrize(
    ("kind", "sizes"), [("double", "1100 1100 1100"), ("uint8", "30000 30000 1"), ("float", "99 99 99")]
)
def test_some_hundred_bytes_of_nrrd_never_ask_for_memory(tmp_path: Path, encoding: str, kind: str, sizes: str) -> None:
    path = a_nrrd(tmp_path / "a.nrrd", kind=kind, sizes=sizes, encoding=encoding)
    assert path.stat().st_size < 377
    if encoding in ("gzip", "bzip2"):
        path.write_bytes(path.read_bytes() + b"\x1f\x8b")
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            check_nrrd_header(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "fields",
    [
        ("CompressedData = True", "CompressedDataSize = 100"),
        ("CompressedData = True",),
        ("CompressedData = True", "CompressedDataSize = -1"),
        ("CompressedData = True", f"CompressedDataSize = {'9' * 5000}"),
        (f"ElementNumberOfChannels = {'9' * 5000}",),
        (),
    ],
)
def test_some_hundred_bytes_of_metaimage_never_ask_for_memory(tmp_path: Path, fields: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        check_meta_header(a_meta(tmp_path / "a.mha", "LOCAL", *fields, sizes="1100 1100 1100"))


def _changed(content: bytes, fault: str) -> bytes:
    header, packed = content.split(b"ElementDataFile = LOCAL\n")
    size = f"CompressedDataSize = {len(packed)}\n".encode()
    half = packed[: len(packed) // 2]
    told_right = header.replace(size, f"CompressedDataSize = {len(half)}\n".encode())
    changed = {
        "ends too early": told_right + b"ElementDataFile = LOCAL\n" + half,
        "no size": header.replace(size, b"") + b"ElementDataFile = LOCAL\n" + packed,
        "one bit": content[:-200] + bytes([content[-200] ^ 64]) + content[-199:],
        "fewer slices": content.replace(b"DimSize = 6 5 40", b"DimSize = 6 5 41"),
        "more slices": content.replace(b"DimSize = 6 5 40", b"DimSize = 6 5 39"),
    }
    assert changed[fault] != content
    return changed[fault]


@pytest.mark.parametrize("fault", ["ends too early", "no size", "one bit", "fewer slices", "more slices"])
def test_packed_voxels_that_are_not_all_there_are_not_filled_up_from_memory(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "a.mha"
    whole = np.random.default_rng(1).integers(-1000, 1000, (40, 5, 6)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(whole), path, useCompression=True)
    np.testing.assert_array_equal(read_volume(path).voxels, whole)
    path.write_bytes(_changed(path.read_bytes(), fault))
    with pytest.raises(InputError, match="voxels are missing"):
        read_volume(path)


@pytest.mark.parametrize("told", [b"", b"CompressedDataSize = 0\n"])
def test_packed_voxels_in_a_file_of_their_own_need_no_size(tmp_path: Path, told: bytes) -> None:
    path = tmp_path / "a.mhd"
    whole = np.random.default_rng(1).integers(-1000, 1000, (40, 5, 6)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(whole), path, useCompression=True)
    packed = tmp_path / "a.zraw"
    size = f"CompressedDataSize = {packed.stat().st_size}\n".encode()
    assert size in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(size, told))
    np.testing.assert_array_equal(read_volume(path).voxels, whole)
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(InputError, match="voxels are missing"):
        read_volume(path)


@pytest.mark.parametrize("digits", ["9" * 5000, "٣ ٣ ٣", "²", "-5 -5 -5", "0x10 2 2"])
def test_numbers_that_are_none_are_one_sentence(tmp_path: Path, digits: str) -> None:
    for path in (a_nrrd(tmp_path / "a.nrrd"), a_meta(tmp_path / "a.mha", "LOCAL")):
        path.write_text(path.read_text().replace("6 5 4", digits), encoding="utf-8")
        path.write_bytes(path.read_bytes() + NOISE.tobytes())
        with pytest.raises(InputError, match=r"\.$"):
            read_volume(path)


def test_a_name_longer_than_any_file_s_is_one_short_sentence(tmp_path: Path) -> None:
    for path in (a_nrrd(tmp_path / "a.nhdr", f"data file: {'9' * 5000}"), a_meta(tmp_path / "a.mhd", "9" * 5000)):
        with pytest.raises(InputError) as refused:
            read_volume(path)
        assert len(str(refused.value)) < 300


def test_labels_are_checked_before_they_are_read_too(tmp_path: Path) -> None:
    for path in (
        a_nrrd(tmp_path / "a.seg.nrrd", sizes="1100 1100 1100"),
        a_nrrd(tmp_path / "b.nhdr", "data file: /dev/zero"),
        tmp_path / "gone.nrrd",
    ):
        with pytest.raises(InputError, match="cannot be read as a label map"):
            read_label_volume(path)


def test_a_segment_s_number_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray((NOISE > 0).astype(np.uint8))
    image.SetMetaData("Segment0_LabelValue", "9" * 5000)
    image.SetMetaData("Segment0_Name", "liver")
    sitk.WriteImage(image, tmp_path / "a.seg.nrrd")
    with pytest.raises(InputError, match="not described as they should be"):
        read_label_volume(tmp_path / "a.seg.nrrd")
