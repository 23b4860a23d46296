"""Headers that a reading library fills in or repairs without a word."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume, safe_name

NOISE = np.random.default_rng(0).normal(0, 100, (4, 5, 6)).astype(np.float32)


def a_nrrd(path: Path, *fields: str) -> Path:
    header = ["NRRD0004", "type: float", "dimension: 3", "sizes: 6 5 4", "encoding: raw", "endian: little", *fields]
    path.write_bytes("\n".join([*header, "", ""]).encode() + NOISE.tobytes())
    return path


def a_nifti(path: Path, changes: dict[int, bytes]) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(NOISE), path)
    raw = bytearray(path.read_bytes())
    for offset, value in changes.items():
        raw[offset : offset + len(value)] = value
    path.write_bytes(bytes(raw))
    return path


@pytest.mark.parametrize(
    "field",
    [
        "spacings: 1 1 nan",
        "spacings: 1 inf 1",
        "space: left-posterior-superior\nspace directions: (1,0,0) (0,nan,0) (0,0,1)",
    ],
)
def test_a_nrrd_spacing_that_is_no_number_is_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(InputError, match="zero or not a number"):
        read_volume(a_nrrd(tmp_path / "a.nrrd", field))


def test_a_nrrd_without_spacing_is_read_with_a_warning(tmp_path: Path) -> None:
    warnings = read_volume(a_nrrd(tmp_path / "a.nrrd")).warnings
    assert len(warnings) == 1
    assert "1 mm was taken" in warnings[0]
    assert read_volume(a_nrrd(tmp_path / "b.nrrd", "spacings: 2 2 2")).warnings == ()


def test_a_nifti_that_does_not_say_how_it_lies_is_read_with_a_warning(tmp_path: Path) -> None:
    no_codes = {252: struct.pack("<2h", 0, 0)}
    warnings = read_volume(a_nifti(tmp_path / "a.nii", no_codes)).warnings
    assert len(warnings) == 1
    assert "left and right may be exchanged" in warnings[0]
    assert read_volume(a_nifti(tmp_path / "b.nii", {})).warnings == ()


def test_a_nifti_position_that_is_no_number_is_refused(tmp_path: Path) -> None:
    changes = {252: struct.pack("<2h", 1, 0), 256: struct.pack("<f", float("nan"))}
    with pytest.raises(InputError, match="not a number"):
        read_volume(a_nifti(tmp_path / "a.nii", changes))


def test_a_second_generation_nifti_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(struct.pack("<i", 540) + b"n+2\0\r\n\032\n" + bytes(532))
    with pytest.raises(InputError, match="NIfTI-2"):
        read_volume(path)


def test_micrometres_that_were_written_as_millimetres_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="m long by its header"):
        read_volume(a_nrrd(tmp_path / "a.nrrd", "spacings: 700 700 3000"))


@pytest.mark.parametrize("name", ["case 7", "患者", "a.b", "R&D", "x" * 120])
def test_a_name_that_can_be_a_folder_s_stays(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/x", "a/b", "a\\b", "C:x", "nul", "x.", "x\0y", "x" * 300])
def test_any_other_name_becomes_one_that_can(name: str) -> None:
    safe = safe_name(name)
    assert safe != name
    assert safe_name(safe) == safe


def test_a_file_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rename the file"):
        read_volume(tmp_path / "bad\udcff.nii.gz")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_metaimage_is_one_sentence_and_nothing_else(
    tmp_path: Path, compressed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(NOISE), path, useCompression=compressed)
    whole = path.read_bytes()
    assert read_volume(path).voxels.shape == NOISE.shape
    path.write_bytes(whole[:-40])
    with pytest.raises(InputError, match="truncated"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


def test_a_metaimage_without_its_voxels_names_the_missing_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mhd"
    sitk.WriteImage(sitk.GetImageFromArray(NOISE), path)
    assert read_volume(path).voxels.shape == NOISE.shape
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"lie in a\.raw, which is missing"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("pixel", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64])
def test_every_pixel_type_of_a_metaimage_is_read(tmp_path: Path, pixel: type) -> None:
    values = np.clip(np.abs(NOISE), 0, 120).astype(pixel)
    sitk.WriteImage(sitk.GetImageFromArray(values), tmp_path / "a.mha")
    np.testing.assert_allclose(read_volume(tmp_path / "a.mha").voxels, values, rtol=1e-6)
