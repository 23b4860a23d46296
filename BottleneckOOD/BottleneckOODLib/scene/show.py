"""An assessment as MRML nodes: segmentation, map (table, series, chart) and the record as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import parse_record, record_text
from BottleneckOODLib.assessment.wording import BEYOND_MAP, MAP_NOTE, STATE_WORDS
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.writing import segment_colour, terminology_entry
from BottleneckOODLib.scene.naming import attribute_of, node_name
from BottleneckOODLib.scene.volume_node import ijk_to_ras_matrix, image_data, vtk_matrix

ROLE_ATTRIBUTE = "BottleneckOOD.Role"
CASE_ATTRIBUTE = "BottleneckOOD.CaseId"
DECISIONS_ROLE = "decisions"
_LIGHT_RGB = {
    "green": (0.16, 0.56, 0.43),
    "amber": (0.95, 0.71, 0.2),
    "red": (0.64, 0.09, 0.18),
    "grey": (0.48, 0.53, 0.58),
}
_TRAINING_RGB = (0.35, 0.45, 0.6)
_TRAINING_MARKER_SIZE, _CASE_MARKER_SIZE = 7.0, 16.0


@dataclass(frozen=True)
class ShownNodes:
    """The nodes of one case; those that have nothing to show are None."""

    segmentation: Any | None
    table: Any | None
    case_table: Any | None
    training_series: Any | None
    case_series: Any | None
    chart: Any | None
    record: Any


def show(assessment: Assessment, scene: Any, volume_node: Any = None) -> ShownNodes:
    """Show a case; showing it again updates its nodes rather than adding a second set.

    Args:
        assessment: What to show.
        scene: The ``vtkMRMLScene``.
        volume_node: The case's ``vtkMRMLScalarVolumeNode``, the reference geometry of the segmentation.
    """
    shown = _shown(assessment, scene, volume_node)
    _remove_what_is_not_shown(scene, assessment.case_id, shown)
    return shown


def _shown(assessment: Assessment, scene: Any, volume_node: Any) -> ShownNodes:
    case = assessment.case_id
    record = _node(scene, "vtkMRMLTextNode", case, "record", f"{case} assessment")
    if assessment.segmentation is None and _is_of_this_run(record, assessment):
        # Restored from this scene: its mask is the segmentation node that stands here.
        segmentation = _existing(scene, "vtkMRMLSegmentationNode", case, "segmentation")
    else:
        record.SetText(record_text(assessment))
        segmentation = _show_segmentation(assessment, scene, volume_node)
    if not assessment.map_points:
        return ShownNodes(segmentation, None, None, None, None, None, record)
    table = _node(scene, "vtkMRMLTableNode", case, "map", f"{case} training map")
    points = assessment.map_points
    _fill_table(
        table,
        {
            "x": [point.x for point in points],
            "y": [point.y for point in points],
            "Dice": [float("nan") if point.dice is None else point.dice for point in points],
        },
    )
    case_table = case_series = None
    training = _series(scene, case, "training", "Training cases", table, _TRAINING_RGB, _TRAINING_MARKER_SIZE)
    if assessment.placement is not None:
        place = assessment.placement
        case_table = _node(scene, "vtkMRMLTableNode", case, "place", f"{case} place")
        _fill_table(case_table, {"x": [place.x], "y": [place.y]})
        name = f"This case ({BEYOND_MAP})" if place.beyond_map else "This case"
        case_series = _series(scene, case, "case", name, case_table, _LIGHT_RGB[assessment.light], _CASE_MARKER_SIZE)
        case_series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    chart = _node(scene, "vtkMRMLPlotChartNode", case, "chart", f"{case} training map")
    chart.RemoveAllPlotSeriesNodeIDs()
    for series in (training, case_series):
        if series is not None:
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(f"{STATE_WORDS[assessment.light]}: {case}")
    chart.SetXAxisTitle(MAP_NOTE)
    chart.SetYAxisTitle("")
    return ShownNodes(segmentation, table, case_table, training, case_series, chart, record)


def _show_segmentation(assessment: Assessment, scene: Any, volume_node: Any) -> Any | None:
    labels = assessment.segmentation
    if labels is None:
        return None
    case = assessment.case_id
    node = _node(scene, "vtkMRMLSegmentationNode", case, "segmentation", f"{case} segmentation")
    node.CreateDefaultDisplayNodes()
    if volume_node is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
        # The mask lies on the image's own grid and moves with it.
        node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    segmentation = node.GetSegmentation()
    segmentation.RemoveAllSegments()
    matrix = vtk_matrix(ijk_to_ras_matrix(labels.geometry))
    for value, name in sorted(labels.names.items()):
        image = slicer.vtkOrientedImageData()
        image.DeepCopy(image_data((labels.labels == value).astype(np.uint8)))
        image.SetImageToWorldMatrix(matrix)
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetColor(*segment_colour(name))
        segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_entry(name))
        segment.AddRepresentation(
            slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName(), image
        )
        segmentation.AddSegment(segment, name)
    return node


def _series(
    scene: Any, case: str, role: str, name: str, table: Any, colour: tuple[float, float, float], size: float
) -> Any:
    series = _node(scene, "vtkMRMLPlotSeriesNode", case, role, name)
    series.SetName(name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("x")
    series.SetYColumnName("y")
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleSquare)
    series.SetMarkerSize(size)
    series.SetColor(*colour)
    return series


def _fill_table(node: Any, columns: dict[str, list[float]]) -> None:
    table = vtk.vtkTable()
    for name, values in columns.items():
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    node.SetAndObserveTable(table)


def _node(scene: Any, class_name: str, case: str, role: str, name: str) -> Any:
    """This case's node of that role, new or the one that is there."""
    existing = _existing(scene, class_name, case, role)
    if existing is not None:
        return existing
    node = scene.AddNewNodeByClass(class_name, node_name(name))
    node.SetAttribute(ROLE_ATTRIBUTE, role)
    node.SetAttribute(CASE_ATTRIBUTE, attribute_of(case))
    return node


def _existing(scene: Any, class_name: str, case: str, role: str) -> Any | None:
    for index in range(scene.GetNumberOfNodesByClass(class_name)):
        node = scene.GetNthNodeByClass(index, class_name)
        if node.GetAttribute(ROLE_ATTRIBUTE) == role and node.GetAttribute(CASE_ATTRIBUTE) == attribute_of(case):
            return node
    return None


def _is_of_this_run(record: Any, assessment: Assessment) -> bool:
    try:
        recorded, _ = parse_record(record.GetText() or "", "in the scene")
    except InputError:
        return False
    return (recorded.created, recorded.light, recorded.score) == (
        assessment.created,
        assessment.light,
        assessment.score,
    )


def _remove_what_is_not_shown(scene: Any, case: str, shown: ShownNodes) -> None:
    """An old mask beside a new light would be read as the new one's; what a reader decided stays, it says of which."""
    kept = {node.GetID() for node in vars(shown).values() if node is not None}
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    for node in nodes:
        if node.GetAttribute(CASE_ATTRIBUTE) != attribute_of(case) or not node.GetAttribute(ROLE_ATTRIBUTE):
            continue
        if node.GetID() not in kept and node.GetAttribute(ROLE_ATTRIBUTE) != DECISIONS_ROLE:
            displays = node.GetNumberOfDisplayNodes() if node.IsA("vtkMRMLDisplayableNode") else 0
            for display in [node.GetNthDisplayNode(index) for index in range(displays)]:
                scene.RemoveNode(display)
            scene.RemoveNode(node)
