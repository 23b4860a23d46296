"""What the panel hears from the application's views, and what it leaves alone in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import slicer
from qt_harness.plot_view import click_at

from BottleneckOODLib.assessment.assessment import Assessment, MapPoint
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.scene.volume_node import add_volume_node
from BottleneckOODLib.widgets.dicom_database import dicom_tag
from BottleneckOODLib.worker.client import Done

MakeAssessment = Callable[..., Assessment]


@pytest.fixture
def a_shown_case(
    a_panel: Any, a_runner: Any, the_application: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> Any:
    """The volume of a case that was assessed."""
    node = add_volume_node(the_application.scene, a_small_ct, "abdomen")
    a_panel.ui.volumeSelector.setCurrentNode(node)
    a_panel.ui.modalitySelector.setCurrentIndex(a_panel.ui.modalitySelector.findData("CT"))
    a_panel.ui.assessButton.click()
    corners = (MapPoint(-4.0, -4.0, 0.95, "train-4"), MapPoint(4.0, 4.0, 0.95, "train-5"))
    assessment = make_assessment("red", geometry=a_small_ct.geometry, case_id="abdomen")
    assessment = replace(assessment, map_points=(*assessment.map_points, *corners))
    a_runner.coming = [Done(assessment, warm=False)]
    a_panel.panel._tick()
    return node


def corner_words(view: str = "Red") -> str:
    """What is written into a slice view."""
    window = slicer.app.layoutManager().sliceWidget(view).sliceView().renderWindow()
    props = window.GetRenderers().GetFirstRenderer().GetViewProps()
    actors = [props.GetItemAsObject(number) for number in range(props.GetNumberOfItems())]
    return " ".join(actor.GetInput() for actor in actors if actor.IsA("vtkTextActor") and actor.GetInput())


def test_a_view_that_a_new_layout_brings_shows_the_light_too(a_panel: Any, a_shown_case: Any) -> None:
    a_panel.enter()
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView)
    slicer.util.setSliceViewerLayers(background=a_shown_case)
    assert "Very unusual" in corner_words("Red+")


def test_a_view_that_is_gone_is_asked_for_nothing_any_more(a_panel: Any, a_shown_case: Any) -> None:
    a_panel.enter()
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView)
    slicer.util.setSliceViewerLayers(background=a_shown_case)
    gone = manager.sliceWidget("Red+")
    renderer = gone.sliceView().renderWindow().GetRenderers().GetFirstRenderer()
    a_shown_case.GetScene().RemoveNode(gone.sliceLogic().GetSliceNode())
    with pytest.raises(ValueError, match="destroyed"):
        gone.sliceLogic()
    a_panel.panel._corners.refresh()
    props = renderer.GetViewProps()
    assert not any(props.GetItemAsObject(n).IsA("vtkTextActor") for n in range(props.GetNumberOfItems()))
    assert "Very unusual" in corner_words("Red")
    a_panel.panel._corners.detach()
    assert corner_words("Red") == ""


def test_what_is_hidden_or_drawn_in_another_module_stays_so(a_panel: Any, a_shown_case: Any) -> None:
    mask = a_shown_case.GetScene().GetFirstNodeByClass("vtkMRMLSegmentationNode")
    mask.GetDisplayNode().SetVisibility(False)
    mask.CreateClosedSurfaceRepresentation()
    a_panel.panel._draw()
    assert not mask.GetDisplayNode().GetVisibility()
    assert mask.GetSegmentation().ContainsRepresentation("Closed surface")


def test_after_a_reload_the_old_panel_is_deaf_and_the_new_one_open(a_panel: Any, a_shown_case: Any) -> None:
    slicer.util.setSliceViewerLayers(background=a_shown_case)
    a_panel.onReload()
    assert a_panel.ui.volumeSelector.mrmlScene() is None
    assert "Very unusual" in corner_words()


def test_after_a_reload_the_application_holds_the_new_panel_alone(a_panel: Any, the_application: Any) -> None:
    a_panel.onReload()
    connections = the_application.application.__dict__["_connections"]
    held = [receiver.__self__ for signature, receiver, _ in connections if signature == "aboutToQuit()"]
    assert held == [slicer.modules.BottleneckOODWidget]


class TestMap:
    def test_every_click_shows_the_case_that_was_clicked(self, a_panel: Any, a_shown_case: Any) -> None:
        a_panel.ui.layoutButton.click()
        # The legend takes the clicks on what it covers.
        a_shown_case.GetScene().GetFirstNodeByClass("vtkMRMLPlotChartNode").SetLegendVisibility(False)
        plot = slicer.app.layoutManager().plotWidget(0).plotView()
        # Three cases in three series: a series keeps its selected point when one of another is clicked.
        places = {"train-1": (0.0, 1.0), "train-2": (2.0, -1.0), "train-3": (-1.5, 0.5)}
        for case in (*places, "train-1"):
            x, y = places[case]
            click_at(plot, x, y)
            assert a_panel.ui.cardLabel.text().startswith(f"{case}:")


    def test_a_plot_view_that_was_made_anew_is_heard_too(self, a_panel: Any, a_shown_case: Any) -> None:
        a_panel.ui.layoutButton.click()
        scene = a_shown_case.GetScene()
        scene.GetFirstNodeByClass("vtkMRMLPlotChartNode").SetLegendVisibility(False)
        scene.RemoveNode(scene.GetFirstNodeByClass("vtkMRMLPlotViewNode"))
        manager = slicer.app.layoutManager()
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
        a_panel.panel._map.show_chart("abdomen")
        click_at(manager.plotWidget(0).plotView(), 0.0, 1.0)
        assert a_panel.ui.cardLabel.text().startswith("train-1:")

    def test_every_plot_view_of_a_layout_is_heard(self, a_panel: Any, a_shown_case: Any) -> None:
        manager = slicer.app.layoutManager()
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreePlotView)
        a_shown_case.GetScene().GetFirstNodeByClass("vtkMRMLPlotChartNode").SetLegendVisibility(False)
        assert manager.property("plotViewCount") == 3
        for number, case, place in ((2, "train-2", (2.0, -1.0)), (1, "train-1", (0.0, 1.0))):
            click_at(manager.plotWidget(number).plotView(), *place)
            assert a_panel.ui.cardLabel.text().startswith(f"{case}:")

    def test_a_panel_whose_plot_view_is_gone_can_be_closed(self, a_panel: Any, a_shown_case: Any) -> None:
        slicer.util.setSliceViewerLayers(background=a_shown_case)
        a_panel.ui.layoutButton.click()
        a_shown_case.GetScene().RemoveNode(a_shown_case.GetScene().GetFirstNodeByClass("vtkMRMLPlotViewNode"))
        a_panel.cleanup()
        assert corner_words() == ""


def test_a_tag_is_empty_where_no_dicom_database_was_opened(
    the_application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(slicer, "dicomDatabase")
    assert dicom_tag("1.2.3", "0008,0060") == ""
