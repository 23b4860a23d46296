from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from BottleneckOODLib.errors import ReferenceSetError
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.pca import PrincipalComponents
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.reference.building import build_reference, choose_detector
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.feature_space import FeatureSpace
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import MIN_CASES

RNG = np.random.default_rng(0)


def cases(n: int) -> list[ReferenceCase]:
    return [ReferenceCase(f"case-{i}") for i in range(n)]


def test_too_few_cases_are_refused_with_their_number() -> None:
    n = MIN_CASES - 1
    with pytest.raises(ReferenceSetError, match=f"{MIN_CASES} cases and {n}"):
        build_reference("few", "f", {"bottleneck": RNG.normal(size=(n, 3))}, cases(n), {})


def test_as_many_cases_as_are_needed_are_enough() -> None:
    built = build_reference("just", "f", {"bottleneck": RNG.normal(size=(20, 3))}, cases(20), {})
    assert len(built.cases) == MIN_CASES == 20


def test_a_name_that_stands_for_two_cases_is_refused() -> None:
    twice = [*cases(24), ReferenceCase("case-3")]
    with pytest.raises(ReferenceSetError, match="case-3"):
        build_reference("twice", "f", {"bottleneck": RNG.normal(size=(25, 3))}, twice, {})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(value: float) -> None:
    rows = RNG.normal(size=(25, 3))
    rows[4, 1] = value
    with pytest.raises(ReferenceSetError, match="not finite"):
        build_reference("broken", "f", {"bottleneck": rows}, cases(25), {})


def test_the_largest_measurement_is_taken_and_a_larger_one_is_not() -> None:
    rows = RNG.normal(size=(25, 3))
    rows[4, 1] = 1e100
    built = build_reference("large", "f", {"bottleneck": rows}, cases(25), {})
    assert built.spaces["bottleneck"].features.max() == 1e100
    rows[4, 1] = np.nextafter(1e100, np.inf)
    with pytest.raises(ReferenceSetError, match="not finite"):
        build_reference("larger", "f", {"bottleneck": rows}, cases(25), {})


def test_without_outcomes_the_shrunk_mahalanobis_distance_is_taken() -> None:
    detector, choice = choose_detector(RNG.normal(size=(30, 4)), [None] * 30)
    assert detector.name == "md"
    assert choice["auroc"] is None
    assert "too few" in choice["reason"]


def test_the_detector_that_tells_the_failures_apart_is_chosen() -> None:
    """Failures all lie in one far small cluster: their own neighbours are near, the whole set is far."""
    rng = np.random.default_rng(1)
    good, failed = rng.normal(size=(60, 4)), rng.normal(size=(12, 4)) * 0.01 + 4
    outcomes = [0.95] * 60 + [0.3] * 12
    detector, choice = choose_detector(np.concatenate([good, failed]), outcomes)
    assert choice["auroc"] == max(choice["all"].values())
    assert choice["all"]["knn 0.75"] > choice["all"]["knn 0.05"]
    assert (choice["n_failed"], choice["n_good"]) == (12, 60)
    assert choice["detector"].startswith(detector.name)


@pytest.mark.parametrize("n_components", [None, 2])
def test_the_choice_is_by_the_area_of_scores_among_the_other_cases(n_components: int | None) -> None:
    rng = np.random.default_rng(6)
    failed = np.arange(70) < 11
    rows = rng.normal(size=(70, 6)) * [3, 2, 1, 1, 1, 1]
    rows[failed, 4:] += 1.5
    outcomes = [0.8 if bad else 0.81 for bad in failed]

    def reducer() -> PrincipalComponents | None:
        return None if n_components is None else PrincipalComponents(n_components)

    candidates = {"md": ShrunkMahalanobis()} | {f"knn {k}": KNearestNeighbours(k) for k in (0.05, 0.1, 0.25, 0.5, 0.75)}
    areas = {
        label: roc_auc_score(failed, FeatureSpace.fitted("own", rows, candidate, reducer=reducer()).leave_one_out)
        for label, candidate in candidates.items()
    }
    detector, choice = choose_detector(rows, outcomes, reducer())
    best = max(areas, key=lambda label: areas[label])
    assert choice.pop("reason")
    assert choice == {
        "detector": best,
        "auroc": round(areas[best], 3),
        "n_failed": 11,
        "n_good": 59,
        "failure": "Dice of 0.8 or less",
        "all": {label: round(area, 3) for label, area in areas.items()},
    }
    assert (detector.name, detector.settings()) == (candidates[best].name, candidates[best].settings())
    assert any(round(area, 3) not in (round(area, 2), round(area, 4)) for area in areas.values())


@pytest.mark.parametrize(("n_failed", "n_good"), [(9, 60), (60, 9)])
def test_nothing_is_chosen_where_a_handful_failed_or_a_handful_did_not(n_failed: int, n_good: int) -> None:
    outcomes = [0.5] * n_failed + [0.9] * n_good + [None]
    detector, choice = choose_detector(RNG.normal(size=(70, 3)), outcomes)
    assert detector.name == "md"
    assert f"{n_failed} of 69 cases" in choice.pop("reason")
    assert choice == {"detector": "md", "auroc": None, "n_failed": n_failed}


def test_the_reference_keeps_what_it_was_built_by() -> None:
    features = {"bottleneck": RNG.normal(size=(25, 3)), "body_layout": RNG.normal(size=(25, 2))}
    known = [ReferenceCase(f"case-{i}", 0.7 + i / 100) for i in range(25)]
    built = build_reference("kept", "f" * 64, features, known, {"pooling": "max"}, failure_dice=0.75)
    assert {name: space.name for name, space in built.spaces.items()} == {name: name for name in features}
    assert built.settings["levels"] == {"amber": 0.10, "red": 0.02}
    assert built.settings["failure_dice"] == 0.75
    assert built.settings["pooling"] == "max"
    assert built.settings["detector_choice"]["n_failed"] == 6
    assert built.bank is None


def test_the_bank_is_asked_for_when_the_cases_suffice() -> None:
    bank = TokenBank.fitted(np.float32(RNG.normal(size=(40, 3))), np.arange(40, dtype=np.int32) % 2)
    asked: list[int] = []

    def gives() -> TokenBank:
        asked.append(1)
        return bank

    rows = {"bottleneck": RNG.normal(size=(25, 3))}
    with pytest.raises(ReferenceSetError):
        build_reference("few", "f", {"bottleneck": rows["bottleneck"][:5]}, cases(5), {}, bank=gives)
    assert not asked
    assert build_reference("enough", "f", rows, cases(25), {}, bank=gives).bank is bank


def test_principal_components_are_kept_with_the_reference() -> None:
    rows = RNG.normal(size=(30, 8))
    reference = build_reference("reduced", "f", {"bottleneck": rows}, cases(30), {}, n_components=3)
    space = reference.spaces["bottleneck"]
    assert space.reducer is not None
    assert space.as_the_detector_sees(rows[0]).shape == (3,)


def test_every_case_has_a_place_on_the_map(a_reference: Reference) -> None:
    assert a_reference.map_xy.shape == (len(a_reference.cases), 2)
    assert np.isfinite(a_reference.map_xy).all()
    assert len(np.unique(a_reference.map_xy.round(6), axis=0)) == len(a_reference.cases)


def test_it_says_which_level_it_can_reach(a_reference: Reference) -> None:
    assert a_reference.settings["attainable_p"] == pytest.approx(1 / (len(a_reference.cases) + 1))


def test_new_cases_of_the_same_kind_are_not_flagged_more_often_than_promised() -> None:
    """With more features than cases, scores of the fit itself would flag nearly all of them."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(60, 90))
    reference = build_reference("wide", "f", {"bottleneck": rows}, cases(60), {})
    p_values = np.array([reference.score({"bottleneck": rng.normal(size=90)}).p_value for _ in range(300)])
    assert (p_values <= 0.1).mean() < 0.2
    assert (p_values <= 0.5).mean() == pytest.approx(0.5, abs=0.2)
