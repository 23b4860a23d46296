"""A header that lies is refused, with one sentence, before any memory is taken for its voxels."""

from __future__ import annotations

import gzip
import math
import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging import headers
from BottleneckOODLib.imaging.headers import MAX_VOXELS, check_nifti_header, check_nifti_voxels, check_size
from BottleneckOODLib.imaging.reading import read_volume

NAN = float("nan")
UPRIGHT = ((2.0, 0.0, 0.0, 5.0), (0.0, 3.0, 0.0, 6.0), (0.0, 0.0, 4.0, 7.0))
ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])


def nifti(
    size: Sequence[int] = (4, 5, 6),
    *,
    order: str = "<",
    spacing: Sequence[float] = (2.0, 3.0, 4.0),
    rows: Sequence[Sequence[float]] | None = UPRIGHT,
    kind: tuple[int, str] = (16, "f4"),
    voxels: np.ndarray | None = None,
    start: float = 352.0,
) -> bytes:
    """A NIfTI-1 file put together by hand; NIfTI counts x to the right and y to the front."""
    header = bytearray(352)
    code, letter = kind
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, len(size), *size, *([1] * (7 - len(size))))
    struct.pack_into(f"{order}2h", header, 70, code, int(letter[1:]) * 8)
    struct.pack_into(f"{order}8f", header, 76, 1.0, *spacing, *([1.0] * (7 - len(spacing))))
    struct.pack_into(f"{order}f", header, 108, start)
    struct.pack_into(f"{order}f", header, 112, 1.0)
    if rows is not None:
        struct.pack_into(f"{order}2h", header, 252, 0, 1)
        struct.pack_into(f"{order}12f", header, 280, *(v for row in rows for v in row))
    header[344:348] = b"n+1\0"
    if voxels is None:
        voxels = np.random.default_rng(0).normal(0, 300, math.prod(max(n, 0) for n in size))
    return bytes(header) + voxels.astype(f"{order}{letter}").tobytes()


def saved(folder: Path, content: bytes, name: str = "scan.nii") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return path


@ORDERS
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_file_put_together_by_hand_is_read(tmp_path: Path, order: str, name: str) -> None:
    voxels = np.random.default_rng(1).normal(0, 300, (6, 5, 4)).astype(np.float32)
    path = saved(tmp_path, nifti(order=order, voxels=voxels), name)
    check_nifti_header(path)
    check_nifti_voxels(path)
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, voxels)
    assert volume.geometry.spacing_mm == (2.0, 3.0, 4.0)
    assert volume.geometry.origin_lps_mm == (-5.0, -6.0, 7.0)
    assert volume.geometry.axes == pytest.approx(np.diag([-1.0, -1.0, 1.0]), abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.integers(1, 4000), min_size=3, max_size=3), st.integers(0, 2))
def test_a_volume_is_accepted_exactly_up_to_the_largest_size(size: list[int], ones: int) -> None:
    declared = (*size, *([1] * ones))
    if min(size) >= 2 and size[0] * size[1] * size[2] <= MAX_VOXELS:
        check_size(declared, "scan")
    else:
        with pytest.raises(InputError, match="scan"):
            check_size(declared, "scan")


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ((), "no voxels"),
        ((9,), "single slice"),
        ((9, 9), "single slice"),
        ((9, 9, 1), "single slice"),
        ((1, 9, 9), "single slice"),
        ((9, 0, 9), "no voxels"),
        ((9, 9, 9, 2), "4 dimensions"),
        ((9, 9, 9, 1, 3), "5 dimensions"),
        ((100_000, 100_000, 100_000), "100000 x 100000 x 100000"),
    ],
)
def test_what_is_not_one_volume_is_refused(size: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check_size(size, "scan")


@ORDERS
@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ((4, 5), "single slice"),
        ((4, 5, 1), "single slice"),
        ((4, 5, 6, 2), "4 dimensions"),
        ((4, 0, 6), "no voxels"),
        ((4, -5, 6), "damaged"),
    ],
)
def test_a_nifti_header_of_another_shape_is_refused(
    tmp_path: Path, order: str, size: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        check_nifti_header(saved(tmp_path, nifti(size, order=order)))


@pytest.mark.parametrize("dimensions", [0, 8, -1, 999])
def test_a_nifti_header_with_an_impossible_number_of_dimensions_is_refused(tmp_path: Path, dimensions: int) -> None:
    raw = bytearray(nifti())
    struct.pack_into("<h", raw, 40, dimensions)
    with pytest.raises(InputError, match="damaged"):
        check_nifti_header(saved(tmp_path, bytes(raw)))


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("size", [(32767, 32767, 32767), (1100, 1100, 1100)])
def test_a_huge_declared_size_is_refused_before_voxels_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int, int]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("voxels were read")

    monkeypatch.setattr("BottleneckOODLib.imaging.reading.check_nifti_voxels", never)
    monkeypatch.setattr("BottleneckOODLib.imaging.reading._execute", never)
    path = saved(tmp_path, nifti(size, voxels=np.zeros(100)), name)
    with pytest.raises(InputError, match=r"more than a scan can have|declares more voxels than it holds"):
        read_volume(path)


@ORDERS
@pytest.mark.parametrize("bad", [0.0, NAN, float("inf")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_zero_or_nan_spacing_is_refused(tmp_path: Path, order: str, axis: int, bad: float) -> None:
    spacing = [2.0, 3.0, 4.0]
    spacing[axis] = bad
    for rows in (UPRIGHT, None):
        with pytest.raises(InputError, match="spacing"):
            check_nifti_header(saved(tmp_path, nifti(order=order, spacing=spacing, rows=rows)))


@ORDERS
@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ((2.0, 0.3, 0.0, 5.0), "not perpendicular"),
        ((0.0, 0.0, 0.0, 5.0), "zero or not a number"),
        ((2.0, 0.0, 0.0, NAN), "zero or not a number"),
        ((NAN, 0.0, 0.0, 5.0), "zero or not a number"),
    ],
    ids=["sheared", "no x axis", "no position", "no number"],
)
def test_a_transformation_that_is_no_regular_grid_is_refused(
    tmp_path: Path, order: str, row: tuple[float, ...], sentence: str
) -> None:
    path = saved(tmp_path, nifti(order=order, rows=(row, *UPRIGHT[1:])))
    with pytest.raises(InputError, match=sentence):
        check_nifti_header(path)
    with pytest.raises(InputError, match=sentence):
        read_volume(path)


def test_a_transformation_that_is_marked_unused_is_not_looked_at(tmp_path: Path) -> None:
    raw = bytearray(nifti(rows=((NAN,) * 4,) * 3))
    struct.pack_into("<2h", raw, 252, 0, 0)
    check_nifti_header(saved(tmp_path, bytes(raw)))


@pytest.mark.parametrize("content", [b"", b"n+1", b"\0" * 348, b"text" * 500])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_what_is_no_nifti_file_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(InputError, match="is not a NIfTI image"):
        check_nifti_header(saved(tmp_path, content, name))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_gzip_file_is_refused(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path, nifti((20, 20, 20)), "scan.nii.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"scan\.nii\.gz is truncated"):
        read_volume(path)


@pytest.mark.parametrize("missing", [1, 100, 470])
def test_a_truncated_plain_file_is_refused(tmp_path: Path, missing: int) -> None:
    path = saved(tmp_path, nifti()[:-missing])
    with pytest.raises(InputError, match="truncated"):
        read_volume(path)


@ORDERS
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("bits", [0, 1, 8])
def test_voxels_are_as_large_as_their_type_whatever_is_said_of_their_bits(
    tmp_path: Path, order: str, name: str, bits: int
) -> None:
    content = bytearray(nifti(order=order))
    struct.pack_into(f"{order}h", content, 72, bits)
    check_nifti_voxels(saved(tmp_path, bytes(content), f"whole-{name}"))
    with pytest.raises(InputError, match="truncated"):
        read_volume(saved(tmp_path, bytes(content[: 352 + 4 * 5 * 6]), name))


def test_damage_inside_a_gzip_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, nifti((20, 20, 20)), "scan.nii.gz")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(bytes(raw))
    with pytest.raises(InputError, match="truncated or damaged"):
        check_nifti_voxels(path)


def test_a_file_that_unpacks_to_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, nifti() + b"\0" * (3 << 20), "scan.nii.gz")
    with pytest.raises(InputError, match="far more than its header declares"):
        check_nifti_voxels(path)
    check_nifti_voxels(saved(tmp_path, nifti() + b"\0" * 1000, "padded.nii.gz"))


@ORDERS
@pytest.mark.parametrize("kind", [(16, "f4"), (64, "f8")], ids=["float", "double"])
@pytest.mark.parametrize("block_bytes", [1 << 22, 64])
def test_every_voxel_that_is_no_number_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, kind: tuple[int, str], block_bytes: int
) -> None:
    monkeypatch.setattr(headers, "_BLOCK_BYTES", block_bytes)
    voxels = np.random.default_rng(2).normal(0, 300, 120)
    voxels[[0, 57, 63, 119]] = NAN, np.inf, -np.inf, NAN
    path = saved(tmp_path, nifti(order=order, kind=kind, voxels=voxels), "scan.nii.gz")
    with pytest.raises(InputError, match="has 4 voxels that are not finite"):
        check_nifti_voxels(path)


def test_a_last_voxel_that_is_no_number_is_seen_where_the_count_is_odd(tmp_path: Path) -> None:
    voxels = np.random.default_rng(2).normal(0, 300, 27)
    voxels[-1] = NAN
    with pytest.raises(InputError, match="has 1 voxels that are not finite"):
        check_nifti_voxels(saved(tmp_path, nifti((3, 3, 3), voxels=voxels)))


@pytest.mark.parametrize(
    "start",
    [
        NAN,
        float("inf"),
        1e12,
        -1.0,
        1e30,
        -1e30,
    ],
)
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_an_impossible_place_of_the_voxels_is_refused(tmp_path: Path, start: float, name: str) -> None:
    with pytest.raises(InputError, match="scan"):
        read_volume(saved(tmp_path, nifti(start=start), name))


@pytest.mark.parametrize(
    "start",
    [
        352.0,
        -1.0,
        6e7,
    ],
)
def test_a_file_that_unpacks_without_end_takes_little_memory(tmp_path: Path, start: float) -> None:
    path = saved(tmp_path, nifti(start=start) + bytes(64 << 20), "scan.nii.gz")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"scan\.nii\.gz"):
            check_nifti_voxels(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@settings(deadline=None)
@given(st.binary(min_size=304, max_size=304))
def test_no_header_of_random_numbers_ends_in_anything_but_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    raw = nifti()[:40] + noise + b"n+1\0"
    path = saved(tmp_path_factory.getbasetemp(), raw, "random.nii")
    with pytest.raises(InputError):
        check_nifti_header(path)
