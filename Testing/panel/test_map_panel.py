"""The training map in the panel: how cases are told apart, their cards, and which case's map is shown."""

from __future__ import annotations

from typing import Any

import pytest
import slicer
import vtk
from panel_session import PanelSession
from qt_harness.plot_view import click_at

from BottleneckOODLib.assessment.assessment import MapPoint
from BottleneckOODLib.assessment.wording import BEYOND_MAP, MAP_NOTE
from BottleneckOODLib.ood.placement import Placement

POINTS = (
    MapPoint(0.0, 1.0, 0.95, "near", {"contrast_phase": "portal"}),
    MapPoint(2.0, -1.0, 0.85, "middle", {"contrast_phase": "none"}),
    MapPoint(-1.5, 0.5, None, "far & <i>away</i>", {"contrast_phase": "portal"}),
    # At the plot's edge, so that the others lie well inside.
    MapPoint(-4.0, -4.0, 0.95, "one corner", {"contrast_phase": "portal"}),
    MapPoint(4.0, 4.0, 0.95, "the other corner", {"contrast_phase": "none"}),
)


@pytest.fixture
def a_map(a_session: PanelSession) -> PanelSession:
    """A case on its map, which is shown."""
    a_session.a_ct_in_view()
    a_session.assess("amber", map_points=POINTS, placement=Placement(1.0, 0.0, False))
    a_session.ui.layoutButton.click()
    # The legend takes the clicks on what it covers.
    a_session.scene.GetFirstNodeByClass("vtkMRMLPlotChartNode").SetLegendVisibility(False)
    return a_session


def plot_view() -> Any:
    return slicer.app.layoutManager().plotWidget(0).plotView()


def legend(session: PanelSession) -> list[str]:
    chart = session.scene.GetFirstNodeByClass("vtkMRMLPlotViewNode").GetPlotChartNode()
    return [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]


def test_the_layout_s_plot_shows_this_case_s_map(a_map: PanelSession) -> None:
    assert a_map.titles_of_the_maps() == ["Unusual: abdomen"]
    assert legend(a_map)[-1] == "This case"
    assert a_map.ui.mapNote.text() == MAP_NOTE


def test_a_click_on_a_point_shows_that_case_s_card(a_map: PanelSession) -> None:
    click_at(plot_view(), 2.0, -1.0)
    assert a_map.ui.cardLabel.text() == "middle: the model's Dice was 0.85; contrast phase none."
    click_at(plot_view(), -1.5, 0.5)
    assert a_map.ui.cardLabel.text().startswith("far & <i>away</i>: its Dice is not known")


def test_a_row_of_the_table_shows_that_case_s_card_with_its_distance(a_session: PanelSession) -> None:
    a_session.a_ct_in_view()
    a_session.assess("amber")
    cells = [[a_session.ui.neighboursTable.item(row, column).text() for column in range(3)] for row in range(2)]
    assert cells == [["train-1", "1.2 x", "0.93"], ["train-2", "1.5 x", "unknown"]]
    a_session.ui.neighboursTable.selectRow(1)
    assert "train-2: its Dice is not known" in a_session.ui.cardLabel.text()
    assert "1.5 x as far as training cases usually are" in a_session.ui.cardLabel.text()


def test_cases_are_told_apart_by_outcome_or_by_acquisition(a_map: PanelSession) -> None:
    selector = a_map.ui.colourBySelector
    assert legend(a_map) == ["Dice 0.90 or more", "Dice 0.80 to 0.90", "Dice unknown", "This case"]
    assert [selector.itemText(index) for index in range(selector.count())][1:] == ["Contrast phase"]
    selector.setCurrentIndex(1)
    assert legend(a_map) == ["none", "portal", "This case"]
    a_map.scene.GetFirstNodeByClass("vtkMRMLPlotChartNode").SetLegendVisibility(False)
    click_at(plot_view(), 2.0, -1.0)
    assert a_map.ui.cardLabel.text().startswith("middle")
    a_map.assess("red", map_points=POINTS, placement=Placement(1.0, 0.0, False), created="2026-03-01T00:00:00+00:00")
    assert legend(a_map) == ["none", "portal", "This case"]
    selector.setCurrentIndex(0)
    assert legend(a_map)[0] == "Dice 0.90 or more"


def test_a_case_beyond_the_map_is_told_so_in_words_and_on_the_map(a_session: PanelSession) -> None:
    a_session.a_ct_in_view()
    a_session.assess("red", map_points=POINTS, placement=Placement(1.0, 0.0, True))
    a_session.ui.layoutButton.click()
    assert BEYOND_MAP in a_session.ui.mapNote.text()
    assert BEYOND_MAP in legend(a_session)[-1]


def test_the_map_follows_the_case_and_goes_with_its_result(a_map: PanelSession) -> None:
    first = a_map.ui.volumeSelector.currentNode()
    other = a_map.choose(a_map.add_ct("other"))
    assert a_map.titles_of_the_maps() == [""]
    assert a_map.ui.neighboursTable.rowCount() == 0
    a_map.assess("green", map_points=POINTS)
    assert a_map.titles_of_the_maps() == ["Similar to the training cases: other"]
    a_map.choose(first)
    assert a_map.titles_of_the_maps() == ["Unusual: abdomen"]
    a_map.ui.removeResultButton.click()
    assert a_map.titles_of_the_maps() == [""]
    a_map.choose(other)
    assert a_map.titles_of_the_maps() == ["Similar to the training cases: other"]


def test_a_chart_of_the_user_s_own_stays(a_session: PanelSession) -> None:
    a_session.ui.layoutButton.click()
    own = a_session.scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "my own")
    own.SetTitle("my own")
    a_session.scene.GetFirstNodeByClass("vtkMRMLPlotViewNode").SetPlotChartNodeID(own.GetID())
    a_session.choose(a_session.add_ct("nothing yet"))
    assert a_session.titles_of_the_maps() == ["my own"]


def test_a_case_without_a_map_has_none(a_session: PanelSession) -> None:
    a_session.a_ct_in_view()
    a_session.ui.layoutButton.click()
    a_session.assess("grey", map_points=(), placement=None)
    assert a_session.titles_of_the_maps() == [""]
    assert a_session.ui.wordLabel.text() == "Could not be assessed"


def test_a_click_on_the_map_of_a_damaged_record_tells_nothing(a_map: PanelSession) -> None:
    click_at(plot_view(), 2.0, -1.0)
    before = a_map.ui.cardLabel.text()
    a_map.scene.GetFirstNodeByClass("vtkMRMLTextNode").SetText("{")
    series, selections, chosen = vtk.vtkStringArray(), vtk.vtkCollection(), vtk.vtkIdTypeArray()
    series.InsertNextValue(a_map.scene.GetFirstNodeByClass("vtkMRMLPlotSeriesNode").GetID())
    chosen.InsertNextValue(0)
    selections.AddItem(chosen)
    a_map.widget.panel._map._point_clicked(None, series, selections)
    assert a_map.ui.cardLabel.text() == before


def test_assessed_again_with_facts_that_tell_nothing_apart_the_map_goes_by_outcome(a_map: PanelSession) -> None:
    a_map.ui.colourBySelector.setCurrentIndex(1)
    plain = tuple(MapPoint(point.x, point.y, point.dice, point.case_id) for point in POINTS)
    a_map.assess("red", map_points=plain, placement=Placement(1.0, 0.0, False))
    assert legend(a_map)[0] == "Dice 0.90 or more"
    assert a_map.ui.colourBySelector.currentData() == ""
