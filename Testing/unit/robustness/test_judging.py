"""Detectors on one scale, their tables, and the choice that the validation part makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.reference.rechoosing import choose_on_validation, with_detector
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.robustness.detectors import Detector, all_detectors, combined, left_out_scores, light_of_all
from BottleneckOODLib.robustness.heat_map import heat_map_png, heat_map_rows, median_p_values
from BottleneckOODLib.robustness.measuring import Measured
from BottleneckOODLib.robustness.report import choice_inputs, report_text
from BottleneckOODLib.robustness.running import Row
from BottleneckOODLib.robustness.tables import Judged, case_rows, judge_all, summary_rows


@pytest.fixture
def reference(tiny_reference: Path) -> Reference:
    return Reference.load(tiny_reference)


def measured_as(
    reference: Reference, row: int, *, dice: float | None = 0.9, scores: float = 0.0, mask: bool = True
) -> Measured:
    """What measuring the reference's own case in that row again would give."""
    features = {
        name: space.features[row] for name, space in reference.spaces.items() if mask or not name.startswith("mask")
    }
    names = ("msp_all", "msp_organ", "msp_boundary", "energy_all", "energy_organ", "energy_boundary", "flips")
    return Measured(features, dict.fromkeys(names, scores), {"hard": [], "soft": []}, dice, 1000.0)


def by_name(detectors: list[Detector]) -> dict[str, Detector]:
    return {detector.name: detector for detector in detectors}


def test_the_calibration_is_the_references_own_leave_one_out(reference: Reference) -> None:
    detectors = by_name(all_detectors(reference, []))
    for name in ("intensity_histogram", "body_layout", "mask_shape", "mask_intensity"):
        np.testing.assert_allclose(detectors[name].calibration, reference.spaces[name].leave_one_out, rtol=1e-9)
    assert np.allclose(detectors["bottleneck_md"].calibration, reference.spaces["bottleneck"].leave_one_out)
    assert not [name for name in detectors if name.startswith(("msp", "energy", "flips", "stages"))]


def test_scores_of_outputs_are_calibrated_by_the_cases_that_were_measured_again(reference: Reference) -> None:
    again = [measured_as(reference, row, scores=float(row)) for row in range(20)]
    detectors = by_name(all_detectors(reference, again))
    judged = detectors["flips"].judge(measured_as(reference, 0, scores=16.5))
    # 17, 18 and 19 are larger.
    assert judged.p_value == pytest.approx(4 / 21)
    assert not [name for name in by_name(all_detectors(reference, again[:19])) if name in ("flips", "msp_all")]


def test_what_is_not_there_is_more_unusual_than_every_reference_case(reference: Reference) -> None:
    n = len(reference.cases)
    for name, detector in by_name(all_detectors(reference, [])).items():
        judged = detector.judge(measured_as(reference, 3, mask=False))
        if name.startswith("mask"):
            assert judged.score == np.inf
            assert judged.p_value == pytest.approx(1 / (n + 1))
        else:
            assert np.isfinite(judged.score)


def test_leaving_one_out_never_shows_a_fit_its_own_case() -> None:
    features = np.random.default_rng(0).normal(size=(9, 3))
    seen: list[int] = []

    def fit_and_score(others: np.ndarray, row: np.ndarray) -> float:
        assert not (others == row).all(axis=1).any()
        seen.append(len(others))
        return float(np.abs(others - row).sum())

    scores = left_out_scores(features, fit_and_score)
    assert seen == [8] * 9
    assert scores[2] == pytest.approx(np.abs(features - features[2]).sum())


def test_the_combined_judgement_is_the_references_score(reference: Reference) -> None:
    measured = measured_as(reference, 5)
    assert combined(reference, measured).p_value == reference.score(dict(measured.features)).p_value
    broken = Measured({**measured.features, "bottleneck": np.full(len(measured.features["bottleneck"]), np.nan)},
                      measured.scores, measured.failed_checks, None, 0.0)  # fmt: skip
    assert np.isnan(combined(reference, broken).p_value)


@pytest.mark.parametrize(
    ("p_value", "hard", "soft", "light"),
    [
        (0.5, [], [], "green"),
        (0.5, [], ["orientation"], "amber"),
        (0.5, ["mask_present"], [], "red"),
        (0.1, [], [], "amber"),
        (0.02, [], ["x"], "red"),
        (float("nan"), [], [], "grey"),
    ],
)
def test_the_light_is_the_worst_of_p_value_and_checks(
    p_value: float, hard: list[str], soft: list[str], light: str
) -> None:
    assert light_of_all(p_value, {"hard": hard, "soft": soft}) == light


@pytest.fixture
def judged(reference: Reference) -> list[Judged]:
    """Undamaged and noisy images of two parts; the noisiest ones failed."""
    rows = []
    for part, first in (("test", 0), ("validation", 8)):
        for index in range(first, first + 8):
            grade = index % 4
            dice = None if index == 3 else 0.95 - 0.1 * grade
            name, corruption = f"case-{index // 4}", "noise" if grade else "clean"
            rows.append(Row(part, name, corruption, grade, measured_as(reference, index, dice=dice)))
    rows.append(Row("test", "elsewhere", "as it is", 0, measured_as(reference, 20, dice=None, mask=False)))
    return judge_all(rows, reference, all_detectors(reference, []))


def test_a_row_tells_dice_light_and_every_p_value(judged: list[Judged]) -> None:
    rows = case_rows(judged)
    assert [row["dice"] for row in rows[:4]] == ["0.95", "0.85", "0.75", ""]
    assert [row["severity"] for row in rows[:4]] == ["", "40 HU", "100 HU", "250 HU"]
    assert {len(row) for row in rows} == {len(rows[0])}
    for row, one in zip(rows, judged, strict=True):
        for name, judgement in one.by.items():
            assert float(row[f"p_{name}"]) == pytest.approx(judgement.p_value, rel=1e-3)


def test_the_summary_counts_what_the_rows_say(judged: list[Judged]) -> None:
    summary = {(row["part"], row["corruption"], row["detector"]): row for row in summary_rows(judged)}
    noise = summary["test", "noise", "bottleneck_md"]
    mine = [one for one in judged if (one.row.part, one.row.corruption) == ("test", "noise")]
    assert (noise["n"], noise["n_failed"], noise["n_good"]) == ("6", "3", "2")
    flagged = np.mean([one.by["bottleneck_md"].p_value <= 0.1 for one in mine])
    assert float(noise["flagged"]) == pytest.approx(flagged, abs=1e-3)
    known = [one for one in judged if one.row.part == "test" and one.row.measured.dice is not None]
    failed = [one.row.measured.dice < 0.8 for one in known if one.row.measured.dice is not None]
    expected = roc_auc_score(failed, [one.by["bottleneck_md"].score for one in known])
    assert float(noise["auroc"]) == pytest.approx(expected, abs=1e-3)
    assert summary["test", "as it is", "light"]["auroc"] == ""
    assert ("validation", "as it is", "light") not in summary


def test_the_picture_has_a_row_a_grade_and_undamaged_images_first(judged: list[Judged]) -> None:
    own = [one for one in judged if one.row.part == "test"]
    rows = heat_map_rows(own)
    assert [title for title, _ in rows] == ["clean", "noise 40 HU", "noise 100 HU", "noise 250 HU", "elsewhere"]
    assert [len(group) for _, group in rows] == [2, 2, 2, 2, 1]
    names = list(own[0].by)
    expected = [np.median([one.by[name].p_value for one in rows[1][1]]) for name in names]
    assert median_p_values(rows[1][1], names).tolist() == pytest.approx(expected)
    assert heat_map_png(own, names, "A title").startswith(b"\x89PNG")


def test_the_report_names_what_nobody_saw(judged: list[Judged], reference: Reference) -> None:
    facts = dict.fromkeys(("model", "reference", "program_version"), "x")
    counts = dict.fromkeys(("n_reference", "n_calibration", "n_as_kept"), 9)
    choice = {"detector": "md", "reason": "because", "n_failed": 1, "n_good": 2, "chosen_on": "bodies"}
    text = report_text(judged, list(judged[0].by), {**facts, **counts, "refused": ["a.nii: torn."]}, choice)
    missed = [one for one in judged if one.failed and one.light == "green"]
    assert missed
    assert text.count("- case-") == len(missed)
    assert "- a.nii: torn." in text
    for word in (" OK", "safe", "correct"):
        assert word not in text


def test_the_choice_is_made_on_the_validation_part_alone(judged: list[Judged]) -> None:
    bottlenecks, dice, bodies = choice_inputs(judged)
    own = [one for one in judged if one.row.part == "validation"]
    assert len(bottlenecks) == len(dice) == len(own) == 8
    assert np.array_equal(bottlenecks, [one.row.measured.features["bottleneck"] for one in own])
    assert bodies.tolist() == [0] * 4 + [1] * 4
    without_test, *_ = choice_inputs(own)
    assert np.array_equal(bottlenecks, without_test)


def failing(reference: Reference, how: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sixty validation cases of six bodies, every second one failed and moved by ``how``."""
    rng = np.random.default_rng(1)
    rows = reference.spaces["bottleneck"].features
    bottlenecks = rows[rng.integers(len(rows), size=60)] + rng.normal(0, 0.01, (60, rows.shape[1])) * rows.std(axis=0)
    failed = np.arange(60) % 2 == 1
    bottlenecks[failed] = how(bottlenecks[failed])
    return bottlenecks, np.where(failed, 0.3, 0.95), np.repeat(np.arange(6), 10)


def test_the_usual_detector_stays_where_both_see_everything(reference: Reference) -> None:
    detector, choice = choose_on_validation(reference, *failing(reference, lambda rows: rows + 1e3), "bodies")
    assert detector.name == choice["detector"] == "md"
    assert choice["auroc"] == 1.0
    assert (choice["n_failed"], choice["n_good"]) == (30, 30)
    assert set(choice["all"]) == {"md", "knn 0.05", "knn 0.1", "knn 0.25", "knn 0.5", "knn 0.75"}


def test_a_detector_that_is_better_for_sure_takes_its_place(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    from BottleneckOODLib.reference import rechoosing

    def scores(_reference: Reference, detector: object, bottlenecks: np.ndarray) -> np.ndarray:
        seen = isinstance(detector, KNearestNeighbours) and detector.k == 0.25
        return np.where(np.arange(len(bottlenecks)) % 2 == 1, 1.0, 0.0) if seen else np.zeros(len(bottlenecks))

    monkeypatch.setattr(rechoosing, "_scores", scores)
    detector, choice = choose_on_validation(reference, *failing(reference, lambda rows: rows), "bodies")
    assert isinstance(detector, KNearestNeighbours)
    assert (detector.k, choice["detector"], choice["auroc"]) == (0.25, "knn 0.25", 1.0)
    assert "100%" in choice["reason"]


def test_a_detector_that_is_better_by_chance_does_not(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    from BottleneckOODLib.reference import rechoosing

    def scores(_reference: Reference, detector: object, bottlenecks: np.ndarray) -> np.ndarray:
        values = np.arange(len(bottlenecks)) % 2 * 1.0
        if not isinstance(detector, KNearestNeighbours):
            # One case of one body stands between.
            values[1] = 0.0
        return values

    monkeypatch.setattr(rechoosing, "_scores", scores)
    detector, choice = choose_on_validation(reference, *failing(reference, lambda rows: rows), "bodies")
    assert detector.name == choice["detector"] == "md"
    assert "fewer than 95%" in choice["reason"]
    assert choice["auroc"] < choice["all"]["knn 0.05"]


def test_nothing_is_chosen_by_a_handful_of_failures(reference: Reference) -> None:
    bottlenecks, _dice, bodies = failing(reference, lambda rows: rows)
    detector, choice = choose_on_validation(reference, bottlenecks, np.where(np.arange(60) < 9, 0.2, 0.9), bodies, "b")
    assert (detector.name, choice["auroc"], choice["n_failed"]) == ("md", None, 9)
    _, nothing = choose_on_validation(reference, np.zeros((0, 3)), np.zeros(0), np.zeros(0, int), "none")
    assert nothing["n_failed"] == 0


def test_another_detector_keeps_features_map_and_tokens(reference: Reference, tmp_path: Path) -> None:
    made = with_detector(reference, KNearestNeighbours(0.25), {"detector": "knn 0.25", "auroc": None, "reason": "r"})
    made.save(tmp_path / "made")
    loaded = Reference.load(tmp_path / "made")
    assert loaded.spaces["bottleneck"].detector.settings()["k"] == 0.25
    assert np.array_equal(loaded.spaces["bottleneck"].features, reference.spaces["bottleneck"].features)
    assert np.array_equal(loaded.map_xy, reference.map_xy)
    assert loaded.settings["detector_choice"]["detector"] == "knn 0.25"
    assert (loaded.bank is None) == (reference.bank is None)
    assert reference.spaces["bottleneck"].detector.name == "md"
    same = with_detector(reference, reference.spaces["bottleneck"].detector, {})
    assert same.spaces["bottleneck"].leave_one_out is reference.spaces["bottleneck"].leave_one_out
