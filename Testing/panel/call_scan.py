"""What our module's files call outside our own library, read from their source."""

from __future__ import annotations

import ast
import builtins
import importlib
import sys
import unittest
import xml.etree.ElementTree as ET
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HOST_ROOTS = ("slicer", "qt", "ctk", "SampleData", "PyTorchUtils")
_PLAIN_TYPES = (str, bytes, list, tuple, dict, set, int, float, Path, BaseException, type(sys))
_PYTHON_TYPES = (*_PLAIN_TYPES, Future, ThreadPoolExecutor, unittest.TestCase)


@dataclass
class Calls:
    """The names of one or several files.

    Attributes:
        dotted: Names that begin with a module of the host, such as ``slicer.app.layoutManager``, and where they stand.
        members: Names of attributes of anything else, and where they stand.
        signatures: First arguments of ``connect`` and ``disconnect``, and where they stand.
        own: Names that the files define themselves.
    """

    dotted: dict[str, str] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)


def scan(files: list[Path]) -> Calls:
    """Read the files of the module."""
    calls = Calls()
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls.own |= defined_names(tree)
        _Reader(path.name, calls, _constants(tree)).visit(tree)
    return calls


def _constants(tree: ast.Module) -> dict[str, str]:
    """The words that a file names at its top."""
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def defined_names(tree: ast.AST) -> set[str]:
    """Functions, classes, fields and attributes of ``self`` that a file defines."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            names.add(node.attr)
    return names


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def library_names(library: Path) -> set[str]:
    """Everything that the library defines, without what speaks to Qt."""
    files = [path for path in library.rglob("*.py") if "widgets" not in path.relative_to(library).parts]
    return set().union(*(defined_names(ast.parse(path.read_text(encoding="utf-8"))) for path in files))


def ui_names(ui_file: Path) -> set[str]:
    """The names of a .ui file's widgets."""
    return {widget.get("name", "") for widget in ET.parse(ui_file).iter("widget")}


def ui_uses(ui_file: Path) -> set[str]:
    """What a .ui file uses of its widgets' classes, as ``"ctkSliderWidget.decimals"``; signals by their signature."""
    tree = ET.parse(ui_file)
    kinds = {widget.get("name"): widget.get("class") for widget in tree.iter("widget")}
    used = {f"{one.get('class')}.{p.get('name')}" for one in tree.iter("widget") for p in one.findall("property")}
    for wire in tree.iter("connection"):
        used.add(f"{kinds.get(wire.findtext('sender'))}.{wire.findtext('signal')}")
        used.add(f"{kinds.get(wire.findtext('receiver'))}.{wire.findtext('slot', '').partition('(')[0]}")
    return used


def python_names() -> set[str]:
    """Attributes of Python's own types."""
    # ``exception`` is what ``assertRaises`` keeps.
    return {"exception", *dir(builtins)}.union(*(dir(kind) for kind in _PYTHON_TYPES))


class _Reader(ast.NodeVisitor):
    """Resolves names through the imports of one file."""

    def __init__(self, file: str, calls: Calls, constants: dict[str, str]) -> None:
        self._file, self._calls, self._constants = file, calls, constants
        self._roots: dict[str, str] = {}
        self._libraries: set[str] = set()
        self._imported: dict[str, str] = {}

    def _where(self, node: ast.AST) -> str:
        return f"{self._file}:{getattr(node, 'lineno', 0)}"

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            if alias.name.split(".")[0] in HOST_ROOTS:
                self._roots[name] = alias.name if alias.asname else name
            else:
                self._libraries.add(name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if (node.module or "").split(".")[0] in HOST_ROOTS:
                self._calls.dotted.setdefault(f"{node.module}.{alias.name}", self._where(node))
                self._imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            else:
                self._libraries.add(alias.asname or alias.name)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in ("connect", "disconnect") and node.args:
            signature = self._words(node.args[0])
            if signature:
                self._calls.signatures.setdefault(signature, self._where(node))
        if isinstance(function, ast.Name) and function.id == "getattr" and isinstance(node.args[0], ast.Name):
            root, name = self._roots.get(node.args[0].id), self._words(node.args[1])
            if root and name:
                self._calls.dotted.setdefault(f"{root}.{name}", self._where(node))
        self.generic_visit(node)

    def _words(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self._constants.get(node.id, "")
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in self._roots:
            self._calls.dotted.setdefault(".".join([self._roots[inner.id], *chain]), self._where(node))
            return
        if isinstance(inner, ast.Name) and inner.id in self._libraries and inner.id not in ("self", "ui"):
            return
        if isinstance(inner, ast.Name) and inner.id in self._imported:
            self._calls.dotted.setdefault(".".join([self._imported[inner.id], *chain]), self._where(node))
        for name in chain:
            self._calls.members.setdefault(name, self._where(node))
        self.visit(inner)


def has_vtk_member(name: str) -> bool:
    """Whether a class of MRML or VTK has a member of that name."""
    return any(
        hasattr(getattr(importlib.import_module(module), kind), name)
        for module in ("slicer", "vtk")
        for kind in dir(importlib.import_module(module))
        if kind.startswith("vtk")
    )
