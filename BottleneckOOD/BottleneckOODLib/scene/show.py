"""An assessment as MRML nodes: segmentation, map (tables, series, chart) and the record as text; and gone again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.scene.case_name import frame_of
from BottleneckOODLib.scene.mask import show_mask
from BottleneckOODLib.scene.naming import attribute_of
from BottleneckOODLib.scene.nodes import (
    DECISIONS_ROLE,
    FRAME_ATTRIBUTE,
    RECORD_ROLE,
    ROLE_ATTRIBUTE,
    SEGMENTATION_ROLE,
    VOLUME_REFERENCE,
    existing_node,
    node_for,
    nodes_of,
    recorded_assessment,
    remove_node,
)
from BottleneckOODLib.scene.overlay import REGION_ROLES, existing_overlay, set_overlay_visible, show_overlay
from BottleneckOODLib.scene.training_map import is_map_role, show_map


@dataclass(frozen=True)
class ShownNodes:
    """The nodes of one case; those that have nothing to show are None, or an empty tuple."""

    segmentation: Any | None
    tables: tuple[Any, ...]
    case_table: Any | None
    training_series: tuple[Any, ...]
    case_series: Any | None
    chart: Any | None
    record: Any
    overlay: Any | None = None

    @property
    def nodes(self) -> list[Any]:
        """Every node that there is."""
        values = [getattr(self, field.name) for field in fields(self)]
        several = [value if isinstance(value, tuple) else (value,) for value in values]
        return [node for group in several for node in group if node is not None]


def show(
    assessment: Assessment,
    scene: Any,
    volume_node: Any = None,
    *,
    colour_by: str | None = None,
    frame: str | None = None,
) -> ShownNodes:
    """Show a case; showing it again updates its nodes rather than adding a second set.

    Where undo is switched on, the scene as it was can be had again by undoing once.

    Args:
        assessment: What to show.
        scene: The ``vtkMRMLScene``.
        volume_node: The case's ``vtkMRMLScalarVolumeNode``: the record refers to it, and the mask lies on it. None
            leaves what an earlier call said of it.
        colour_by: What the training cases on the map are grouped by, see ``show_map``.
        frame: The frame of a sequence that was assessed: ``frame_of`` the volume when it was read. None takes the one
            that is shown now.

    Raises:
        Exception: Whatever stopped it, such as too little memory; the case's nodes are gone then, but for decisions.
    """
    # What cannot be written as a record fails here, before the scene is touched.
    text = record_text(assessment)
    scene.SaveStateForUndo()
    case = assessment.case_id
    record = existing_node(scene, "vtkMRMLTextNode", case, RECORD_ROLE)
    if record is not None and assessment.segmentation is None and _is_of_this_run(record, assessment):
        if volume_node is not None and record.GetNodeReference(VOLUME_REFERENCE) is not volume_node:
            _refer(record, volume_node, frame)
        # Its mask is the segmentation node that stands here.
        segmentation = existing_node(scene, "vtkMRMLSegmentationNode", case, SEGMENTATION_ROLE)
        return _shown(assessment, scene, record, segmentation, volume_node, colour_by)
    try:
        _remove_what_is_not_shown_anew(assessment, scene)
        segmentation = show_mask(assessment, scene, volume_node)
        record = node_for(scene, "vtkMRMLTextNode", case, RECORD_ROLE, f"{case} assessment")
        shown = _shown(assessment, scene, record, segmentation, volume_node, colour_by)
        # The light comes last: it never stands over what is there of an earlier run.
        if volume_node is not None:
            _refer(record, volume_node, frame)
        record.SetText(text)
    except BaseException:
        _remove_nodes(scene, case)
        raise
    return shown


def remove(scene: Any, case: str, *, with_decisions: bool = False) -> None:
    """Take a case's result out of the scene, with all that was made of it; its volume stays.

    What readers decided on it stays too, unless it is asked for as well: decisions are only ever added. Where undo is
    switched on, it can be undone.
    """
    scene.SaveStateForUndo()
    _remove_nodes(scene, case, with_decisions=with_decisions)


def _remove_nodes(scene: Any, case: str, *, with_decisions: bool = False) -> None:
    set_overlay_visible(scene, case, False)
    # The record first: whatever stops this half-way, no light is left over.
    for node in sorted(nodes_of(scene, case), key=lambda node: node.GetAttribute(ROLE_ATTRIBUTE) != RECORD_ROLE):
        is_decision = node.GetAttribute(ROLE_ATTRIBUTE) == DECISIONS_ROLE
        # One that was removed with another, such as a display node, has no scene any more.
        if node.GetScene() is not None and (with_decisions or not is_decision):
            remove_node(scene, node)


def _remove_what_is_not_shown_anew(assessment: Assessment, scene: Any) -> None:
    """An old mask or overlay beside a new light would be read as the new one's."""
    if assessment.regions is None:
        # The views get back what stood in their foreground.
        set_overlay_visible(scene, assessment.case_id, False)
    for node in nodes_of(scene, assessment.case_id):
        if not _is_shown_anew(node.GetAttribute(ROLE_ATTRIBUTE), assessment):
            remove_node(scene, node)


def _refer(record: Any, volume_node: Any, frame: str | None) -> None:
    record.SetNodeReferenceID(VOLUME_REFERENCE, volume_node.GetID())
    assessed = frame_of(volume_node) if frame is None else frame
    record.SetAttribute(FRAME_ATTRIBUTE, None if assessed is None else attribute_of(assessed))


def _shown(
    assessment: Assessment, scene: Any, record: Any, segmentation: Any, volume_node: Any, colour_by: str | None
) -> ShownNodes:
    overlay = show_overlay(assessment, scene, volume_node) or existing_overlay(scene, assessment.case_id)
    if not assessment.map_points:
        return ShownNodes(segmentation, (), None, (), None, None, record, overlay)
    on_map = show_map(assessment, scene, colour_by)
    return ShownNodes(
        segmentation,
        on_map.tables,
        on_map.case_table,
        on_map.training_series,
        on_map.case_series,
        on_map.chart,
        record,
        overlay,
    )


def _is_shown_anew(role: str, assessment: Assessment) -> bool:
    """Whether a node of that role is updated by the new result; decisions stay, each says of which result it is."""
    if role == SEGMENTATION_ROLE:
        return assessment.segmentation is not None
    if role in REGION_ROLES:
        return assessment.regions is not None
    return role in (RECORD_ROLE, DECISIONS_ROLE) or (bool(assessment.map_points) and is_map_role(role))


def _is_of_this_run(record: Any, assessment: Assessment) -> bool:
    try:
        recorded = recorded_assessment(assessment.case_id, record)
    except InputError:
        return False
    return (recorded.created, recorded.light, recorded.score) == (
        assessment.created,
        assessment.light,
        assessment.score,
    )
