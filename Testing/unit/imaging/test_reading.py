"""What was written by another program is read as it is, to the last digit, or refused with one sentence."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import IMAGE_SUFFIXES, case_id_of, read_volume
from BottleneckOODLib.imaging.volume import Geometry, Volume

NoiseOn = Callable[[Geometry], Volume]
NRRD = """NRRD0005
type: float
dimension: 3
space: left-posterior-superior
sizes: {sizes}
space directions: {directions}
kinds: domain domain domain
endian: little
encoding: raw
space origin: (0,0,0)

"""
META = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = {matrix}
Offset = 0 0 0
ElementSpacing = {spacing}
DimSize = {sizes}
ElementType = MET_FLOAT
ElementDataFile = LOCAL
"""


def written_by_itk(volume: Volume, path: Path, *, compressed: bool = False) -> Path:
    image = sitk.GetImageFromArray(volume.voxels)
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_lps_mm)
    image.SetDirection(volume.geometry.direction)
    sitk.WriteImage(image, str(path), useCompression=compressed)
    return path


def as_itk_reads(path: Path) -> Geometry:
    image = sitk.ReadImage(str(path))
    return Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def some_floats(count: int) -> bytes:
    return np.random.default_rng(0).normal(0, 300, count).astype("<f4").tobytes()


def nrrd(sizes: str = "4 5 6", directions: str = "(1,0,0) (0,1,0) (0,0,1)", floats: int = 120) -> bytes:
    return NRRD.format(sizes=sizes, directions=directions).encode() + some_floats(floats)


def meta(sizes: str = "4 5 6", spacing: str = "1 1 1", matrix: str = "1 0 0 0 1 0 0 0 1", floats: int = 120) -> bytes:
    return META.format(sizes=sizes, spacing=spacing, matrix=matrix).encode() + some_floats(floats)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_voxels_and_geometry_are_kept_to_the_last_digit(
    tmp_path: Path, any_grid: Geometry, noise_on: NoiseOn, suffix: str, compressed: bool
) -> None:
    volume = noise_on(any_grid)
    again = read_volume(written_by_itk(volume, tmp_path / f"scan{suffix}", compressed=compressed))
    assert np.array_equal(again.voxels, volume.voxels)
    assert again.name == f"scan{suffix}"
    assert again.geometry == as_itk_reads(tmp_path / f"scan{suffix}")
    assert again.geometry.origin_lps_mm == any_grid.origin_lps_mm
    # NRRD stores spacing times direction, so that oblique axes are rounded once more.
    rounding = 1e-15 if suffix in (".nrrd", ".nhdr") else 0.0
    assert again.geometry.spacing_mm == pytest.approx(any_grid.spacing_mm, rel=rounding, abs=0)
    assert again.geometry.direction == pytest.approx(any_grid.direction, rel=rounding, abs=rounding)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_keeps_the_geometry_as_well_as_single_precision_can(
    tmp_path: Path, any_grid: Geometry, noise_on: NoiseOn, suffix: str
) -> None:
    volume = noise_on(any_grid)
    path = written_by_itk(volume, tmp_path / f"scan{suffix}")
    again = read_volume(path)
    assert np.array_equal(again.voxels, volume.voxels)
    assert again.geometry.size_ijk == any_grid.size_ijk
    assert again.geometry.spacing_mm == pytest.approx(any_grid.spacing_mm, rel=2**-23)
    assert again.geometry.origin_lps_mm == pytest.approx(any_grid.origin_lps_mm, rel=2**-23)
    assert again.geometry.direction == pytest.approx(any_grid.direction, abs=2**-22)
    assert np.sign(np.linalg.det(again.geometry.axes)) == np.sign(np.linalg.det(any_grid.axes))
    assert again.geometry == as_itk_reads(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint16, np.float32, np.float64])
def test_every_kind_of_number_becomes_the_same_values(tmp_path: Path, suffix: str, kind: type) -> None:
    array = np.random.default_rng(5).integers(0, 3000, (4, 5, 6)).astype(kind)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"scan{suffix}"))
    volume = read_volume(tmp_path / f"scan{suffix}")
    assert volume.voxels.dtype == np.float32
    assert np.array_equal(volume.voxels, array)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(("shape", "sentence"), [((9, 9), "single slice"), ((3, 9, 9, 9), "4 dimensions")])
def test_an_image_that_is_not_three_dimensional_is_refused(
    tmp_path: Path, suffix: str, shape: tuple[int, ...], sentence: str
) -> None:
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=shape).astype(np.float32), isVector=False)
    sitk.WriteImage(image, str(tmp_path / f"scan{suffix}"))
    with pytest.raises(InputError, match=sentence):
        read_volume(tmp_path / f"scan{suffix}")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_one_volume_stored_as_a_series_of_one_is_read(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).normal(0, 300, (1, 4, 5, 6)).astype(np.float32)
    image = sitk.GetImageFromArray(array, isVector=False)
    image.SetSpacing((0.5, 0.75, 2.0, 1.0))
    sitk.WriteImage(image, str(tmp_path / f"scan{suffix}"))
    volume = read_volume(tmp_path / f"scan{suffix}")
    assert np.array_equal(volume.voxels, array[0])
    assert volume.geometry.spacing_mm == (0.5, 0.75, 2.0)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_colours_and_vectors_are_refused(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype(np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / f"scan{suffix}"))
    with pytest.raises(InputError, match=r"3 values a voxel|5 dimensions"):
        read_volume(tmp_path / f"scan{suffix}")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("huge.nrrd", nrrd(sizes="100000 100000 100000"), "more than a scan can have"),
        ("huge.mha", meta(sizes="100000 100000 100000"), "more than a scan can have"),
        ("sheared.nrrd", nrrd(directions="(1,0,0) (0.5,1,0) (0,0,1)"), "perpendicular"),
        ("sheared.mha", meta(matrix="1 0 0 0.5 1 0 0 0 1"), "perpendicular"),
        ("nan.nrrd", nrrd(directions="(nan,0,0) (0,1,0) (0,0,1)"), r"nan\.nrrd"),
        ("nan.mha", meta(spacing="nan 1 1"), r"nan\.mha"),
        ("zero.nrrd", nrrd(directions="(0,0,0) (0,1,0) (0,0,1)"), r"zero\.nrrd"),
        ("zero.mha", meta(spacing="1 0 1"), r"zero\.mha"),
        ("short.nrrd", nrrd(floats=60), "damaged"),
        ("short.mha", meta(floats=60), "damaged"),
        ("text.nrrd", b"no image", "damaged"),
        ("text.mha", b"no image", "damaged"),
        ("empty.mha", b"", "is empty"),
        ("empty.nii.gz", b"", "is empty"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_volume(tmp_path / name)


@pytest.mark.parametrize(("name", "content"), [("scan.nrrd", nrrd()), ("scan.mha", meta())])
def test_the_same_headers_without_a_mistake_are_read(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_volume(tmp_path / name).geometry.size_ijk == (4, 5, 6)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_packed_file_that_is_truncated_is_refused(
    tmp_path: Path, an_oblique_grid: Geometry, noise_on: NoiseOn, suffix: str
) -> None:
    path = written_by_itk(noise_on(an_oblique_grid), tmp_path / f"scan{suffix}", compressed=True)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged"):
        read_volume(path)


def test_nifti_in_gzip_under_another_program_s_packing_is_the_same(tmp_path: Path, a_ct_file: Path) -> None:
    plain = tmp_path / "scan.nii"
    plain.write_bytes(gzip.decompress(a_ct_file.read_bytes()))
    packed, unpacked = read_volume(a_ct_file), read_volume(plain)
    assert packed.geometry == unpacked.geometry
    assert np.array_equal(packed.voxels, unpacked.voxels)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_voxels_that_are_no_numbers_are_counted(
    tmp_path: Path, an_oblique_grid: Geometry, noise_on: NoiseOn, suffix: str, bad: float
) -> None:
    voxels = noise_on(an_oblique_grid).voxels.copy()
    voxels[1, 2, 3:5] = bad
    path = written_by_itk(Volume(voxels, an_oblique_grid, "unknown", "bad"), tmp_path / f"scan{suffix}")
    with pytest.raises(InputError, match="has 2 voxels that are not finite"):
        read_volume(path)


def test_a_constant_image_is_refused(tmp_path: Path, an_oblique_grid: Geometry) -> None:
    empty = Volume(np.full(an_oblique_grid.shape, -1000, np.float32), an_oblique_grid, "CT", "empty")
    with pytest.raises(InputError, match="same value everywhere"):
        read_volume(written_by_itk(empty, tmp_path / "scan.nrrd"))


def test_a_label_map_is_refused_and_an_eight_bit_scan_is_not(tmp_path: Path) -> None:
    labels = np.zeros((20, 60, 60), np.uint8)
    labels[5:15, 10:50, 10:50] = 1
    labels[8:12, 20:40, 20:40] = 7
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / "labels.nrrd"))
    with pytest.raises(InputError, match="looks like a label map"):
        read_volume(tmp_path / "labels.nrrd")
    scan = np.random.default_rng(0).integers(0, 256, labels.shape).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(scan), str(tmp_path / "scan.nrrd"))
    assert np.array_equal(read_volume(tmp_path / "scan.nrrd").voxels, scan)


def test_the_modality_is_told_from_the_values_unless_it_is_named(tmp_path: Path, a_small_ct: Volume) -> None:
    path = written_by_itk(a_small_ct, tmp_path / "ct.nrrd")
    assert read_volume(path).modality == "CT"
    assert read_volume(path, modality="MR").modality == "MR"
    bright = Volume(a_small_ct.voxels + np.float32(1000), a_small_ct.geometry, "unknown", "bright")
    assert read_volume(written_by_itk(bright, tmp_path / "other.nrrd")).modality == "unknown"


def test_what_is_not_there_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(b"\x89PNG")
    (tmp_path / "slice.dcm").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "folder").mkdir()
    for name, sentence in {
        "scan.nii": "does not exist",
        "scan.png": "use .nii.gz",
        "slice.dcm": "choose the folder of the series",
        "folder": "holds no DICOM images",
    }.items():
        with pytest.raises(InputError, match=re.escape(sentence)):
            read_volume(tmp_path / name)


def test_a_name_that_is_no_text_is_told_without_its_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no text") as caught:
        read_volume(tmp_path / "ct\udcff.nii.gz")
    assert "ct" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_reading_writes_nothing(tmp_path: Path, an_oblique_grid: Geometry, noise_on: NoiseOn) -> None:
    path = written_by_itk(noise_on(an_oblique_grid), tmp_path / "scan.nii.gz")
    before = path.read_bytes()
    read_volume(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30), st.sampled_from(["", *IMAGE_SUFFIXES]))
def test_a_case_identity_is_always_a_safe_file_name(name: str, suffix: str) -> None:
    identity = case_id_of(f"scans/{name}{suffix}")
    assert identity not in ("", ".", "..")
    assert not set('<>:"/\\|?*\0') & set(identity)
    assert not identity.endswith((".", " "))


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_case_is_called_by_its_file_without_the_extension(suffix: str) -> None:
    assert case_id_of(f"scans/liver.v2{suffix}") == "liver.v2"
    assert case_id_of(f"scans/Liver 3{suffix.upper()}") == "Liver 3"
    assert case_id_of(f"nul{suffix}") == "nul_"
