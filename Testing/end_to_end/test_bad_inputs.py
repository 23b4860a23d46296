"""Whatever a user gives: exit code 2, one plain sentence, no traceback, nothing written, the input untouched."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hostile_dicom import nested, with_inserted

from BottleneckOODLib.cli.main import main

Maker = Callable[[Path], Path]


def saved(folder: Path, array: np.ndarray, name: str = "x.nii.gz", **options: object) -> Path:
    image = sitk.GetImageFromArray(array, **options)
    sitk.WriteImage(image, str(folder / name))
    return folder / name


def a_scan() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 300, (12, 20, 20)).astype(np.float32)


def missing(folder: Path) -> Path:
    return folder / "nothing.nii.gz"


def a_folder_without_images(folder: Path) -> Path:
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("nothing")
    return folder / "notes"


def an_empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def a_text_file(folder: Path) -> Path:
    (folder / "x.nii.gz").write_text("this is no image " * 40)
    return folder / "x.nii.gz"


def an_unknown_kind(folder: Path) -> Path:
    (folder / "x.docx").write_bytes(b"PK\x03\x04")
    return folder / "x.docx"


def an_empty_file(folder: Path) -> Path:
    (folder / "x.nrrd").touch()
    return folder / "x.nrrd"


def a_truncated_gzip(folder: Path) -> Path:
    path = saved(folder, a_scan())
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def a_truncated_nrrd(folder: Path) -> Path:
    path = saved(folder, a_scan(), "x.nrrd")
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def two_dimensional(folder: Path) -> Path:
    return saved(folder, a_scan()[0])


def four_dimensional(folder: Path) -> Path:
    return saved(folder, np.stack([a_scan()] * 3), isVector=False)


def a_vector_image(folder: Path) -> Path:
    return saved(folder, np.stack([a_scan()] * 3, axis=-1), "x.nrrd", isVector=True)


def a_constant_image(folder: Path) -> Path:
    return saved(folder, np.full((12, 20, 20), 7, np.float32))


def with_nan(folder: Path) -> Path:
    array = a_scan()
    array[3, 4, 5] = np.nan
    return saved(folder, array)


def with_infinity(folder: Path) -> Path:
    array = a_scan()
    array[3, 4, 5] = np.inf
    return saved(folder, array, "x.mha")


def one_slice(folder: Path) -> Path:
    return saved(folder, a_scan()[:1], "x.nrrd")


def a_label_map(folder: Path) -> Path:
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[5:15, 10:30, 10:30] = 1
    labels[5:15, 20:30, 20:38] = 2
    return saved(folder, labels)


def patched_nifti(folder: Path, patches: dict[int, bytes]) -> Path:
    path = saved(folder, a_scan(), "x.nii")
    raw = bytearray(path.read_bytes())
    for offset, content in patches.items():
        raw[offset : offset + len(content)] = content
    path.write_bytes(raw)
    return path


def zero_spacing(folder: Path) -> Path:
    return patched_nifti(folder, {80: struct.pack("<f", 0.0)})


def infinite_spacing(folder: Path) -> Path:
    return patched_nifti(folder, {84: struct.pack("<f", float("inf"))})


def sheared(folder: Path) -> Path:
    return patched_nifti(
        folder, {254: struct.pack("<h", 1), 280: struct.pack("<12f", 1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)}
    )


def a_huge_declared_size(folder: Path) -> Path:
    return patched_nifti(folder, {40: struct.pack("<4h", 3, 32000, 32000, 32000)})


def larger_than_its_file(folder: Path) -> Path:
    return patched_nifti(folder, {40: struct.pack("<4h", 3, 500, 500, 500)})


def a_compressed_bomb(folder: Path) -> Path:
    path = patched_nifti(folder, {})
    packed = gzip.compress(path.read_bytes()[:352] + bytes(200_000_000), 9)
    (folder / "x.nii.gz").write_bytes(packed)
    return folder / "x.nii.gz"


def a_sheared_nrrd(folder: Path) -> Path:
    path = saved(folder, a_scan(), "x.nrrd")
    raw = path.read_bytes()
    head, _, rest = raw.partition(b"\n\n")
    lines = [
        b"space directions: (1,0,0) (0.6,1,0) (0,0,1)" if line.startswith(b"space directions") else line
        for line in head.split(b"\n")
    ]
    path.write_bytes(b"\n".join(lines) + b"\n\n" + rest)
    return path


BAD_INPUTS: dict[Maker, str] = {
    missing: "does not exist",
    a_folder_without_images: "no DICOM images",
    an_empty_folder: "no DICOM images",
    a_text_file: "not a NIfTI image",
    an_unknown_kind: "not an image of a known kind",
    an_empty_file: "empty",
    a_truncated_gzip: "truncated",
    a_truncated_nrrd: "truncated",
    two_dimensional: "single slice",
    four_dimensional: "4 dimensions",
    a_vector_image: "3 values a voxel",
    a_constant_image: "same value everywhere",
    with_nan: "1 voxels that are not finite",
    with_infinity: "1 voxels that are not finite",
    one_slice: "single slice",
    a_label_map: "label map",
    zero_spacing: "spacing",
    infinite_spacing: "spacing",
    sheared: "perpendicular",
    a_sheared_nrrd: "perpendicular",
    a_huge_declared_size: "more than a scan can have",
    larger_than_its_file: "truncated",
    a_compressed_bomb: "far more than its header declares",
}


def bytes_under(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("make", BAD_INPUTS, ids=lambda make: make.__name__)
def test_a_bad_input_is_one_sentence(make: Maker, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    before = bytes_under(tmp_path)
    code = main(["assess", str(source), "--output", str(tmp_path / "out"), "--device", "cpu"])
    told = [line for line in capfd.readouterr().err.splitlines() if not line.endswith(": Reading")]
    assert code == 2
    assert len(told) == 1
    assert told[0].startswith("bottleneck-ood: ")
    assert told[0].endswith(".")
    assert BAD_INPUTS[make] in told[0]
    assert "Traceback" not in told[0]
    assert bytes_under(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "no-such-model"], "was not found"),
        (["--reference", "no-such-reference"], "was not found"),
        (["--device", "cuda:7"], "not available"),
        (["--device", "abacus"], "not known"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    options: list[str], sentence: str, a_ct_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = main(["assess", str(a_ct_file), "--output", str(tmp_path / "out"), *options])
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("bottleneck-ood: ")]
    assert code == 2
    assert len(told) == 1
    assert sentence in told[0]
    assert not (tmp_path / "out").exists()


def test_an_existing_result_is_kept(a_ct_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = tmp_path / "sample-usual"
    result.mkdir()
    (result / "note.txt").write_text("mine")
    assert main(["assess", str(a_ct_file), "--output", str(tmp_path)]) == 2
    assert "exists already" in capfd.readouterr().err
    assert [path.name for path in result.iterdir()] == ["note.txt"]


@pytest.mark.skipif(
    os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="the administrator may write anywhere"
)
def test_a_read_only_output_is_one_sentence(a_ct_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert main(["assess", str(a_ct_file), "--output", str(tmp_path / "out")]) == 2
    assert "cannot be written" in capfd.readouterr().err


def test_an_output_that_is_a_file_is_one_sentence(
    a_ct_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    assert main(["assess", str(a_ct_file), "--output", str(tmp_path / "out")]) == 2
    assert "is a file; choose a folder" in capfd.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="how deep a library's calls may go differs")
def test_a_file_that_ends_its_reader_does_not_stop_the_others(
    write_slices: Callable[..., np.ndarray], a_ct_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_slices(tmp_path / "deep", uid="1.2.3")
    with_inserted(tmp_path / "deep", nested(30_000, defined=True))
    assert main(["assess", str(tmp_path / "deep"), str(a_ct_file), "--output", str(tmp_path / "out")]) == 2
    assert "The image deep ended the process that read it" in capfd.readouterr().err
    assert (tmp_path / "out" / "sample-usual" / "assessment.json").is_file()


def test_one_bad_input_among_good_ones_does_not_stop_them(
    a_ct_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["assess", str(tmp_path / "gone.nii"), str(a_ct_file), "--output", str(tmp_path / "out")]) == 2
    assert "gone.nii" in capfd.readouterr().err
    assert (tmp_path / "out" / "sample-usual" / "assessment.json").is_file()
