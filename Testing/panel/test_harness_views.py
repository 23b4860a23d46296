"""The stand-ins for views show what is in the scene, and tell what is pressed in them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from PySide6 import QtGui
from qt_harness.plot_view import click_at, select_points
from qt_harness.views import pixels_of


class TestViews:
    def test_a_slice_view_shows_the_volume(self, the_application: Any, a_volume_in_the_scene: Any, grab: Any) -> None:
        manager = the_application.application.layoutManager()
        assert set(manager.sliceViewNames()) == {"Red", "Green", "Yellow"}
        widget = manager.sliceWidget("Red")
        empty = QtGui.QImage(str(grab(widget.sliceView(), "harness-empty-view")))
        slicer.util.setSliceViewerLayers(background=a_volume_in_the_scene, fit=True)
        shown = QtGui.QImage(str(grab(widget.sliceView(), "harness-slice-view")))
        middle = shown.rect().center()
        assert empty.pixelColor(middle).lightness() < 30
        assert shown.pixelColor(middle).lightness() > 200
        assert widget.sliceLogic().GetBackgroundLayer().GetVolumeNode() is a_volume_in_the_scene

    @pytest.mark.parametrize("kind", ["slice", "3D"])
    def test_a_view_that_is_let_go_takes_along_what_it_drew_with(self, the_application: Any, kind: str) -> None:
        """What stays follows the scene as long as the process lives, and each test is slower than the one before."""
        manager = the_application.application.layoutManager()
        view = manager.threeDWidget(0).threeDView() if kind == "3D" else manager.sliceWidget("Red").sliceView()
        pixels_of(view)
        gone: list[str] = []
        for name, part in (("managers", view._managers), ("renderer", view._renderer)):
            part.AddObserver("DeleteEvent", lambda *_, name=name: gone.append(name))
        del view, part
        the_application.clear()
        gc.collect()
        assert sorted(gone) == ["managers", "renderer"]

    def test_slices_of_another_layout_leave_nothing_behind(self, the_application: Any) -> None:
        manager = the_application.application.layoutManager()
        before = manager.mrmlSliceLogics().GetNumberOfItems()
        for _ in range(2):
            manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutThreeOverThreeView)
            added = [name for name in manager.sliceViewNames() if manager.sliceWidget(name).sliceView().renderWindow()]
            assert len(added) == 6
            the_application.clear()
            assert manager.mrmlSliceLogics().GetNumberOfItems() == before
            assert the_application._node_ids() <= the_application._furniture

    def test_a_segmentation_is_drawn_over_the_volume(self, the_application: Any, a_volume_in_the_scene: Any) -> None:
        slicer.util.setSliceViewerLayers(background=a_volume_in_the_scene, fit=True)
        view = the_application.application.layoutManager().sliceWidget("Red").sliceView()

        def green() -> int:
            pixels = pixels_of(view).astype(int)
            return int((pixels[..., 1] - pixels[..., 0] > 20).sum())

        before = green()
        node = the_application.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mask")
        node.CreateDefaultDisplayNodes()
        marked = (slicer.util.arrayFromVolume(a_volume_in_the_scene) > 0).astype(np.uint8)
        labels = slicer.util.addVolumeFromArray(marked, nodeClassName="vtkMRMLLabelMapVolumeNode")
        slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labels, node)
        node.GetSegmentation().GetNthSegment(0).SetColor(0.0, 1.0, 0.0)
        assert before == 0
        assert green() > 500

    def test_the_layout_is_heard_and_makes_a_plot_view(self, the_application: Any) -> None:
        manager, heard = the_application.application.layoutManager(), []
        manager.connect("layoutChanged(int)", heard.append)
        wanted = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView
        manager.setLayout(wanted)
        assert manager.layout == wanted
        assert heard == [wanted]
        assert manager.plotWidget(0).plotView().chart().IsA("vtkChartXY")
        assert manager.plotWidget(7) is None
        manager.disconnect("layoutChanged(int)", heard.append)

    def test_a_surface_is_seen_in_3d(self, the_application: Any) -> None:
        view = the_application.application.layoutManager().threeDWidget(0).threeDView()
        before = pixels_of(view)
        sphere = vtk.vtkSphereSource()
        sphere.SetRadius(60)
        sphere.Update()
        model = the_application.scene.AddNewNodeByClass("vtkMRMLModelNode", "ball")
        model.SetAndObservePolyData(sphere.GetOutput())
        model.CreateDefaultDisplayNodes()
        view.resetFocalPoint()
        assert (pixels_of(view) != before).any()


class TestPlotView:
    SELECTED = "dataSelected(vtkStringArray*,vtkCollection*)"

    @pytest.fixture
    def a_series(self, the_application: Any) -> Any:
        scene = the_application.scene
        table = scene.AddNewNodeByClass("vtkMRMLTableNode", "map")
        slicer.util.updateTableFromArray(table, (np.array([0.0, 1.0, 2.0]), np.array([5.0, 6.0, 7.0])), ("x", "y"))
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "training")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("x")
        series.SetYColumnName("y")
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        series.SetColor(0.8, 0.1, 0.1)
        return series

    @pytest.fixture
    def a_plot_view(self, the_application: Any, a_series: Any) -> Any:
        chart = the_application.scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "chart")
        chart.AddAndObservePlotSeriesNodeID(a_series.GetID())
        manager = the_application.application.layoutManager()
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        the_application.scene.GetFirstNodeByClass("vtkMRMLPlotViewNode").SetPlotChartNodeID(chart.GetID())
        return manager.plotWidget(0).plotView()

    @pytest.fixture
    def heard(self, a_plot_view: Any) -> Iterator[list[tuple[str, int]]]:
        kept: list[tuple[str, int]] = []

        def receive(series: Any, rows: Any) -> None:
            for i in range(series.GetNumberOfValues()):
                kept.append((series.GetValue(i), int(rows.GetItemAsObject(i).GetTuple1(0))))

        a_plot_view.connect(self.SELECTED, receive)
        yield kept
        a_plot_view.disconnect(self.SELECTED, receive)

    def test_selected_points_are_told(self, a_plot_view: Any, a_series: Any, heard: list[Any]) -> None:
        select_points(a_plot_view, a_series, [2])
        assert heard == [(a_series.GetID(), 2)]

    @pytest.mark.parametrize(("clicks_select", "expected"), [(False, []), (True, [1])])
    def test_a_click_selects_only_where_the_chart_was_told_so(
        self, a_plot_view: Any, heard: list[Any], clicks_select: bool, expected: list[int]
    ) -> None:
        if clicks_select:
            left = vtk.vtkContextMouseEvent.LEFT_BUTTON
            a_plot_view.chart().SetClickActionToButton(vtk.vtkChart.SELECT, left)
        click_at(a_plot_view, 1.0, 6.0)
        assert [row for _, row in heard] == expected

    def test_a_removed_series_is_drawn_no_more(self, a_plot_view: Any, a_series: Any, the_application: Any) -> None:
        def red() -> int:
            pixels = pixels_of(a_plot_view).astype(int)
            return int(((pixels[..., 0] - pixels[..., 1]) > 100).sum())

        assert red() > 0
        the_application.scene.GetFirstNodeByClass("vtkMRMLPlotChartNode").RemoveAllPlotSeriesNodeIDs()
        assert red() == 0
