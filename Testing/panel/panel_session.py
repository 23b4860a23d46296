"""The panel as a user has it before them: chooses, presses, and reads everything that stands there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
from PySide6 import QtWidgets

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.regions import RegionMap
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.scene.volume_node import add_volume_node
from BottleneckOODLib.worker.client import Done, Event

_TOLD_BY = ("text", "toolTip", "accessibleName", "toPlainText")


class PanelSession:
    """A panel whose runner says what the test wants.

    Args:
        widget: The module's widget.
        runner: Stands for the worker's client.
        scene: The ``vtkMRMLScene``.
        image: The volume that every case is made of.
        make_assessment: Makes an assessment of a light.
    """

    def __init__(
        self, widget: Any, runner: Any, scene: Any, image: Volume, make_assessment: Callable[..., Assessment]
    ) -> None:
        self.widget, self.ui, self.runner, self.scene = widget, widget.ui, runner, scene
        self._image = image
        self._make = make_assessment

    def add_ct(self, name: str = "abdomen", modality: str = "CT") -> Any:
        """A volume in the scene, as loaded from DICOM; without a modality as loaded from a file."""
        node = add_volume_node(self.scene, self._image, "a volume")
        node.SetName(name)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        if modality:
            hierarchy.SetItemAttribute(item, "DICOM.Modality", modality)
        return node

    def choose(self, node: Any) -> Any:
        """Choose a volume in the panel."""
        self.ui.volumeSelector.setCurrentNode(node)
        return node

    def view(self, node: Any) -> Any:
        """Show a volume in every slice view."""
        slicer.util.setSliceViewerLayers(background=node)
        return node

    def a_ct_in_view(self, name: str = "abdomen") -> Any:
        """A volume that is chosen and shown."""
        return self.choose(self.view(self.add_ct(name)))

    def result(self, light: str, **changes: Any) -> Assessment:
        """A result of what was asked last; with ``regions=True`` it tells where the case is unusual."""
        where = self._image.geometry
        if changes.get("regions") is True:
            values = np.zeros((4, 4, 4), np.float32)
            values[1, 2, 3] = 2.5
            changes["regions"] = RegionMap(
                values, Geometry((4, 4, 4), (80.0, 60.0, 40.0), where.origin_lps_mm, where.direction)
            )
        return self._make(light, **{"geometry": where, "case_id": self.runner.asked[-1][0], **changes})

    def hear(self, *events: Event) -> None:
        """The worker says something, and the panel's timer beats."""
        self.runner.coming = list(events)
        self.widget.panel._tick()

    def assess(self, light: str, **changes: Any) -> Assessment:
        """Press the big button and wait for the result."""
        self.ui.assessButton.click()
        assessment = self.result(light, **changes)
        self.hear(Done(assessment, warm=False))
        return assessment

    def words_on_the_panel(self) -> str:
        """Everything that the panel's widgets say, also where it is folded away, in tooltips and to screen readers."""
        words = []
        for widget in self.widget.parent.findChildren(QtWidgets.QWidget):
            words += [str(getattr(widget, name)()) for name in _TOLD_BY if hasattr(widget, name)]
            if isinstance(widget, QtWidgets.QTableWidget):
                cells = [widget.item(r, c) for r in range(widget.rowCount()) for c in range(widget.columnCount())]
                words += [cell.text() for cell in cells if cell is not None]
            if isinstance(widget, QtWidgets.QComboBox):
                words += [widget.itemText(index) for index in range(widget.count())]
        return "\n".join(words)

    def words_in_the_corners(self) -> list[str]:
        """What is written into each slice view's corner."""
        manager = slicer.app.layoutManager()
        found = []
        for name in manager.sliceViewNames():
            props = manager.sliceWidget(name).sliceView().renderWindow().GetRenderers().GetFirstRenderer()
            actors = [props.GetViewProps().GetItemAsObject(n) for n in range(props.GetViewProps().GetNumberOfItems())]
            found.append(" ".join(a.GetInput() for a in actors if a.IsA("vtkTextActor") and a.GetInput()))
        return found

    def titles_of_the_maps(self) -> list[str]:
        """The title of the chart that each plot view shows; empty for a view without one."""
        titles = []
        for index in range(self.scene.GetNumberOfNodesByClass("vtkMRMLPlotViewNode")):
            view = self.scene.GetNthNodeByClass(index, "vtkMRMLPlotViewNode")
            chart = self.scene.GetNodeByID(view.GetPlotChartNodeID() or "")
            titles.append("" if chart is None else chart.GetTitle())
        return titles

    def foregrounds(self) -> list[str]:
        """The name of the volume in each slice view's foreground; empty where there is none."""
        manager = slicer.app.layoutManager()
        views = [manager.sliceWidget(name).sliceLogic().GetSliceCompositeNode() for name in manager.sliceViewNames()]
        nodes = [self.scene.GetNodeByID(view.GetForegroundVolumeID() or "") for view in views]
        return ["" if node is None else node.GetName() for node in nodes]
