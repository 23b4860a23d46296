"""Each frame lies on the source slice that it marks, for readers that know nothing of how it was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_objects import Exported, frames_expected, frames_read, group

from BottleneckOODLib.errors import OutputError

Write, Export = Callable[..., Path], Callable[..., Exported]
pytestmark = pytest.mark.usefixtures("no_drawing")
LIVER, TWO = {1: "liver"}, {1: "liver", 3: "spleen"}


def tilted(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])


def a_scan_on_axes(write_scan: Write, degrees: float, *, backwards: bool) -> Path:
    axes = tilted(degrees)
    stored = np.random.default_rng(7).integers(0, 2000, (6, 9, 7)).astype(np.int16)
    stored[2] = 0
    places = [np.array([-120.5, 33.25, 700.125]) + axes[:, 2] * 1.25 * k for k in range(6)]
    return write_scan(stored=stored, axes=axes, positions=places[::-1] if backwards else places)


@pytest.mark.parametrize("names", [LIVER, TWO], ids=["one organ", "two organs"])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 20.0, -130.0])
def test_every_slice_is_marked_where_its_own_pixels_say(
    write_scan: Write, export: Export, degrees: float, backwards: bool, names: dict[int, str]
) -> None:
    made = export(a_scan_on_axes(write_scan, degrees, backwards=backwards), names=names)
    wanted, read = frames_expected(made.slices, names), frames_read(made.segmentation)
    assert len(wanted) == 5 * len(names)
    assert sorted(read) == sorted(wanted)
    assert all(np.array_equal(read[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 20.0, 90.0])
def test_every_frame_has_its_slice_s_place_to_the_digit(
    write_scan: Write, export: Export, degrees: float, backwards: bool
) -> None:
    made = export(a_scan_on_axes(write_scan, degrees, backwards=backwards))
    slices = {str(slice_.SOPInstanceUID): slice_ for slice_ in made.slices}
    for number in range(int(made.segmentation.NumberOfFrames)):
        image = group(made.segmentation, number, "DerivationImageSequence").SourceImageSequence[0]
        slice_ = slices[str(image.ReferencedSOPInstanceUID)]
        assert image.ReferencedSOPClassUID == slice_.SOPClassUID
        place = group(made.segmentation, number, "PlanePositionSequence").ImagePositionPatient
        turn = group(made.segmentation, number, "PlaneOrientationSequence").ImageOrientationPatient
        measures = group(made.segmentation, number, "PixelMeasuresSequence")
        assert [float(part) for part in place] == [float(part) for part in slice_.ImagePositionPatient]
        assert [float(part) for part in turn] == [float(part) for part in slice_.ImageOrientationPatient]
        assert [float(part) for part in measures.PixelSpacing] == [0.75, 0.5]
        assert float(measures.SpacingBetweenSlices) == pytest.approx(1.25, abs=1e-6)
    assert made.segmentation.FrameOfReferenceUID == "1.2.3.77"
    (series,) = made.segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "1.2.3.10"
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == set(slices)


def test_highdicom_reads_the_mask_that_was_assessed(
    write_scan: Write, export: Export, assess_by_hand: Callable[..., object]
) -> None:
    made = export(a_scan_on_axes(write_scan, 20.0, backwards=True), names=TWO)
    mask = assess_by_hand(made.source, names=TWO).segmentation
    read = hd.seg.segread(made.folder / "segmentation.dcm")
    files = {str(slice_.SOPInstanceUID): slice_ for slice_ in made.slices}
    # Sorted as any reader does it, along the normal.
    order = sorted(files, key=lambda uid: float(np.dot(files[uid].ImagePositionPatient, tilted(20.0)[:, 2])))
    # highdicom leaves its own database open, and Python 3.13 says so in whatever test is running by then.
    with closing(read._db_con):
        segments = read.get_pixels_by_source_instance(order, assert_missing_frames_are_empty=True)
        labels = [read.get_segment_description(number).segment_label for number in (1, 2)]
    assert np.array_equal(segments[..., 0], mask.labels == 1)
    assert np.array_equal(segments[..., 1], mask.labels == 3)
    assert labels == ["liver", "spleen"]


@pytest.mark.parametrize("written", [True, False])
def test_no_database_of_highdicom_s_stays_open(
    write_scan: Write, export: Export, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    opened, connect = [], sqlite3.connect

    def connect_and_keep(*arguments: Any, **settings: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **settings))
        return opened[-1]

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("highdicom.image.sqlite3.connect", connect_and_keep)
    if not written:
        monkeypatch.setattr(hd.seg.Segmentation, "save_as", full)
    scan = write_scan()
    if written:
        export(scan)
    else:
        with pytest.raises(OutputError, match="No space left on device"):
            export(scan)
    assert opened
    for database in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            database.execute("SELECT 1")


def test_gdcm_reads_the_frames_and_where_they_lie(write_scan: Write, export: Export) -> None:
    stored = np.random.default_rng(3).integers(0, 2000, (5, 16, 24)).astype(np.int16)
    made = export(write_scan(stored=stored))
    image = sitk.ReadImage(str(made.folder / "segmentation.dcm"))
    frames = sitk.GetArrayFromImage(image) > 0
    assert frames.shape == stored.shape
    wanted = frames_expected(made.slices, LIVER)
    for slice_ in made.slices:
        x, y, z = (float(part) for part in slice_.ImagePositionPatient)
        i, j, k = image.TransformPhysicalPointToIndex((x + 3 * 0.5, y + 2 * 0.75, z))
        assert (i, j) == (3, 2)
        assert np.array_equal(frames[k], wanted[str(slice_.SOPInstanceUID), 1])


def test_the_segments_say_which_organ_and_which_algorithm(write_scan: Write, export: Export) -> None:
    made = export(write_scan(), names=TWO).segmentation
    assert made.SegmentationType == "BINARY"
    liver, other = made.SegmentSequence
    assert code(liver, "SegmentedPropertyCategoryCodeSequence") == ("SCT", "123037004", "Anatomical Structure")
    assert code(liver, "SegmentedPropertyTypeCodeSequence") == ("SCT", "10200004", "Liver")
    assert code(other, "SegmentedPropertyTypeCodeSequence") == ("SCT", "85756007", "Tissue")
    for segment in (liver, other):
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("BottleneckOOD demo", "2")
        assert "ab" * 32 in algorithm.AlgorithmParameters
        assert "0.1.0" in algorithm.AlgorithmParameters


def test_a_label_without_voxels_is_no_segment(write_scan: Write, export: Export) -> None:
    made = export(write_scan(stored=np.full((3, 5, 6), 1000, np.int16) + np.arange(6, dtype=np.int16)), names=TWO)
    assert [segment.SegmentLabel for segment in made.segmentation.SegmentSequence] == ["liver"]
    assert sorted(frames_read(made.segmentation)) == sorted(frames_expected(made.slices, TWO))


def code(item: object, sequence: str) -> tuple[str, str, str]:
    (found,) = getattr(item, sequence)
    return found.CodingSchemeDesignator, found.CodeValue, found.CodeMeaning
