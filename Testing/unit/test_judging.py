"""From what was measured on a case to its light, its sentence and what stands beside them, without a network."""

from __future__ import annotations

import copy
import itertools
import re
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib import logic as judging
from BottleneckOODLib import progress
from BottleneckOODLib.assessment.assessment import Assessment, InputFacts, MapPoint, Memory, ModelFacts, ReferenceFacts
from BottleneckOODLib.case_measuring import MeasuredCase
from BottleneckOODLib.errors import Cancelled, InputError, ModelError, ProgramFault
from BottleneckOODLib.imaging.body import BODY_LAYOUT_NAMES
from BottleneckOODLib.imaging.mask_features import MaskFeatures
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.ood.output_scores import OUTPUT_CONFIDENCE
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.feature_space import FeatureSpace, usual_detector
from BottleneckOODLib.reference.outcomes import ExpectedDice, OperatingPoint, Outcomes
from BottleneckOODLib.reference.reference_folder import Reference

FloatArray = npt.NDArray[np.float64]
GEOMETRY = Geometry((80, 60, 40), (4.0, 4.0, 5.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
VOXELS = np.full(GEOMETRY.shape, -500.0, np.float32)
SCAN = Volume(VOXELS, GEOMETRY, "CT", "a scan.nii.gz", warnings=("Read with care.",))
COARSE = replace(GEOMETRY, size_ijk=(80, 60, 20), spacing_mm=(4.0, 4.0, 10.0))
THIN = replace(COARSE, size_ijk=(80, 60, 1))
SOFT_SCAN = Volume(VOXELS[:20], COARSE, "CT", "coarse")
HARD_AND_SOFT = Volume(VOXELS[:20] + 2000, COARSE, "CT", "shifted and coarse")
MASK = MaskFeatures(1500.0, 3, 0.9, 0.0, np.zeros(11), np.zeros(6))
USUAL = {"bone_posterior": 0.2, "bone_share": 0.2, "air_superior": 0.2, "air_share": 0.3}
LAYOUT = np.array([USUAL.get(name, 0.0) for name in BODY_LAYOUT_NAMES])
OUTCOMES = Outcomes(OperatingPoint(1.0, 0.8, 20, 18, 100, 30), ExpectedDice((0, 9), (0.9, 0.8), 0.1, 0.9, 120, 99.0))


@cache
def a_reference(n: int = 120, *, confidence: bool = True) -> Reference:
    rng = np.random.default_rng(0)
    rows = {"bottleneck": rng.normal(size=(n, 5))}
    rows |= {OUTPUT_CONFIDENCE: rng.normal(size=(n, 1))} if confidence else {}
    spaces = {name: FeatureSpace.fitted(name, values, usual_detector(name)) for name, values in rows.items()}
    cases = tuple(ReferenceCase(f"case-{i}", 0.9, {"kernel": "soft"}) for i in range(n))
    places = np.linspace(0, 1, 2 * n).reshape(n, 2)
    return Reference("mine", "f" * 64, cases, spaces, places, {"pooling": "max"}, "e" * 64, outcomes=OUTCOMES)


@cache
def features_of(light: str, n: int = 120) -> dict[str, FloatArray | None]:
    """Features by which a case has a light, as far out as it takes, in the bottleneck alone."""
    reference = a_reference(n)
    space = reference.spaces["bottleneck"]
    for step in np.linspace(0, 40, 800):
        features: dict[str, FloatArray | None] = {
            "bottleneck": space.centre + step * space.scale * (np.arange(5) == 2),
            OUTPUT_CONFIDENCE: reference.spaces[OUTPUT_CONFIDENCE].centre,
        }
        if reference.score(features).light == light:
            return {**features, "body_layout": LAYOUT}
    raise AssertionError(light)


@dataclass
class Judge:
    """The logic with a model that is not there: what it would measure is given.

    Attributes:
        monkeypatch: Puts the pass in the place of the network's.
        reference: What the case is compared with.
        modality: What the model was trained on.
        largest_part_only: Whether the model keeps the largest part.
        asked: What the pass was asked for.
    """

    monkeypatch: pytest.MonkeyPatch
    reference: Reference = field(default_factory=a_reference)
    modality: str = "CT"
    largest_part_only: bool = False
    asked: list[Any] = field(default_factory=list)

    def logic(self) -> BottleneckOODLogic:
        made = BottleneckOODLogic.__new__(BottleneckOODLogic)
        inference = SimpleNamespace(largest_part_only=self.largest_part_only)
        model = SimpleNamespace(
            name="m", version="3", fingerprint="a" * 64, demonstration=True, modality=self.modality, inference=inference
        )
        made.__dict__.update(model=model, reference=self.reference, segmenter=SimpleNamespace(model=model))
        return made

    def assess(self, measured: MeasuredCase | Exception, volume: Volume = SCAN, **options: Any) -> Assessment:
        def pass_over(*arguments: Any) -> MeasuredCase:
            self.asked.extend(arguments)
            if isinstance(measured, Exception):
                raise measured
            return measured

        self.monkeypatch.setattr(judging, "measured_case", pass_over)
        self.monkeypatch.setattr(judging, "forget_card_peak", lambda: self.asked.append("forgotten"))
        self.monkeypatch.setattr(judging, "process_peak_bytes", lambda: 7)
        self.monkeypatch.setattr(judging, "card_peak_bytes", lambda: 8)
        # A second from one look at the clock to the next: on a quick machine a step's rounded seconds may be 0.
        tick = map(float, itertools.count()).__next__
        self.monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=tick, monotonic=tick))
        return self.logic().assess(volume, **options)


@pytest.fixture
def a_judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    return Judge(monkeypatch)


def measured(light: str = "green", mask: MaskFeatures | None = MASK, **features: Any) -> MeasuredCase:
    labels = LabelVolume(np.full(GEOMETRY.shape, mask is not None, np.uint8), GEOMETRY, {1: "liver"})
    return MeasuredCase(labels, mask, {**features_of(light), **features}, "cpu", ("Measured with care.",), None, None)


def states(assessment: Assessment) -> dict[str, str]:
    return {check.name: check.state for check in assessment.checks}


@pytest.mark.parametrize("light", ["green", "amber", "red"])
def test_the_light_is_the_p_value_s_where_every_question_is_met(a_judge: Judge, light: str) -> None:
    told = a_judge.assess(measured(light))
    score = a_judge.reference.score(features_of(light))
    assert (told.light, told.p_value, told.score) == (light, score.p_value, score.score)
    assert (told.percentile, told.parts, told.detector) == (score.percentile, score.parts, "md")
    assert f"more unusual than {score.percentile:.0f} of 100" in told.sentence
    assert ("most of all in what the network makes of the image" in told.sentence) is (light != "green")
    own = {name: state for name, state in states(told).items() if name not in score.parts}
    assert list(own) == ["modality", "intensity_scale", "field_of_view", "spacing", "orientation", "mask_present",
                         "mask_components", "mask_border"]  # fmt: skip
    assert set(own.values()) == {"met"}
    # The space that is named is marked, and none where the light is green.
    assert states(told)["bottleneck"] == ("met" if light == "green" else "soft")
    assert states(told)[OUTPUT_CONFIDENCE] == "met"


def test_a_soft_answer_is_the_reason_where_the_light_is_its_doing_and_else_stands_beside(a_judge: Judge) -> None:
    by_answer, by_score, worse = (a_judge.assess(measured(light), SOFT_SCAN) for light in ("green", "amber", "red"))
    assert (by_answer.light, by_score.light, worse.light) == ("amber", "amber", "red")
    for told in (by_answer, by_score, worse):
        assert "the voxels of 4 x 4 x 10 mm" in told.sentence
        assert ("also more unusual than" in told.sentence) is (told is not by_answer)
        assert states(told)["spacing"] == "soft"


def test_a_cut_organ_is_marked_and_neither_light_nor_sentence_change(a_judge: Judge) -> None:
    for light in ("green", "amber"):
        cut, whole = (a_judge.assess(measured(light, replace(MASK, border_share=b))) for b in (0.5, 0.0))
        assert (cut.light, cut.sentence) == (whole.light, whole.sentence)
        assert (states(cut)["mask_border"], states(whole)["mask_border"]) == ("soft", "met")


@pytest.mark.parametrize("light", ["green", "amber", "red"])
def test_a_hard_fact_is_the_reason_whatever_else_is_true(a_judge: Judge, light: str) -> None:
    told = a_judge.assess(measured(light), HARD_AND_SOFT)
    assert told.light == "red"
    assert "not Hounsfield units" in told.sentence
    assert "10 mm" not in told.sentence
    assert (states(told)["intensity_scale"], states(told)["spacing"]) == ("hard", "soft")
    assert told.outcome is None


def test_of_several_answers_the_first_question_s_is_told(a_judge: Judge) -> None:
    two_soft = Volume(VOXELS[:1], THIN, "CT", "thin and coarse")
    for light in ("green", "amber"):
        sentence = a_judge.assess(measured(light), two_soft).sentence
        assert "too little for a liver" in sentence
        assert "the voxels of" not in sentence
    told = a_judge.assess(measured(), replace(HARD_AND_SOFT, modality="MR"))
    assert (states(told)["modality"], states(told)["intensity_scale"]) == ("hard", "hard")
    assert "the image is MR, but the model was trained on CT" in told.sentence


def test_an_empty_mask_is_red_and_has_no_size(a_judge: Judge) -> None:
    told = a_judge.assess(measured("green", None, **{OUTPUT_CONFIDENCE: None}))
    assert (told.light, told.volume_ml, told.n_components, told.outcome) == ("red", 0.0, 0, None)
    assert "the model found no liver in this image" in told.sentence
    assert set(told.parts) == {"bottleneck"}
    assert told.p_value is not None
    assert len(told.neighbours) == 5
    assert told.placement is not None
    grey = a_judge.assess(measured("green", None, bottleneck=None))
    assert (grey.light, grey.volume_ml, grey.n_components) == ("grey", 0.0, 0)


@pytest.mark.parametrize("mask", [MASK, None])
def test_a_mask_that_is_not_the_one_that_was_measured_gives_no_light(a_judge: Judge, mask: MaskFeatures | None) -> None:
    other = measured(mask=None if mask else MASK).segmentation
    told = a_judge.assess(replace(measured(mask=mask), segmentation=other))
    assert (told.light, told.score) == ("grey", None)
    assert "the mask is not the one that was measured" in told.sentence


def test_what_other_cases_had_is_told_and_no_dice_of_an_unusual_one(a_judge: Judge) -> None:
    usual, unusual = (a_judge.assess(measured(light)) for light in ("green", "amber"))
    assert usual.outcome is not None
    assert usual.outcome.expected is not None
    assert unusual.outcome is not None
    assert unusual.outcome.expected is None
    assert unusual.outcome.operating_point is not None
    assert unusual.outcome.operating_point.beyond is (unusual.score is not None and unusual.score >= 1.0)
    soft = a_judge.assess(measured("green"), SOFT_SCAN)
    assert soft.outcome == usual.outcome


def test_size_parts_place_and_neighbours_are_those_that_were_measured(a_judge: Judge) -> None:
    regions: Any = SimpleNamespace()
    case = replace(measured(), regions=regions, disagreement={"folds": 0.25})
    told = a_judge.assess(case)
    bottleneck = case.features["bottleneck"]
    assert bottleneck is not None
    assert (told.volume_ml, told.n_components, told.device) == (1500.0, 3, "cpu")
    assert told.neighbours == a_judge.reference.neighbours(bottleneck)
    assert told.placement == a_judge.reference.place(bottleneck)
    assert told.segmentation is case.segmentation
    assert told.volume is SCAN
    assert told.regions is case.regions is not None
    assert (told.disagreement, told.peak_memory) == ({"folds": 0.25}, Memory(7, 8))
    assert {"load", "ood", "placement", "total"} <= set(told.timings_s)
    assert (told.timings_s["ood"], told.timings_s["placement"]) == (1.0, 1.0)


def test_the_pass_is_asked_for_the_reference_s_pooling(a_judge: Judge) -> None:
    a_judge.assess(measured())
    forgotten, volume, segmenter, pooling, _reporter, _clock, reference = a_judge.asked
    assert (volume, pooling, reference) == (SCAN, "max", a_judge.reference)
    assert (forgotten, segmenter.model.name) == ("forgotten", "m")


def test_the_steps_are_reported_in_their_order(a_judge: Judge) -> None:
    said: list[str] = []
    a_judge.assess(measured(), progress=lambda progress: said.append(progress.step))
    assert list(dict.fromkeys(said)) == ["Reading", "Judging"]


def test_every_warning_comes_in_the_order_of_the_path(a_judge: Judge) -> None:
    assert a_judge.assess(measured()).warnings == ("Read with care.", "Measured with care.")
    a_judge.reference = a_reference(30, confidence=False)
    read, seen, unreachable, missing = a_judge.assess(measured()).warnings
    assert (read, seen) == ("Read with care.", "Measured with care.")
    assert "With 30 training cases" in unreachable
    assert "how sure the network is" in missing


def test_whose_image_model_and_reference_it_was_is_told(a_judge: Judge) -> None:
    told = a_judge.assess(measured(), case_id="patient-7")
    assert told.case_id == "patient-7"
    assert a_judge.assess(measured()).case_id == "a scan"
    unnamed = a_judge.assess(measured(), case_id="patient-7", keep_file_name=False)
    assert (unnamed.input.path_name, SCAN.name) == ("patient-7", "a scan.nii.gz")
    assert told.input == InputFacts("a scan.nii.gz", "CT", (40, 60, 80), (4.0, 4.0, 5.0), "LPS")
    assert told.model == ModelFacts("m", "3", "a" * 64, True)
    assert told.reference == ReferenceFacts("mine", "e" * 64, 120)
    assert told.n_calibrating == 120
    assert len(told.map_points) == 120
    # Four decimals of 2 / 239 and 3 / 239.
    assert told.map_points[1] == MapPoint(0.0084, 0.0126, 0.9, "case-1", {"kernel": "soft"})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", told.created)


def test_the_cases_that_calibrate_are_counted(a_judge: Judge) -> None:
    cases = tuple(replace(case, dice=0.5 if n < 7 else 0.9) for n, case in enumerate(a_judge.reference.cases))
    a_judge.reference = replace(a_judge.reference, cases=cases, settings={"pooling": "max", "failure_dice": 0.8})
    assert a_judge.assess(measured()).n_calibrating == 113


def test_only_the_model_s_own_modality_has_front_and_back(a_judge: Judge) -> None:
    a_judge.modality = "MR"
    told = a_judge.assess(measured(body_layout=-LAYOUT), replace(SCAN, modality="MR"))
    assert states(told)["orientation"] == "not_assessed"
    a_judge.modality = "CT"
    assert states(a_judge.assess(measured(body_layout=-LAYOUT)))["orientation"] == "soft"


@pytest.mark.parametrize(("largest_part_only", "said"), [(True, "is kept"), (False, "the largest holds 90% of it")])
def test_the_largest_part_is_told_to_be_kept_where_it_is(a_judge: Judge, largest_part_only: bool, said: str) -> None:
    a_judge.largest_part_only = largest_part_only
    (message,) = (c.message for c in a_judge.assess(measured()).checks if c.name == "mask_components")
    assert said in message


def assert_grey(told: Assessment, said: str) -> None:
    assert told.light == "grey"
    assert told.sentence.startswith("Could not be assessed: ")
    assert said in told.sentence
    assert told.sentence.endswith("; review the mask as if there were no light.")
    assert (told.score, told.p_value, told.percentile, told.placement, told.outcome) == (None,) * 5
    assert (told.parts, told.neighbours, told.detector) == ({}, (), "none")
    assert [check.name for check in told.checks] == ["modality", "intensity_scale", "field_of_view", "spacing"]
    assert told.volume is not None
    assert told.timings_s["total"] > 0


@pytest.mark.parametrize("error", [ModelError("The model failed."), RuntimeError("of a library"), MemoryError()])
def test_what_the_pass_raises_is_grey(a_judge: Judge, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    told = a_judge.assess(error)
    # What nobody foresaw goes to the log as well.
    assert [record.getMessage() for record in caplog.records] == ["A case could not be judged."] * (
        not isinstance(error, ModelError)
    )
    said = {ModelError: "the model failed", RuntimeError: "a fault of the program", MemoryError: "memory"}[type(error)]
    assert_grey(told, said)
    assert (told.volume_ml, told.n_components, told.device, told.segmentation) == (0.0, 0, "none", None)
    assert told.warnings == ("Read with care.",)
    assert told.case_id == "a scan"


@pytest.mark.parametrize("error", [InputError("The image is damaged."), Cancelled("Stopped.")])
def test_what_is_told_of_the_image_or_stops_the_run_is_no_result(a_judge: Judge, error: Exception) -> None:
    with pytest.raises(type(error)):
        a_judge.assess(error)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ({"bottleneck": np.full(5, np.nan)}, "the features cannot be compared: a bottleneck feature is not a finite"),
        ({"bottleneck": None}, "the features cannot be compared: there are no bottleneck features"),
        ({"bottleneck": np.zeros(7)}, "the reference has 5 bottleneck features"),
        ({"body_layout": np.full(16, np.nan)}, "a number of the result is not finite"),
    ],
)
def test_what_was_measured_and_cannot_be_judged_is_grey_and_keeps_its_mask(
    a_judge: Judge, spoilt: dict[str, Any], said: str
) -> None:
    case = replace(measured(**spoilt), disagreement={"folds": 0.25})
    told = a_judge.assess(case)
    assert_grey(told, said)
    assert told.disagreement == {"folds": 0.25}
    assert (told.volume_ml, told.n_components, told.device) == (1500.0, 3, "cpu")
    assert told.segmentation is case.segmentation
    assert told.warnings == ("Read with care.", "Measured with care.")


def test_a_result_that_holds_no_number_is_grey(a_judge: Judge) -> None:
    """Looked at once more when it stands: what comes after the score counts too."""
    a_judge.reference = replace(a_judge.reference, map_xy=np.full((120, 2), np.nan))
    a_judge.monkeypatch.setattr(Reference, "place", lambda _self, _features: None)
    assert a_judge.assess(measured()).light == "grey"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_voxel_that_is_no_number_is_grey_before_anything_is_computed(a_judge: Judge, value: float) -> None:
    voxels = VOXELS.copy()
    voxels[3, 4, 5] = value
    told = a_judge.assess(measured(), replace(SCAN, voxels=voxels))
    assert told.light == "grey"
    assert "a voxel is not a finite number" in told.sentence
    assert a_judge.asked == ["forgotten"]


@pytest.mark.parametrize("name", ["spacing_mm", "origin_lps_mm"])
def test_a_place_that_is_no_number_is_grey_before_anything_is_computed(a_judge: Judge, name: str) -> None:
    nowhere = copy.copy(GEOMETRY)
    object.__setattr__(nowhere, name, (4.0, np.nan, 5.0))
    volume = copy.copy(SCAN)
    object.__setattr__(volume, "geometry", nowhere)
    assert a_judge.assess(measured(), volume).light == "grey"
    assert a_judge.asked == ["forgotten"]


def test_a_map_of_another_number_of_cases_is_a_fault(a_judge: Judge) -> None:
    a_judge.reference = replace(a_judge.reference, map_xy=np.zeros((121, 2)))
    with pytest.raises(ProgramFault, match="ValueError"):
        a_judge.assess(ModelError("The model failed."))


def test_a_file_is_read_as_it_was_asked_for(a_judge: Judge) -> None:
    asked: list[Any] = []

    def read(source: str | Path, **options: Any) -> Volume:
        asked.append((source, options))
        return SCAN

    a_judge.monkeypatch.setattr(judging, "measured_case", lambda *_: measured())
    logic = a_judge.logic()
    logic.__dict__["_read"] = read
    told = logic.assess(Path("folder") / "patient 9.nrrd", series="2", modality="MR")
    assert told.case_id == "patient 9"
    assert asked == [(Path("folder") / "patient 9.nrrd", {"series": "2", "modality": "MR"})]

    def fails(_source: str | Path, **_options: Any) -> Volume:
        raise ZeroDivisionError

    logic.__dict__["_read"] = fails
    with pytest.raises(ProgramFault, match="fault of the program"):
        logic.assess("patient 9.nrrd")
