"""Decisions kept in the scene: a text node a case, saved and opened again with everything else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from BottleneckOODLib.assessment.decision import Decision
from BottleneckOODLib.assessment.decision_record import DecisionLog, parse_decisions, with_row
from BottleneckOODLib.scene.naming import attribute_of, node_name
from BottleneckOODLib.scene.show import CASE_ATTRIBUTE, DECISIONS_ROLE, ROLE_ATTRIBUTE


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
        nodes = self._nodes(case)
        if not nodes:
            node = self._scene.AddNewNodeByClass("vtkMRMLTextNode", node_name(f"{case} decisions"))
            node.SetAttribute(ROLE_ATTRIBUTE, DECISIONS_ROLE)
            node.SetAttribute(CASE_ATTRIBUTE, attribute_of(case))
        else:
            node = nodes[0]
        text = node.GetText() or ""
        parse_decisions(text, _source(case))
        # Inside the scene's own file: a text file beside it can be left out when the scene is saved.
        node.SetForceCreateStorageNode(node.CreateStorageNodeNever)
        node.SetText(with_row(text, decision))

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

    def _nodes(self, case: str) -> list[Any]:
        count = self._scene.GetNumberOfNodesByClass("vtkMRMLTextNode")
        nodes = [self._scene.GetNthNodeByClass(index, "vtkMRMLTextNode") for index in range(count)]
        return [
            node
            for node in nodes
            if node.GetAttribute(ROLE_ATTRIBUTE) == DECISIONS_ROLE
            and node.GetAttribute(CASE_ATTRIBUTE) == attribute_of(case)
        ]


def _source(case: str) -> str:
    return f"of {case} in the scene"
