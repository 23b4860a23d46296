"""The stand-ins for views show what is in the scene, and tell what is pressed in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import slicer.util
from PySide6 import QtGui


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

    def test_the_layout_is_heard_and_makes_a_plot_view(self, the_application: Any) -> None:
        manager, heard = the_application.application.layoutManager(), []
        manager.connect("layoutChanged(int)", heard.append)
        wanted = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView
        manager.setLayout(wanted)
        assert manager.layout == wanted
        assert heard == [wanted]
        assert manager.plotWidget(0).mrmlPlotViewNode().IsA("vtkMRMLPlotViewNode")
        assert manager.plotWidget(7) is None
        manager.disconnect("layoutChanged(int)", heard.append)

    def test_a_surface_is_seen_in_3d(self, the_application: Any) -> None:
        import vtk
        from qt_harness.views import pixels_of

        view = the_application.application.layoutManager().threeDWidget(0).threeDView()
        before = pixels_of(view)
        sphere = vtk.vtkSphereSource()
        sphere.SetRadius(60)
        sphere.Update()
        model = the_application.scene.AddNewNodeByClass("vtkMRMLModelNode", "ball")
        model.SetAndObservePolyData(sphere.GetOutput())
        model.CreateDefaultDisplayNodes()
        view.resetFocalPoint()
        view.resetCamera()
        assert (pixels_of(view) != before).any()

    def test_a_click_on_a_point_tells_series_and_row(self, the_application: Any) -> None:
        from qt_harness.plot_view import select_points

        scene = the_application.scene
        table = scene.AddNewNodeByClass("vtkMRMLTableNode", "map")
        slicer.util.updateTableFromArray(table, (np.array([0.0, 1.0, 2.0]), np.array([5.0, 6.0, 7.0])), ("x", "y"))
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "training")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("x")
        series.SetYColumnName("y")
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "chart")
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
        manager = the_application.application.layoutManager()
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        widget = manager.plotWidget(0)
        widget.mrmlPlotViewNode().SetPlotChartNodeID(chart.GetID())
        heard: list[tuple[str, int]] = []
        receiver = lambda ids, rows: heard.append((ids.GetValue(0), int(rows.GetItemAsObject(0).GetTuple1(0))))  # noqa: E731
        widget.plotView().connect("dataSelected(vtkStringArray*,vtkCollection*)", receiver)
        select_points(widget.plotView(), series, [2])
        assert heard == [(series.GetID(), 2)]
        widget.plotView().disconnect("dataSelected(vtkStringArray*,vtkCollection*)", receiver)
