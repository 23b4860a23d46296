"""Stand-in for the layout manager: the real layout logic decides which views there are."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore

from qt_harness.plot_view import qMRMLPlotWidget
from qt_harness.pythonqt import PythonQtType
from qt_harness.views import qMRMLSliceWidget, qMRMLThreeDWidget


class qSlicerLayoutManager(QtCore.QObject, metaclass=PythonQtType):
    """Views of the scene's view nodes; a widget is made when it is first asked for."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self, scene: Any, application_logic: Any) -> None:
        super().__init__()
        self._scene, self._application_logic = scene, application_logic
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        self._widgets: dict[Any, Any] = {}
        self._slice_logics = vtk.vtkCollection()
        self._shown = 0
        scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, self._node_removed)
        self._logic.GetLayoutNode().AddObserver("ModifiedEvent", self._changed)
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        application_logic.SetSliceLogics(self._slice_logics)
        for name in self.sliceViewNames():
            self.sliceWidget(name)

    def _changed(self, *_: Any) -> None:
        shown = self._logic.GetLayoutNode().GetViewArrangement()
        if shown != self._shown:
            self._shown = shown
            self.layoutChanged.emit(shown)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_removed(self, _scene: Any, _event: str, node: Any) -> None:
        """A view goes with its node."""
        widget = self._widgets.pop(node, None)
        if isinstance(widget, qMRMLSliceWidget):
            self._slice_logics.RemoveItem(widget.sliceLogic())
        if widget is not None:
            widget._destroy()

    def setLayout(self, layout: int) -> None:
        """One of ``vtkMRMLLayoutNode.SlicerLayout...``; a slot of the real one."""
        self._logic.GetLayoutNode().SetViewArrangement(layout)

    def _view_nodes(self, kind: str) -> list[Any]:
        return [self._scene.GetNthNodeByClass(i, kind) for i in range(self._scene.GetNumberOfNodesByClass(kind))]

    def sliceViewNames(self) -> tuple[str, ...]:
        """Names of all slice views, such as ``"Red"``; a tuple, as PythonQt makes of a QStringList."""
        return tuple(node.GetLayoutName() for node in self._view_nodes("vtkMRMLSliceNode"))

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        """The slice view of that name, or None."""
        node = next((n for n in self._view_nodes("vtkMRMLSliceNode") if n.GetLayoutName() == name), None)
        if node is None:
            return None
        if node not in self._widgets:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._application_logic)
            logic.SetMRMLScene(self._scene)
            logic.SetSliceNode(node)
            self._slice_logics.AddItem(logic)
            self._widgets[node] = qMRMLSliceWidget(logic)
        return self._widgets[node]

    def mrmlSliceLogics(self) -> Any:
        """A ``vtkCollection`` of the slice logics."""
        return self._slice_logics

    def threeDWidget(self, index: int) -> qMRMLThreeDWidget | None:
        """The 3D view with that number, or None."""
        nodes = self._view_nodes("vtkMRMLViewNode")
        if not 0 <= index < len(nodes):
            return None
        return self._widget(nodes[index], lambda node: qMRMLThreeDWidget(node, self._application_logic))

    def plotWidget(self, index: int) -> qMRMLPlotWidget | None:
        """The plot view with that number, or None."""
        nodes = self._view_nodes("vtkMRMLPlotViewNode")
        return self._widget(nodes[index], qMRMLPlotWidget) if 0 <= index < len(nodes) else None

    def _widget(self, node: Any, make: Any) -> Any:
        if node not in self._widgets:
            self._widgets[node] = make(node)
        return self._widgets[node]

    def _forget_views(self, furniture: set[str]) -> None:
        """Views as new for the next test, whatever was put into them; the furniture's slice logics stay.

        The logic of any other slice would bring its nodes back whenever the scene is cleared.
        """
        for node, widget in list(self._widgets.items()):
            widget._release()
            if isinstance(widget, qMRMLSliceWidget):
                logic = widget.sliceLogic()
                if node.GetID() in furniture:
                    self._widgets[node] = qMRMLSliceWidget(logic)
                    continue
                self._slice_logics.RemoveItem(logic)
                logic.SetMRMLScene(None)
            del self._widgets[node]

    layout = QtCore.Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = QtCore.Property(int, lambda self: len(self._view_nodes("vtkMRMLViewNode")))
    plotViewCount = QtCore.Property(int, lambda self: len(self._view_nodes("vtkMRMLPlotViewNode")))
