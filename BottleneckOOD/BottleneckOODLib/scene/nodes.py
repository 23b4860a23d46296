"""Which nodes of a scene are ours: each bears a role and its case, and goes with all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import vtk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import parse_record
from BottleneckOODLib.scene.naming import attribute_of, node_name, text_of

ROLE_ATTRIBUTE = "BottleneckOOD.Role"
CASE_ATTRIBUTE = "BottleneckOOD.CaseId"
FRAME_ATTRIBUTE = "BottleneckOOD.Frame"
"""On a record, and on decisions: the index value of the frame that was assessed; absent for a volume of no sequence."""
VOLUME_REFERENCE = "BottleneckOOD.Volume"
"""Role of the node reference from a record, and from decisions, to the volume that was assessed."""
RECORD_ROLE, SEGMENTATION_ROLE, DECISIONS_ROLE = "record", "segmentation", "decisions"

# By the record's address, with the text that was read. The views ask at every change of a slice; what a record held is
# let go of with the record, so that a closed scene leaves nothing.
_read: dict[str, tuple[str, Assessment]] = {}


def existing_node(scene: Any, class_name: str, case: str, role: str) -> Any | None:
    """This case's node of that role, or None."""
    for index in range(scene.GetNumberOfNodesByClass(class_name)):
        node = scene.GetNthNodeByClass(index, class_name)
        if node.GetAttribute(ROLE_ATTRIBUTE) == role and node.GetAttribute(CASE_ATTRIBUTE) == attribute_of(case):
            return node
    return None


def node_for(scene: Any, class_name: str, case: str, role: str, name: str) -> Any:
    """This case's node of that role: the one that is there, or a new one with that name."""
    existing = existing_node(scene, class_name, case, role)
    if existing is not None:
        return existing
    node = scene.AddNewNodeByClass(class_name, node_name(name))
    node.SetAttribute(ROLE_ATTRIBUTE, role)
    node.SetAttribute(CASE_ATTRIBUTE, attribute_of(case))
    return node


def nodes_of(scene: Any, case: str) -> list[Any]:
    """Every node that bears this case and a role; the case's volume is the user's and bears none."""
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    ours = (node for node in nodes if node.GetAttribute(ROLE_ATTRIBUTE))
    return [node for node in ours if node.GetAttribute(CASE_ATTRIBUTE) == attribute_of(case)]


def records_in(scene: Any, role: str = RECORD_ROLE) -> Iterator[tuple[str, Any]]:
    """Case and text node of every record, or of the decisions on every case."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLTextNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLTextNode")
        if node.GetAttribute(ROLE_ATTRIBUTE) == role:
            yield text_of(node.GetAttribute(CASE_ATTRIBUTE) or ""), node


def recorded_assessment(case: str, record: Any) -> Assessment:
    """The assessment that a record holds, without its mask.

    Raises:
        InputError: The record is damaged, or of a newer format.
    """
    text, key = record.GetText() or "", record.__this__
    known = _read.get(key)
    if known is not None and known[0] == text:
        return known[1]
    assessment = parse_record(text, f"of {case} in the scene")[0]
    if known is None:
        record.AddObserver(vtk.vtkCommand.DeleteEvent, partial(_forget, key))
    _read[key] = (text, assessment)
    return assessment


def remove_node(scene: Any, node: Any) -> None:
    """Remove a node with its display and storage nodes."""
    belongings = []
    if node.IsA("vtkMRMLDisplayableNode"):
        belongings += [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        belongings += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    scene.RemoveNode(node)
    for belonging in belongings:
        if belonging is not None and belonging.GetScene() is not None:
            scene.RemoveNode(belonging)


def _forget(key: str, *_unused: Any) -> None:
    _read.pop(key, None)
