"""Decisions live in the scene: added to, never changed, there again when a saved scene is opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from scene_state import assessments_in

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import Decision, Rating, decide, shown_of, withdraw
from BottleneckOODLib.assessment.decision_record import DecisionLog, DecisionStore, decision_line, decisions_text
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.panel.review_model import ReviewModel
from BottleneckOODLib.scene.nodes import CASE_ATTRIBUTE, DECISIONS_ROLE, ROLE_ATTRIBUTE
from BottleneckOODLib.scene.review import SceneDecisions
from BottleneckOODLib.scene.show import show

MakeAssessment = Callable[..., Assessment]
ReadBundle = Callable[[Path], Any]
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=timezone.utc)
NOTES = [
    "",
    "Zoë: größer, 患者, \U0001f914",
    "R&D <b>bold</b> \"quoted\" 'single' ]]> &amp; &#10;",
    "one line\nand another\r\nand\ta tab\u2028and more\x0b\x7f",
    " spaces at both ends  ",
    "50%20 \\n {}",
    "x" * 10_000,
    "& ü\n" * 2_500,
]


def decisions_nodes(scene: Any) -> list[Any]:
    count = scene.GetNumberOfNodesByClass("vtkMRMLTextNode")
    nodes = [scene.GetNthNodeByClass(index, "vtkMRMLTextNode") for index in range(count)]
    return [node for node in nodes if node.GetAttribute(ROLE_ATTRIBUTE) == DECISIONS_ROLE]


def saved_and_opened(scene: Any, read_bundle: ReadBundle, path: Path) -> Any:
    assert scene.WriteToMRB(str(path), None)
    return read_bundle(path)


@pytest.fixture
def store(a_scene: Any) -> SceneDecisions:
    return SceneDecisions(a_scene)


@pytest.fixture
def rated(make_assessment: MakeAssessment) -> Callable[..., Decision]:
    """Makes decisions, an hour after one another."""
    made: list[Decision] = []

    def make(rating: Rating = "minor_edit", *, case_id: str = "case-7", note: str = "n") -> Decision:
        assessment = make_assessment("amber", case_id=case_id)
        when = NOON + timedelta(hours=len(made))
        made.append(decide(assessment, rating, reader="Zoë", note=note, shown=shown_of(assessment), decided=when))
        return made[-1]

    return make


def test_it_is_a_store_of_decisions(store: SceneDecisions) -> None:
    as_a_store: DecisionStore = store
    assert as_a_store.decisions_of("case-7") == DecisionLog()


def test_looking_makes_no_node(store: SceneDecisions, a_scene: Any) -> None:
    before = a_scene.GetNumberOfNodes()
    store.decisions_of("case-7")
    assert a_scene.GetNumberOfNodes() == before


def test_a_case_has_one_node_however_often_it_is_decided(
    store: SceneDecisions, a_scene: Any, rated: Callable[..., Decision]
) -> None:
    before = a_scene.GetNumberOfNodes()
    rows = [rated("accept"), rated("reject"), rated("bad_image")]
    for row in rows:
        store.add(row)
    assert a_scene.GetNumberOfNodes() == before + 1
    (node,) = decisions_nodes(a_scene)
    assert node.GetText() == decisions_text(rows)
    assert node.GetAttribute(CASE_ATTRIBUTE) == "case-7"
    assert store.decisions_of("case-7") == DecisionLog(tuple(rows))


def test_undoing_adds_a_row(store: SceneDecisions, rated: Callable[..., Decision]) -> None:
    row = rated()
    undone = withdraw(row, reader="Zoë", decided=NOON + timedelta(hours=9))
    store.add(row)
    store.add(undone)
    log = store.decisions_of("case-7")
    assert log.decisions == (row, undone)
    assert log.standing == ()


def test_cases_do_not_mix(store: SceneDecisions, a_scene: Any, rated: Callable[..., Decision]) -> None:
    one, other = rated(case_id="one"), rated(case_id="one more")
    store.add(one)
    store.add(other)
    assert store.decisions_of("one").decisions == (one,)
    assert store.decisions_of("one more").decisions == (other,)
    assert len(decisions_nodes(a_scene)) == 2


def test_decisions_outlive_another_assessment_of_the_case(
    store: SceneDecisions, a_scene: Any, make_assessment: MakeAssessment, rated: Callable[..., Decision]
) -> None:
    show(make_assessment("green"), a_scene)
    row = rated()
    store.add(row)
    (node,) = decisions_nodes(a_scene)
    show(make_assessment("grey", segmentation=None, map_points=(), created="2026-06-01T00:00:00+00:00"), a_scene)
    assert decisions_nodes(a_scene) == [node]
    assert store.decisions_of("case-7").decisions == (row,)
    assert assessments_in(a_scene)["case-7"].light == "grey"


def test_no_other_node_is_touched(
    store: SceneDecisions, a_scene: Any, an_assessment: Assessment, rated: Callable[..., Decision]
) -> None:
    show(an_assessment, a_scene)
    theirs = a_scene.AddNewNodeByClass("vtkMRMLTextNode", "case-7 decisions")
    theirs.SetText("mine")
    nodes = [a_scene.GetNthNode(index) for index in range(a_scene.GetNumberOfNodes())]
    before = {node.GetID(): node.GetMTime() for node in nodes}
    store.add(rated())
    store.add(rated())
    assert {node.GetID(): node.GetMTime() for node in nodes} == before
    assert theirs.GetText() == "mine"


@pytest.mark.parametrize("note", NOTES)
def test_any_note_comes_back_from_a_saved_scene(
    store: SceneDecisions,
    a_scene: Any,
    read_bundle: ReadBundle,
    rated: Callable[..., Decision],
    note: str,
    tmp_path: Path,
) -> None:
    rows = (rated("accept", note=note), rated("reject", note=note + "!"))
    for row in rows:
        store.add(row)
    scene = saved_and_opened(a_scene, read_bundle, tmp_path / "scene.mrb")
    assert SceneDecisions(scene).decisions_of("case-7") == DecisionLog(rows)


@pytest.mark.parametrize("case", ["患者 Zoë", "R&D", "a'b;c|d<e>", "50%20", "x" * 300])
def test_any_case_name_comes_back_from_a_saved_scene(
    store: SceneDecisions,
    a_scene: Any,
    read_bundle: ReadBundle,
    rated: Callable[..., Decision],
    case: str,
    tmp_path: Path,
) -> None:
    row = rated(case_id=case)
    store.add(row)
    scene = saved_and_opened(a_scene, read_bundle, tmp_path / "scene.mrb")
    assert SceneDecisions(scene).decisions_of(case).decisions == (row,)


def test_decisions_lie_in_the_scene_s_own_file(
    store: SceneDecisions, a_scene: Any, new_scene: Callable[[], Any], rated: Callable[..., Decision], tmp_path: Path
) -> None:
    """So they are saved also by who unticks every file but the scene's in the save dialog."""
    row = rated(note="long " * 2_000)
    store.add(row)
    (node,) = decisions_nodes(a_scene)
    # Saving a bundle makes a storage node for every text that may have a file of its own.
    assert a_scene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    (tmp_path / "scene.mrb").unlink()
    node.AddDefaultStorageNode()
    assert node.GetStorageNode() is None
    path = tmp_path / "scene.mrml"
    a_scene.SetURL(str(path))
    a_scene.SetRootDirectory(str(tmp_path))
    assert a_scene.Commit(str(path))
    assert [file.name for file in tmp_path.iterdir()] == ["scene.mrml"]
    opened = new_scene()
    opened.SetURL(str(path))
    assert opened.Connect()
    assert SceneDecisions(opened).decisions_of("case-7").decisions == (row,)


def test_an_opened_scene_is_added_to_and_saved_again(
    store: SceneDecisions, a_scene: Any, read_bundle: ReadBundle, rated: Callable[..., Decision], tmp_path: Path
) -> None:
    first, second, third = rated(), rated(), rated()
    store.add(first)
    scene = saved_and_opened(a_scene, read_bundle, tmp_path / "one.mrb")
    SceneDecisions(scene).add(second)
    scene = saved_and_opened(scene, read_bundle, tmp_path / "two.mrb")
    scene = saved_and_opened(scene, read_bundle, tmp_path / "three.mrb")
    SceneDecisions(scene).add(third)
    assert SceneDecisions(scene).decisions_of("case-7") == DecisionLog((first, second, third))
    assert len(decisions_nodes(scene)) == 1


def test_a_damaged_line_is_told_and_never_overwritten(
    store: SceneDecisions, a_scene: Any, rated: Callable[..., Decision]
) -> None:
    one, two = rated(), rated()
    store.add(one)
    (node,) = decisions_nodes(a_scene)
    damaged = node.GetText() + '{"torn": "by hand'
    node.SetText(damaged)
    log = store.decisions_of("case-7")
    assert log.decisions == (one,)
    assert "Line 2" in log.damage[0]
    store.add(two)
    assert node.GetText() == damaged + "\n" + decision_line(two)
    assert store.decisions_of("case-7") == DecisionLog((one, two), log.damage)


def test_a_newer_record_is_refused_and_left_as_it_is(
    store: SceneDecisions, a_scene: Any, rated: Callable[..., Decision]
) -> None:
    store.add(rated())
    (node,) = decisions_nodes(a_scene)
    newer = json.dumps({**json.loads(node.GetText()), "schema_version": 99}) + "\n"
    node.SetText(newer)
    with pytest.raises(InputError, match="newer version"):
        store.decisions_of("case-7")
    with pytest.raises(InputError, match="newer version"):
        store.add(rated())
    assert node.GetText() == newer


def test_a_row_of_another_case_is_not_told_as_this_one_s(
    store: SceneDecisions, a_scene: Any, rated: Callable[..., Decision]
) -> None:
    one = rated()
    store.add(one)
    (node,) = decisions_nodes(a_scene)
    node.SetText(node.GetText() + decision_line(rated(case_id="another")))
    log = store.decisions_of("case-7")
    assert log.decisions == (one,)
    assert "of another case" in log.damage[0]


def test_two_scenes_of_one_case_are_told_together(
    store: SceneDecisions, a_scene: Any, rated: Callable[..., Decision]
) -> None:
    first, second, third = rated(), rated(), rated()
    store.add(first)
    store.add(third)
    (node,) = decisions_nodes(a_scene)
    brought = a_scene.AddNewNodeByClass("vtkMRMLTextNode", "case-7 decisions")
    for name in (ROLE_ATTRIBUTE, CASE_ATTRIBUTE):
        brought.SetAttribute(name, node.GetAttribute(name))
    brought.SetText(decisions_text([first, second]))
    assert store.decisions_of("case-7") == DecisionLog((first, second, third))
    fourth = replace(rated(), note="after")
    store.add(fourth)
    assert store.decisions_of("case-7").decisions[-1] == fourth
    assert brought.GetText() == decisions_text([first, second])


def test_an_empty_node_is_an_empty_record(store: SceneDecisions, a_scene: Any, rated: Callable[..., Decision]) -> None:
    store.add(rated())
    (node,) = decisions_nodes(a_scene)
    node.SetText("")
    assert store.decisions_of("case-7") == DecisionLog()
    row = rated()
    store.add(row)
    assert store.decisions_of("case-7") == DecisionLog((row,))


def test_a_closed_scene_holds_no_decision(store: SceneDecisions, a_scene: Any, rated: Callable[..., Decision]) -> None:
    store.add(rated())
    a_scene.Clear(1)
    assert store.decisions_of("case-7") == DecisionLog()


def test_a_review_goes_on_in_a_scene_that_was_saved_and_opened(
    a_scene: Any, make_assessment: MakeAssessment, read_bundle: ReadBundle, tmp_path: Path
) -> None:
    show(make_assessment("red"), a_scene)
    before = ReviewModel(SceneDecisions(a_scene), reader="Zoë", blind_first=True)
    before.case_shown(assessments_in(a_scene)["case-7"])
    assert before.state.light_hidden
    before.choose("accept")
    before.set_note("größer & <kleiner>\n")
    before.save()
    scene = saved_and_opened(a_scene, read_bundle, tmp_path / "scene.mrb")
    after = ReviewModel(SceneDecisions(scene), reader="Zoë", blind_first=True)
    after.case_shown(assessments_in(scene)["case-7"])
    assert not after.state.light_hidden
    assert after.state.saved == before.state.saved
    after.undo()
    rows = SceneDecisions(scene).decisions_of("case-7").decisions
    assert [(row.rating, row.shown is None) for row in rows] == [("accept", True), ("withdrawn", False)]
    another = ReviewModel(SceneDecisions(scene), reader="another", blind_first=True)
    another.case_shown(assessments_in(scene)["case-7"])
    assert another.state.light_hidden
