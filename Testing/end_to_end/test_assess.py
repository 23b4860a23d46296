"""The whole data path with small models of both families."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from last_digits import assert_same_mask

from BottleneckOODLib import case_measuring
from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import Cancelled, ModelError, ReferenceMismatchError, ReferenceSetError
from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume, to_sitk
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.progress import CancelToken, Progress
from BottleneckOODLib.reference import building
from BottleneckOODLib.reference.cases_file import ReferenceCase


def test_an_assessment_has_all_its_parts(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    assessment = a_logic.assess(a_case)
    assert assessment.light in {"green", "amber", "red"}
    assert assessment.segmentation is not None
    assert assessment.segmentation.geometry == a_case.geometry
    assert set(assessment.parts) == set(a_logic.reference.spaces)
    assert len(assessment.neighbours) == 5
    assert [n.distance for n in assessment.neighbours] == sorted(n.distance for n in assessment.neighbours)
    assert assessment.placement is not None
    assert [p.case_id for p in assessment.map_points] == [case.case_id for case in a_logic.reference.cases]
    assert 0 < (assessment.p_value or 0) <= 1
    assert assessment.timings_s["total"] >= assessment.timings_s["inference"] > 0
    names = {check.name for check in assessment.checks}
    assert {"modality", "field_of_view", "spacing", "mask_present", "mask_components", "mask_border"} <= names
    assert {"intensity_histogram", "body_layout", "mask_shape", "mask_intensity"} <= names


def test_the_volume_in_ml_is_the_mask_s(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    assessment = a_logic.assess(a_case)
    assert assessment.segmentation is not None
    assert assessment.volume_ml == pytest.approx(np.count_nonzero(assessment.segmentation.labels) * 0.125)


def test_a_file_gives_what_its_volume_gives(a_logic: BottleneckOODLogic, a_case: Volume, tmp_path: Path) -> None:
    path = tmp_path / "some case.nii.gz"
    sitk.WriteImage(to_sitk(a_case.voxels, a_case.geometry), path)
    before = path.read_bytes()
    from_file = a_logic.assess(path, modality="CT")
    from_memory = a_logic.assess(a_case)
    assert from_file.case_id == "some case"
    assert path.read_bytes() == before
    assert from_file.p_value == from_memory.p_value
    assert from_file.segmentation is not None
    assert from_memory.segmentation is not None
    assert_same_mask(from_file.segmentation.labels, from_memory.segmentation.labels)


def test_assessing_twice_gives_the_same(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    first, second = a_logic.assess(a_case), a_logic.assess(a_case)
    assert (second.light, second.p_value) == (first.light, first.p_value)
    assert second.score == pytest.approx(first.score, rel=1e-4)
    assert [n.case_id for n in second.neighbours] == [n.case_id for n in first.neighbours]
    assert [n.distance for n in second.neighbours] == pytest.approx([n.distance for n in first.neighbours], rel=1e-4)
    assert first.placement is not None
    assert second.placement is not None
    assert (second.placement.x, second.placement.y) == pytest.approx((first.placement.x, first.placement.y), rel=1e-2)
    assert first.segmentation is not None
    assert second.segmentation is not None
    assert_same_mask(second.segmentation.labels, first.segmentation.labels)


def test_a_saved_assessment_is_the_same_when_loaded(
    a_logic: BottleneckOODLogic, a_case: Volume, tmp_path: Path
) -> None:
    assessment = a_logic.assess(a_case)
    assert Assessment.load(assessment.save(tmp_path)) == assessment


def test_a_training_case_is_its_own_nearest_neighbour(a_logic: BottleneckOODLogic) -> None:
    own = a_logic.reference.spaces["bottleneck"].features[3]
    nearest = a_logic.reference.neighbours(own)[0]
    assert nearest.case_id == a_logic.reference.cases[3].case_id
    assert nearest.distance == pytest.approx(0, abs=1e-5)


def test_an_image_of_another_modality_is_red(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    magnetic = Volume(np.abs(a_case.voxels), a_case.geometry, "MR", "mr")
    assessment = a_logic.assess(magnetic)
    assert assessment.light == "red"
    assert "MR" in assessment.sentence


def test_noise_is_not_green(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    noise = np.random.default_rng(0).normal(0, 500, a_case.voxels.shape).astype(np.float32)
    assert a_logic.assess(Volume(noise, a_case.geometry, "CT", "noise")).light in {"amber", "red"}


def test_progress_runs_forward_and_names_its_steps(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    reports: list[Progress] = []
    a_logic.assess(a_case, progress=reports.append)
    fractions = [r.fraction for r in reports]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    assert list(dict.fromkeys(r.step for r in reports)) == [
        "Reading",
        "Preparing",
        "Segmenting",
        "Measuring",
        "Judging",
    ]


def test_a_preliminary_light_comes_before_the_mask(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_measuring, "_WINDOWS_WORTH_LOOKING_AHEAD", 0)
    reports: list[Progress] = []
    a_logic.assess(a_case, progress=reports.append)
    told = next(index for index, r in enumerate(reports) if "Preliminary" in r.message)
    assert told < next(index for index, r in enumerate(reports) if r.step == "Segmenting")


def test_a_preliminary_light_is_no_better_than_what_is_known_already(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_measuring, "_WINDOWS_WORTH_LOOKING_AHEAD", 0)
    reports: list[Progress] = []
    a_logic.assess(Volume(a_case.voxels, a_case.geometry, "MR", "mr"), progress=reports.append)
    told = [r.message for r in reports if "Preliminary" in r.message]
    assert told
    assert "Very unusual" in told[0]
    assert "review the mask" in told[0]


def test_a_look_ahead_that_fails_does_not_stop_the_run(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        message = "CUDA out of memory"
        raise RuntimeError(message)

    monkeypatch.setattr(case_measuring, "_WINDOWS_WORTH_LOOKING_AHEAD", 0)
    monkeypatch.setattr(Segmenter, "_swept", fail)
    assert a_logic.assess(a_case).light in {"green", "amber", "red"}


@pytest.mark.parametrize("error", [ValueError("divisible by 32"), RuntimeError("shape"), MemoryError()])
def test_whatever_the_network_raises_is_grey(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(Segmenter, "_pass", fail)
    assert a_logic.assess(a_case).light == "grey"


def test_a_level_that_cannot_be_reached_is_told(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    n = len(a_logic.reference.cases)
    told = [warning for warning in a_logic.assess(a_case).warnings if "cannot become red" in warning]
    assert len(told) == (1 / (n + 1) > 0.02)


def test_it_stops_at_every_report(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    reports: list[Progress] = []
    a_logic.assess(a_case, progress=reports.append)
    for stop_at in range(len(reports)):
        token, seen = CancelToken(), 0

        def stop(_report: Progress, token: CancelToken = token, stop_at: int = stop_at) -> None:
            nonlocal seen
            if seen == stop_at:
                token.cancel()
            seen += 1

        if stop_at == len(reports) - 1:
            break
        with pytest.raises(Cancelled):
            a_logic.assess(a_case, progress=stop, cancel=token)
        assert seen == stop_at + 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("step", ["pool_tokens", "intensity_histogram", "body_layout"])
def test_features_that_are_no_numbers_are_grey(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch, step: str, value: float
) -> None:
    real = getattr(case_measuring, step)
    monkeypatch.setattr(case_measuring, step, lambda *arguments: real(*arguments) + value)
    assessment = a_logic.assess(a_case)
    assert assessment.light == "grey"
    assert assessment.p_value is None
    assert "review the mask" in assessment.sentence
    # The mask was found all the same.
    assert assessment.segmentation is not None
    assert assessment.volume_ml > 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_volume_with_a_voxel_that_is_no_number_is_grey(
    a_logic: BottleneckOODLogic, a_case: Volume, value: float
) -> None:
    voxels = a_case.voxels.copy()
    voxels[5, 20, 20] = value
    assessment = a_logic.assess(Volume(voxels, a_case.geometry, "CT", "holed"))
    assert assessment.light == "grey"
    assert "not a finite number" in assessment.sentence


def test_a_model_that_fails_is_grey_and_says_why(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_arguments: object) -> None:
        message = "The model gave values that are not numbers for this volume."
        raise ModelError(message)

    monkeypatch.setattr(Segmenter, "run", fail)
    assessment = a_logic.assess(a_case)
    assert assessment.light == "grey"
    assert "not numbers" in assessment.sentence
    assert Assessment.load(assessment.save(tmp_path)) == assessment


def test_an_empty_mask_is_red_and_still_placed(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = Segmenter.run

    def find_nothing(self: Segmenter, *arguments: object) -> object:
        output = run(self, *arguments)
        output.logits[0] = output.logits.max() + 1
        return output

    monkeypatch.setattr(Segmenter, "run", find_nothing)
    assessment = a_logic.assess(a_case)
    assert assessment.light == "red"
    assert "found no liver" in assessment.sentence
    assert assessment.volume_ml == 0
    assert assessment.placement is not None
    assert Assessment.load(assessment.save(tmp_path)) == assessment


def test_a_reference_of_another_model_is_refused(a_logic: BottleneckOODLogic, a_case: Volume, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    a_logic.reference.save(folder)
    with pytest.raises(ReferenceMismatchError, match="another model"):
        BottleneckOODLogic("demo", folder, device="cpu").assess(a_case)


def test_a_model_without_a_reference_says_how_to_build_one(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    alone = BottleneckOODLogic(a_logic.model.folder, device="cpu")
    with pytest.raises(ReferenceSetError, match="reference build"):
        alone.assess(a_case)


def test_labels_that_lie_elsewhere_are_no_outcome(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    g = a_case.geometry
    moved = Geometry(g.size_ijk, g.spacing_mm, (999.0, 0.0, 0.0), g.direction)
    labels = LabelVolume(np.ones(g.shape, np.uint8), moved, {1: "liver"})
    cases = [CaseForReference(f"case-{n}", lambda: (a_case, labels)) for n in range(3)]
    with pytest.raises(ReferenceSetError, match="0 could be used"):
        a_logic.build_reference("elsewhere", cases)


def test_the_acquisition_is_kept_with_the_reference_s_cases(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[ReferenceCase] = []

    def catch(_name: str, _model: str, _features: object, cases: list[ReferenceCase], *_: object, **__: object) -> None:
        kept.extend(cases)

    monkeypatch.setattr(building, "build_reference", catch)
    told = Volume(a_case.voxels, a_case.geometry, "CT", "told", {"kernel": "B30f", "kvp": 120.0})
    a_logic.build_reference("one", [CaseForReference("one", lambda: (told, None), {"site": "north"})])
    assert kept[0].facts == {"kernel": "B30f", "kvp": "120.0", "site": "north"}
