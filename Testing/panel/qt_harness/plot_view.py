"""Stand-in for the plot view: a real VTK chart that follows the view node's chart, and its clicks."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtCore

from qt_harness.views import RenderedWidget, ViewFrame

_MARKERS = ("None", "Cross", "Plus", "Square", "Circle", "Diamond")
_LEFT = vtk.vtkContextMouseEvent.LEFT_BUTTON


class qMRMLPlotView(RenderedWidget):
    """The series of a chart node, drawn; a selection tells series and rows."""

    _data_selected = QtCore.Signal(object, object)
    host_signals: ClassVar[dict[str, str]] = {"dataSelected(vtkStringArray*,vtkCollection*)": "_data_selected"}

    def __init__(self, node: Any) -> None:
        super().__init__()
        self._node = node
        self._context: Any = None
        self._chart: Any = None
        self._chart_node: Any = None
        self._chart_tag = 0
        self._series: dict[Any, str] = {}
        events = ("ModifiedEvent", slicer.vtkMRMLPlotViewNode.PlotChartNodeChangedEvent)
        self._node_tags = [node.AddObserver(event, self._follow) for event in events]

    def _make(self) -> None:
        self._context = vtk.vtkContextView()
        self._window = self._context.GetRenderWindow()
        self._renderer = self._context.GetRenderer()
        self._interactor = self._context.GetInteractor()
        self._chart = vtk.vtkChartXY()
        self._context.GetScene().AddItem(self._chart)
        self._chart.AddObserver("SelectionChangedEvent", self._selected)

    def _fill(self) -> None:
        self._follow()

    def _release(self) -> None:
        """Follow nothing any more; the window is the chart's own."""
        for tag in self._node_tags:
            self._node.RemoveObserver(tag)
        if self._chart_node is not None:
            self._chart_node.RemoveObserver(self._chart_tag)

    def chart(self) -> Any:
        """The ``vtkChartXY``."""
        self._made()
        return self._chart

    def RemovePlotSelections(self) -> None:
        """Unselect all points; a slot of the real one."""
        self.chart().RemovePlotSelections()

    def _follow(self, *_: Any) -> None:
        if self._chart is None:
            return
        chart_node = self._node.GetPlotChartNode()
        if chart_node is not self._chart_node:
            if self._chart_node is not None:
                self._chart_node.RemoveObserver(self._chart_tag)
            self._chart_node = chart_node
            self._chart_tag = chart_node.AddObserver("ModifiedEvent", self._follow) if chart_node is not None else 0
        modes = slicer.vtkMRMLPlotViewNode
        select = self._node.GetInteractionMode() == modes.InteractionModeSelectPoints
        self._chart.SetActionToButton(vtk.vtkChart.SELECT if select else vtk.vtkChart.PAN, _LEFT)
        self._draw(chart_node)

    def _draw(self, chart_node: Any) -> None:
        self._chart.ClearPlots()
        self._series = {}
        if chart_node is None:
            return
        for i in range(chart_node.GetNumberOfPlotSeriesNodes()):
            series = chart_node.GetNthPlotSeriesNode(i)
            plot = self._plot_of(series) if series is not None else None
            if plot is not None:
                self._chart.AddPlot(plot)
                self._series[plot] = series.GetID()
        self._chart.SetTitle((chart_node.GetTitleVisibility() and chart_node.GetTitle()) or "")
        self._chart.SetShowLegend(chart_node.GetLegendVisibility())
        axes = ((vtk.vtkAxis.BOTTOM, chart_node.GetXAxisTitle()), (vtk.vtkAxis.LEFT, chart_node.GetYAxisTitle()))
        for axis, title in axes:
            self._chart.GetAxis(axis).SetTitle(title or "")

    @staticmethod
    def _plot_of(series: Any) -> Any:
        table_node = series.GetTableNode()
        x, y = series.GetXColumnName(), series.GetYColumnName()
        table = table_node.GetTable() if table_node is not None else None
        if table is None or table.GetColumnByName(x) is None or table.GetColumnByName(y) is None:
            return None
        plot = vtk.vtkPlotLine()
        plot.SetColorF(*series.GetColor())
        plot.GetPen().SetOpacityF(series.GetOpacity())
        if series.GetLineStyle() == slicer.vtkMRMLPlotSeriesNode.LineStyleNone:
            plot.GetPen().SetLineType(vtk.vtkPen.NO_PEN)
        plot.SetMarkerSize(series.GetMarkerSize())
        plot.SetMarkerStyle(_MARKERS.index(series.GetMarkerStyleAsString(series.GetMarkerStyle()).capitalize()))
        labels = table.GetColumnByName(series.GetLabelColumnName()) if series.GetLabelColumnName() else None
        plot.SetIndexedLabels(labels)
        plot.SetInputData(table, x, y)
        plot.SetLabel(series.GetName())
        return plot

    def _selected(self, *_: Any) -> None:
        identifiers, rows = vtk.vtkStringArray(), vtk.vtkCollection()
        for i in range(self._chart.GetNumberOfPlots()):
            plot = self._chart.GetPlot(i)
            chosen = plot.GetSelection()
            if chosen is not None and chosen.GetNumberOfValues() > 0:
                rows.AddItem(chosen)
                identifiers.InsertNextValue(self._series[plot])
        self._data_selected.emit(identifiers, rows)


class qMRMLPlotWidget(ViewFrame):
    """A plot view in its frame."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self._view = qMRMLPlotView(node)
        self._put(self._view)

    def plotView(self) -> qMRMLPlotView:
        """The ``qMRMLPlotView``."""
        return self._view


def select_points(view: qMRMLPlotView, series_node: Any, rows: list[int]) -> None:
    """Select rows of a series, as a box drawn around them does where the view's mode is to select."""
    chart = view.chart()
    for plot, identifier in view._series.items():
        chosen = vtk.vtkIdTypeArray()
        for row in rows if identifier == series_node.GetID() else ():
            chosen.InsertNextValue(row)
        plot.SetSelection(chosen)
    chart.InvokeEvent("SelectionChangedEvent")


def click_at(view: qMRMLPlotView, x: float, y: float) -> None:
    """Press and release the left button over a place in the chart's coordinates, through VTK's own interactor."""
    view._render()
    across, up = (view.chart().GetAxis(axis) for axis in (vtk.vtkAxis.BOTTOM, vtk.vtkAxis.LEFT))
    place = []
    for axis, value, which in ((across, x, 0), (up, y, 1)):
        first, last = axis.GetPoint1()[which], axis.GetPoint2()[which]
        share = (value - axis.GetMinimum()) / (axis.GetMaximum() - axis.GetMinimum())
        place.append(round(first + share * (last - first)))
    view._interactor.SetEventInformation(*place, 0, 0, "0", 0, None)
    for event in ("MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"):
        view._interactor.InvokeEvent(event)
