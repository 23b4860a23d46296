"""The training map in Slicer's own plot view, the card of a clicked training case, the neighbours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import qt
import slicer
import vtk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.wording import BEYOND_MAP, MAP_NOTE
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.panel.map_card import card_text
from BottleneckOODLib.panel.panel_state import ResultState
from BottleneckOODLib.scene.nodes import ROLE_ATTRIBUTE, existing_node
from BottleneckOODLib.scene.training_map import colourings_of, map_point_of, show_map, shown_colouring
from BottleneckOODLib.translation import _

_DATA_SELECTED = "dataSelected(vtkStringArray*,vtkCollection*)"


class MapSection:
    """The map's part of the panel.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        scene: The ``vtkMRMLScene``.
        assessment: Gives the assessment that is shown, or None.
    """

    def __init__(self, ui: Any, scene: Any, assessment: Callable[[], Assessment | None]) -> None:
        self._ui = ui
        self._scene = scene
        self._assessment = assessment
        self._heard: list[tuple[Any, Callable[..., None]]] = []
        ui.mapNote.text = _(MAP_NOTE)
        ui.colourBySelector.connect("currentIndexChanged(int)", self._recolour)
        ui.neighboursTable.connect("itemSelectionChanged()", self._neighbour_chosen)

    @property
    def colour_by(self) -> str | None:
        """The acquisition fact that tells training cases apart; None for the outcome."""
        chosen = self._ui.colourBySelector.itemData(self._ui.colourBySelector.currentIndex)
        return str(chosen) if chosen else None

    def draw(self, result: ResultState | None, *, light_hidden: bool = False) -> None:
        """Show the neighbours and choose the chart for the plot views."""
        assessment = None if light_hidden else self._assessment()
        self._fill_colour_choices(assessment)
        self._fill_neighbours(() if result is None or light_hidden else result.neighbours)
        beyond = assessment is not None and assessment.placement is not None and assessment.placement.beyond_map
        where = " " + _("This case is {where}.").format(where=_(BEYOND_MAP)) if beyond else ""
        self._ui.mapNote.text = _(MAP_NOTE) + where
        hint = _("Click a point on the map, or a row below, to see that training case.")
        self._ui.cardLabel.text = "" if assessment is None else hint
        self.show_chart(None if assessment is None else assessment.case_id)

    def show_chart(self, case: str | None) -> None:
        """Choose a case's chart in every plot view; with None the map of whatever case goes, since it tells a light."""
        chart = None if case is None else existing_node(self._scene, "vtkMRMLPlotChartNode", case, "chart")
        for index in range(self._scene.GetNumberOfNodesByClass("vtkMRMLPlotViewNode")):
            view = self._scene.GetNthNodeByClass(index, "vtkMRMLPlotViewNode")
            shown = self._scene.GetNodeByID(view.GetPlotChartNodeID() or "")
            if chart is not None:
                view.SetPlotChartNodeID(chart.GetID())
            elif shown is not None and shown.GetAttribute(ROLE_ATTRIBUTE):
                view.SetPlotChartNodeID(None)
        self.listen_to_the_plot()

    def listen_to_the_plot(self) -> None:
        """A click on a point shows that training case; a plot view exists only once a layout has had one."""
        self._forget_gone_views()
        for view in _plot_views():
            if any(view == known for known, _ in self._heard):
                continue
            clicked = partial(self._point_clicked, view)
            # A click moves the chart unless it is told to select; the view speaks of selected points only.
            view.chart().SetClickActionToButton(vtk.vtkChart.SELECT, vtk.vtkContextMouseEvent.LEFT_BUTTON)
            view.connect(_DATA_SELECTED, clicked)
            self._heard.append((view, clicked))

    def close(self) -> None:
        """Listen no more."""
        self._forget_gone_views()
        for view, clicked in self._heard:
            view.disconnect(_DATA_SELECTED, clicked)
        self._heard = []

    def _forget_gone_views(self) -> None:
        """A view goes with its node, and one that is gone cannot be asked for anything."""
        there = _plot_views()
        self._heard = [(view, clicked) for view, clicked in self._heard if any(view == one for one in there)]

    def _point_clicked(self, view: Any, series_ids: Any, selections: Any) -> None:
        assessment = self._assessment()
        if assessment is None:
            return
        for number in range(series_ids.GetNumberOfValues()):
            chosen = selections.GetItemAsObject(number)
            if chosen is not None and chosen.GetNumberOfTuples():
                try:
                    point = map_point_of(self._scene, series_ids.GetValue(number), int(chosen.GetTuple1(0)))
                except InputError:
                    # A record that was damaged tells nothing: the panel has said so where it was read.
                    continue
                if point is not None:
                    self._ui.cardLabel.text = card_text(assessment, point.case_id)
                    # Each series keeps what was chosen in it: the next click would be told together with this one.
                    view.RemovePlotSelections()
                    return

    def _neighbour_chosen(self, *_unused: Any) -> None:
        assessment, row = self._assessment(), int(self._ui.neighboursTable.currentRow())
        if assessment is not None and 0 <= row < len(assessment.neighbours):
            self._ui.cardLabel.text = card_text(assessment, assessment.neighbours[row].case_id)

    def _fill_colour_choices(self, assessment: Assessment | None) -> None:
        selector = self._ui.colourBySelector
        before = None if assessment is None else shown_colouring(self._scene, assessment.case_id)
        blocked = selector.blockSignals(True)
        selector.clear()
        selector.addItem(_("How well the model did (Dice)"), "")
        names = () if assessment is None else colourings_of(assessment.map_points)
        for name in names:
            selector.addItem(name.replace("_", " ").capitalize(), name)
        selector.currentIndex = 1 + names.index(before) if before in names else 0
        selector.blockSignals(blocked)

    def _fill_neighbours(self, rows: tuple[tuple[str, str, str], ...]) -> None:
        table = self._ui.neighboursTable
        table.rowCount = len(rows)
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                table.setItem(row, column, qt.QTableWidgetItem(text))
        table.resizeColumnsToContents()

    def _recolour(self, *_unused: Any) -> None:
        assessment = self._assessment()
        if assessment is not None:
            show_map(assessment, self._scene, self.colour_by)
            self.show_chart(assessment.case_id)


def _plot_views() -> list[Any]:
    manager = slicer.app.layoutManager()
    return [] if manager is None else [manager.plotWidget(n).plotView() for n in range(manager.plotViewCount)]
