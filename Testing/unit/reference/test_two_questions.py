"""How unusual a case is, how unsure the network was: of one weight, held against cases that did not fail."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib.ood.calibration import NotFiniteError
from BottleneckOODLib.ood.output_scores import OUTPUT_CONFIDENCE
from BottleneckOODLib.ood.upper_tail import UpperTail
from BottleneckOODLib.reference.building import build_reference
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.outcomes import FAILURE_DICE, has_failed
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import MIN_CASES, calibrating_rows, combined_leave_one_out

Features = dict[str, npt.NDArray[np.float64]]
N = 120


def drawn(n: int, seed: int, unsure: float = 0.0) -> Features:
    rng = np.random.default_rng(seed)
    spaces: Features = {name: rng.normal(size=(n, d)) for name, d in (("bottleneck", 8), ("a", 3), ("b", 4))}
    return {**spaces, OUTPUT_CONFIDENCE: rng.normal(-3.5, 0.3, size=(n, 1)) + unsure}


def built(features: Features, dice: list[float | None]) -> Reference:
    cases = [ReferenceCase(f"case-{i:03d}", value) for i, value in enumerate(dice)]
    return build_reference("two", "f" * 64, features, cases, {"pooling": "mean", "measurements": 2})


@pytest.fixture(scope="module")
def a_reference() -> Reference:
    return built(drawn(N, seed=0), [0.9] * N)


def middle(reference: Reference, unsure: float) -> dict[str, npt.NDArray[np.float64] | None]:
    return {
        name: space.centre + unsure * space.scale * (name == OUTPUT_CONFIDENCE)
        for name, space in reference.spaces.items()
    }


def test_only_less_sure_is_unusual(a_reference: Reference) -> None:
    assert isinstance(a_reference.spaces[OUTPUT_CONFIDENCE].detector, UpperTail)
    usual, unsure, sure = (a_reference.score(middle(a_reference, z)) for z in (0.0, 9.0, -9.0))
    assert (unsure.light, unsure.farthest) == ("red", OUTPUT_CONFIDENCE)
    assert sure.light == "green"
    assert sure.p_value >= usual.p_value > unsure.p_value
    assert sure.parts[OUTPUT_CONFIDENCE].percentile == 0


def test_what_decided_is_named(a_reference: Reference) -> None:
    case = middle(a_reference, 2.0)
    case["b"] = a_reference.spaces["b"].centre + 50
    assert a_reference.score(case).farthest == "b"


def test_both_answers_weigh_the_same(a_reference: Reference) -> None:
    spaces, rows = a_reference.spaces, a_reference.calibrating
    others = {name: space for name, space in spaces.items() if name != OUTPUT_CONFIDENCE}
    unusual = combined_leave_one_out(others, rows)
    unsure = spaces[OUTPUT_CONFIDENCE].leave_one_out
    both = combined_leave_one_out(spaces, rows)
    in_units = [(s - np.median(s)) / (np.quantile(s, 0.95) - np.median(s)) for s in (unusual, unsure)]
    np.testing.assert_allclose(both, np.maximum(*in_units))


def test_without_a_mask_the_first_answer_is_all_there_is(a_reference: Reference) -> None:
    others = {name: s for name, s in a_reference.spaces.items() if name != OUTPUT_CONFIDENCE}
    old = Reference("old", "f" * 64, a_reference.cases, others, a_reference.map_xy, a_reference.settings)
    case = {name: rows[0] for name, rows in drawn(1, seed=3).items()}
    now, before = a_reference.score({**case, OUTPUT_CONFIDENCE: None}), old.score({**case})
    assert (now.score, now.p_value, now.farthest) == (before.score, before.p_value, before.farthest)


def test_no_more_usual_cases_are_flagged_than_the_level_says(a_reference: Reference) -> None:
    fresh = drawn(1500, seed=8)
    p = [a_reference.score({name: rows[i] for name, rows in fresh.items()}).p_value for i in range(1500)]
    # Three standard deviations of a share, and of the threshold that 120 cases give.
    spread = 3 * np.sqrt(0.1 * 0.9 * (1 / 1500 + 1 / N))
    assert abs(np.mean(np.array(p) <= 0.1) - 0.1) < spread


def test_a_training_case_that_failed_makes_no_failure_look_usual() -> None:
    features = drawn(N, seed=1)
    failed = np.arange(N) < 12
    features[OUTPUT_CONFIDENCE][failed] += 2.0
    told = built(features, [0.5 if f else 0.9 for f in failed])
    untold = built(features, [None] * N)
    assert told.calibrating.tolist() == (~failed).tolist()
    assert untold.calibrating.all()
    assert told.settings["attainable_p"] == pytest.approx(1 / (N - 12 + 1))
    new = {name: rows[0] for name, rows in drawn(1, seed=2, unsure=2.0).items()}
    assert told.score(new).light == "red"
    assert told.score(new).attainable_p == told.settings["attainable_p"]
    assert untold.score(new).p_value > told.score(new).p_value


def test_where_nearly_all_failed_all_of_them_count() -> None:
    few = [0.9] * (MIN_CASES - 1) + [0.1] * 30
    assert calibrating_rows(few, FAILURE_DICE).all()
    assert calibrating_rows([*few, 0.9], FAILURE_DICE).sum() == MIN_CASES
    assert calibrating_rows(few, None).all()


def test_twenty_that_did_not_fail_are_enough_to_be_held_against() -> None:
    assert calibrating_rows([0.9] * 19 + [0.1] * 30, 0.8).sum() == 49
    assert calibrating_rows([0.9] * 20 + [0.1] * 30, 0.8).sum() == 20


@pytest.mark.parametrize(
    ("dice", "expected"), [(FAILURE_DICE, True), (np.nextafter(FAILURE_DICE, 1), False), (0.0, True)]
)
def test_a_failure_is_one_thing_everywhere(dice: float, expected: bool) -> None:
    assert bool(has_failed(dice)) is expected


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), float("-inf")])
def test_a_limit_of_failure_that_is_no_number_lets_no_case_count(limit: float) -> None:
    """All of them would, failed ones too."""
    with pytest.raises(NotFiniteError):
        calibrating_rows([0.9] * 30, limit)
