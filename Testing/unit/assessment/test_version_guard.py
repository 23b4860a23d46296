"""Adding what the old version calls unusual is told and refused; adding cases like its own is neither."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib.assessment.checks import Check
from BottleneckOODLib.assessment.version_guard import VersionGuard, version_guard
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.extending import extended_spaces
from BottleneckOODLib.reference.feature_space import FeatureSpace, ShrunkMahalanobis
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.version_change import VersionChange, version_change

FloatArray = npt.NDArray[np.float64]
Features = dict[str, FloatArray]
N = 150


def some(n: int, seed: int, away: float = 0.0) -> Features:
    rng = np.random.default_rng(seed)
    rows = {"bottleneck": rng.normal(size=(n, 8)), "body_layout": rng.normal(size=(n, 4))}
    rows["bottleneck"][:, 0] += away
    return rows


@pytest.fixture(scope="module")
def a_reference() -> Reference:
    features = some(N, 0)
    spaces = {name: FeatureSpace.fitted(name, array, ShrunkMahalanobis()) for name, array in features.items()}
    cases = tuple(ReferenceCase(f"own-{i}") for i in range(N))
    return Reference("r", "f" * 64, cases, spaces, np.zeros((N, 2)), {})


def each(features: Features, name: str) -> list[tuple[str, Features]]:
    n = len(features["bottleneck"])
    return [(f"{name}-{i}", {space: rows[i] for space, rows in features.items()}) for i in range(n)]


def change_of(reference: Reference, added: Features, others: Features | None = None) -> VersionChange:
    spaces = extended_spaces(reference, added)
    return version_change(reference, spaces, each(added, "new"), each(others, "other") if others else [])


def guard_of(change: VersionChange, **more: object) -> VersionGuard:
    fields = {"plain_facts": {}, "failed_own": (), "failed_others": (), "folders": ("a", "b"), **more}
    return version_guard(change, **fields)  # type: ignore[arg-type]


def test_how_many_cases_calibrate_is_told_before_and_after(a_reference: Reference) -> None:
    change = replace(change_of(a_reference, some(12, 5)), n_calibrating=(140, 152))
    assert guard_of(change).facts[0] == (
        "cases: 140 training cases (10 more, whose mask failed, calibrate nothing) before, "
        "152 training cases (10 more, whose mask failed, calibrate nothing) after"
    )


def test_cases_like_the_reference_s_own_are_neither_refused_nor_warned_of(a_reference: Reference) -> None:
    guards = [guard_of(change_of(a_reference, some(30, seed))) for seed in range(10, 26)]
    assert all(guard.refusals == () for guard in guards)
    # One in a hundred on either side, by chance.
    assert sum(guard.warnings != () for guard in guards) <= 2


def test_unusual_cases_would_make_their_like_usual_and_are_refused(a_reference: Reference) -> None:
    poison, alike = some(20, 1, away=5), some(8, 2, away=5)
    change = change_of(a_reference, poison, alike)
    assert max(pair.old for pair in change.others) <= 0.1
    assert sum(pair.new > 0.1 for pair in change.others) >= 6
    failed = {pair.case_id for pair in change.others}
    guard = guard_of(change, failed_others=failed)
    assert any("widens what counts as usual" in warning for warning in guard.warnings)
    assert any("known failures become green" in warning for warning in guard.warnings)
    assert sum("more than 50%" in sentence for sentence in guard.refusals) == 1
    assert sum("more than 5%" in sentence for sentence in guard.refusals) == 1
    assert {m.case_id for m in guard.moved} == {
        p.case_id for p in change.others if p.new > 0.1 or p.new > 0.02 >= p.old
    }


def test_a_centre_that_moves_far_is_another_reference(a_reference: Reference) -> None:
    guard = guard_of(change_of(a_reference, some(160, 3, away=4)))
    assert any("another reference" in sentence for sentence in guard.refusals)
    assert any("More cases are added" in warning for warning in guard.warnings)


def test_the_most_usual_cases_alone_tighten_the_levels(a_reference: Reference) -> None:
    many = some(400, 4)
    usual = [i for i, (_, one) in enumerate(each(many, "x")) if a_reference.score(one).p_value > 0.3][:100]
    change = change_of(a_reference, {space: rows[usual] for space, rows in many.items()})
    assert any("the levels tighten" in warning for warning in guard_of(change).warnings)
    # Which is so: of the old version's own cases more are flagged than before.
    assert sum(p.new <= 0.1 for p in change.own) > sum(p.old <= 0.1 for p in change.own)


def test_few_cases_and_one_folder_are_told(a_reference: Reference) -> None:
    told = " ".join(guard_of(change_of(a_reference, some(3, 5)), folders=("a", "a", "a")).warnings)
    assert "3 added cases are too few" in told
    assert "one folder" in told


def test_a_plain_fact_keeps_its_light_and_lights_are_counted(a_reference: Reference) -> None:
    change = change_of(a_reference, some(20, 1, away=5), some(8, 2, away=5))
    hard = {pair.case_id: [Check("modality", "hard", "It is MR.")] for pair in change.others}
    assert "other cases of the store: 0 of 8 change their light" in guard_of(change, plain_facts=hard).facts
    moved = [(p.old, p.new) for p in change.others]
    n = sum(lights(old) != lights(new) for old, new in moved)
    assert any(f"other cases of the store: {n} of 8 change" in line for line in guard_of(change).facts)


def test_a_case_of_the_store_lends_its_checks_to_no_case_of_the_reference(a_reference: Reference) -> None:
    change = change_of(a_reference, some(20, 6))
    hard = {pair.case_id: [Check("modality", "hard", "It is MR.")] for pair in change.own}
    assert guard_of(change, plain_facts=hard).facts == guard_of(change).facts


def test_failures_that_are_lost_and_gained_are_set_off(a_reference: Reference) -> None:
    change = change_of(a_reference, some(20, 6))
    own = list(change.own)
    own[0], own[1] = replace(own[0], old=0.05, new=0.5), replace(own[1], old=0.5, new=0.05)
    even = replace(change, own=tuple(own))
    assert guard_of(even, failed_own={"own-0", "own-1"}).refusals == ()
    assert len(guard_of(even, failed_own={"own-0"}).refusals) == 1


def lights(p_value: float) -> str:
    return "red" if p_value <= 0.02 else "amber" if p_value <= 0.1 else "green"
