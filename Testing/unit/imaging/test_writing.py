"""What is written can be read again by this and by other programs, and a file is written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.imaging.writing import (
    read_label_volume,
    segment_colour,
    terminology_entry,
    write_label_volume,
    write_volume,
)

NoiseOn = Callable[[Geometry], Volume]
LIVER = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
)


def some_labels(geometry: Geometry) -> LabelVolume:
    array = np.random.default_rng(4).integers(0, 3, geometry.shape).astype(np.uint8)
    return LabelVolume(array, geometry, {1: "liver", 2: "portal vein"})


def assert_same_grid(read: Geometry, written: Geometry) -> None:
    """NRRD stores spacing times direction, so that oblique axes are rounded once more."""
    assert read.size_ijk == written.size_ijk
    assert read.origin_lps_mm == written.origin_lps_mm
    assert read.spacing_mm == pytest.approx(written.spacing_mm, rel=1e-15, abs=0)
    assert read.direction == pytest.approx(written.direction, abs=1e-15)


def test_a_segmentation_is_read_as_it_was_written(tmp_path: Path, any_grid: Geometry) -> None:
    labels = some_labels(any_grid)
    write_label_volume(labels, tmp_path / "case.seg.nrrd")
    again = read_label_volume(tmp_path / "case.seg.nrrd")
    assert np.array_equal(again.labels, labels.labels)
    assert again.labels.dtype == np.uint8
    assert again.names == labels.names
    assert_same_grid(again.geometry, any_grid)
    oblique = np.count_nonzero(any_grid.axes) > 3
    assert oblique or again == labels


def test_another_program_finds_the_segments_where_slicer_looks_for_them(
    tmp_path: Path, an_oblique_grid: Geometry
) -> None:
    labels = some_labels(an_oblique_grid)
    write_label_volume(labels, tmp_path / "case.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "case.seg.nrrd"))
    assert image.GetPixelID() == sitk.sitkUInt8
    assert np.array_equal(sitk.GetArrayFromImage(image), labels.labels)
    read = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert read["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert read["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    for number, (value, name) in enumerate(((1, "liver"), (2, "portal vein"))):
        prefix = f"Segment{number}_"
        assert read[f"{prefix}Name"] == name
        assert read[f"{prefix}LabelValue"] == str(value)
        assert read[f"{prefix}Layer"] == "0"
        assert read[f"{prefix}Extent"] == "0 6 0 5 0 4"
        assert read[f"{prefix}Tags"] == f"TerminologyEntry:{terminology_entry(name)}|"
        colour = [float(part) for part in read[f"{prefix}Color"].split()]
        assert colour == pytest.approx(segment_colour(name), abs=1e-6)
    assert "Segment2_Name" not in read
    assert LIVER in read["Segment0_Tags"]


@pytest.mark.parametrize("name", ["liver", "Liver", "LIVER", "portal vein", "", "leber"])
def test_a_terminology_entry_has_the_seven_parts_that_slicer_reads(name: str) -> None:
    context, category, kind, modifier, anatomy_context, region, region_modifier = terminology_entry(name).split("~")
    assert context.startswith("Segmentation category and type")
    assert anatomy_context == "Anatomic codes - DICOM master list"
    for code in (category, kind):
        scheme, number, meaning = code.split("^")
        assert number.isdigit()
        assert scheme == "SCT"
        assert meaning
    assert (modifier, region, region_modifier) == ("^^", "^^", "^^")
    assert (terminology_entry(name) == LIVER) == (name.lower() == "liver")


@settings(deadline=None)
@given(st.text(max_size=10))
def test_every_structure_has_a_colour(name: str) -> None:
    assert all(0 <= part <= 1 for part in segment_colour(name))
    assert len(segment_colour(name)) == 3


def test_labels_are_read_in_the_order_of_their_values_and_with_gaps(tmp_path: Path, an_oblique_grid: Geometry) -> None:
    array = np.zeros(an_oblique_grid.shape, np.uint8)
    array[0, 0, :3] = 255, 7, 40
    labels = LabelVolume(array, an_oblique_grid, {255: "c", 7: "a", 40: "b"})
    write_label_volume(labels, tmp_path / "case.seg.nrrd")
    again = read_label_volume(tmp_path / "case.seg.nrrd")
    assert list(again.names.items()) == [(7, "a"), (40, "b"), (255, "c")]
    assert np.array_equal(again.labels, array)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(
    "kind",
    [np.uint8, np.int16, np.float32],
)
def test_a_plain_label_map_is_read_with_names_from_its_values(tmp_path: Path, suffix: str, kind: type) -> None:
    array = np.random.default_rng(1).choice([0, 1, 9], (4, 5, 6)).astype(kind)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"labels{suffix}"))
    labels = read_label_volume(tmp_path / f"labels{suffix}")
    assert np.array_equal(labels.labels, array)
    assert labels.names == {1: "label 1", 9: "label 9"}


@pytest.mark.parametrize(
    "array",
    [
        np.full((4, 5, 6), -1, np.int16),
        np.full((4, 5, 6), 256, np.int16),
        np.full((4, 5, 6), 0.5, np.float32),
        np.full((4, 5, 6), np.nan, np.float32),
        np.full((4, 5), 1, np.uint8),
        np.full((2, 4, 5, 6), 1, np.uint8),
    ],
    ids=["negative", "above 255", "a fraction", "no number", "2-D", "4-D"],
)
def test_what_is_no_label_map_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(tmp_path / "labels.nrrd"))
    with pytest.raises(InputError, match=r"labels\.nrrd (holds no labels|cannot be read as a label map of one volume)"):
        read_label_volume(tmp_path / "labels.nrrd")


@pytest.mark.parametrize("content", [None, b"", b"no image"])
def test_labels_that_cannot_be_read_are_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "labels.nrrd").write_bytes(content)
    with pytest.raises(InputError, match=r"labels\.nrrd cannot be read"):
        read_label_volume(tmp_path / "labels.nrrd")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Segment0_LabelValue", "one"),
        ("Segment0_Name", None),
    ],
)
def test_a_segmentation_with_a_damaged_description_is_read_or_refused(
    tmp_path: Path, an_oblique_grid: Geometry, key: str, value: str | None
) -> None:
    write_label_volume(some_labels(an_oblique_grid), tmp_path / "good.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "good.seg.nrrd"))
    if value is None:
        image.EraseMetaData(key)
    else:
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "bad.seg.nrrd"))
    try:
        labels = read_label_volume(tmp_path / "bad.seg.nrrd")
    except InputError:
        return
    assert np.array_equal(labels.labels, sitk.GetArrayFromImage(image))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_a_volume_is_read_as_it_was_written(tmp_path: Path, any_grid: Geometry, noise_on: NoiseOn, suffix: str) -> None:
    volume = noise_on(any_grid)
    write_volume(volume, tmp_path / f"scan.1{suffix}")
    again = read_volume(tmp_path / f"scan.1{suffix}")
    assert np.array_equal(again.voxels, volume.voxels)
    if suffix == ".nii.gz":
        assert again.geometry.ijk_to_lps(np.array([[6, 5, 4]])) == pytest.approx(
            any_grid.ijk_to_lps(np.array([[6, 5, 4]])), abs=1e-3
        )
    else:
        assert_same_grid(again.geometry, any_grid)


values = st.one_of(st.integers(-40000, 40000).map(float), st.floats(-1e4, 1e4, width=32))


@settings(max_examples=40, deadline=None)
@given(st.lists(values, min_size=8, max_size=8).filter(lambda v: len(set(v)) > 1))
def test_no_value_is_changed_by_the_way_it_is_stored(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float]
) -> None:
    geometry = Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    voxels = np.array(numbers, np.float32).reshape(2, 2, 2)
    path = tmp_path_factory.getbasetemp() / "stored.nrrd"
    write_volume(Volume(voxels, geometry, "CT", "stored"), path)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), voxels)
    whole = all(float(n).is_integer() and abs(n) < 2**15 for n in voxels.ravel())
    assert image.GetPixelID() == (sitk.sitkInt16 if whole else sitk.sitkFloat32)


def test_writing_leaves_one_file_and_replaces_the_old_one(tmp_path: Path, an_oblique_grid: Geometry) -> None:
    path = tmp_path / "case.seg.nrrd"
    path.write_bytes(b"old")
    write_label_volume(some_labels(an_oblique_grid), path)
    assert [p.name for p in tmp_path.iterdir()] == ["case.seg.nrrd"]
    assert np.array_equal(read_label_volume(path).labels, some_labels(an_oblique_grid).labels)


def test_a_folder_that_is_not_there_is_an_output_error(
    tmp_path: Path, an_oblique_grid: Geometry, noise_on: NoiseOn
) -> None:
    with pytest.raises(OutputError, match=r"case\.seg\.nrrd cannot be written"):
        write_label_volume(some_labels(an_oblique_grid), tmp_path / "no" / "case.seg.nrrd")
    with pytest.raises(OutputError, match=r"scan\.unknown cannot be written"):
        write_volume(noise_on(an_oblique_grid), tmp_path / "scan.unknown")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_on_the_way_leaves_the_old_file_alone(
    tmp_path: Path, an_oblique_grid: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "case.seg.nrrd"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OutputError, match="free space"):
        write_label_volume(some_labels(an_oblique_grid), path)
    assert [p.name for p in tmp_path.iterdir()] == ["case.seg.nrrd"]
    assert path.read_bytes() == b"old"
