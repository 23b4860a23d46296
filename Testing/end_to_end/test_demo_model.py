"""The embedded model, reference and samples, and real scans where they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.ood.metrics import dice
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.synthesis.samples import embedded_samples

LIVER = 5


@pytest.fixture(scope="module")
def the_demo() -> BottleneckOODLogic:
    return BottleneckOODLogic("demo", device="cpu")


def labelled(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(path)) == LIVER


def test_the_embedded_files_keep_to_their_sizes() -> None:
    def size(name: str) -> int:
        return sum(f.stat().st_size for f in (resource_folder() / name).rglob("*") if f.is_file())

    assert size("models/demo") <= 16_000_000
    assert size("references/demo") < 8_000_000
    for sample in (resource_folder() / "samples").iterdir():
        assert sample.stat().st_size <= 3_000_000, sample.name


def test_the_demo_reference_has_enough_cases_with_their_outcomes(the_demo: BottleneckOODLogic) -> None:
    cases = the_demo.reference.cases
    assert len(cases) >= 150
    assert all(case.dice is not None for case in cases)


def test_the_demo_model_says_what_it_is(the_demo: BottleneckOODLogic) -> None:
    assert the_demo.model.demonstration
    assert "synthetic" in the_demo.model.intended_use
    assert "not for clinical use" in the_demo.model.intended_use


def test_the_usual_sample_is_green_and_its_liver_found(the_demo: BottleneckOODLogic, a_ct_file: Path) -> None:
    assessment = the_demo.assess(a_ct_file)
    truth = next(case for name, case in embedded_samples().items() if name in a_ct_file.name)
    assert assessment.light == "green"
    assert assessment.segmentation is not None
    assert dice(assessment.segmentation.labels > 0, truth.liver.labels > 0) >= 0.9


def test_the_unusual_sample_is_not_green(the_demo: BottleneckOODLogic) -> None:
    assert the_demo.assess(resource_folder() / "samples" / "sample-unusual.nii.gz").light in {"amber", "red"}


@pytest.mark.parametrize(
    ("scan", "labels"),
    [("abdomen_ct/ct.nii.gz", "abdomen_ct/ct_labels.nii.gz"),
     ("abdomen_ct/ct_upper.nii.gz", "abdomen_ct/ct_upper_labels.nii.gz")],
)  # fmt: skip
def test_the_liver_of_a_real_ct_is_found(
    the_demo: BottleneckOODLogic, real_data_folder: Path, scan: str, labels: str
) -> None:
    assessment = the_demo.assess(real_data_folder / scan)
    assert assessment.light in {"green", "amber"}
    assert assessment.segmentation is not None
    assert dice(assessment.segmentation.labels > 0, labelled(real_data_folder / labels)) >= 0.88


@pytest.mark.parametrize(
    "scan",
    ["abdomen_mr/mr.nii.gz", "other/brain_mr.nrrd", "other/heart_ct.nii.gz", "other/neck_ct.nii.gz", "brain_mr_dicom",
     "other/ct_slab_a_8bit.nrrd", "other/ct_slab_b_8bit.nrrd", "other/ct_slab_c_8bit.nrrd"],
)  # fmt: skip
def test_foreign_images_are_not_green(the_demo: BottleneckOODLogic, real_data_folder: Path, scan: str) -> None:
    try:
        assessment = the_demo.assess(real_data_folder / scan)
    except InputError:
        return
    assert assessment.light in {"amber", "red"}


@pytest.mark.parametrize("damage", ["upside down", "ten times"])
def test_a_damaged_real_ct_is_not_green(the_demo: BottleneckOODLogic, real_data_folder: Path, damage: str) -> None:
    volume = read_volume(real_data_folder / "abdomen_ct" / "ct.nii.gz")
    voxels = volume.voxels[::-1].copy() if damage == "upside down" else volume.voxels * np.float32(10)
    assert the_demo.assess(Volume(voxels, volume.geometry, "CT", damage)).light in {"amber", "red"}
