"""The host as a test sees it: opens modules, answers questions, tells what was shown."""

from __future__ import annotations

import importlib.util
import inspect
import os
import pkgutil
import sys
import time
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import slicer
import slicer.util
from PySide6 import QtCore

from qt_harness import parameter_node, sample_data, scripted_module
from qt_harness.application import qSlicerApplication
from qt_harness.ctk_widgets import CTK_CLASSES
from qt_harness.dialogs import Answer, Asked, Dialogs
from qt_harness.mrml_widgets import MRML_CLASSES
from qt_harness.pythonqt import QtModule, attribute_style, give_objects_pythonqt_names, method_style
from qt_harness.ui_loader import QUiLoader

LIBRARY = "BottleneckOODLib"
PATIENCE_S = 300.0


class ctkDICOMDatabase:
    """The DICOM database: instances that a test put into ``_files``."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}

    @property
    def isOpen(self) -> bool:
        """Whether there is one."""
        return True

    def instanceValue(self, instance: str, tag: str) -> str:
        """A value by its tag, as ``"0008,0060"``; empty when it is unknown."""
        if instance not in self._files:
            return ""
        header = pydicom.dcmread(self._files[instance], stop_before_pixels=True, force=True)
        element = header.get(tuple(int(part, 16) for part in tag.split(",")))
        return "" if element is None else str(element.value)


class Host:
    """The application, its scene and its modules.

    Attributes:
        scene: The ``vtkMRMLScene`` of ``slicer.mrmlScene``.
        dialogs: What was asked, and the answers.
        errors: Exceptions that reached Qt or VTK, where Slicer would only print them.
    """

    def __init__(self) -> None:
        give_objects_pythonqt_names()
        self.dialogs = Dialogs()
        self.errors: list[str] = []
        kinds = self.dialogs.classes()
        ctk = types.ModuleType("ctk")
        ctk.__dict__.update({**CTK_CLASSES, "ctkMessageBox": kinds.pop("ctkMessageBox")})
        special = {"QUiLoader": QUiLoader, **kinds}
        i18n = types.ModuleType("slicer.i18n")
        i18n.__dict__.update(tr=lambda text: text, translate=lambda context, text: text)
        self._modules: dict[str, types.ModuleType] = {
            "qt": QtModule(special),
            "ctk": ctk,
            "SampleData": sample_data,
            "slicer.ScriptedLoadableModule": scripted_module,
            "slicer.parameterNodeWrapper": parameter_node,
            "slicer.i18n": i18n,
        }
        sys.modules.update(self._modules)
        for name in [name for name in sys.modules if name.startswith("qt_harness")]:
            method_style(name)
        attribute_style("slicer.util")
        slicer.modules = types.SimpleNamespace(sampleDataSources={})
        slicer.selfTests = {}
        self.application = qSlicerApplication()
        slicer.app = self.application
        self.scene = slicer.mrmlScene = self.application._scene
        slicer.dicomDatabase = ctkDICOMDatabase()
        for name, kind in {**MRML_CLASSES, **scripted_module.HOST_CLASSES}.items():
            setattr(slicer, name, kind)
        slicer.util.delayDisplay = lambda message, *_, **__: self.dialogs.notice(message)
        self._furniture = self._node_ids()
        self._layout = self.application.layoutManager().layout

    @property
    def asked(self) -> list[Asked]:
        """Every dialog of this test."""
        return self.dialogs.asked

    @property
    def answers(self) -> deque[Answer]:
        """What the test answers, in order: the name of a button, a path, or a function of the dialog."""
        return self.dialogs.answers

    def _node_ids(self) -> set[str]:
        return {self.scene.GetNthNode(i).GetID() for i in range(self.scene.GetNumberOfNodes())}

    def clear(self) -> None:
        """The scene, the questions and the settings as at the start."""
        self.application.layoutManager()._forget_views(self._furniture)
        self.scene.Clear(0)
        for identifier in self._node_ids() - self._furniture:
            self.scene.RemoveNode(self.scene.GetNodeByID(identifier))
        self.application.layoutManager().setLayout(self._layout)
        QtCore.QSettings().clear()
        slicer.dicomDatabase._files.clear()
        slicer.modules.sampleDataSources.clear()
        self.dialogs.clear()
        self.errors.clear()

    @contextmanager
    def noticing_errors(self) -> Iterator[None]:
        """Collect exceptions of slots, timers and observers, which reach no caller."""
        before = sys.excepthook

        def notice(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
            self.errors.append("".join(traceback.format_exception(kind, error, trace)))

        sys.excepthook = notice
        try:
            yield
        finally:
            sys.excepthook = before

    def open_module(self, path: Path) -> Any:
        """Load a scripted module's file and open its panel, as Slicer does; gives the Python widget."""
        name = path.stem
        _prepare_import(path)
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        described = scripted_module.qSlicerScriptedLoadableModule(name, path)
        setattr(slicer.modules, f"{name}Instance", getattr(module, name)(described))
        setattr(slicer.modules, name.lower(), described)
        self.application.moduleManager()._modules[name] = described
        self.application._startup.emit()
        slicer.util.selectModule(name)
        return described.widgetRepresentation()._python

    def close_module(self, name: str) -> None:
        """Leave a module and unload it; its ``cleanup`` is called."""
        manager = self.application.moduleManager()
        slicer.util.selectModule("")
        described = manager.module(name)
        if described is None:
            return
        manager._about_to_be_unloaded.emit(name)
        described.widgetRepresentation().deleteLater()
        del manager._modules[name]
        for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
            vars(slicer.modules).pop(attribute, None)
        slicer.selfTests.pop(name, None)
        sys.modules.pop(name, None)
        for signature, receiver, _ in list(self.application.__dict__.get("_connections", [])):
            self.application.disconnect(signature, receiver)
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)

    def add_dicom_file(self, instance: str, path: Path) -> None:
        """Put an instance into the DICOM database, by its unique identifier."""
        slicer.dicomDatabase._files[instance] = path

    def about_to_quit(self) -> None:
        """Slicer is being closed."""
        self.application.aboutToQuit.emit()

    def spin_until(self, condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
        """Run the event loop until something holds.

        Raises:
            AssertionError: It did not hold in time, or something went wrong meanwhile.
        """
        deadline = time.monotonic() + patience_s
        while not condition():
            if self.errors:
                raise AssertionError(self.errors[0])
            if time.monotonic() > deadline:
                raise AssertionError(f"did not come true within {patience_s:.0f} s: {_source_of(condition)}")
            self.application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(0.001)

    @contextmanager
    def keeping_the_library(self) -> Iterator[None]:
        """Whatever is reloaded or imported from elsewhere inside, the library and the path are as before after."""
        before, path = _library_modules(), list(sys.path)
        try:
            yield
        finally:
            now = _library_modules()
            # What was only imported for the first time is of this library: the next test need not read it again.
            if any(now.get(name) is not module for name, module in before.items()):
                for name in now:
                    del sys.modules[name]
                sys.modules.update(before)
            sys.path[:] = path


def _library_modules() -> dict[str, types.ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == LIBRARY}


def _prepare_import(path: Path) -> None:
    """The module's folder first on the path, with the library beside it, and PythonQt's style where it speaks to Qt."""
    sys.path.insert(0, str(path.parent))
    library = sys.modules.get(LIBRARY)
    beside = path.parent / LIBRARY
    if library is not None and beside.is_dir() and Path(library.__path__[0]).resolve() != beside.resolve():
        for name in _library_modules():
            del sys.modules[name]
    attribute_style(path.stem)
    widgets = path.parent / LIBRARY / "widgets"
    attribute_style(f"{LIBRARY}.widgets")
    for found in pkgutil.walk_packages([str(widgets)], f"{LIBRARY}.widgets."):
        attribute_style(found.name)


def _source_of(condition: Callable[[], Any]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)


def start_host() -> Host:
    """Start the one host of this process, without a display."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    return Host()
