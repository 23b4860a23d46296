"""An export is whole or not there, takes no other series for the one that was assessed, and tells nobody's name."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_objects import Exported, frames_expected, frames_read

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.versions import save_version
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.dicom_results.exporting import export_dicom
from BottleneckOODLib.errors import InputError, OutputError, SeriesChoiceError
from BottleneckOODLib.imaging.volume import LabelVolume

Write, Export, AssessByHand = Callable[..., Path], Callable[..., Exported], Callable[..., Assessment]
pytestmark = pytest.mark.usefixtures("no_drawing")
SECRET = {
    "PatientName": "SECRETNAME^Xaver", "PatientID": "SECRETID", "AccessionNumber": "SECRETACC", "StudyID": "SECRETST",
    "ReferringPhysicianName": "SECRETDOC", "StudyDescription": "SECRETTEXT", "PatientBirthDate": "18990203",
}  # fmt: skip


def everything_in(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_a_saved_assessment_gives_the_same_mask_as_a_fresh_one(
    write_scan: Write, export: Export, assess_by_hand: AssessByHand, tmp_path: Path, no_picture: None
) -> None:
    source = write_scan()
    loaded = Assessment.load(assess_by_hand(source).save(tmp_path / "results"))
    assert loaded.volume is None
    folder = export_dicom(loaded, source, tmp_path / "again")
    made = pydicom.dcmread(folder / "segmentation.dcm")
    first = frames_read(export(source).segmentation)
    again = frames_read(made)
    assert sorted(again) == sorted(first)
    assert all(np.array_equal(again[key], first[key]) for key in first)


def test_a_series_in_several_folders_is_named_by_the_one_above(
    write_scan: Write, export: Export, tmp_path: Path
) -> None:
    first = frames_read(export(write_scan()).segmentation)
    study = tmp_path / "study"
    for number, path in enumerate(sorted((tmp_path / "scan").iterdir())):
        (study / str(number % 3)).mkdir(parents=True, exist_ok=True)
        path.rename(study / str(number % 3) / f"IM{number}")
    again = frames_read(export(study, "again").segmentation)
    assert sorted(again) == sorted(first)
    assert all(np.array_equal(again[key], first[key]) for key in first)


@pytest.mark.parametrize("wished", [[], ["--model-mask"]])
def test_the_mask_that_a_reader_saved_last_is_written_and_told(
    write_scan: Write, assess_by_hand: AssessByHand, tmp_path: Path, no_picture: None, wished: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = write_scan()
    assessment = assess_by_hand(source)
    case, mask = assessment.save(tmp_path / "results"), assessment.segmentation
    assert mask is not None
    smaller = mask.labels.copy()
    smaller[tuple(np.argwhere(smaller)[0])] = 0
    for labels, created in ((mask.labels, assessment.created), (smaller, assessment.created), (mask.labels, "another")):
        save_version(
            replace(mask, labels=labels), case, reader="Ann", parent="segmentation.seg.nrrd", assessment_created=created
        )
    words = ["export-dicom", str(case), "--source", str(source), "--output", str(tmp_path / "objects"), "--trust-files"]
    assert main([*words, *wished]) == 0
    folder = tmp_path / "objects" / "case-7"
    made, report = (pydicom.dcmread(folder / name) for name in ("segmentation.dcm", "report.dcm"))
    n_voxels = sum(int(frame.sum()) for frame in frames_read(made).values())
    assert n_voxels == np.count_nonzero(mask.labels) - (not wished)
    kind = made.SegmentSequence[0].SegmentAlgorithmType
    assert (kind, "mask v3" in made.SeriesDescription) == (("AUTOMATIC", False) if wished else ("SEMIAUTOMATIC", True))
    assert ("A reader edited the mask (version 3, saved " in str(report)) is not wished
    assert ("version 3, as Ann saved it" in capsys.readouterr().out) is not bool(wished)


def test_three_files_are_written_and_the_source_is_not_touched(write_scan: Write, export: Export) -> None:
    source = write_scan()
    before = everything_in(source)
    made = export(source)
    assert made.folder.name == "case-7"
    assert sorted(path.name for path in made.folder.parent.rglob("*")) == [
        "case-7", "picture.dcm", "report.dcm", "segmentation.dcm",
    ]  # fmt: skip
    assert everything_in(source) == before


def test_exporting_again_makes_new_instances_in_new_series(write_scan: Write, export: Export) -> None:
    source = write_scan()
    first, again = export(source), export(source, output="second")
    uids = [
        dataset[key].value
        for made in (first, again)
        for dataset in made
        for key in ("SOPInstanceUID", "SeriesInstanceUID")
    ]
    assert len(set(uids)) == 12
    assert not set(uids) & {
        slice_[key].value for slice_ in first.slices for key in ("SOPInstanceUID", "SeriesInstanceUID")
    }
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)


def test_an_export_that_is_there_is_kept(write_scan: Write, export: Export) -> None:
    source = write_scan()
    before = everything_in(export(source).folder)
    with pytest.raises(OutputError, match="exists already and was kept"):
        export(source)
    assert everything_in(export(source, output="elsewhere").folder.parent.parent / "objects") == before


def test_a_disk_that_fills_leaves_nothing_half_written(
    write_scan: Write, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_scan()

    def full(*_: object) -> np.ndarray:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("BottleneckOODLib.dicom_results.picture_object.overview_pixels", full)
    with pytest.raises(OutputError, match="No space left"):
        export(source)
    assert list((tmp_path / "objects").iterdir()) == []


@pytest.mark.parametrize("empty", ["no mask", "an empty one"])
def test_without_a_mask_nothing_is_written(write_scan: Write, export: Export, tmp_path: Path, empty: str) -> None:
    source = write_scan(stored=np.random.default_rng(0).integers(0, 150, (4, 6, 5)).astype(np.int16))
    with pytest.raises(InputError, match="The mask of case-7 is empty, so no DICOM objects were written"):
        export(source, **({"segmentation": None} if empty == "no mask" else {}))
    assert not (tmp_path / "objects").exists()


def test_a_file_has_no_study_to_refer_to(an_assessment: Assessment, tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"ct\.nii\.gz is no DICOM series, which has a study to refer to"):
        export_dicom(an_assessment, tmp_path / "ct.nii.gz", tmp_path / "objects")
    with pytest.raises(InputError, match=r"ct\.dcm does not exist"):
        export_dicom(an_assessment, tmp_path / "ct.dcm", tmp_path / "objects")


UP = np.array([0.0, 0.0, 2.5])
OTHERS = {
    "moved along": {"positions": [UP * (k + 1) for k in range(4)]},
    "moved in the plane": {"positions": [UP * k + np.array([0.5, 0, 0]) for k in range(4)]},
    "one slice fewer": {
        "positions": [UP * k for k in range(3)],
        "stored": np.arange(90, dtype=np.int16).reshape(3, 6, 5),
    },
    "other pixels": {"PixelSpacing": [0.75, 0.51]},
    "other slices": {"positions": [UP * 1.1 * k for k in range(4)]},
    "other size": {"stored": np.arange(168, dtype=np.int16).reshape(4, 6, 7)},
    "turned": {"axes": np.diag([-1.0, -1.0, 1.0])},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("has_volume", [True, False])
def test_another_series_is_not_taken_for_the_one_that_was_assessed(
    write_scan: Write, assess_by_hand: AssessByHand, tmp_path: Path, other: str, has_volume: bool
) -> None:
    assessed = assess_by_hand(write_scan())
    elsewhere = write_scan("elsewhere", uid="1.2.3.20", **OTHERS[other])
    if not has_volume:
        assessed = replace(assessed, volume=None)
    with pytest.raises(InputError, match=r"does not lie on the slices of elsewhere"):
        export_dicom(assessed, elsewhere, tmp_path / "objects")
    assert not (tmp_path / "objects").exists()


def test_another_phase_on_the_same_slices_is_seen_while_the_image_is_at_hand(
    write_scan: Write, assess_by_hand: AssessByHand, tmp_path: Path
) -> None:
    assessed = assess_by_hand(write_scan())
    phase = write_scan(
        "phase", uid="1.2.3.20", stored=np.random.default_rng(5).integers(0, 2000, (4, 6, 5)).astype(np.int16)
    )
    with pytest.raises(InputError, match="does not lie on the slices of phase"):
        export_dicom(assessed, phase, tmp_path / "objects")


def test_of_several_series_one_has_to_be_named(write_scan: Write, assess_by_hand: AssessByHand, tmp_path: Path) -> None:
    write_scan()
    assessed = replace(assess_by_hand(write_scan()), volume=None)
    source = write_scan(uid="1.2.3.20", stored=np.random.default_rng(5).integers(0, 2000, (4, 6, 5)).astype(np.int16))
    with pytest.raises(SeriesChoiceError):
        export_dicom(assessed, source, tmp_path / "objects")
    folder = export_dicom(assessed, source, tmp_path / "objects", series="1.2.3.10")
    made = pydicom.dcmread(folder / "segmentation.dcm")
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.10"
    slices = [slice_ for path in source.iterdir() if (slice_ := pydicom.dcmread(path)).SeriesInstanceUID == "1.2.3.10"]
    wanted, read = frames_expected(slices, {1: "liver"}), frames_read(made)
    assert sorted(wanted) == sorted(read)


def test_multi_frame_objects_are_refused_in_a_sentence(
    write_scan: Write, assess_by_hand: AssessByHand, tmp_path: Path
) -> None:
    assessed = replace(assess_by_hand(write_scan()), volume=None)
    with pytest.raises(InputError, match="multi-frame DICOM object; export it as single slices"):
        export_dicom(assessed, write_scan("frames", NumberOfFrames=3), tmp_path / "objects")


def test_nobody_is_named_in_logs_names_of_files_or_warnings(
    write_scan: Write, export: Export, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    source = write_scan(**SECRET)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        made = export(source)
    told = capfd.readouterr()
    words = " ".join([told.out, told.err, caplog.text, *(str(one.message) for one in heard)])
    words += " ".join(str(path) for path in made.folder.rglob("*"))
    for secret in (*SECRET.values(), "SECRET", made.segmentation.StudyInstanceUID, "1.2.3.77"):
        assert secret not in words
    assert made.report.PatientName == "SECRETNAME^Xaver"


def test_labels_of_another_grid_are_no_mask_of_the_series(
    write_scan: Write, export: Export, assess_by_hand: AssessByHand
) -> None:
    source = write_scan()
    mask = assess_by_hand(source).segmentation
    shifted = replace(mask.geometry, origin_lps_mm=(0.0, 0.0, 2.5))
    with pytest.raises(InputError, match="does not lie on the slices"):
        export(source, segmentation=LabelVolume(mask.labels, shifted, mask.names))


def test_a_name_in_a_record_leads_nowhere_else(
    write_scan: Write, assess_by_hand: AssessByHand, tmp_path: Path
) -> None:
    source = write_scan()
    led = replace(assess_by_hand(source), case_id="../../elsewhere")
    folder = export_dicom(led, source, tmp_path / "a" / "b")
    assert folder.parent == tmp_path / "a" / "b"
    assert not (tmp_path / "elsewhere").exists()


def test_a_mask_whose_labels_have_no_names_has_no_segment(
    write_scan: Write, assess_by_hand: AssessByHand, tmp_path: Path
) -> None:
    assessment = assess_by_hand(write_scan())
    assert assessment.segmentation is not None
    unnamed = replace(assessment, segmentation=replace(assessment.segmentation, names={200: "liver"}))
    with pytest.raises(InputError, match="is empty"):
        export_dicom(unnamed, write_scan(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
