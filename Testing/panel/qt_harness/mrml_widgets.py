"""Stand-ins for the qMRML widgets of a .ui file, driven by the real scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import slicer
from PySide6 import QtCore, QtWidgets

from qt_harness.ctk_widgets import plain_property
from qt_harness.pythonqt import PythonQtType

_SCENE_EVENTS = ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndBatchProcessEvent", "EndImportEvent")


class qMRMLWidget(QtWidgets.QWidget, metaclass=PythonQtType):
    """A widget that hands its scene to what is connected in the .ui file."""

    _scene_changed = QtCore.Signal(object)
    host_signals: ClassVar[dict[str, str]] = {"mrmlSceneChanged(vtkMRMLScene*)": "_scene_changed"}

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        """A slot of the real one."""
        if scene is not self._scene:
            self._scene = scene
            self._scene_changed.emit(scene)


class _Observed:
    """Observers of scene and nodes; kept apart from the widget, so that they can be let go when it is destroyed."""

    def __init__(self) -> None:
        self._scene: list[tuple[Any, int]] = []
        self._nodes: list[tuple[Any, int]] = []

    def scene(self, scene: Any, call: Callable[..., Any]) -> None:
        """Observe this scene, and no other."""
        events = [(scene, getattr(slicer.vtkMRMLScene, name)) for name in _SCENE_EVENTS]
        self._scene = self._replaced(self._scene, events, call)

    def nodes(self, nodes: list[Any], call: Callable[..., Any]) -> None:
        """Observe these nodes, and no others."""
        self._nodes = self._replaced(self._nodes, [(node, "ModifiedEvent") for node in nodes], call)

    @staticmethod
    def _replaced(before: list[tuple[Any, int]], now: list[tuple[Any, Any]], call: Any) -> list[tuple[Any, int]]:
        for observed, tag in before:
            observed.RemoveObserver(tag)
        return [(observed, observed.AddObserver(event, call)) for observed, event in now if observed is not None]

    def release(self, *_: Any) -> None:
        """Observe nothing any more."""
        self._scene = self._replaced(self._scene, [], None)
        self._nodes = self._replaced(self._nodes, [], None)


class qMRMLNodeComboBox(QtWidgets.QWidget, metaclass=PythonQtType):
    """The nodes of some types in the scene, as they come, go and are renamed."""

    _node_changed = QtCore.Signal(object)
    host_signals: ClassVar[dict[str, str]] = {"currentNodeChanged(vtkMRMLNode*)": "_node_changed"}
    addEnabled = plain_property(bool, "addEnabled", True)
    removeEnabled = plain_property(bool, "removeEnabled", True)
    renameEnabled = plain_property(bool, "renameEnabled", False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._observed = _Observed()
        self._nodes: list[Any] = []
        self._current: Any = None
        self._types: list[str] = []
        self._children, self._none = True, False
        self._combo = QtWidgets.QComboBox(self)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self.setFocusProxy(self._combo)
        self._combo.activated.connect(self._chosen)
        self._combo.setEnabled(False)
        self.destroyed.connect(self._observed.release)

    def mrmlScene(self) -> Any:
        """The scene, or None."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Follow a scene; a slot of the real one."""
        if scene is self._scene:
            return
        self._scene = scene
        self._observed.scene(scene, self._scene_event)
        self._combo.setEnabled(scene is not None)
        self._update()

    def _scene_event(self, *_: Any) -> None:
        if not self._scene.IsBatchProcessing():
            self._update()

    def _renamed(self, node: Any, _: str) -> None:
        index = self._nodes.index(node) + (1 if self._none else 0)
        if self._combo.itemText(index) != (node.GetName() or ""):
            self._combo.setItemText(index, node.GetName() or "")

    def _is_shown(self, node: Any) -> bool:
        if node.GetHideFromEditors():
            return False
        return any(node.IsA(kind) if self._children else node.GetClassName() == kind for kind in self._types)

    def _update(self) -> None:
        scene = self._scene
        everything = [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())] if scene is not None else []
        shown = [node for node in everything if self._is_shown(node)]
        before = self._combo.currentIndex()
        self._nodes = shown
        self._observed.nodes(shown, self._renamed)
        names = (["None"] if self._none else []) + [node.GetName() or "" for node in shown]
        self._combo.clear()
        self._combo.addItems(names)
        keep = self._current if self._current in shown else None
        if keep is None and shown:
            # As QComboBox does: the entry before the one that went, and the first entry where there was none.
            entries = ([None] if self._none else []) + shown
            keep = entries[max(0, min(len(entries), before) - 1)]
        self._make_current(keep)

    def _make_current(self, node: Any) -> None:
        offset = 1 if self._none else 0
        self._combo.setCurrentIndex(self._nodes.index(node) + offset if node is not None else offset - 1)
        if node is self._current:
            return
        self._current = node
        self._node_changed.emit(node)

    def _chosen(self, index: int) -> None:
        index -= 1 if self._none else 0
        self._make_current(self._nodes[index] if index >= 0 else None)

    def currentNode(self) -> Any:
        """The chosen node, or None."""
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        """Choose a node; None and what is not listed choose nothing."""
        self._make_current(node if node in self._nodes else None)

    def _set(self, name: str, value: Any) -> None:
        setattr(self, name, value)
        self._update()

    nodeTypes = QtCore.Property("QStringList", lambda self: self._types, lambda self, v: self._set("_types", list(v)))
    showChildNodeTypes = QtCore.Property(bool, lambda self: self._children, lambda self, v: self._set("_children", v))
    noneEnabled = QtCore.Property(bool, lambda self: self._none, lambda self, v: self._set("_none", v))


MRML_CLASSES = {one.__name__: one for one in (qMRMLWidget, qMRMLNodeComboBox)}
