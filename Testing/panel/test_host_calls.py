"""Our module calls outside our library only what is listed, and the stand-ins are no more than what is listed."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import slicer
from call_scan import HOST_ROOTS, Calls, has_vtk_member, library_names, python_names, scan, ui_names, ui_uses
from host_calls import HOST_CALLS, NOT_CALLED_BY_THE_MODULE, QT_CALLS
from PySide6 import QtCore, QtGui, QtWidgets
from qt_harness import (
    application,
    ctk_widgets,
    host,
    layout_manager,
    mrml_widgets,
    plot_view,
    sample_data,
    scripted_module,
    views,
)

HINT = "; look it up in the sources or documentation of Slicer 5.10, CTK or Qt 5.15 and list it in host_calls.py"
FILES = (
    *(application, ctk_widgets, host, layout_manager, mrml_widgets),
    *(plot_view, sample_data, scripted_module, views),
)
# Made for tests, and no class of Slicer.
OUR_OWN = {"Host", "RenderedWidget", "SampleDataSource", "ViewFrame"}
ROOT_OBJECTS = {
    "slicer.app": "qSlicerApplication",
    "slicer.dicomDatabase": "ctkDICOMDatabase",
    "SampleData.SampleDataLogic": "SampleDataLogic",
}
APPLICATION_BASES = ("QApplication", "QGuiApplication", "QCoreApplication", "QObject")


def qt_class(name: str) -> Any:
    return next(getattr(module, name) for module in (QtWidgets, QtGui, QtCore) if hasattr(module, name))


def stand_ins() -> dict[str, type]:
    found = {
        name: kind
        for file in FILES
        for name, kind in vars(file).items()
        if isinstance(kind, type) and kind.__module__ == file.__name__ and not name.startswith("_")
    }
    return {name: kind for name, kind in found.items() if name not in OUR_OWN}


def added_names(kind: type) -> set[str]:
    """Public names that a stand-in has beyond its base of Qt, signals by their signature."""
    bases = [base for base in kind.__mro__ if base.__module__.startswith(("PySide6", "unittest"))]
    # PythonQt's ``name`` is given to every QObject once the host has started.
    inherited = {name for base in bases for name in dir(base)} - {"name"}
    names = {name for name in vars(kind) if not name.startswith("_")} - inherited
    signals = set(vars(kind).get("host_signals", {}))
    return (names - {"connect", "disconnect", "host_signals", "staticMetaObject"}) | signals


def listed(owner: str) -> set[str]:
    return {name.partition(".")[2] for name in HOST_CALLS if name.startswith(f"{owner}.")}


@pytest.fixture(scope="session")
def module_folder(repository: Path) -> Path:
    folder = repository / "BottleneckOOD"
    if not (folder / "BottleneckOOD.py").is_file():
        pytest.skip("the module is not there yet")
    return folder


@pytest.fixture(scope="session")
def calls(module_folder: Path) -> Calls:
    widgets = module_folder / "BottleneckOODLib" / "widgets"
    return scan([module_folder / "BottleneckOOD.py", *sorted(widgets.glob("*.py"))])


@pytest.mark.parametrize("name", sorted(stand_ins()))
def test_a_stand_in_has_what_is_listed_and_no_more(name: str) -> None:
    assert added_names(stand_ins()[name]) == listed(name)


def test_every_listed_class_of_slicer_has_a_stand_in() -> None:
    owners = {name.partition(".")[0] for name in HOST_CALLS} - {"slicer", "ctk", "SampleData"}
    assert owners <= set(stand_ins())


def test_every_entry_names_a_file_of_a_repository() -> None:
    for where in set(HOST_CALLS.values()):
        repository, _, file = where.partition(" ")
        assert repository in ("Slicer/Slicer", "commontk/CTK")
        assert re.fullmatch(r"[\w/]+(\.h|\.py|script_repository)", file)


@pytest.mark.parametrize("name", sorted(QT_CALLS))
def test_what_is_listed_of_qt_exists(name: str) -> None:
    kind = qt_class(name)
    meta = getattr(kind, "staticMetaObject", None)
    for member in QT_CALLS[name].split():
        signal = member.endswith(")") and meta is not None and meta.indexOfSignal(member) >= 0
        prop = meta is not None and meta.indexOfProperty(member) >= 0
        assert hasattr(kind, member) or prop or signal, f"{name}.{member}"


class TestOurModule:
    def test_names_of_the_host_are_listed(self, calls: Calls) -> None:
        unknown = {name: where for name, where in calls.dotted.items() if not is_listed(name)}
        assert not unknown, f"{unknown}{HINT}"

    def test_members_are_known_to_somebody(self, calls: Calls, module_folder: Path) -> None:
        known = python_names() | calls.own | library_names(module_folder / "BottleneckOODLib")
        known |= ui_names(module_folder / "Resources" / "UI" / "BottleneckOOD.ui")
        known |= {name.rpartition(".")[2] for name in HOST_CALLS}
        known |= {member for members in QT_CALLS.values() for member in members.split()}
        unknown = {
            name: where
            for name, where in calls.members.items()
            if name not in known and not (name[0].isupper() and has_vtk_member(name))
        }
        assert not unknown, f"{unknown}{HINT}"

    def test_signals_are_listed_by_their_signature(self, calls: Calls) -> None:
        known = {name.partition(".")[2] for name in HOST_CALLS if name.endswith(")")}
        known |= {member for members in QT_CALLS.values() for member in members.split()}
        # Signals that PySide knows without their types: listed by name.
        known |= {"valueChanged(double)", "layoutChanged(int)"}
        unknown = {signature: where for signature, where in calls.signatures.items() if signature not in known}
        assert not unknown, f"{unknown}{HINT}"

    def test_nothing_of_qt_is_listed_that_is_not_used(self, calls: Calls) -> None:
        used = set(calls.members) | set(calls.signatures) | {p for name in calls.dotted for p in name.split(".")}
        unused = {f"{name}.{m}" for name, members in QT_CALLS.items() for m in members.split() if m not in used}
        assert not unused


    def test_nothing_of_slicer_and_ctk_is_listed_that_is_not_used(self, calls: Calls, module_folder: Path) -> None:
        in_the_file = ui_uses(module_folder / "Resources" / "UI" / "BottleneckOOD.ui")
        unused = {name for name in HOST_CALLS if name not in in_the_file and not is_used(name, calls)}
        assert unused == set(NOT_CALLED_BY_THE_MODULE)

    @pytest.mark.parametrize("name", sorted(NOT_CALLED_BY_THE_MODULE))
    def test_who_needs_what_the_module_does_not_call_names_it(self, name: str) -> None:
        who = NOT_CALLED_BY_THE_MODULE[name]
        module, _, function = who.rpartition(".")
        if function == "py":
            text = Path(__file__).with_name(who).read_text(encoding="utf-8")
        else:
            text = inspect.getsource(getattr(importlib.import_module(module), function))
        assert member_of(name) in text


def member_of(name: str) -> str:
    """``"dataSelected(int)"`` of ``"qMRMLPlotView.dataSelected(int)"``; no type of an argument has a point."""
    return name.rpartition(".")[2]


def is_used(name: str, calls: Calls) -> bool:
    """Whether the module's files name an entry of the list, at its own place where that can be told from the source."""
    owner, member = name.rpartition(".")[0], member_of(name)
    signatures = {*calls.signatures, *(signature.partition("(")[0] for signature in calls.signatures)}
    # What a class of CTK itself has is asked of it by the name of its module.
    if member in signatures or f"ctk.{name}" in calls.dotted:
        return True
    # The database is asked for by ``getattr``, its members are those of an object.
    roots = {kind: path for path, kind in ROOT_OBJECTS.items() if kind != "ctkDICOMDatabase"}
    root = roots.get(owner, owner)
    if root.split(".")[0] in HOST_ROOTS:
        whole = f"{root}.{member}"
        return any(dotted == whole or dotted.startswith(f"{whole}.") for dotted in calls.dotted)
    # What a module overrides of Slicer's base classes is called by Slicer.
    return member in calls.members or (owner.startswith("ScriptedLoadableModule") and member in calls.own)


def is_listed(dotted: str) -> bool:
    parts = dotted.split(".")
    if parts[0] == "qt":
        return parts[1] in QT_CALLS and (len(parts) == 2 or parts[2] in QT_CALLS[parts[1]].split())
    if dotted.startswith("slicer.vtk"):
        return hasattr(slicer, parts[1]) and (len(parts) == 2 or hasattr(getattr(slicer, parts[1]), parts[2]))
    if dotted.startswith("slicer.mrmlScene"):
        return len(parts) == 2 or hasattr(slicer.vtkMRMLScene, parts[2])
    # A method of a base class may be called by the class's name.
    of_a_base = ".".join(parts[:3]) in HOST_CALLS and (parts[-1] == "__init__" or ".".join(parts[2:]) in HOST_CALLS)
    if of_a_base or dotted in HOST_CALLS or dotted in {name.rpartition(".")[0] for name in HOST_CALLS}:
        return True
    owner, member = ROOT_OBJECTS.get(".".join(parts[:2])), parts[-1]
    if owner == "qSlicerApplication" and any(member in QT_CALLS[base].split() for base in APPLICATION_BASES):
        return True
    return owner is not None and f"{owner}.{member}" in HOST_CALLS


class TestTheScan:
    @pytest.fixture
    def scanned(self, tmp_path: Path) -> Calls:
        path = tmp_path / "panel.py"
        path.write_text(
            "import json\nimport qt\nimport slicer.util\nfrom slicer.i18n import tr as _\n"
            "class Panel:\n"
            "    def __init__(self, ui):\n"
            "        self.ui = ui\n"
            "        ui.button.connect('clicked()', self.press)\n"
            "        slicer.util.loadUI(json.dumps({}))\n"
            "        self.ui.view().scheduleRender()\n"
            "    def press(self):\n"
            "        return qt.QLabel(_('x')).pixmap\n",
            encoding="utf-8",
        )
        return scan([path])

    def test_it_finds_names_through_imports(self, scanned: Calls) -> None:
        assert set(scanned.dotted) == {"slicer.i18n.tr", "slicer.util.loadUI", "qt.QLabel"}

    def test_it_finds_what_is_asked_for_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "x.py"
        path.write_text(
            "import slicer\n_S = 'changed(int)'\nbox = getattr(slicer, 'box', None)\nbox.connect(_S, print)\n",
            encoding="utf-8",
        )
        found = scan([path])
        assert set(found.dotted) == {"slicer.box"}
        assert set(found.signatures) == {"changed(int)"}

    def test_it_finds_what_a_ui_file_uses(self, repository: Path) -> None:
        used = ui_uses(repository / "Testing" / "panel" / "tiny_module" / "Resources" / "UI" / "TinyModule.ui")
        assert {"ctkSliderWidget.singleStep", "qMRMLWidget.mrmlSceneChanged(vtkMRMLScene*)"} <= used
        assert "qMRMLNodeComboBox.setMRMLScene" in used
        assert "qMRMLNodeComboBox.singleStep" not in used

    @pytest.mark.parametrize("name", ["slicer.app", "qSlicerApplication.layoutManager", "ctkDICOMDatabase.isOpen"])
    def test_what_is_not_named_is_not_used(self, name: str, calls: Calls) -> None:
        assert is_used(name, calls)
        assert not is_used(name, Calls())

    def test_it_finds_members_of_results(self, scanned: Calls) -> None:
        assert {"scheduleRender", "view", "pixmap", "button", "connect"} <= set(scanned.members)
        assert "dumps" not in scanned.members

    def test_it_knows_what_is_the_files_own(self, scanned: Calls) -> None:
        assert {"Panel", "press", "ui"} <= scanned.own
        assert set(scanned.signatures) == {"clicked()"}

    def test_it_tells_where(self, scanned: Calls) -> None:
        assert scanned.members["scheduleRender"] == "panel.py:10"

    def test_a_call_that_is_not_listed_is_found(self, tmp_path: Path) -> None:
        source = (
            "import slicer\nfrom slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic\n"
            "slicer.app.inventedCall()\nslicer.vtkMRMLScene.NoSuchEvent\n"
            "ScriptedLoadableModuleLogic.getParameterNode(None)\nScriptedLoadableModuleLogic.getAnything(None)\n"
        )
        path = tmp_path / "x.py"
        path.write_text(source, encoding="utf-8")
        assert ast.parse(source)
        assert [name for name in scan([path]).dotted if not is_listed(name)] == [
            "slicer.app.inventedCall",
            "slicer.vtkMRMLScene.NoSuchEvent",
            "slicer.ScriptedLoadableModule.ScriptedLoadableModuleLogic.getAnything",
        ]

    def test_mrml_and_vtk_are_asked_for_members(self) -> None:
        assert has_vtk_member("GetSliceCompositeNode")
        assert not has_vtk_member("GetSomethingInvented")
