"""Stand-ins for ``slicer.ScriptedLoadableModule`` and the two C++ objects that own a scripted module."""

from __future__ import annotations

import importlib
import sys
import unittest
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from PySide6 import QtCore, QtWidgets

from qt_harness.ctk_widgets import plain_property
from qt_harness.mrml_widgets import qMRMLWidget
from qt_harness.pythonqt import PythonQtType

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]


class qSlicerScriptedLoadableModule(QtCore.QObject, metaclass=PythonQtType):
    """What Slicer knows of a scripted module: ``parent`` of the module class."""

    title = plain_property(str, "title", "")
    categories = plain_property("QStringList", "categories", [])
    dependencies = plain_property("QStringList", "dependencies", [])
    contributors = plain_property("QStringList", "contributors", [])
    helpText = plain_property(str, "helpText", "")
    acknowledgementText = plain_property(str, "acknowledgementText", "")

    def __init__(self, name: str, path: Path) -> None:
        super().__init__()
        self._name, self._path = name, path
        self._widget: qSlicerScriptedLoadableModuleWidget | None = None

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        """The module's panel, made when first asked for."""
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self._name)
            self._widget.reload()
        return self._widget

    name = QtCore.Property(str, lambda self: self._name)
    path = QtCore.Property(str, lambda self: str(self._path))


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The panel's outermost widget: ``parent`` of the widget class."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._module_name = name
        self._python: Any = None
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)

    def self(self) -> Any:
        """The Python object; a function of the real one, by this name."""
        return self._python

    def reload(self) -> None:
        """Make the Python object anew from the module that is in ``sys.modules``."""
        kind = getattr(sys.modules[self._module_name], f"{self._module_name}Widget")
        self._python = kind(self)
        setattr(slicer.modules, f"{self._module_name}Widget", self._python)
        self._python.setup()


class ScriptedLoadableModule:
    """Base of the class that describes a module."""

    def __init__(self, parent: Any) -> None:
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename: str) -> str:
        """A file of the module's ``Resources``."""
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def runTest(self, msec: int = 100, **options: Any) -> None:
        """Run the module's self-test."""
        test = getattr(importlib.import_module(type(self).__module__), f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**options)


class ScriptedLoadableModuleWidget:
    """Base of the panel's class."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = slicer.util.settingsValue(
            "Developer/DeveloperMode", False, converter=slicer.util.toBool
        )
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        """A file of the module's ``Resources``."""
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        """Overridden to build the panel."""

    def cleanup(self) -> None:
        """Overridden to let go of everything."""

    def _onModuleAboutToBeUnloaded(self, name: str) -> None:
        if name == self.moduleName:
            self.cleanup()
            manager = slicer.app.moduleManager()
            manager.disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def onReload(self) -> None:
        """Load the module's file again and build the panel anew."""
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """Base of the logic's class: one parameter node a scene."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The module's ``vtkMRMLScriptedModuleNode``, made when there is none."""
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(node)
        if node.GetAttribute("ModuleName") != self.moduleName:
            node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of the self-test's class."""

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        """Say what the test does."""
        slicer.util.delayDisplay(message, getattr(self, "messageDelay", msec or requestedDelay or 100))

    def runTest(self) -> None:
        """Overridden to run the tests in order."""


HOST_CLASSES = {
    one.__name__: one for one in (qSlicerScriptedLoadableModule, qSlicerScriptedLoadableModuleWidget)
}
