"""Loads a .ui file with the stand-ins in it, and makes the connections that PySide cannot make."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from qt_harness.ctk_widgets import CTK_CLASSES
from qt_harness.mrml_widgets import MRML_CLASSES

CUSTOM_WIDGETS = {**CTK_CLASSES, **MRML_CLASSES}


class QUiLoader(QtUiTools.QUiLoader):
    """As Qt's; a custom widget that has no stand-in is an error instead of an empty place."""

    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> QtWidgets.QWidget:
        """One widget of the file.

        Raises:
            RuntimeError: The file names a class that neither Qt nor the stand-ins have.
        """
        kind = CUSTOM_WIDGETS.get(class_name)
        if kind is not None:
            widget = kind(parent)
            widget.setObjectName(name)
            return widget
        if class_name not in self.availableWidgets():
            raise RuntimeError(f"no stand-in for the widget class {class_name!r}")
        if class_name == "Line":
            return super().createWidget(class_name, parent, name)
        import qt

        # Not Qt's own object: the flat class has ``connect`` by signature.
        widget = getattr(qt, class_name)(parent)
        widget.setObjectName(name)
        return widget

    def load(self, device: QtCore.QIODevice | str, parent: Any = None) -> QtWidgets.QWidget:
        """The file's top widget."""
        if isinstance(device, str):
            file = QtCore.QFile(device)
            file.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
            device = file
        tree = ET.fromstring(bytes(device.readAll().data()))
        kinds = {w.get("name"): w.get("class") for w in tree.iter("widget")}
        wired = _take_host_connections(tree, kinds)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(tree))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        for section in widget.findChildren(CTK_CLASSES["ctkCollapsibleButton"]):
            # As the real one, which watches what is put into it.
            if section.collapsed:
                section._hide_contents()
        for sender, signal, receiver, slot in wired:
            target = getattr(_named(widget, receiver), slot.partition("(")[0])
            _named(widget, sender).connect(signal, target)
        return widget


def _named(top: QtWidgets.QWidget, name: str) -> Any:
    return top if top.objectName() == name else top.findChild(QtWidgets.QWidget, name)


def _take_host_connections(tree: ET.Element, kinds: dict[Any, Any]) -> list[tuple[str, str, str, str]]:
    """Connections from or to a stand-in, taken out of the file: PySide knows no ``vtkMRMLNode*``."""
    taken = []
    connections = tree.find("connections")
    for one in list(connections if connections is not None else ()):
        sender, signal, receiver, slot = (one.findtext(key, "") for key in ("sender", "signal", "receiver", "slot"))
        if kinds.get(sender) in CUSTOM_WIDGETS or kinds.get(receiver) in CUSTOM_WIDGETS:
            taken.append((sender, signal, receiver, slot))
            connections.remove(one)  # type: ignore[union-attr]
    return taken
