from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib.errors import ReferenceMismatchError
from BottleneckOODLib.ood.calibration import NotFiniteError, conformal_p_value
from BottleneckOODLib.reference import scoring
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import calibrating_rows, nearest_cases

Case = dict[str, npt.NDArray[np.float64] | None]


def test_a_case_like_the_others_is_green(a_reference: Reference) -> None:
    middle: Case = {name: space.centre for name, space in a_reference.spaces.items()}
    score = a_reference.score(middle)
    assert score.light == "green"
    assert score.p_value > 0.5


@pytest.mark.parametrize("space", ["bottleneck", "body_layout"])
def test_a_case_far_out_in_one_space_is_at_the_smallest_p_value(
    a_reference: Reference, a_new_case: Case, space: str
) -> None:
    vector = a_new_case[space]
    assert vector is not None
    score = a_reference.score({**a_new_case, space: vector + 100})
    assert score.p_value == score.attainable_p
    assert score.percentile == 100
    assert max(score.parts, key=lambda name: score.parts[name].scaled) == space


def test_each_part_is_calibrated_on_its_own_space(a_reference: Reference, a_new_case: Case) -> None:
    score = a_reference.score(a_new_case)
    for name, part in score.parts.items():
        vector = a_new_case[name]
        assert vector is not None
        space = a_reference.spaces[name]
        assert part.score == space.ood_score(vector)
        assert part.p_value == conformal_p_value(part.score, space.leave_one_out)


def test_a_space_that_was_not_measured_is_left_out_on_both_sides(a_reference: Reference, a_new_case: Case) -> None:
    score = a_reference.score({**a_new_case, "body_layout": None})
    assert set(score.parts) == {"bottleneck"}
    assert score.p_value == score.parts["bottleneck"].p_value


def test_without_a_bottleneck_nothing_is_concluded(a_reference: Reference, a_new_case: Case) -> None:
    with pytest.raises(NotFiniteError, match="bottleneck"):
        a_reference.score({**a_new_case, "bottleneck": None})
    with pytest.raises(NotFiniteError):
        a_reference.score({})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("space", ["bottleneck", "body_layout"])
def test_a_feature_that_is_no_number_is_told(
    a_reference: Reference, a_new_case: Case, space: str, value: float
) -> None:
    vector = np.array(a_new_case[space])
    vector[1] = value
    with pytest.raises(NotFiniteError, match=space):
        a_reference.score({**a_new_case, space: vector})


def test_features_of_another_length_are_refused(a_reference: Reference) -> None:
    with pytest.raises(ReferenceMismatchError, match="12 bottleneck features"):
        a_reference.score({"bottleneck": np.zeros(7)})


def test_neighbours_are_those_of_a_search_through_all(a_reference: Reference, a_new_case: Case) -> None:
    space = a_reference.spaces["bottleneck"]
    vector = a_new_case["bottleneck"]
    assert vector is not None
    rows = (space.features - space.centre) / space.scale
    distances = np.linalg.norm(rows - (vector - space.centre) / space.scale, axis=1)
    nearest = a_reference.neighbours(vector, k=7)
    assert [n.case_id for n in nearest] == [a_reference.cases[i].case_id for i in np.argsort(distances)[:7]]
    np.testing.assert_allclose([n.distance for n in nearest], np.sort(distances)[:7])
    own = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(own, np.inf)
    assert nearest[0].relative_distance == pytest.approx(nearest[0].distance / np.median(own.min(axis=1)))
    assert nearest[0].dice == next(c.dice for c in a_reference.cases if c.case_id == nearest[0].case_id)


def test_of_cases_as_near_the_first_are_taken() -> None:
    cases = [ReferenceCase(f"case-{i:03d}") for i in range(100)]
    distances = np.where(np.arange(100) % 3, 1.0, 2.0)
    nearest = nearest_cases(distances, np.full(100, 0.5), cases, 70)
    ones, twos = ([f"case-{i:03d}" for i in range(100) if distances[i] == d] for d in (1.0, 2.0))
    assert [n.case_id for n in nearest] == [*ones, *twos][:70]
    assert {n.relative_distance for n in nearest} == {2.0, 4.0}


def test_among_cases_that_are_all_the_same_any_distance_is_large() -> None:
    (nearest,) = nearest_cases(np.array([3.0]), np.zeros(1), [ReferenceCase("only", 0.9)], 5)
    assert (nearest.distance, nearest.dice) == (3.0, 0.9)
    assert nearest.relative_distance == pytest.approx(3e12)


def test_outcomes_of_another_number_of_cases_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "has_failed", lambda dice, _: np.zeros(len(dice) - 1, dtype=bool))
    with pytest.raises(ValueError, match="29 of 30 cases"):
        calibrating_rows([0.9] * 30, 0.8)
