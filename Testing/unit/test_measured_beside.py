"""What is measured beside the light comes into the assessment and its record, and leaves the light as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.segmenter import Segmenter, SegmenterOutput

KEPT = Path(__file__).parents[1] / "formats" / "v1"


@pytest.fixture
def assess() -> Any:
    logic = BottleneckOODLogic(KEPT / "model", KEPT / "reference", device="cpu")
    return lambda: logic.assess(KEPT / "case.nii.gz")


def test_a_disagreement_and_the_memory_are_kept_and_turn_no_light(
    assess: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_picture: None
) -> None:
    plain = assess()
    assert plain.disagreement == {}
    run = Segmenter.run

    def disagreeing(self: Segmenter, *arguments: Any, **options: Any) -> SegmenterOutput:
        return replace(run(self, *arguments, **options), disagreement={"folds": 0.9, "mirroring": 0.25})

    monkeypatch.setattr(Segmenter, "run", disagreeing)
    told = assess()
    assert told.disagreement == {"folds": 0.9, "mirroring": 0.25}
    assert (told.light, told.p_value, told.sentence) == (plain.light, plain.p_value, plain.sentence)
    assert told.peak_memory is not None
    assert told.peak_memory.card_bytes is None
    again = Assessment.load(told.save(tmp_path))
    assert (again.disagreement, again.peak_memory) == (told.disagreement, told.peak_memory)
    document = json.loads((tmp_path / told.case_id / "assessment.json").read_text(encoding="utf-8"))
    assert document["disagreement"] == {"folds": 0.9, "mirroring": 0.25}
    assert document["ood"]["n_calibrating"] == document["reference"]["n_cases"] == 24


def test_a_case_that_is_grey_has_them_too(assess: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_arguments: Any, **_options: Any) -> SegmenterOutput:
        message = "no card"
        raise ValueError(message)

    monkeypatch.setattr(Segmenter, "run", failing)
    told = assess()
    assert (told.light, told.disagreement) == ("grey", {})
    assert told.peak_memory is not None
