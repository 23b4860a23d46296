"""Which detector validation cases choose, and what of a reference stays when it gets another one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import roc_auc_score

from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.reference import rechoosing
from BottleneckOODLib.reference.building import build_reference
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.outcome_fitting import fit_outcomes
from BottleneckOODLib.reference.rechoosing import choose_on_validation, with_detector
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import combined_leave_one_out

Array = npt.NDArray[Any]
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75)


def validation(reference: Reference, n_failed: int, n_good: int) -> tuple[Array, Array]:
    """Bottlenecks and Dice; those that failed lie a little farther out, along some features only."""
    rng = np.random.default_rng(3)
    failed = np.arange(n_failed + n_good) < n_failed
    rows = rng.normal(size=(len(failed), reference.spaces["bottleneck"].features.shape[1]))
    rows[failed, :2] += 1.0
    return rows, np.where(failed, 0.8, 0.81)


@pytest.mark.parametrize(("n_failed", "n_good"), [(9, 30), (30, 9)])
def test_a_handful_of_either_kind_chooses_nothing(a_reference: Reference, n_failed: int, n_good: int) -> None:
    rows, dice = validation(a_reference, n_failed, n_good)
    detector, choice = choose_on_validation(a_reference, rows, dice, np.arange(39), "bodies")
    assert detector.name == "md"
    assert choice.pop("reason").startswith(f"{n_failed} of 39 validation cases failed")
    facts = {"n_failed": n_failed, "n_good": n_good, "chosen_on": "bodies", "failure": "Dice of 0.8 or less"}
    assert choice == {"detector": "md", "auroc": None, **facts}


@pytest.mark.parametrize(("n_failed", "n_good"), [(10, 25), (25, 10), (11, 26)])
def test_ten_of_either_kind_choose_by_the_area_of_their_scores(
    a_reference: Reference, n_failed: int, n_good: int
) -> None:
    rows, dice = validation(a_reference, n_failed, n_good)
    detector, choice = choose_on_validation(a_reference, rows, dice, np.arange(len(dice)), "bodies")
    old = a_reference.spaces["bottleneck"]
    seen = [(features - old.features.mean(axis=0)) / old.features.std(axis=0) for features in (old.features, rows)]
    areas = {}
    candidates: dict[str, Any] = {"md": ShrunkMahalanobis(), **{f"knn {k:g}": KNearestNeighbours(k) for k in SHARES}}
    for label, made in candidates.items():
        made.fit(seen[0])
        areas[label] = roc_auc_score(dice <= 0.8, made.ood_score(seen[1]))
    assert choice["all"] == {label: round(area, 3) for label, area in areas.items()}
    assert choice["auroc"] == choice["all"][choice["detector"]]
    assert (choice["n_failed"], choice["n_good"], choice["chosen_on"]) == (n_failed, n_good, "bodies")
    assert choice["failure"] == "Dice of 0.8 or less"
    label = "md" if detector.name == "md" else f"knn {detector.settings()['k']:g}"
    assert label == choice["detector"]


def wins(best: list[float], default: list[float], failed: list[int], groups: list[int]) -> float:
    return rechoosing._share_of_wins(
        np.array(best, float), np.array(default, float), np.array(failed, bool), np.array(groups)
    )


def test_whole_groups_are_drawn_and_a_larger_area_wins() -> None:
    """Each of two groups is drawn twice in a quarter of the samples; in one of them the best is not the better."""
    failed, groups = [1, 0, 1, 0], [7, 7, 3, 3]
    # Both groups together: the best finds 3 of 4 pairs, the default one.
    share = wins([4, 1, 2, 3], [1, 2, 2.5, 2.4], failed, groups)
    assert share == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 1000))
    assert wins([4, 1, 2, 3], [1, 2, 2.5, 2.4], failed, [0] * 4) == 1.0
    assert wins([1, 2, 2.5, 2.4], [4, 1, 2, 3], failed, [0] * 4) == 0.0
    # An area that is as large is not larger.
    assert wins([4, 1, 2, 3], [4, 1, 2, 3], failed, groups) == 0.0
    # Drawn again, the share is the same.
    assert share == wins([4, 1, 2, 3], [1, 2, 2.5, 2.4], failed, groups)


def test_samples_of_one_kind_have_no_say() -> None:
    assert wins([2, 2, 1, 1], [1, 1, 2, 2], [1, 1, 0, 0], [0, 0, 1, 1]) == 1.0
    assert wins([2, 1], [1, 2], [1, 1], [0, 1]) == 0.0


@pytest.mark.parametrize(("share", "taken"), [(0.95, True), (0.949, False)])
def test_another_detector_is_taken_where_it_wins_in_ninety_five_of_a_hundred(
    share: float, taken: bool, a_reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scores(_reference: Reference, detector: Any, bottlenecks: Array) -> Array:
        return np.arange(len(bottlenecks)) * (-1.0 if isinstance(detector, KNearestNeighbours) else 1.0)

    monkeypatch.setattr(rechoosing, "_scores", scores)
    monkeypatch.setattr(rechoosing, "_share_of_wins", lambda *_: share)
    rows, dice = validation(a_reference, 10, 10)
    detector, choice = choose_on_validation(a_reference, rows, dice, np.arange(20), "bodies")
    assert (detector.name, choice["detector"]) == (("knn", "knn 0.05") if taken else ("md", "md"))
    assert choice["reason"].startswith("larger AUROC than md in 95%" if taken else "knn 0.05 has the larger AUROC")


def test_where_the_usual_detector_is_best_no_sample_is_drawn(
    a_reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rechoosing, "_scores", lambda _r, _d, rows: -np.arange(len(rows), dtype=float))
    monkeypatch.setattr(rechoosing, "_share_of_wins", lambda *_: pytest.fail("drawn"))
    rows, dice = validation(a_reference, 10, 10)
    detector, choice = choose_on_validation(a_reference, rows, dice, np.arange(20), "bodies")
    assert (detector.name, choice["detector"], choice["auroc"]) == ("md", "md", 1.0)
    assert choice["reason"] == "largest AUROC for failures among the validation cases"


@pytest.mark.parametrize("settings_tell", [True, False])
def test_outcomes_are_held_against_the_new_scores(settings_tell: bool) -> None:
    rng = np.random.default_rng(8)
    features = {"bottleneck": rng.normal(size=(60, 5)), "body_layout": rng.normal(size=(60, 3))}
    dice = [0.6 if i < 15 else 0.95 - i / 1000 for i in range(60)]
    cases = [ReferenceCase(f"c{i}", value) for i, value in enumerate(dice)]
    built = build_reference("r", "f" * 64, features, cases, {"a": 1}, failure_dice=0.7)
    told = {name: value for name, value in built.settings.items() if settings_tell or name != "failure_dice"}
    reference = replace(built, settings=told, fingerprint="a" * 64)
    made = with_detector(reference, KNearestNeighbours(0.5), {"detector": "knn 0.5"})
    assert made.outcomes == fit_outcomes(combined_leave_one_out(made.spaces, made.calibrating), dice, 0.7)
    assert made.outcomes != reference.outcomes
    assert made.settings == {**told, "detector_choice": {"detector": "knn 0.5"}}
    assert made.fingerprint == ""
    assert made.spaces["bottleneck"].name == "bottleneck"
    assert made.spaces["body_layout"] is reference.spaces["body_layout"]
    # The same detector, fitted again, gives the scores that are known.
    same = with_detector(made, KNearestNeighbours(0.5), {})
    assert same.outcomes is made.outcomes
    assert same.spaces["bottleneck"].leave_one_out is made.spaces["bottleneck"].leave_one_out
    other = with_detector(made, KNearestNeighbours(0.25), {})
    assert not np.array_equal(other.spaces["bottleneck"].leave_one_out, made.spaces["bottleneck"].leave_one_out)


def test_a_reference_without_outcomes_gets_none(a_reference: Reference) -> None:
    assert with_detector(replace(a_reference, outcomes=None), KNearestNeighbours(0.5), {}).outcomes is None


def test_a_reducer_stays() -> None:
    rows = np.random.default_rng(4).normal(size=(30, 6))
    cases = [ReferenceCase(str(i)) for i in range(30)]
    reduced = build_reference("r", "f", {"bottleneck": rows}, cases, {}, n_components=2)
    made = with_detector(reduced, KNearestNeighbours(0.5), {})
    assert made.spaces["bottleneck"].detector.features_.shape == (30, 2)
