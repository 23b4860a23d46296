"""Stand-in for the application: the real scene and the real application logic, without windows of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import matplotlib
import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from qt_harness.layout_manager import qSlicerLayoutManager
from qt_harness.pythonqt import PythonQtType


class qSlicerModuleManager(QtCore.QObject, metaclass=PythonQtType):
    """The modules that were opened."""

    _about_to_be_unloaded = QtCore.Signal(str)
    host_signals: ClassVar[dict[str, str]] = {"moduleAboutToBeUnloaded(QString)": "_about_to_be_unloaded"}

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Any] = {}

    def module(self, name: str) -> Any:
        """The module of that name, or None."""
        return self._modules.get(name)


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar, metaclass=PythonQtType):
    """Chooses the module that is shown."""

    def __init__(self, manager: qSlicerModuleManager) -> None:
        super().__init__()
        self._manager = manager
        self._selected = ""

    def selectModule(self, name: str) -> None:
        """Leave the module that is shown and enter another; a slot of the real one."""
        if name == self._selected:
            return
        for chosen, hook in ((self._selected, "exit"), (name, "enter")):
            module = self._manager.module(chosen)
            widget = module.widgetRepresentation()._python if module is not None else None
            if hasattr(widget, hook):
                getattr(widget, hook)()
        self._selected = name


class qSlicerMainWindow(QtWidgets.QMainWindow, metaclass=PythonQtType):
    """The main window, never shown."""

    def __init__(self, manager: qSlicerModuleManager) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector = qSlicerModuleSelectorToolBar(manager)

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        """The tool bar of modules."""
        return self._selector


class qSlicerApplication(QtWidgets.QApplication, metaclass=PythonQtType):
    """``slicer.app``."""

    _startup = QtCore.Signal()
    host_signals: ClassVar[dict[str, str]] = {"startupCompleted()": "_startup"}

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="host-"))
        # Nothing of a test may reach the settings of whoever runs it.
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        for scope in (QtCore.QSettings.Scope.UserScope, QtCore.QSettings.Scope.SystemScope):
            QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, scope, str(self._home / "settings"))
        super().__init__(["host"])
        self.setApplicationName("Slicer")
        self.setOrganizationName("host")
        self.setQuitOnLastWindowClosed(False)
        _load_fonts(self)
        self._testing = False
        self._modules = qSlicerModuleManager()
        self._scene = slicer.vtkMRMLScene()
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._logic.SetTemporaryPath(str(self._home))
        self._parts = self._furnish_scene()
        self._layout = qSlicerLayoutManager(self._scene, self._logic)
        self._window = qSlicerMainWindow(self._modules)

    def _furnish_scene(self) -> tuple[Any, ...]:
        cache, data = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
        cache.SetRemoteCacheDirectory(str(self._home))
        data.SetCacheManager(cache)
        self._scene.SetCacheManager(cache)
        self._scene.SetDataIOManager(data)
        self._logic.SetMRMLScene(self._scene)
        colors, segmentations = slicer.vtkMRMLColorLogic(), slicer.vtkSlicerSegmentationsModuleLogic()
        for logic in (colors, segmentations):
            logic.SetMRMLApplicationLogic(self._logic)
            logic.SetMRMLScene(self._scene)
        self._logic.SetColorLogic(colors)
        self._logic.SetModuleLogic("Colors", colors)
        return cache, data, colors, segmentations

    def applicationLogic(self) -> Any:
        """The ``vtkSlicerApplicationLogic``."""
        return self._logic

    def layoutManager(self) -> qSlicerLayoutManager:
        """The views."""
        return self._layout

    def moduleManager(self) -> qSlicerModuleManager:
        """The modules."""
        return self._modules

    def testingEnabled(self) -> bool:
        """Whether dialogs are skipped; False, because tests answer them."""
        return self._testing


def _load_fonts(application: QtWidgets.QApplication) -> None:
    """Text is drawn on machines that have no fonts too."""
    for font in sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf")):
        QtGui.QFontDatabase.addApplicationFont(str(font))
    application.setFont(QtGui.QFont("DejaVu Sans", 9))
