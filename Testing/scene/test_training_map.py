"""The map: groups that are told apart by shape as well as colour, this case over them, and a card for every click."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import pytest
import slicer
from hypothesis import given
from hypothesis import strategies as st

from BottleneckOODLib.assessment.assessment import Assessment, MapPoint
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.training_map import (
    LIGHT_RGB,
    colourings_of,
    groups_of,
    map_point_of,
    show_map,
    shown_colouring,
)

MakeAssessment = Callable[..., Assessment]
PHASES = ("portal", "none", "arterial", "none", "late", "", "portal")


def training_case(number: int, dice: float | None = None, **facts: str) -> MapPoint:
    return MapPoint(float(number), float(-number), dice, f"train-{number}", facts)


def with_phases() -> tuple[MapPoint, ...]:
    return tuple(training_case(n, **({"contrast_phase": phase} if phase else {})) for n, phase in enumerate(PHASES))


def names_and_points(points: tuple[MapPoint, ...], colour_by: str | None) -> dict[str, tuple[int, ...]]:
    return {group.name: group.points for group in groups_of(points, colour_by)}


def test_outcomes_fall_into_their_bands() -> None:
    dice = (0.9, 0.899, 0.8, 0.799, None, 1.0, 0.0)
    points = tuple(training_case(n, value) for n, value in enumerate(dice))
    assert names_and_points(points, None) == {
        "Dice 0.90 or more": (0, 5),
        "Dice 0.80 to 0.90": (1, 2),
        "Dice below 0.80": (3, 6),
        "Dice unknown": (4,),
    }


def test_a_fact_s_values_become_groups_and_what_is_not_known_comes_last() -> None:
    groups = names_and_points(with_phases(), "contrast_phase")
    assert groups == {"arterial": (2,), "late": (4,), "none": (1, 3), "portal": (0, 6), "unknown": (5,)}
    assert list(groups)[-1] == "unknown"


def test_many_numbers_become_three_ranges_of_about_as_many_cases() -> None:
    points = tuple(training_case(n, spacing=f"{0.5 + n / 10:g}") for n in range(12))
    groups = names_and_points(points, "spacing")
    assert len(groups) == 3
    assert min(len(members) for members in groups.values()) >= 3
    assert next(iter(groups)).startswith("up to ")
    # In order: whatever is in a later range is larger.
    members = list(groups.values())
    assert all(max(one) < min(other) for one, other in pairwise(members))


def test_many_words_keep_the_most_frequent_and_gather_the_rest() -> None:
    words = ["a", "a", "a", "b", "b", "c", "c", "d", "e", "f"]
    groups = names_and_points(tuple(training_case(n, maker=word) for n, word in enumerate(words)), "maker")
    assert groups == {"a": (0, 1, 2), "b": (3, 4), "c": (5, 6), "other": (7, 8, 9)}


def test_an_old_record_without_facts_is_one_group() -> None:
    assert names_and_points((MapPoint(0, 0, None), MapPoint(1, 1, 0.5)), "contrast_phase") == {"unknown": (0, 1)}


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.floats(0, 1)), st.sampled_from(["", "1", "2.5", "4", "x", "y"]))),
    st.sampled_from([None, "fact"]),
)
def test_every_case_is_in_one_group(cases: list[tuple[float | None, str]], colour_by: str | None) -> None:
    points = tuple(training_case(n, dice, fact=fact) for n, (dice, fact) in enumerate(cases))
    groups = groups_of(points, colour_by)
    assert sorted(n for group in groups for n in group.points) == list(range(len(points)))
    assert len({group.style for group in groups}) == len(groups) <= 5


def test_only_facts_that_tell_groups_apart_are_offered() -> None:
    points = (
        training_case(0, contrast_phase="portal", table="yes", arms="up"),
        training_case(1, contrast_phase="none", table="yes"),
    )
    assert colourings_of(points) == ("contrast_phase",)
    assert colourings_of(()) == ()


@pytest.mark.parametrize("colour_by", [None, "contrast_phase"])
def test_no_two_series_share_a_colour_or_a_shape(
    a_scene: Any, make_assessment: MakeAssessment, colour_by: str | None
) -> None:
    points = tuple(
        training_case(n, dice, contrast_phase=phase)
        for n, (dice, phase) in enumerate(
            zip((0.95, 0.85, 0.4, None, 0.93), ("a", "b", "c", "d", ""), strict=True)
        )
    )
    shown = show(make_assessment(map_points=points), a_scene, colour_by=colour_by)
    training = shown.training_series
    assert len(training) == (4 if colour_by is None else 5)
    for one, other in combinations(training, 2):
        assert one.GetMarkerStyle() != other.GetMarkerStyle()
        assert max(abs(a - b) for a, b in zip(one.GetColor(), other.GetColor(), strict=True)) > 0.2
    # A training case has an outcome, not a light.
    for one in training:
        for light in LIGHT_RGB.values():
            assert max(abs(a - b) for a, b in zip(one.GetColor(), light, strict=True)) > 0.1


def test_this_case_is_drawn_last_larger_and_the_points_beneath_it_stay_visible(
    a_scene: Any, an_assessment: Assessment
) -> None:
    shown = show(an_assessment, a_scene)
    case = shown.case_series
    assert shown.chart is not None
    assert case is not None
    assert shown.chart.GetNthPlotSeriesNodeID(shown.chart.GetNumberOfPlotSeriesNodes() - 1) == case.GetID()
    assert case.GetMarkerStyle() == slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle
    assert case.GetMarkerSize() > 2 * max(one.GetMarkerSize() for one in shown.training_series)
    assert case.GetOpacity() < 1


def test_the_map_is_coloured_anew_without_a_second_set_of_nodes(a_scene: Any, make_assessment: MakeAssessment) -> None:
    assessment = make_assessment(map_points=with_phases())
    show(assessment, a_scene)
    before = a_scene.GetNumberOfNodes()
    by_phase = show(assessment, a_scene, colour_by="contrast_phase")
    assert [one.GetName() for one in by_phase.training_series] == ["arterial", "late", "none", "portal", "unknown"]
    assert shown_colouring(a_scene, "case-7") == "contrast_phase"
    by_outcome = show(assessment, a_scene)
    assert [one.GetName() for one in by_outcome.training_series] == ["Dice unknown"]
    assert shown_colouring(a_scene, "case-7") is None
    # The nodes of the groups that are gone went with them.
    assert a_scene.GetNumberOfNodes() == before


@pytest.mark.parametrize("colour_by", [None, "contrast_phase"])
def test_each_point_of_each_series_is_the_case_that_is_drawn_there(
    a_scene: Any, make_assessment: MakeAssessment, colour_by: str | None
) -> None:
    points = with_phases()
    shown = show(make_assessment(map_points=points), a_scene, colour_by=colour_by)
    clicked = []
    for series in shown.training_series:
        x = series.GetTableNode().GetTable().GetColumnByName("x")
        for row in range(x.GetNumberOfValues()):
            point = map_point_of(a_scene, series.GetID(), row)
            assert point is not None
            assert point.x == x.GetValue(row)
            clicked.append(point.case_id)
    assert sorted(clicked) == sorted(point.case_id for point in points)


def test_a_click_beside_the_training_cases_is_none_of_them(a_scene: Any, an_assessment: Assessment) -> None:
    shown = show(an_assessment, a_scene)
    assert shown.case_series is not None
    series = shown.training_series[0].GetID()
    theirs = a_scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "theirs").GetID()
    for series_id, index in ((shown.case_series.GetID(), 0), (theirs, 0), ("nothing", 0), (series, 99), (series, -1)):
        assert map_point_of(a_scene, series_id, index) is None


def test_a_click_where_the_record_is_damaged_is_refused(a_scene: Any, an_assessment: Assessment) -> None:
    shown = show(an_assessment, a_scene)
    shown.record.SetText("{")
    with pytest.raises(InputError, match="damaged"):
        map_point_of(a_scene, shown.training_series[0].GetID(), 0)


def test_a_click_on_one_case_s_map_is_not_looked_up_in_another_s(a_scene: Any, make_assessment: MakeAssessment) -> None:
    one = show(make_assessment(case_id="one", map_points=(training_case(1),)), a_scene)
    show(make_assessment(case_id="other", map_points=(training_case(2),)), a_scene)
    point = map_point_of(a_scene, one.training_series[0].GetID(), 0)
    assert point is not None
    assert point.case_id == "train-1"


@pytest.mark.parametrize("beyond", [False, True])
def test_farther_than_the_map_is_said_on_the_map(a_scene: Any, make_assessment: MakeAssessment, beyond: bool) -> None:
    series = show(make_assessment(placement=Placement(1.0, 2.0, beyond)), a_scene).case_series
    assert series is not None
    assert ("farther" in series.GetName()) is beyond


@pytest.mark.parametrize("fact", ["no such fact", "kvp", ""])
def test_a_fact_that_tells_no_groups_apart_is_not_gone_by(
    a_scene: Any, make_assessment: MakeAssessment, fact: str
) -> None:
    points = tuple(MapPoint(p.x, p.y, p.dice, p.case_id, {**p.facts, "kvp": "120"}) for p in with_phases())
    assessment = make_assessment(map_points=points)
    by_outcome = [series.GetName() for series in show(assessment, a_scene).training_series]
    shown = show(assessment, a_scene, colour_by=fact)
    assert [series.GetName() for series in shown.training_series] == by_outcome
    assert shown_colouring(a_scene, "case-7") is None


def test_coloured_anew_only_the_map_changes(a_scene: Any, make_assessment: MakeAssessment, scene_state: Any) -> None:
    assessment = make_assessment(map_points=with_phases())
    show(assessment, a_scene)
    show(make_assessment("red", case_id="other"), a_scene)
    before = scene_state(a_scene)
    nodes = show_map(assessment, a_scene, "contrast_phase")
    assert len(nodes.training_series) == 5
    after = scene_state(a_scene)
    roles = {
        state["attributes"].get("BottleneckOOD.Role", "").split(".")[0]
        for node, state in after.items()
        if before.get(node) != state
    }
    assert roles <= {"map", "training", "chart"}
    show_map(assessment, a_scene, None)
    assert scene_state(a_scene) == before
