"""Folders that earlier versions wrote still open, and mean the same. A folder here is never made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.case_measuring import MEASURED_ALIKE
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import read_model_folder
from BottleneckOODLib.ood.output_scores import OUTPUT_CONFIDENCE
from BottleneckOODLib.reference.reference_folder import Reference

FORMATS = Path(__file__).parent
VERSIONS = sorted(path.name for path in FORMATS.glob("v*"))

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def test_a_reference_belongs_to_its_model(version: str) -> None:
    model = read_model_folder(FORMATS / version / "model")
    reference = Reference.load(FORMATS / version / "reference")
    reference.check_made_by(model.fingerprint, MEASURED_ALIKE)
    assert (model.name, reference.name, len(reference.cases)) == ("random-unet", "round", 24)
    assert reference.spaces["bottleneck"].detector.features_.shape == (24, 4)


def test_an_assessment_opens(version: str) -> None:
    assessment = Assessment.load(FORMATS / version / "assessment" / "case")
    assert assessment.case_id == "case"
    assert assessment.segmentation is not None
    assert assessment.segmentation.volume_ml(1) == pytest.approx(assessment.volume_ml)
    assert len(assessment.neighbours) == 5
    assert "review the mask" in assessment.sentence


def test_the_same_case_gets_the_same_light_today(version: str) -> None:
    folder = FORMATS / version
    before = Assessment.load(folder / "assessment" / "case")
    now = BottleneckOODLogic(folder / "model", folder / "reference", device="cpu").assess(folder / "case.nii.gz")
    assert (now.light, now.p_value) == (before.light, before.p_value)
    assert now.score == pytest.approx(before.score, rel=1e-4)
    assert now.volume_ml == pytest.approx(before.volume_ml, rel=1e-4)
    assert [n.case_id for n in now.neighbours] == [n.case_id for n in before.neighbours]
    assert now.parts.keys() == before.parts.keys()


def test_a_reference_that_misses_a_space_says_so(version: str) -> None:
    folder = FORMATS / version
    reference = Reference.load(folder / "reference")
    now = BottleneckOODLogic(folder / "model", folder / "reference", device="cpu").assess(folder / "case.nii.gz")
    told = any("how sure the network is" in warning for warning in now.warnings)
    assert told == (OUTPUT_CONFIDENCE not in reference.spaces)
    assert told == (OUTPUT_CONFIDENCE not in now.parts)
