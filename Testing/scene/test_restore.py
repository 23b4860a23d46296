"""A scene gives its assessments back from the record alone, without computing anything."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scene_state import assessments_in

import BottleneckOODLib
from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.scene.nodes import CASE_ATTRIBUTE, ROLE_ATTRIBUTE
from BottleneckOODLib.scene.show import show

MakeAssessment = Callable[..., Assessment]
LIGHTS = ("green", "amber", "red", "grey")


def text_node(scene: Any, text: str, **attributes: str) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLTextNode", "a text")
    node.SetText(text)
    for name, value in attributes.items():
        node.SetAttribute({"role": ROLE_ATTRIBUTE, "case": CASE_ATTRIBUTE}[name], value)
    return node


def test_an_empty_scene_holds_no_assessment(a_scene: Any) -> None:
    assert assessments_in(a_scene) == {}


@pytest.mark.parametrize("light", LIGHTS)
def test_the_light_and_everything_said_come_back(a_scene: Any, make_assessment: MakeAssessment, light: str) -> None:
    before = make_assessment(light)
    show(before, a_scene)
    restored = assessments_in(a_scene)["case-7"]
    assert (restored.light, restored.sentence) == (light, before.sentence)
    # Only the mask and the image, which are nodes of their own, are not in the record.
    assert restored == dataclasses.replace(before, segmentation=None)
    assert restored.volume is None


def test_each_case_comes_back_with_its_own_light(a_scene: Any, make_assessment: MakeAssessment) -> None:
    for light in LIGHTS:
        show(make_assessment(light, case_id=f"case {light}"), a_scene)
    restored = assessments_in(a_scene)
    assert {case: assessment.light for case, assessment in restored.items()} == {
        f"case {light}": light for light in LIGHTS
    }
    assert all(assessment.case_id == case for case, assessment in restored.items())


def test_the_last_result_of_a_case_comes_back(a_scene: Any, make_assessment: MakeAssessment) -> None:
    for light in LIGHTS:
        show(make_assessment(light), a_scene)
    assert {case: assessment.light for case, assessment in assessments_in(a_scene).items()} == {"case-7": "grey"}


def test_restored_and_shown_again_the_scene_stays_as_it_is(a_scene: Any, an_assessment: Assessment) -> None:
    shown = show(an_assessment, a_scene)
    nodes = a_scene.GetNumberOfNodes()
    again = show(assessments_in(a_scene)["case-7"], a_scene)
    assert a_scene.GetNumberOfNodes() == nodes
    assert again.record is shown.record
    assert again.chart is shown.chart
    assert shown.segmentation is not None
    assert shown.segmentation.GetSegmentation().GetNumberOfSegments() == 1
    assert assessments_in(a_scene)["case-7"].light == an_assessment.light


def test_other_texts_of_the_scene_are_left_alone(a_scene: Any, an_assessment: Assessment) -> None:
    text_node(a_scene, "a note")
    text_node(a_scene, "{}", role="something else", case="case-8")
    text_node(a_scene, "not JSON", case="case-9")
    show(an_assessment, a_scene)
    assert list(assessments_in(a_scene)) == ["case-7"]


def test_a_removed_record_does_not_come_back(a_scene: Any, make_assessment: MakeAssessment) -> None:
    show(make_assessment(case_id="kept"), a_scene)
    a_scene.RemoveNode(show(make_assessment(case_id="removed"), a_scene).record)
    assert list(assessments_in(a_scene)) == ["kept"]


@pytest.mark.parametrize("text", ["", "{", "null", "{}", '{"schema_version": 1}'])
def test_a_damaged_record_is_refused_with_its_case(a_scene: Any, text: str) -> None:
    text_node(a_scene, text, role="record", case="case-9")
    with pytest.raises(InputError, match=r"case-9 in the scene is damaged.*\.$"):
        assessments_in(a_scene)


def test_a_newer_record_is_refused_with_what_to_do(a_scene: Any, an_assessment: Assessment) -> None:
    record = show(an_assessment, a_scene).record
    record.SetText(record.GetText().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(InputError, match="newer version"):
        assessments_in(a_scene)


def test_restoring_loads_no_model_and_no_picture() -> None:
    code = (
        "import sys, slicer\n"
        "from BottleneckOODLib.scene.restore import cases_in\n"
        "assert cases_in(slicer.vtkMRMLScene()) == {}\n"
        "print(sorted({'torch', 'monai', 'umap', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(BottleneckOODLib.__file__).parents[1],
        timeout=600,
    )
    assert result.stdout.strip().splitlines()[-1] == "[]"
