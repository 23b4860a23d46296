"""The report holds the result as numbers and words, the picture shows it, and both say what they may be used for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from dicom_objects import Exported, in_words
from matplotlib.backends.backend_agg import FigureCanvasAgg

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.figures import write_overview
from BottleneckOODLib.assessment.versions import EditedVersion
from BottleneckOODLib.assessment.wording import DEMONSTRATION, RESEARCH_USE
from BottleneckOODLib.dicom_results.exporting import export_dicom
from BottleneckOODLib.imaging.volume import LabelVolume

Write, Export = Callable[..., Path], Callable[..., Exported]
TWO = {1: "liver", 3: "spleen"}


def test_the_report_holds_the_result(
    write_scan: Write, export: Export, assess_by_hand: Callable[..., Assessment]
) -> None:
    made = export(write_scan())
    assessed = assess_by_hand(made.source)
    items = list(in_words(made.report))
    numbers = {name: float(value) for kind, name, value in items if kind == "NUM"}
    assert numbers == {
        "Volume": pytest.approx(np.count_nonzero(assessed.segmentation.labels) * 0.75 * 0.5 * 2.5 / 1000, abs=1e-3),
        "Calibrated p-value among the training cases": 0.07,
        "Score, 1 at the 95% quantile of the training cases": 0.75,
        "Training cases that are less unusual": 94.0,
        "Training cases in the reference": 60.0,
    }
    assert ("CODE", "Light", "Amber: Unusual") in items
    texts = [value for kind, _, value in items if kind == "TEXT"]
    for text in (assessed.sentence, RESEARCH_USE, DEMONSTRATION, "The scan covers too little."):
        assert text in texts
    assert "The image is CT, as the model expects." not in texts
    told = "\n".join(texts)
    for fact in (
        "demo-reference, 57 training cases (3 more, whose mask failed, calibrate nothing)",
        "cd" * 32,
        "BottleneckOOD 0.1.0",
        assessed.created,
        "mahalanobis",
    ):
        assert fact in told


def test_the_report_refers_to_the_segments_and_the_series(write_scan: Write, export: Export) -> None:
    made = export(write_scan(), names=TWO)
    report = hd.sr.srread(made.folder / "report.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.finding_type.meaning for group in groups] == ["Liver", "Tissue"]
    for number, (group, segment) in enumerate(zip(groups, made.segmentation.SegmentSequence, strict=True), start=1):
        assert group.tracking_uid == segment.TrackingUID
        assert group.referenced_segment.referenced_sop_instance_uid == made.segmentation.SOPInstanceUID
        assert group.referenced_segment[0].ReferencedSOPSequence[0].ReferencedSegmentNumber == number
    evidence = {uid for _, _, uid, _ in report.get_evidence()}
    assert evidence == {made.segmentation.SOPInstanceUID, *(slice_.SOPInstanceUID for slice_ in made.slices)}


def test_nothing_is_claimed_to_be_verified_or_final(write_scan: Write, export: Export) -> None:
    report = export(write_scan()).report
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert "VerifyingObserverSequence" not in report


def test_a_case_that_could_not_be_judged_has_no_numbers_of_the_comparison(write_scan: Write, export: Export) -> None:
    made = export(write_scan(), light="grey")
    items = list(in_words(made.report))
    assert [name for kind, name, _ in items if kind == "NUM"] == ["Volume", "Training cases in the reference"]
    assert ("CODE", "Light", "Grey: Could not be assessed") in items


def test_a_model_that_is_no_demonstration_is_not_called_one(
    write_scan: Write, export: Export, assess_by_hand: Callable[..., Assessment]
) -> None:
    source = write_scan()
    facts = assess_by_hand(source).model
    own = type(facts)(
        "liver model \\ number 7 of a name that is longer than sixty-four characters", "", facts.fingerprint
    )
    made = export(source, model=own)
    texts = [value for kind, _, value in in_words(made.report) if kind == "TEXT"]
    assert DEMONSTRATION not in texts
    assert RESEARCH_USE in texts
    for dataset in made:
        assert len(dataset.ManufacturerModelName) <= 64
        assert isinstance(dataset.ManufacturerModelName, str)


def test_the_picture_is_the_overview(
    write_scan: Write, export: Export, assess_by_hand: Callable[..., Assessment], tmp_path: Path
) -> None:
    from PIL import Image

    made = export(write_scan())
    write_overview(assess_by_hand(made.source), tmp_path / "overview.png")
    overview = np.asarray(Image.open(tmp_path / "overview.png").convert("RGB"))
    assert np.array_equal(made.picture.pixel_array, overview)
    assert made.picture.PhotometricInterpretation == "RGB"
    # The case's name stands in it.
    assert made.picture.BurnedInAnnotation == "YES"


def test_the_picture_of_an_edited_mask_says_so_and_tells_that_mask_s_volume(
    write_scan: Write, assess_by_hand: Callable[..., Assessment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[str]] = []
    draw = FigureCanvasAgg.draw

    def draw_and_keep(canvas: FigureCanvasAgg) -> None:
        figure = canvas.figure
        texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
        drawn.append([text.get_text() for text in texts])
        draw(canvas)

    monkeypatch.setattr(FigureCanvasAgg, "draw", draw_and_keep)
    source = write_scan(stored=np.random.default_rng(0).integers(0, 2000, (20, 100, 100)).astype(np.int16))
    assessment = assess_by_hand(source, volume_ml=4321.0)
    mask = assessment.segmentation
    assert mask is not None
    edited = LabelVolume(np.ones_like(mask.labels), mask.geometry, mask.names)
    version = EditedVersion(3, "segmentation.v3.seg.nrrd", "segmentation.seg.nrrd", "Ann", "2026-01-02", "", "0.1.0")
    export_dicom(assessment, source, tmp_path / "own")
    export_dicom(assessment, source, tmp_path / "edited", edited=(version, edited))
    own, of_the_edited = drawn
    assert "Mask volume 4,321 ml" in own
    assert not any("edited" in text for text in own)
    assert "Mask edited by a reader (version 3): 188 ml" in of_the_edited
    assert "Light, checks, p-value: of the model's own" in of_the_edited
    assert not any("4,321" in text or "Ann" in text for text in of_the_edited)


def test_every_object_says_what_it_may_be_used_for(write_scan: Write, export: Export) -> None:
    made = export(write_scan())
    for dataset in made:
        assert "research use, not for clinical use" in dataset.SeriesDescription
        assert dataset.Manufacturer == "BottleneckOOD"
        assert dataset.SoftwareVersions == "0.1.0"
    assert made.segmentation.ContentLabel == "RESEARCH_USE"
    assert made.segmentation.ContentDescription == "Research use, not for clinical use; review the mask"
    assert made.picture.ImageComments == RESEARCH_USE
