from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hostile_dicom import nested, with_inserted

from BottleneckOODLib.cli.assess import reader
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.reading_process import read_apart
from BottleneckOODLib.reference_cases import listed_cases


def an_image(path: Path, size: tuple[int, int, int] = (12, 11, 10)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    k, j, i = np.ogrid[: size[2], : size[1], : size[0]]
    image = sitk.GetImageFromArray((i * 10 + j * 3 - k - 500).astype(np.int16))
    image.SetSpacing((2.0, 2.0, 2.5))
    sitk.WriteImage(image, str(path))
    return path


def a_table(folder: Path, rows: list[dict[str, str]]) -> Path:
    path = folder / "cases.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.DictWriter(stream, fieldnames=sorted({name for row in rows for name in row}))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_table_s_paths_are_relative_to_it_and_its_facts_are_kept(tmp_path: Path) -> None:
    an_image(tmp_path / "Bilder mit Umläuten" / "größe.nii.gz")
    (case,) = listed_cases(
        a_table(tmp_path, [{"image": "Bilder mit Umläuten/größe.nii.gz", "kvp": "120", "phase": ""}])
    )
    assert case.case_id == "größe"
    assert dict(case.facts) == {"kvp": "120"}
    volume, truth = case.load()
    assert volume.voxels.shape == (10, 11, 12)
    assert truth is None


def test_labels_come_with_their_image(tmp_path: Path) -> None:
    an_image(tmp_path / "a.nii.gz")
    mask = sitk.GetImageFromArray(np.pad(np.ones((4, 5, 6), np.uint8), 3))
    mask.SetSpacing((2.0, 2.0, 2.5))
    sitk.WriteImage(mask, str(tmp_path / "mask.nrrd"))
    (case,) = listed_cases(a_table(tmp_path, [{"image": "a.nii.gz", "label": "mask.nrrd", "case_id": "first"}]))
    assert case.case_id == "first"
    _, truth = case.load()
    assert truth is not None
    assert int((truth.labels > 0).sum()) == 4 * 5 * 6
    assert case.labelled


def test_labels_of_another_size_are_refused_when_they_are_read(tmp_path: Path) -> None:
    an_image(tmp_path / "a.nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5, 6), np.uint8)), str(tmp_path / "mask.nrrd"))
    (case,) = listed_cases(a_table(tmp_path, [{"image": "a.nii.gz", "label": "mask.nrrd"}]))
    with pytest.raises(InputError, match="another size"):
        case.load()


def test_a_folder_gives_every_image_and_folder_in_it_by_name(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.nrrd"):
        an_image(tmp_path / name)
    (tmp_path / "series 1").mkdir()
    (tmp_path / "notes.txt").write_text("not an image")
    assert [case.case_id for case in listed_cases(tmp_path)] == ["a", "b", "series 1"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"image": "a.nii.gz"}, {"image": " "}], "Line 3"),
        ([{"picture": "a.nii.gz"}], 'column "image"'),
        ([{"image": "a.nii.gz", "dice": "0.9"}], "column dice"),
    ],
)
def test_a_table_that_names_no_images_is_one_sentence(tmp_path: Path, rows: list[dict[str, str]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        listed_cases(a_table(tmp_path, rows))


def test_what_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        listed_cases(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="holds no images"):
        listed_cases(tmp_path)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(InputError, match="UTF-8"):
        listed_cases(tmp_path / "binary.csv")


def test_an_image_that_ends_who_reads_it_costs_one_case(
    write_slices: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    an_image(tmp_path / "scans" / "sound.nii.gz")
    write_slices(tmp_path / "scans" / "hostile", uid="1.2.3")
    with_inserted(tmp_path / "scans" / "hostile", nested(10_000, defined=True))
    listed = listed_cases(tmp_path / "scans", read=read_apart)
    hostile, sound = (pickle.loads(pickle.dumps(case)) for case in listed)
    with pytest.raises(InputError, match="ended the process that read it"):
        hostile.load()
    (_, here) = listed_cases(tmp_path / "scans")
    assert np.array_equal(sound.load()[0].voxels, here.load()[0].voxels)


def test_the_command_line_reads_apart_unless_the_files_are_trusted() -> None:
    assert reader(trusted=False) is read_apart
    assert reader(trusted=True) is read_volume


def test_two_label_maps_of_one_case_are_refused(tmp_path: Path) -> None:
    an_image(tmp_path / "images" / "a.nii.gz")
    for name in ("a.nii.gz", "a.seg.nrrd"):
        an_image(tmp_path / "labels" / name)
    with pytest.raises(InputError, match=r"a\.nii\.gz and a\.seg\.nrrd in .* are of one case"):
        listed_cases(tmp_path / "images", tmp_path / "labels")


def test_a_table_without_a_line_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("image,label\n")
    (tmp_path / "labels").mkdir()
    for labels in (None, tmp_path / "labels"):
        with pytest.raises(InputError, match=r"cases\.csv names no image"):
            listed_cases(tmp_path / "cases.csv", labels)
