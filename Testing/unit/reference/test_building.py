from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.errors import ReferenceSetError
from BottleneckOODLib.reference.building import MIN_CASES, build_reference, choose_detector
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.reference_folder import Reference

RNG = np.random.default_rng(0)


def cases(n: int) -> list[ReferenceCase]:
    return [ReferenceCase(f"case-{i}") for i in range(n)]


def test_too_few_cases_are_refused_with_their_number() -> None:
    n = MIN_CASES - 1
    with pytest.raises(ReferenceSetError, match=f"{MIN_CASES} cases and {n}"):
        build_reference("few", "f", {"bottleneck": RNG.normal(size=(n, 3))}, cases(n), {})


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
