"""Showing a case makes its nodes; showing it again replaces them, and nothing else of the scene is touched."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.figures import LIGHT_COLOURS
from BottleneckOODLib.assessment.wording import MAP_AXIS, STATE_WORDS
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.imaging.writing import terminology_entry
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.scene.grids import array_from_image_data
from BottleneckOODLib.scene.nodes import CASE_ATTRIBUTE, DECISIONS_ROLE, ROLE_ATTRIBUTE, node_for
from BottleneckOODLib.scene.nodes import nodes_of as nodes_of_the_case
from BottleneckOODLib.scene.show import ShownNodes, show
from BottleneckOODLib.scene.shown_case import case_on
from BottleneckOODLib.scene.volume_node import add_volume_node

MakeAssessment = Callable[..., Assessment]
LIGHTS = ("green", "amber", "red", "grey")
CLASSES = {
    "segmentation": "vtkMRMLSegmentationNode",
    "tables": "vtkMRMLTableNode",
    "case_table": "vtkMRMLTableNode",
    "training_series": "vtkMRMLPlotSeriesNode",
    "case_series": "vtkMRMLPlotSeriesNode",
    "chart": "vtkMRMLPlotChartNode",
    "record": "vtkMRMLTextNode",
}


def nodes_of(scene: Any) -> set[str]:
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def count(scene: Any, class_name: str) -> int:
    return int(scene.GetNumberOfNodesByClass(class_name))


def shown_by_name(shown: ShownNodes) -> dict[str, Any]:
    """Every node that there is; those of a group are numbered."""
    found: dict[str, Any] = {}
    for field in fields(ShownNodes):
        value = getattr(shown, field.name)
        numbered = {f"{field.name} {n}": node for n, node in enumerate(value)} if isinstance(value, tuple) else {}
        found |= numbered or {field.name: value}
    return {name: node for name, node in found.items() if isinstance(node, vtk.vtkObject)}


def shown_ids(shown: ShownNodes) -> dict[str, str]:
    return {name: node.GetID() for name, node in shown_by_name(shown).items()}


def column_of(table_node: Any, name: str) -> list[float]:
    column = table_node.GetTable().GetColumnByName(name)
    return [column.GetValue(row) for row in range(column.GetNumberOfValues())]


def terminology_of(segment: Any) -> str:
    value = vtk.reference("")
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), value)
    return str(value)


def test_every_kind_of_node_is_made_and_bears_role_and_case(a_scene: Any, an_assessment: Assessment) -> None:
    shown = show(an_assessment, a_scene)
    by_name = shown_by_name(shown)
    assert {name.split()[0] for name in by_name} == set(CLASSES)
    for name, node in by_name.items():
        assert node.GetClassName() == CLASSES[name.split()[0]]
        assert node.GetScene() is a_scene
        assert node.GetAttribute(ROLE_ATTRIBUTE)
        assert node.GetAttribute(CASE_ATTRIBUTE) == "case-7"
    assert sorted(node.GetID() for node in shown.nodes) == sorted(shown_ids(shown).values())
    # Three training cases of three outcomes, and this case.
    counts = {name: count(a_scene, name) for name in CLASSES.values()}
    assert counts == {
        "vtkMRMLSegmentationNode": 1,
        "vtkMRMLTableNode": 4,
        "vtkMRMLPlotSeriesNode": 4,
        "vtkMRMLPlotChartNode": 1,
        "vtkMRMLTextNode": 1,
    }


@pytest.mark.parametrize("light", LIGHTS)
def test_the_record_is_the_assessment_s_own(a_scene: Any, make_assessment: MakeAssessment, light: str) -> None:
    document = json.loads(show(make_assessment(light), a_scene).record.GetText())
    assert document["ood"]["light"] == light
    assert document["case_id"] == "case-7"


def test_the_segmentation_holds_the_mask_on_its_grid(a_scene: Any, an_assessment: Assessment) -> None:
    node = show(an_assessment, a_scene).segmentation
    assert node is not None
    segmentation = node.GetSegmentation()
    assert [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())] == ["liver"]
    segment = segmentation.GetSegment("liver")
    assert segment.GetName() == "liver"
    image = segment.GetRepresentation("Binary labelmap")
    assert an_assessment.segmentation is not None
    np.testing.assert_array_equal(array_from_image_data(image), an_assessment.segmentation.labels)
    assert node.GetDisplayNode() is not None


def test_each_label_becomes_a_segment(a_scene: Any, make_assessment: MakeAssessment) -> None:
    mask = make_assessment().segmentation
    assert mask is not None
    labels = np.array(mask.labels)
    labels[0, :2, :3] = 2
    both = LabelVolume(labels, mask.geometry, {2: "tumour", 1: "liver", 3: "vessels"})
    node = show(make_assessment(segmentation=both), a_scene).segmentation
    assert node is not None
    for value, name in both.names.items():
        image = node.GetSegmentation().GetSegment(name).GetRepresentation("Binary labelmap")
        np.testing.assert_array_equal(array_from_image_data(image) > 0, labels == value)


def test_an_empty_mask_is_shown_as_an_empty_segment(a_scene: Any, make_assessment: MakeAssessment) -> None:
    mask = make_assessment().segmentation
    assert mask is not None
    empty = LabelVolume(np.zeros_like(mask.labels), mask.geometry, mask.names)
    node = show(make_assessment(segmentation=empty), a_scene).segmentation
    assert node is not None
    assert node.GetSegmentation().GetNumberOfSegments() == 1


def test_the_segment_has_the_liver_s_terminology_and_colour(a_scene: Any, an_assessment: Assessment) -> None:
    node = show(an_assessment, a_scene).segmentation
    assert node is not None
    segment = node.GetSegmentation().GetSegment("liver")
    entry = terminology_of(segment)
    assert entry == terminology_entry("liver")
    assert "10200004" in entry
    assert "SCT" in entry
    np.testing.assert_allclose(segment.GetColor(), (221 / 255, 130 / 255, 101 / 255), atol=1e-6)


@pytest.mark.parametrize("name", ["liver", "something else"])
def test_slicer_understands_the_terminology(name: str) -> None:
    ours = terminology_entry(name).split("~")
    slicers = terminology_of(slicer.vtkSegment()).split("~")
    assert len(ours) == len(slicers)
    assert ours[0] == slicers[0]
    scheme = slicers[1].split("^")[0]
    assert scheme == "SCT"
    for code in (ours[1], ours[2]):
        assert code.split("^")[0] == scheme
        assert code.split("^")[1].isdigit()


def test_the_mask_s_grid_is_the_volume_s(a_scene: Any, an_assessment: Assessment) -> None:
    assert an_assessment.volume is not None
    volume_node = add_volume_node(a_scene, an_assessment.volume)
    node = show(an_assessment, a_scene, volume_node).segmentation
    assert node is not None
    assert node.GetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole()) == volume_node.GetID()


def test_the_tables_hold_the_training_map(a_scene: Any, an_assessment: Assessment) -> None:
    shown = show(an_assessment, a_scene)
    rows = {
        (x, y, dice)
        for table in shown.tables
        for x, y, dice in zip(*(column_of(table, name) for name in ("x", "y", "Dice")), strict=True)
    }
    assert {row for row in rows if not math.isnan(row[2])} == {(0.0, 1.0, 0.9), (-1.5, 0.5, 0.71)}
    assert [row[:2] for row in rows if math.isnan(row[2])] == [(2.0, -1.0)]
    assert (column_of(shown.case_table, "x"), column_of(shown.case_table, "y")) == ([0.5] * 2, [-1.25] * 2)


def test_the_chart_plots_every_table_and_says_what_it_means(a_scene: Any, an_assessment: Assessment) -> None:
    shown = show(an_assessment, a_scene)
    chart, series = shown.chart, (*shown.training_series, shown.case_series)
    assert chart is not None
    assert chart.GetNumberOfPlotSeriesNodes() == 4
    for number, (one, table) in enumerate(zip(series, (*shown.tables, shown.case_table), strict=True)):
        assert one is not None
        assert chart.GetNthPlotSeriesNodeID(number) == one.GetID()
        assert one.GetTableNode() is table
        assert (one.GetXColumnName(), one.GetYColumnName()) == ("x", "y")
        assert one.GetPlotType() == slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter
        assert one.GetLineStyle() == slicer.vtkMRMLPlotSeriesNode.LineStyleNone
    assert chart.GetTitle() == f"{STATE_WORDS['amber']}: case-7"
    assert chart.GetXAxisTitle() == MAP_AXIS
    # The case is told from the training cases by shape and size, not by colour alone.
    for training in shown.training_series:
        assert training.GetMarkerStyle() != series[-1].GetMarkerStyle()
        assert training.GetMarkerSize() < series[-1].GetMarkerSize()


@pytest.mark.parametrize("light", LIGHTS)
def test_the_case_has_the_colour_of_the_picture_s_light(
    a_scene: Any, make_assessment: MakeAssessment, light: str
) -> None:
    series = show(make_assessment(light, placement=Placement(0.0, 0.0, False)), a_scene).case_series
    assert series is not None
    wanted = [int(LIGHT_COLOURS[light][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    np.testing.assert_allclose(series.GetColor(), wanted, atol=0.02)


@pytest.mark.parametrize("beyond", [False, True])
def test_a_case_beyond_the_map_is_named_so(a_scene: Any, make_assessment: MakeAssessment, beyond: bool) -> None:
    series = show(make_assessment(placement=Placement(9.0, 9.0, beyond)), a_scene).case_series
    assert series is not None
    assert ("farther than this map can show" in series.GetName()) is beyond


def test_what_is_not_there_is_not_shown(a_scene: Any, make_assessment: MakeAssessment) -> None:
    shown = show(make_assessment("grey", segmentation=None, map_points=()), a_scene)
    assert set(shown_ids(shown)) == {"record"}
    assert count(a_scene, "vtkMRMLSegmentationNode") == count(a_scene, "vtkMRMLTableNode") == 0


def test_a_grey_case_has_the_map_without_a_place(a_scene: Any, make_assessment: MakeAssessment) -> None:
    shown = show(make_assessment("grey"), a_scene)
    assert {"case_table", "case_series"} & set(shown_ids(shown)) == set()
    assert shown.chart is not None
    assert shown.chart.GetNumberOfPlotSeriesNodes() == len(shown.training_series) == 3


def test_showing_twice_replaces(a_scene: Any, make_assessment: MakeAssessment) -> None:
    first = make_assessment("green")
    assert first.volume is not None
    volume_node = add_volume_node(a_scene, first.volume)
    ids = shown_ids(show(first, a_scene, volume_node))
    nodes = nodes_of(a_scene)
    assert first.segmentation is not None
    other_mask = LabelVolume(1 - first.segmentation.labels, first.segmentation.geometry, {1: "liver"})
    second = make_assessment("red", segmentation=other_mask, placement=Placement(3.0, 4.0, True))
    shown = show(second, a_scene, volume_node)
    assert shown_ids(shown) == ids
    assert nodes_of(a_scene) == nodes
    assert json.loads(shown.record.GetText())["ood"]["light"] == "red"
    assert shown.chart is not None
    assert shown.chart.GetTitle().startswith(STATE_WORDS["red"])
    assert shown.chart.GetNumberOfPlotSeriesNodes() == 4
    assert column_of(shown.case_table, "x") == [3.0, 3.0]
    assert shown.segmentation is not None
    segmentation = shown.segmentation.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 1
    image = segmentation.GetSegment("liver").GetRepresentation("Binary labelmap")
    np.testing.assert_array_equal(array_from_image_data(image), other_mask.labels)


@pytest.mark.parametrize("lacking", [{"segmentation": None}, {"map_points": ()}, {"placement": None}])
def test_showing_again_with_less_leaves_nothing_of_the_earlier_result(
    a_scene: Any, make_assessment: MakeAssessment, lacking: dict[str, Any]
) -> None:
    show(make_assessment("green"), a_scene)
    shown = show(make_assessment("grey", **{"placement": Placement(0.0, 0.0, False), **lacking}), a_scene)
    left = [a_scene.GetNthNode(index) for index in range(a_scene.GetNumberOfNodes())]
    assert {n.GetID() for n in left if n.GetAttribute(ROLE_ATTRIBUTE)} == set(shown_ids(shown).values())


def test_what_a_reader_decided_stays_when_the_case_is_assessed_again(
    a_scene: Any, make_assessment: MakeAssessment
) -> None:
    show(make_assessment("green"), a_scene)
    decisions = a_scene.AddNewNodeByClass("vtkMRMLTextNode", "case-7 decisions")
    decisions.SetAttribute(ROLE_ATTRIBUTE, DECISIONS_ROLE)
    decisions.SetAttribute(CASE_ATTRIBUTE, "case-7")
    decisions.SetText("a decision")
    show(make_assessment("grey", segmentation=None, map_points=()), a_scene)
    assert decisions.GetScene() is a_scene
    assert decisions.GetText() == "a decision"


def test_two_cases_lie_side_by_side(a_scene: Any, make_assessment: MakeAssessment) -> None:
    one = shown_ids(show(make_assessment("green", case_id="one"), a_scene))
    other = shown_ids(show(make_assessment("red", case_id="other"), a_scene))
    assert set(one) == set(other)
    assert not set(one.values()) & set(other.values())
    show(make_assessment("amber", case_id="one"), a_scene)
    texts = [json.loads(a_scene.GetNodeByID(ids["record"]).GetText())["ood"]["light"] for ids in (one, other)]
    assert texts == ["amber", "red"]


def test_nothing_of_the_user_s_is_touched(a_scene: Any, an_assessment: Assessment) -> None:
    theirs = [a_scene.AddNewNodeByClass(name, "case-7 assessment") for name in sorted(set(CLASSES.values()))]
    before = {node.GetID(): (node.GetName(), node.GetMTime()) for node in theirs}
    ids = shown_ids(show(an_assessment, a_scene))
    assert not set(ids.values()) & set(before)
    assert {node.GetID(): (node.GetName(), node.GetMTime()) for node in theirs} == before


def test_removing_the_shown_nodes_leaves_the_scene_as_it_was(a_scene: Any, an_assessment: Assessment) -> None:
    assert an_assessment.volume is not None
    volume_node = add_volume_node(a_scene, an_assessment.volume)
    before = nodes_of(a_scene)
    shown = show(an_assessment, a_scene, volume_node)
    added = nodes_of(a_scene) - before
    assert shown.segmentation is not None
    display = shown.segmentation.GetDisplayNode().GetID()
    # Nothing is added in secret: every new node is told, or is the display of one that is.
    assert added == {*shown_ids(shown).values(), display}
    for node_id in added:
        a_scene.RemoveNode(a_scene.GetNodeByID(node_id))
    assert nodes_of(a_scene) == before
    show(an_assessment, a_scene, volume_node)
    assert len(nodes_of(a_scene) - before) == len(added)


@pytest.mark.parametrize("part", ["show_mask", "show_overlay", "show_map"])
@pytest.mark.parametrize("before", [True, False])
def test_what_could_not_be_shown_whole_leaves_no_light(
    a_scene: Any,
    make_assessment: MakeAssessment,
    monkeypatch: pytest.MonkeyPatch,
    scene_state: Any,
    part: str,
    before: bool,
) -> None:
    """A light never stands over the mask, the overlay or the map of another run."""
    volume = make_assessment().volume
    assert volume is not None
    volume_node = add_volume_node(a_scene, volume)
    alone = scene_state(a_scene)
    if before:
        show(make_assessment("red"), a_scene, volume_node)

    def fails(*_: Any) -> None:
        record = next((node for node in a_scene.GetNodesByClass("vtkMRMLTextNode") if node.GetText()), None)
        # Until everything stands, no record tells of the new run.
        assert record is None or json.loads(record.GetText())["ood"]["light"] == "red"
        raise MemoryError

    monkeypatch.setattr(f"BottleneckOODLib.scene.show.{part}", fails)
    with pytest.raises(MemoryError):
        show(make_assessment("green"), a_scene, volume_node)
    assert case_on(volume_node) is None
    assert scene_state(a_scene) == alone


def test_decisions_outlive_a_result_that_could_not_be_shown(
    a_scene: Any, make_assessment: MakeAssessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(make_assessment("red"), a_scene)
    decisions = node_for(a_scene, "vtkMRMLTextNode", "case-7", DECISIONS_ROLE, "case-7 decisions")
    monkeypatch.setattr("BottleneckOODLib.scene.show.show_mask", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        show(make_assessment("green"), a_scene)
    assert nodes_of_the_case(a_scene, "case-7") == [decisions]
