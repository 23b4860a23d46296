"""The training cases on Slicer's plot: one series a group, told apart by shape as well as colour, and this case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from BottleneckOODLib.assessment.assessment import Assessment, MapPoint
from BottleneckOODLib.assessment.wording import BEYOND_MAP, MAP_AXIS, STATE_WORDS
from BottleneckOODLib.scene.naming import node_name, text_of
from BottleneckOODLib.scene.nodes import (
    CASE_ATTRIBUTE,
    RECORD_ROLE,
    ROLE_ATTRIBUTE,
    existing_node,
    node_for,
    nodes_of,
    recorded_assessment,
    remove_node,
)

Rgb = tuple[float, float, float]

LIGHT_RGB: dict[str, Rgb] = {
    "green": (0.16, 0.56, 0.43),
    "amber": (0.95, 0.71, 0.2),
    "red": (0.64, 0.09, 0.18),
    "grey": (0.48, 0.53, 0.58),
}
UNKNOWN, OTHER = "unknown", "other"
_DICE_BANDS = ((0.90, "Dice 0.90 or more"), (0.80, "Dice 0.80 to 0.90"), (0.0, "Dice below 0.80"))
_DICE_UNKNOWN = "Dice unknown"
# No group has a light's colour: a training case has an outcome, not a light.
_STYLES: tuple[tuple[str, Rgb], ...] = (
    ("MarkerStyleSquare", (0.11, 0.31, 0.56)),
    ("MarkerStyleDiamond", (0.34, 0.66, 0.87)),
    ("MarkerStyleCross", (0.58, 0.24, 0.60)),
    ("MarkerStylePlus", (0.35, 0.35, 0.35)),
    ("MarkerStyleCircle", (0.80, 0.47, 0.65)),
)
_TRAINING_MARKER_SIZE, _CASE_MARKER_SIZE = 8.0, 22.0
# Slicer's plot has no hollow marker: a large translucent disc leaves the points beneath it visible.
_CASE_OPACITY = 0.55
_MARGIN, _LEGEND_MARGIN = 0.06, 0.4
_POINT_COLUMN = "point"
_COLOUR_ATTRIBUTE = "BottleneckOOD.ColourBy"


@dataclass(frozen=True)
class MapNodes:
    """Nodes of a case's map; those of a case that has no place are None."""

    tables: tuple[Any, ...]
    training_series: tuple[Any, ...]
    case_table: Any | None
    case_series: Any | None
    chart: Any


@dataclass(frozen=True)
class Group:
    """Training cases that are drawn alike.

    Attributes:
        name: As the legend has it.
        style: Number of its shape and colour.
        points: Places in the assessment's ``map_points``.
    """

    name: str
    style: int
    points: tuple[int, ...]


def show_map(assessment: Assessment, scene: Any, colour_by: str | None = None) -> MapNodes:
    """Make or update the map of a case.

    Args:
        assessment: Has at least one map point.
        scene: The ``vtkMRMLScene``.
        colour_by: An acquisition fact of the training cases, such as ``"contrast_phase"``; None groups by outcome, and
            so does one that tells no groups apart here (see ``colourings_of``).
    """
    case, points = assessment.case_id, assessment.map_points
    colour_by = colour_by if colour_by in colourings_of(points) else None
    tables, training = [], []
    for number, group in enumerate(groups_of(points, colour_by)):
        name = f"{case} training map, {group.name}"
        table = node_for(scene, "vtkMRMLTableNode", case, f"map.{number}", name)
        table.SetName(node_name(name))
        _fill_table(table, [points[index] for index in group.points], group.points)
        shape, colour = _STYLES[group.style]
        series = _series(scene, case, f"training.{number}", group.name, table)
        series.SetMarkerStyle(getattr(slicer.vtkMRMLPlotSeriesNode, shape))
        series.SetMarkerSize(_TRAINING_MARKER_SIZE)
        series.SetColor(*colour)
        tables.append(table)
        training.append(series)
    case_table = case_series = None
    if assessment.placement is not None:
        place = assessment.placement
        case_table = node_for(scene, "vtkMRMLTableNode", case, "place", f"{case} place")
        # Twice, because VTK complains of a line through a single point even where no line is drawn.
        _fill_table(case_table, [MapPoint(place.x, place.y, None, case)] * 2, ())
        name = f"This case ({BEYOND_MAP})" if place.beyond_map else "This case"
        case_series = _series(scene, case, "case", name, case_table)
        case_series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        case_series.SetMarkerSize(_CASE_MARKER_SIZE)
        case_series.SetColor(*LIGHT_RGB[assessment.light])
        case_series.SetOpacity(_CASE_OPACITY)
    chart = node_for(scene, "vtkMRMLPlotChartNode", case, "chart", f"{case} training map")
    if not chart.GetNumberOfPlotSeriesNodes():
        _leave_room(chart, points, case_table)
    chart.SetAttribute(_COLOUR_ATTRIBUTE, colour_by)
    # The last one is drawn over the others.
    shown = [*training, *([] if case_series is None else [case_series])]
    if [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())] != [
        series.GetID() for series in shown
    ]:
        chart.RemoveAllPlotSeriesNodeIDs()
        for series in shown:
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(f"{STATE_WORDS[assessment.light]}: {case}")
    chart.SetXAxisTitle(MAP_AXIS)
    chart.SetYAxisTitle("")
    chart.SetLegendVisibility(True)
    kept = [*tables, *shown, chart, *([] if case_table is None else [case_table])]
    for node in nodes_of(scene, case):
        # Groups that are no longer there, or this case's place where it has none any more.
        if is_map_role(node.GetAttribute(ROLE_ATTRIBUTE)) and node not in kept:
            remove_node(scene, node)
    return MapNodes(tuple(tables), tuple(training), case_table, case_series, chart)


def is_map_role(role: str) -> bool:
    """Whether nodes of that role belong to a map."""
    return role in ("place", "case", "chart") or role.startswith(("map.", "training."))


def shown_colouring(scene: Any, case: str) -> str | None:
    """The acquisition fact by which a case's map is coloured; None where it is the outcome, or there is no map."""
    chart = existing_node(scene, "vtkMRMLPlotChartNode", case, "chart")
    colour_by: str | None = None if chart is None else chart.GetAttribute(_COLOUR_ATTRIBUTE)
    return colour_by


def map_point_of(scene: Any, series_id: str, point_index: int) -> MapPoint | None:
    """The training case that was clicked on.

    Args:
        scene: The ``vtkMRMLScene``.
        series_id: ID of the plot series, as the plot view tells it.
        point_index: Number of the point within the series, as the plot view tells it.

    Returns:
        The training case; None where the click was on the case itself, or on a series of something else.

    Raises:
        InputError: The record of the case is damaged.
    """
    series = scene.GetNodeByID(series_id)
    if series is None or not str(series.GetAttribute(ROLE_ATTRIBUTE) or "").startswith("training."):
        return None
    case = text_of(series.GetAttribute(CASE_ATTRIBUTE) or "")
    record = existing_node(scene, "vtkMRMLTextNode", case, RECORD_ROLE)
    table = series.GetTableNode()
    column = None if table is None else table.GetTable().GetColumnByName(_POINT_COLUMN)
    if record is None or column is None or not 0 <= point_index < column.GetNumberOfValues():
        return None
    points = recorded_assessment(case, record).map_points
    number = column.GetVariantValue(point_index).ToInt()
    return points[number] if 0 <= number < len(points) else None


def colourings_of(points: Sequence[MapPoint]) -> tuple[str, ...]:
    """The acquisition facts by which a map can be coloured: those that tell at least two groups apart."""
    facts = sorted({fact for point in points for fact in point.facts})
    return tuple(fact for fact in facts if len({group.name for group in _by_fact(points, fact)} - {UNKNOWN}) > 1)


def groups_of(points: Sequence[MapPoint], colour_by: str | None) -> list[Group]:
    """The groups that are drawn alike, in the order of the legend; empty ones are left out."""
    return _by_outcome(points) if colour_by is None else _by_fact(points, colour_by)


def _by_outcome(points: Sequence[MapPoint]) -> list[Group]:
    names = [name for _, name in _DICE_BANDS] + [_DICE_UNKNOWN]
    bands = [
        _DICE_UNKNOWN if p.dice is None else next(name for least, name in _DICE_BANDS if p.dice >= least or least == 0)
        for p in points
    ]
    return _grouped(bands, names)


def _by_fact(points: Sequence[MapPoint], fact: str) -> list[Group]:
    values = [point.facts.get(fact, "") for point in points]
    known = sorted({value for value in values if value})
    room = len(_STYLES) - 1
    if len(known) > room and (ranges := _ranges(values)) is not None:
        names, values = ranges
    elif len(known) > room:
        common = {value for value, _ in Counter(value for value in values if value).most_common(room - 1)}
        values = [value if not value or value in common else OTHER for value in values]
        names = [*sorted(common), OTHER]
    else:
        names = sorted(known, key=_by_number)
    return _grouped([value or UNKNOWN for value in values], [*names, UNKNOWN])


def _grouped(values: Sequence[str], names: Sequence[str]) -> list[Group]:
    members = {name: tuple(i for i, value in enumerate(values) if value == name) for name in names}
    # Counted before the empty ones go, so that a group looks the same in every case.
    return [Group(name, style, members[name]) for style, name in enumerate(names) if members[name]]


def _ranges(values: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Names of three ranges with about as many cases each, and each value's range; None where these are no numbers."""
    try:
        numbers = np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        return None
    if not np.isfinite(numbers[[bool(value) for value in values]]).all():
        return None
    low, high = np.nanquantile(numbers, [1 / 3, 2 / 3], method="nearest")
    names = [f"up to {low:g}", f"{low:g} to {high:g}", f"more than {high:g}"]
    places = [
        "" if np.isnan(number) else names[0] if number <= low else names[1] if number <= high else names[2]
        for number in numbers
    ]
    return names, places


def _by_number(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def _leave_room(chart: Any, points: Sequence[MapPoint], case_table: Any | None) -> None:
    """Axes beyond the outermost cases: a point on the very edge cannot be clicked, and above them lies the legend."""
    places = [(point.x, point.y) for point in points]
    if case_table is not None:
        table = case_table.GetTable()
        places.append((table.GetValueByName(0, "x").ToDouble(), table.GetValueByName(0, "y").ToDouble()))
    low, high = np.min(places, axis=0), np.max(places, axis=0)
    span = np.maximum(high - low, 1e-6)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(float(low[0] - _MARGIN * span[0]), float(high[0] + _MARGIN * span[0]))
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(float(low[1] - _MARGIN * span[1]), float(high[1] + _LEGEND_MARGIN * span[1]))


def _series(scene: Any, case: str, role: str, name: str, table: Any) -> Any:
    series = node_for(scene, "vtkMRMLPlotSeriesNode", case, role, name)
    series.SetName(node_name(name))
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("x")
    series.SetYColumnName("y")
    series.SetLabelColumnName("case")
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
    return series


def _fill_table(node: Any, points: Sequence[MapPoint], numbers: Sequence[int]) -> None:
    table = vtk.vtkTable()
    columns = {"x": [point.x for point in points], "y": [point.y for point in points]}
    if numbers:
        columns["Dice"] = [float("nan") if point.dice is None else point.dice for point in points]
    for name, values in columns.items():
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    cases = vtk.vtkStringArray()
    cases.SetName("case")
    for point in points:
        cases.InsertNextValue(point.case_id)
    table.AddColumn(cases)
    if numbers:
        places = vtk.vtkIntArray()
        places.SetName(_POINT_COLUMN)
        for number in numbers:
            places.InsertNextValue(number)
        table.AddColumn(places)
    node.SetAndObserveTable(table)
