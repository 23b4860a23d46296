"""Decisions kept in the scene: a text node a case, saved and opened again with everything else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from BottleneckOODLib.assessment.decision import Decision
from BottleneckOODLib.assessment.decision_record import DecisionLog, parse_decisions, with_row
from BottleneckOODLib.scene.nodes import (
    DECISIONS_ROLE,
    FRAME_ATTRIBUTE,
    RECORD_ROLE,
    ROLE_ATTRIBUTE,
    VOLUME_REFERENCE,
    existing_node,
    node_for,
    nodes_of,
)


class SceneDecisions:
    """A ``DecisionStore`` in a scene; nothing else in the scene refers to its nodes.

    Args:
        scene: The ``vtkMRMLScene``; what is added lasts when the scene is saved.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene

    def add(self, decision: Decision) -> None:
        """Keep one more row; what stands in the node, damaged or not, stays as it is.

        Raises:
            InputError: The case's record is of a newer format; nothing was changed.
        """
        case = decision.case_id
        node = node_for(self._scene, "vtkMRMLTextNode", case, DECISIONS_ROLE, f"{case} decisions")
        text = node.GetText() or ""
        parse_decisions(text, _source(case))
        # Inside the scene's own file: a text file beside it can be left out when the scene is saved.
        node.SetForceCreateStorageNode(node.CreateStorageNodeNever)
        node.SetText(with_row(text, decision))
        self._refer(node, case)

    def decisions_of(self, case_id: str) -> DecisionLog:
        """Everything that was decided on a case.

        A scene that was added to another may bring a second node of the same case: their rows are told together, in
        the order of their times, each once.

        Raises:
            InputError: A record is of a newer format.
        """
        logs = [parse_decisions(node.GetText() or "", _source(case_id)) for node in self._nodes(case_id)]
        rows = {row.decision_id: row for log in logs for row in log.decisions}
        foreign = sum(row.case_id != case_id for row in rows.values())
        own = [row for row in rows.values() if row.case_id == case_id]
        if len(logs) > 1:
            own.sort(key=lambda row: datetime.fromisoformat(row.decided))
        damage = tuple(sentence for log in logs for sentence in log.damage)
        if foreign:
            damage += (f"{foreign} rows of the decisions {_source(case_id)} are of another case; look at them.",)
        return DecisionLog(tuple(own), damage)

    def _refer(self, node: Any, case: str) -> None:
        """Say which volume was decided on, so that no other volume of its name gets these decisions."""
        record = existing_node(self._scene, "vtkMRMLTextNode", case, RECORD_ROLE)
        volume_id = None if record is None else record.GetNodeReferenceID(VOLUME_REFERENCE)
        if record is not None and volume_id and not node.GetNodeReferenceID(VOLUME_REFERENCE):
            node.SetNodeReferenceID(VOLUME_REFERENCE, volume_id)
            node.SetAttribute(FRAME_ATTRIBUTE, record.GetAttribute(FRAME_ATTRIBUTE))

    def _nodes(self, case: str) -> list[Any]:
        return [node for node in nodes_of(self._scene, case) if node.GetAttribute(ROLE_ATTRIBUTE) == DECISIONS_ROLE]


def _source(case: str) -> str:
    return f"of {case} in the scene"
