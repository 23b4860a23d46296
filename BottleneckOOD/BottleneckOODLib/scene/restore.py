"""Assessments from a scene that was saved with them, without computing anything."""

from __future__ import annotations

from typing import Any

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import parse_record
from BottleneckOODLib.scene.naming import text_of
from BottleneckOODLib.scene.show import CASE_ATTRIBUTE, ROLE_ATTRIBUTE


def assessments_in(scene: Any) -> dict[str, Assessment]:
    """The assessments that a scene holds, by case, without their masks (those are the segmentation nodes).

    Raises:
        InputError: A record is damaged, or of a newer format.
    """
    found: dict[str, Assessment] = {}
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLTextNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLTextNode")
        if node.GetAttribute(ROLE_ATTRIBUTE) == "record":
            case = text_of(node.GetAttribute(CASE_ATTRIBUTE) or "")
            found[case], _ = parse_record(node.GetText() or "", f"of {case} in the scene")
    return found
