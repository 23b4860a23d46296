"""A new version is what building from all cases gives, and what it changes is what counting says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib.errors import ReferenceMismatchError
from BottleneckOODLib.ood.calibration import conformal_p_value, light_of, score_at_level
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.reference.building import build_reference
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.extending import double_of, extended, extended_spaces, free_names
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import combined_leave_one_out
from BottleneckOODLib.reference.version_change import version_change

FloatArray = npt.NDArray[np.float64]
N, M = 40, 12
VERSION = {"parent_name": "small", "made": "2026-01-02", "n_added": M, "n_readers": 1, "ratings": ["accept"]}


def rows(n: int, seed: int) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    return {"bottleneck": rng.normal(size=(n, 12)), "body_layout": rng.normal(size=(n, 5)) + 2}


def each(features: dict[str, FloatArray]) -> list[tuple[str, dict[str, FloatArray]]]:
    n = len(features["bottleneck"])
    return [(f"new-{i}", {space: array[i] for space, array in features.items()}) for i in range(n)]


def new_version(reference: Reference, features: dict[str, FloatArray]) -> Reference:
    cases = [ReferenceCase(f"new-{i}") for i in range(len(features["bottleneck"]))]
    return extended(reference, "larger", extended_spaces(reference, features), cases, VERSION, None)


def test_it_is_what_building_from_all_cases_gives(a_reference: Reference) -> None:
    more = rows(M, 5)
    new = new_version(a_reference, more)
    together = {name: np.vstack([a_reference.spaces[name].features, more[name]]) for name in more}
    # The known Dice chooses no detector here: too few of these cases failed.
    built = build_reference("all", "f" * 64, together, new.cases, {"pooling": "mean"})
    for name, space in built.spaces.items():
        np.testing.assert_array_equal(new.spaces[name].leave_one_out, space.leave_one_out)
        np.testing.assert_array_equal(new.spaces[name].features, space.features)
    np.testing.assert_array_equal(new.map_xy, built.map_xy)
    assert new.outcomes == built.outcomes
    assert new.settings["attainable_p"] == built.settings["attainable_p"] == 1 / (new.calibrating.sum() + 1)


def test_the_old_version_is_as_it_was(a_reference: Reference) -> None:
    before = {
        name: (s.features.copy(), s.leave_one_out.copy(), s.centre.copy()) for name, s in a_reference.spaces.items()
    }
    settings = dict(a_reference.settings)
    new_version(a_reference, rows(M, 5))
    for name, kept in before.items():
        space = a_reference.spaces[name]
        for array, same in zip((space.features, space.leave_one_out, space.centre), kept, strict=True):
            np.testing.assert_array_equal(array, same)
    assert a_reference.settings == settings


def test_each_step_is_told_after_those_before_it(a_reference: Reference) -> None:
    bank = TokenBank.fitted(np.ones((4, 2), np.float32), np.arange(4, dtype=np.int32))
    first = replace(a_reference, fingerprint="a" * 64, thumbnails=(b"picture",) * N)
    second = new_version(first, rows(M, 5))
    assert (second.name, second.fingerprint, second.thumbnails, second.bank) == ("larger", "", (), None)
    assert second.settings["built"] == "2026-01-02"
    assert second.settings["versions"] == [{**VERSION, "parent": "a" * 64}]
    assert {name: second.settings[name] for name in a_reference.settings if name != "attainable_p"} == {
        name: value for name, value in a_reference.settings.items() if name != "attainable_p"
    }
    again = rows(M, 6)
    cases = [ReferenceCase(f"newer-{i}") for i in range(M)]
    kept = replace(second, fingerprint="b" * 64)
    third = extended(kept, "largest", extended_spaces(kept, again), cases, {**VERSION, "made": "2026-03-04"}, bank)
    assert [step["parent"][0] for step in third.settings["versions"]] == ["a", "b"]
    assert third.settings["built"] == "2026-03-04"
    assert third.bank is bank
    assert len(third.cases) == N + 2 * M


@pytest.mark.parametrize("settings_tell", [True, False])
def test_a_failure_is_what_it_was_in_the_old_version(settings_tell: bool) -> None:
    """Where the settings do not tell it, as in references from before it was kept, its outcomes do."""
    cases = [ReferenceCase(f"c{i}", 0.6 if i < 15 else 0.95) for i in range(N)]
    built = build_reference("strict", "f" * 64, rows(N, 0), cases, {}, failure_dice=0.7)
    told = {name: value for name, value in built.settings.items() if settings_tell or name != "failure_dice"}
    new = new_version(replace(built, settings=told), rows(M, 5))
    assert new.outcomes is not None
    assert new.outcomes.operating_point is not None
    assert new.outcomes.operating_point.failure_dice == 0.7
    assert new.outcomes.operating_point.n_failed == 15
    assert new.calibrating.sum() == (N - 15 + M if settings_tell else N + M)


def test_a_reducer_and_the_nearest_neighbours_are_fitted_again_and_stay() -> None:
    rng = np.random.default_rng(1)
    cases = [ReferenceCase(f"c{i}", 0.5 if i < 15 else 0.95) for i in range(N)]
    features = rows(N, 0)
    features["bottleneck"][:15] += rng.normal(0, 4, (15, 12))
    reference = build_reference("r", "f" * 64, features, cases, {"pooling": "mean"}, n_components=4)
    space = new_version(reference, rows(M, 5)).spaces["bottleneck"]
    old = reference.spaces["bottleneck"]
    assert (space.detector.name, space.detector.settings()) == (old.detector.name, old.detector.settings())
    assert space.reducer is not None
    assert old.reducer is not None
    assert space.reducer.n_components == old.reducer.n_components == 4
    assert space.detector is not old.detector


def test_features_of_other_spaces_are_refused(a_reference: Reference) -> None:
    for wrong in ({"bottleneck": np.zeros((2, 12))}, {**rows(2, 0), "bottleneck": np.zeros((2, 11))}):
        with pytest.raises(ReferenceMismatchError, match="do not fit"):
            extended_spaces(a_reference, wrong)


@pytest.mark.parametrize("seed", range(5))
def test_p_values_of_both_versions_are_those_of_counting(a_reference: Reference, seed: int) -> None:
    more, others = rows(M, 50 + seed), rows(6, 70 + seed)
    new = new_version(a_reference, more)
    change = version_change(a_reference, new.spaces, each(more), each(others))
    for version, pairs, part in ((a_reference, change.own, "old"), (new, (*change.own, *change.added), "new")):
        counts = version.calibrating
        scores = combined_leave_one_out(version.spaces, counts)
        for i, pair in enumerate(pairs):
            others_that_count = scores[counts & (np.arange(len(scores)) != i)]
            assert getattr(pair, part) == pytest.approx(conformal_p_value(scores[i], others_that_count))
    for pair, (_, features) in zip(change.others, each(others), strict=True):
        assert pair.old == a_reference.score(features).p_value
        assert pair.new == new.score(features).p_value
    for pair, (_, features) in zip(change.added, each(more), strict=True):
        assert pair.old == a_reference.score(features).p_value


@pytest.mark.parametrize("n", [8, 20, 49, 50, 60, 159])
def test_the_light_turns_at_the_score_that_is_told(n: int) -> None:
    calibration = np.random.default_rng(n).normal(size=n)
    for level, lights in ((0.10, ("amber", "red")), (0.02, ("red",))):
        at = score_at_level(level, calibration)
        if at is None:
            assert 1 / (n + 1) > level
            continue
        assert light_of(conformal_p_value(np.nextafter(at, np.inf), calibration)) in lights
        assert light_of(conformal_p_value(at, calibration)) not in lights


def test_the_centre_moves_as_far_as_the_mean_does(a_reference: Reference) -> None:
    old = a_reference.spaces["bottleneck"]
    far = rows(M, 5)
    far["bottleneck"] += 3
    change = version_change(a_reference, extended_spaces(a_reference, far), each(far), [])
    shift = np.vstack([old.features, far["bottleneck"]]).mean(axis=0) - old.features.mean(axis=0)
    usual = np.median(np.linalg.norm((old.features - old.centre) / old.scale, axis=1))
    assert change.centre_shift == pytest.approx(np.linalg.norm(shift / old.scale) / usual)
    assert change.centre_shift > 0.3


def test_the_same_image_is_found_whatever_the_network_s_last_digits(a_reference: Reference) -> None:
    same = {name: space.features[7].copy() for name, space in a_reference.spaces.items()}
    assert double_of(a_reference, same) == "case-07"
    other = rows(1, 99)
    assert double_of(a_reference, {name: array[0] for name, array in other.items()}) is None
    # Alike in one space is not the same image.
    assert double_of(a_reference, {**same, "bottleneck": other["bottleneck"][0]}) is None
    three = {**a_reference.spaces, "intensity_histogram": a_reference.spaces["body_layout"]}
    wider = Reference("r", "f" * 64, a_reference.cases, three, a_reference.map_xy, {})
    moved = {**same, "intensity_histogram": same["body_layout"], "bottleneck": same["bottleneck"] * (1 + 1e-5)}
    assert double_of(wider, moved) == "case-07"


def test_two_images_are_one_only_where_every_feature_is_the_same(a_reference: Reference) -> None:
    same = {name: space.features[7].copy() for name, space in a_reference.spaces.items()}
    first_ones_alike = {name: np.append(vector[:1], vector[1:] + 1) for name, vector in same.items()}
    assert double_of(a_reference, first_ones_alike) is None
    assert double_of(a_reference, {name: vector * (1 + 1e-6) for name, vector in same.items()}) is None
    zero = {name: replace(space, features=0 * space.features) for name, space in a_reference.spaces.items()}
    blank = replace(a_reference, spaces=zero)
    assert double_of(blank, {name: 0 * vector for name, vector in same.items()}) == "case-00"
    assert double_of(blank, {name: 0 * vector + 5e-9 for name, vector in same.items()}) is None


def test_names_are_numbered_from_two_and_none_is_given_twice(a_reference: Reference) -> None:
    asked = [ReferenceCase(name) for name in ("case-02", "case-01", "case-01")]
    assert [case.case_id for case in free_names(a_reference, asked)] == ["case-02-2", "case-01-2", "case-01-3"]


def test_levels_and_widths_are_those_of_the_scores_of_either_version(a_reference: Reference) -> None:
    more = rows(M, 5)
    new = extended_spaces(a_reference, more)
    change = version_change(a_reference, new, each(more), [])
    old_own = combined_leave_one_out(a_reference.spaces, a_reference.calibrating)[a_reference.calibrating]
    for name, space in new.items():
        own = (a_reference.spaces[name], space)
        assert change.widths[name] == tuple(np.quantile(one.leave_one_out, 0.95) for one in own)
    assert set(change.widths) == set(new)
    # Of the old cases ten did not fail, too few to be held against alone; with the new ones they are enough.
    assert change.n_calibrating == (N, 10 + M)
    assert change.attainable == (1 / (N + 1), 1 / (10 + M + 1))
    assert set(change.levels) == {"amber", "red"}
    for name, level in (("amber", 0.10), ("red", 0.02)):
        assert change.levels[name][0] == score_at_level(level, old_own)


def test_a_name_that_is_taken_gets_a_number(a_reference: Reference) -> None:
    asked = [ReferenceCase(name) for name in ("case-01", "case-01-2", "x")]
    assert [case.case_id for case in free_names(a_reference, asked)] == ["case-01-3", "case-01-2", "x"]
