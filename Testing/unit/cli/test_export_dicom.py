"""From a folder of slices to objects for an archive, with ``assess --dicom`` and with ``export-dicom``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_objects import STUDY, frames_read

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.imaging.reading import read_volume

CaptureFd = pytest.CaptureFixture[str]
OBJECTS = ["picture.dcm", "report.dcm", "segmentation.dcm"]


@pytest.fixture
def a_series(a_ct_file: Path, tmp_path: Path, write_slices: Callable[..., np.ndarray]) -> Path:
    """The embedded sample as slices, head first, each named by chance."""
    volume = read_volume(a_ct_file)
    i, j, k = volume.geometry.spacing_mm
    order = np.random.default_rng(0).permutation(len(volume.voxels))
    write_slices(
        tmp_path / "patient", uid="1.2.3.10", stored=volume.voxels[order].astype(np.int16),
        positions=[np.array([0.0, 0.0, k * float(n)]) for n in order],
        PixelSpacing=[j, i], SliceThickness=k, **STUDY,
    )  # fmt: skip
    return tmp_path / "patient"


def test_a_series_is_assessed_and_its_objects_lie_where_they_were_asked_for(
    a_series: Path, tmp_path: Path, capfd: CaptureFd
) -> None:
    archive, results, again = tmp_path / "archive", tmp_path / "results", tmp_path / "again"
    assert main(["assess", str(a_series), "--output", str(results), "--dicom", str(archive), "--device", "cpu"]) == 0
    told = capfd.readouterr()
    assert sorted(path.name for path in (archive / "patient").iterdir()) == OBJECTS
    assert not list(results.rglob("*.dcm"))
    assert str(archive / "patient") in told.out
    assert not any(str(value) in told.out + told.err for value in STUDY.values() if isinstance(value, str))

    assessment = Assessment.load(results / "patient")
    assert assessment.segmentation is not None
    slices = sorted(
        (pydicom.dcmread(path) for path in a_series.iterdir()), key=lambda s: float(s.ImagePositionPatient[2])
    )
    frames = frames_read(pydicom.dcmread(archive / "patient" / "segmentation.dcm"))
    nothing = np.zeros(assessment.segmentation.labels.shape[1:], bool)
    read = np.array([frames.get((str(slice_.SOPInstanceUID), 1), nothing) for slice_ in slices])
    assert read.any()
    assert np.array_equal(read, assessment.segmentation.labels > 0)

    case, source = str(results / "patient"), str(a_series)
    assert main(["export-dicom", case, "--source", source, "--output", str(again)]) == 0
    other = frames_read(pydicom.dcmread(again / "patient" / "segmentation.dcm"))
    assert sorted(other) == sorted(frames)
    assert all(np.array_equal(other[key], frames[key]) for key in frames)
    assert main(["export-dicom", case, "--source", source, "--output", str(again)]) == 2
    assert "exists already and was kept" in capfd.readouterr().err


def test_a_file_without_a_study_stops_before_any_work(a_scan: Path, tmp_path: Path, capfd: CaptureFd) -> None:
    out = tmp_path / "out"
    assert main(["assess", str(a_scan), "--output", str(out), "--dicom", str(tmp_path / "archive")]) == 2
    assert capfd.readouterr().err == (
        "bottleneck-ood: The image a.nii.gz is no DICOM series, which has a study to refer to, so no DICOM objects "
        "were written; choose the folder of the series that was assessed.\n"
    )
    assert not out.exists()
    assert not (tmp_path / "archive").exists()


def test_one_place_for_results_and_objects_stops_before_any_work(
    a_series: Path, tmp_path: Path, capfd: CaptureFd
) -> None:
    out = tmp_path / "out"
    again = tmp_path / "patient" / ".." / "out"
    assert main(["assess", str(a_series), "--output", str(out), "--dicom", str(again)]) == 2
    assert "where a case would have one folder for two" in capfd.readouterr().err
    assert not out.exists()


def test_an_earlier_export_stops_before_any_work(a_series: Path, tmp_path: Path, capfd: CaptureFd) -> None:
    (tmp_path / "archive" / "patient").mkdir(parents=True)
    out = tmp_path / "out"
    assert main(["assess", str(a_series), "--output", str(out), "--dicom", str(tmp_path / "archive")]) == 2
    assert "exists already and was kept" in capfd.readouterr().err
    assert not out.exists()


def test_an_assessment_without_objects_is_saved_and_told_all_the_same(
    a_series: Path, tmp_path: Path, capfd: CaptureFd
) -> None:
    for path in a_series.iterdir():
        slice_ = pydicom.dcmread(path)
        del slice_.FrameOfReferenceUID
        slice_.save_as(path)
    results, archive = tmp_path / "results", tmp_path / "archive"
    assert main(["assess", str(a_series), "--output", str(results), "--dicom", str(archive), "--device", "cpu"]) == 2
    told = capfd.readouterr()
    assert "patient: " in told.out.splitlines()[0]
    assert "FrameOfReferenceUID is missing or no identifier" in told.err
    assert Assessment.load(results / "patient").segmentation is not None
    assert not archive.exists()


def test_a_folder_that_is_no_case_is_told(tmp_path: Path, capfd: CaptureFd) -> None:
    assert main(["export-dicom", str(tmp_path), "--source", str(tmp_path), "--output", str(tmp_path / "archive")]) == 2
    assert "holds no assessment" in capfd.readouterr().err
