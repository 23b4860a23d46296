"""A light rests on something, or there is none: what is pooled over nothing is grey, and a fault is told as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from BottleneckOODLib import case_measuring
from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import ProgramFault
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.logic import BottleneckOODLogic


@pytest.fixture(scope="module")
def a_logic(repository: Path) -> BottleneckOODLogic:
    kept = repository / "Testing" / "formats" / "v1"
    return BottleneckOODLogic(kept / "model", kept / "reference", device="cpu")


@pytest.fixture
def a_case() -> Volume:
    """A round body in air, with a little noise."""
    z, y, x = np.ogrid[:20, :40, :56]
    body = ((x - 28) / 23) ** 2 + ((y - 20) / 15) ** 2 + 0 * z < 1
    voxels = np.where(body, 40.0, -1000.0) + np.random.default_rng(0).normal(0, 10, (20, 40, 56))
    geometry = Geometry((56, 40, 20), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Volume(voxels.astype(np.float32), geometry, "CT", "round")


@pytest.mark.parametrize("step", ["ProgressReporter", "StepClock", "input_checks"])
def test_a_fault_before_anything_is_measured_is_one_of_the_library_s_errors(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(f"BottleneckOODLib.logic.{step}", fail)
    with pytest.raises(ProgramFault, match="RuntimeError"):
        a_logic.assess(a_case)


@pytest.mark.parametrize(
    ("step", "answer", "told"),
    [
        ("output_confidence", None, "marked nothing where its mask lies"),
        ("_tokens", (np.ones((1, 4, 1, 1, 1), np.float32), np.zeros(0, np.float32)), "fault of the program"),
    ],
)
def test_what_is_pooled_over_nothing_is_grey(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch, step: str, answer: object, told: str
) -> None:
    monkeypatch.setattr(case_measuring, step, lambda *_: answer)
    assessment = a_logic.assess(a_case)
    assert (assessment.light, assessment.p_value) == ("grey", None)
    assert told in assessment.sentence


def test_a_model_that_is_shown_nothing_of_the_body_is_grey(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokens, all of air, would otherwise count alike."""
    monkeypatch.setattr(
        "BottleneckOODLib.model.bottleneck.holds_more_than_air", lambda windows, _: windows > 1e30
    )
    assessment = a_logic.assess(a_case)
    assert assessment.light == "grey"
    assert "nothing of the body" in assessment.sentence


def test_a_mask_that_is_not_the_one_that_was_measured_is_grey(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = a_logic._judged

    def without_mask(*arguments: Any) -> Assessment:
        assessment = judged(*arguments)
        mask = assessment.segmentation
        assert mask is not None
        assert mask.labels.any()
        return replace(assessment, segmentation=replace(mask, labels=np.zeros_like(mask.labels)))

    monkeypatch.setattr(a_logic, "_judged", without_mask)
    assessment = a_logic.assess(a_case)
    assert assessment.light == "grey"
    assert "not the one that was measured" in assessment.sentence
