"""A case's name for a volume: stable, another for each volume and frame, and kept in the record alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.scene.case_name import case_id_for, frame_of
from BottleneckOODLib.scene.grids import image_data
from BottleneckOODLib.scene.restore import cases_in
from BottleneckOODLib.scene.review import SceneDecisions
from BottleneckOODLib.scene.show import remove, show
from BottleneckOODLib.scene.shown_case import case_on, shown_case
from BottleneckOODLib.scene.volume_node import volume_from_node

MakeAssessment = Callable[..., Assessment]
VALUES = (0.0, 2.5, 5.0)


def a_volume(scene: Any, name: str, fill: int = 0) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    # Loading makes names unique; renaming, copying and other modules do not.
    node.SetName(name)
    node.SetAndObserveImageData(image_data(np.full((7, 8, 9), fill, np.int16)))
    return node


@pytest.fixture
def a_browser(a_scene: Any) -> Any:
    """A sequence of three frames, and its browser with a volume that shows the first."""
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(a_scene)
    sequence = a_scene.AddNewNodeByClass("vtkMRMLSequenceNode", "CT")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    for value in VALUES:
        frame = slicer.vtkMRMLScalarVolumeNode()
        frame.SetAndObserveImageData(image_data(np.full((7, 8, 9), round(10 * value), np.int16)))
        sequence.SetDataNodeAtValue(frame, f"{value:g}")
    browser = a_scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    proxy = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT shown")
    browser.AddProxyNode(proxy, sequence, False)
    logic.UpdateProxyNodesFromSequences(browser)
    browser.logic = logic
    yield browser
    logic.SetMRMLScene(None)


def go_to(browser: Any, item: int) -> Any:
    """Select a frame; gives the volume that shows it."""
    browser.SetSelectedItemNumber(item)
    browser.logic.UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def a_view_of(scene: Any, volume: Any) -> Any:
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(volume.GetID())
    return composite


def assessed(make_assessment: MakeAssessment, scene: Any, volume: Any, light: str = "green") -> str:
    case = case_id_for(volume)
    show(make_assessment(light, case_id=case), scene, volume)
    return case


def decided(make_assessment: MakeAssessment, scene: Any, case: str) -> None:
    assessment = make_assessment("green", case_id=case)
    SceneDecisions(scene).add(decide(assessment, "reject", reader="Zoë", note="n", shown=shown_of(assessment)))


def test_a_case_is_named_after_its_volume(a_scene: Any) -> None:
    assert case_id_for(a_volume(a_scene, "abdomen")) == "abdomen"


@pytest.mark.parametrize("name", ["a/b:c", "R&D", "../x", "", "Ünal, ÄÖ", "x" * 400, "CON", "line\nbreak"])
def test_any_name_becomes_one_that_can_be_a_folder_s_and_comes_back(
    a_scene: Any, make_assessment: MakeAssessment, name: str
) -> None:
    volume = a_volume(a_scene, name)
    case = assessed(make_assessment, a_scene, volume)
    assert case.strip()
    assert len(case) < 200
    assert not set('<>:"/\\|?*\n&') & set(case)
    assert case_id_for(volume) == case
    assert list(cases_in(a_scene)) == [case]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_namesakes_are_numbered_in_the_scene_s_order_whichever_is_assessed_first(
    a_scene: Any, make_assessment: MakeAssessment, first: int
) -> None:
    volumes = [a_volume(a_scene, "CT", fill) for fill in range(3)]
    assessed(make_assessment, a_scene, volumes[first])
    assert [case_id_for(volume) for volume in volumes] == ["CT", "CT (2)", "CT (3)"]
    for volume in volumes:
        assessed(make_assessment, a_scene, volume)
    assert {case: found.volume_node for case, found in cases_in(a_scene).items()} == dict(
        zip(("CT", "CT (2)", "CT (3)"), volumes, strict=True)
    )


def test_only_what_can_be_assessed_is_counted_among_the_namesakes(a_scene: Any) -> None:
    label_map = a_scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    label_map.SetName("CT")
    label_map.SetAndObserveImageData(image_data(np.zeros((7, 8, 9), np.int16)))
    assert case_id_for(a_volume(a_scene, "CT")) == "CT"


def test_an_assessed_volume_keeps_its_case_when_it_or_another_is_renamed_or_removed(
    a_scene: Any, make_assessment: MakeAssessment
) -> None:
    one, two = a_volume(a_scene, "CT"), a_volume(a_scene, "CT")
    assert assessed(make_assessment, a_scene, two) == "CT (2)"
    two.SetName("portal")
    a_scene.RemoveNode(one)
    assert case_id_for(two) == "CT (2)"
    # A new one of the old name does not take the place of the case that is there.
    three = a_volume(a_scene, "CT (2)")
    assert case_id_for(three) != "CT (2)"
    assert assessed(make_assessment, a_scene, three) != "CT (2)"
    assert cases_in(a_scene)["CT (2)"].volume_node is two


@pytest.mark.parametrize("left", ["the result and the decisions", "the decisions", "the result"])
def test_another_patient_s_volume_of_the_same_name_gets_neither_result_nor_decisions(
    a_scene: Any, make_assessment: MakeAssessment, left: str
) -> None:
    volume = a_volume(a_scene, "CT")
    case = assessed(make_assessment, a_scene, volume)
    if "decisions" in left:
        decided(make_assessment, a_scene, case)
    if "result" not in left:
        remove(a_scene, case)
    a_scene.RemoveNode(volume)
    other = a_volume(a_scene, "CT")
    assert case_id_for(other) == "CT (2)"
    assert case_on(other) is None
    assert assessed(make_assessment, a_scene, other) == "CT (2)"
    assert SceneDecisions(a_scene).decisions_of(case_id_for(other)).decisions == ()


@pytest.mark.parametrize("renamed", [False, True])
def test_a_volume_whose_result_was_removed_keeps_what_was_decided_on_it(
    a_scene: Any,
    make_assessment: MakeAssessment,
    read_bundle: Callable[[Path], Any],
    tmp_path: Path,
    renamed: bool,
) -> None:
    volume = a_volume(a_scene, "CT")
    case = assessed(make_assessment, a_scene, volume)
    decided(make_assessment, a_scene, case)
    remove(a_scene, case)
    if renamed:
        volume.SetName("portal")
    other = a_volume(a_scene, "CT")
    assert case_id_for(volume) == case
    assert case_id_for(other) == "CT (2)"
    a_scene.RemoveNode(other)
    assert a_scene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    scene = read_bundle(tmp_path / "scene.mrb")
    assert case_id_for(scene.GetFirstNodeByName("portal" if renamed else "CT")) == case


def test_decisions_belong_to_the_frame_that_was_decided_on(
    a_scene: Any, a_browser: Any, make_assessment: MakeAssessment
) -> None:
    case = assessed(make_assessment, a_scene, go_to(a_browser, 1))
    decided(make_assessment, a_scene, case)
    remove(a_scene, case)
    a_browser.GetMasterSequenceNode().SetName("renamed")
    names = [case_id_for(go_to(a_browser, item)) for item in range(3)]
    assert names == ["renamed [time 0]", "CT [time 2.5]", "renamed [time 5]"]


def test_a_removed_volume_that_comes_back_by_undoing_has_its_case_again(
    a_scene: Any, make_assessment: MakeAssessment
) -> None:
    volume = a_volume(a_scene, "CT")
    case = assessed(make_assessment, a_scene, volume)
    for node in (volume, a_scene.GetFirstNodeByClass("vtkMRMLTextNode")):
        node.SetUndoEnabled(True)
    a_scene.SetUndoOn()
    a_scene.SaveStateForUndo()
    a_scene.RemoveNode(volume)
    a_scene.Undo()
    assert case_id_for(a_scene.GetFirstNodeByName("CT")) == case


def test_decisions_from_elsewhere_do_not_bring_a_volume_under_another_s_result(
    a_scene: Any, make_assessment: MakeAssessment
) -> None:
    one, two = a_volume(a_scene, "CT"), a_volume(a_scene, "other")
    case = assessed(make_assessment, a_scene, one)
    decided(make_assessment, a_scene, case)
    for index in range(a_scene.GetNumberOfNodesByClass("vtkMRMLTextNode")):
        node = a_scene.GetNthNodeByClass(index, "vtkMRMLTextNode")
        if node.GetAttribute("BottleneckOOD.Role") == "decisions":
            assert node.GetNodeReference("BottleneckOOD.Volume") is one
            node.SetNodeReferenceID("BottleneckOOD.Volume", two.GetID())
    assert case_id_for(two) == "other"
    assert case_id_for(one) == case


def test_asking_changes_nothing(a_scene: Any, a_browser: Any, scene_state: Any) -> None:
    volume = a_volume(a_scene, "CT")
    before = scene_state(a_scene)
    case_id_for(volume)
    case_id_for(go_to(a_browser, 0))
    assert scene_state(a_scene) == before


def test_each_frame_of_a_sequence_is_a_case_of_its_own(
    a_scene: Any, a_browser: Any, make_assessment: MakeAssessment
) -> None:
    names = []
    for item, light in enumerate(("green", "amber", "red")):
        proxy = go_to(a_browser, item)
        names.append(assessed(make_assessment, a_scene, proxy, light))
    assert names == ["CT [time 0]", "CT [time 2.5]", "CT [time 5]"]
    assert {case: found.assessment.light for case, found in cases_in(a_scene).items()} == dict(
        zip(names, ("green", "amber", "red"), strict=True)
    )
    # Back at a frame, its own case is found again.
    assert [case_id_for(go_to(a_browser, item)) for item in (2, 0, 1)] == [names[2], names[0], names[1]]


def test_the_current_frame_s_voxels_are_read(a_scene: Any, a_browser: Any) -> None:
    for item, value in enumerate(VALUES):
        volume = volume_from_node(go_to(a_browser, item))
        assert (volume.voxels == round(10 * value)).all()
    assert frame_of(a_browser.GetProxyNode(a_browser.GetMasterSequenceNode())) == "5"
    assert frame_of(a_volume(a_scene, "no sequence's")) is None


def test_a_view_shows_the_result_of_its_frame_and_none_where_that_frame_was_not_assessed(
    a_scene: Any, a_browser: Any, make_assessment: MakeAssessment
) -> None:
    assessed(make_assessment, a_scene, go_to(a_browser, 0), "green")
    assessed(make_assessment, a_scene, go_to(a_browser, 2), "red")
    view = a_view_of(a_scene, go_to(a_browser, 0))
    lights = []
    for item in (0, 1, 2):
        go_to(a_browser, item)
        shown = shown_case(view)
        lights.append(shown and shown.light)
    assert lights == ["green", None, "red"]


@pytest.mark.parametrize("renamed", [None, "meanwhile", "CT [time 2.5]"])
def test_a_result_belongs_to_the_frame_that_was_read_even_when_another_is_shown_by_then(
    a_scene: Any, a_browser: Any, make_assessment: MakeAssessment, renamed: str | None
) -> None:
    proxy = go_to(a_browser, 0)
    case, frame = case_id_for(proxy), frame_of(proxy)
    if renamed is not None:
        a_browser.GetMasterSequenceNode().SetName(renamed)
    proxy = go_to(a_browser, 1)
    show(make_assessment("red", case_id=case), a_scene, proxy, frame=frame)
    assert case_on(proxy) is None
    proxy = go_to(a_browser, 0)
    found = case_on(proxy)
    assert found is not None
    assert found.light == "red"
    assert case_id_for(proxy) == case
    # What was restored and is shown again stays that frame's.
    show(found, a_scene, go_to(a_browser, 2))
    assert case_on(go_to(a_browser, 2)) is None
    assert case_on(go_to(a_browser, 0)) is not None


@pytest.mark.parametrize(("name", "unit"), [("x" * 400, "time"), ("R&D " * 100, "time"), ("CT", "t" * 400)])
def test_frames_of_a_long_named_sequence_are_told_apart(
    a_scene: Any, a_browser: Any, make_assessment: MakeAssessment, name: str, unit: str
) -> None:
    a_browser.GetMasterSequenceNode().SetName(name)
    a_browser.GetMasterSequenceNode().SetIndexName(unit)
    cases = [case_id_for(go_to(a_browser, item)) for item in range(3)]
    assert [case.endswith(f" {value:g}]") for case, value in zip(cases, VALUES, strict=True)] == [True] * 3
    assert len(set(cases)) == 3
    assert max(map(len, cases)) <= 120
    for item, light in enumerate(("green", "amber", "red")):
        assessed(make_assessment, a_scene, go_to(a_browser, item), light)
    found = [case_on(go_to(a_browser, item)) for item in range(3)]
    assert [one and one.light for one in found] == ["green", "amber", "red"]


@pytest.mark.parametrize("opacity", [0.0, 0.5, 1.0])
def test_a_view_shows_the_case_of_its_background_alone_whatever_lies_over_it(
    a_scene: Any, make_assessment: MakeAssessment, opacity: float
) -> None:
    one, two, other = (a_volume(a_scene, name) for name in ("one", "two", "other"))
    assessed(make_assessment, a_scene, one, "green")
    assessed(make_assessment, a_scene, two, "red")
    view = a_view_of(a_scene, one)
    view.SetForegroundVolumeID(two.GetID())
    view.SetForegroundOpacity(opacity)
    seen = []
    for background in (one, two, other):
        view.SetBackgroundVolumeID(background.GetID())
        shown = shown_case(view)
        seen.append(shown and shown.light)
    assert seen == ["green", "red", None]


@pytest.mark.parametrize(("opacity", "light"), [(0.0, None), (0.1, "red"), (1.0, "red")])
def test_without_a_background_a_view_shows_the_case_of_its_foreground_where_that_is_seen(
    a_scene: Any, make_assessment: MakeAssessment, opacity: float, light: str | None
) -> None:
    two, other = a_volume(a_scene, "two"), a_volume(a_scene, "other")
    assessed(make_assessment, a_scene, two, "red")
    view = a_view_of(a_scene, two)
    view.SetBackgroundVolumeID(None)
    view.SetForegroundVolumeID(two.GetID())
    view.SetForegroundOpacity(opacity)
    shown = shown_case(view)
    assert (shown and shown.light) == light
    view.SetForegroundVolumeID(other.GetID())
    assert shown_case(view) is None
    assert shown_case(slicer.vtkMRMLSliceCompositeNode()) is None


def test_a_view_follows_what_becomes_of_the_result(a_scene: Any, make_assessment: MakeAssessment) -> None:
    volume = a_volume(a_scene, "CT")
    view = a_view_of(a_scene, volume)
    assert shown_case(view) is None
    for light in ("green", "red"):
        assessed(make_assessment, a_scene, volume, light)
        shown = shown_case(view)
        assert shown is not None
        assert shown.light == light
    record = next(node for node in a_scene.GetNodesByClass("vtkMRMLTextNode"))
    text = record.GetText()
    record.SetText("{")
    assert shown_case(view) is None
    record.SetText(text)
    assert shown_case(view) is not None
    remove(a_scene, "CT")
    assert shown_case(view) is None
