"""Stand-in for ``slicer.parameterNodeWrapper``: typed attributes that are kept on a parameter node of the scene."""

from __future__ import annotations

import types
import typing
from typing import Any

import slicer

_NUMBERS_AND_TEXT = (bool, int, float, str)


def parameterNodeWrapper(kind: type) -> type:
    """Class decorator: each annotated attribute is read from and written to the node, in its type.

    Raises:
        TypeError: An attribute's type is none of bool, int, float, str and the classes of MRML nodes.
    """
    hints = typing.get_type_hints(kind)
    defaults = {name: getattr(kind, name, None) for name in hints}
    for name, hint in hints.items():
        setattr(kind, name, _node_property(name) if _is_node(hint) else _value_property(name, hint, defaults[name]))

    def __init__(self: Any, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode, self._prefix = parameterNode, prefix or ""

    members: dict[str, Any] = {
        "__init__": __init__,
        "AddObserver": lambda self, event, call, priority=0.0: self.parameterNode.AddObserver(event, call, priority),
        "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
        "StartModify": lambda self: self.parameterNode.StartModify(),
        "EndModify": lambda self, was_modified: self.parameterNode.EndModify(was_modified),
        "Modified": lambda self: self.parameterNode.Modified(),
    }
    for name, member in members.items():
        setattr(kind, name, member)
    return kind


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(one for one in typing.get_args(hint) if one is not type(None))
    return hint


def _is_node(hint: Any) -> bool:
    inner = _without_none(hint)
    return isinstance(inner, type) and issubclass(inner, slicer.vtkMRMLNode)


def _node_property(name: str) -> property:
    def read(self: Any) -> Any:
        return self.parameterNode.GetNodeReference(self._prefix + name)

    def write(self: Any, node: Any) -> None:
        self.parameterNode.SetNodeReferenceID(self._prefix + name, node.GetID() if node is not None else None)

    return property(read, write)


def _value_property(name: str, hint: Any, default: Any) -> property:
    if hint not in _NUMBERS_AND_TEXT:
        raise TypeError(f"the parameter {name!r} has type {hint}; this host keeps bool, int, float, str and nodes")
    fallback = hint() if default is None else default

    def read(self: Any) -> Any:
        text = self.parameterNode.GetParameter(self._prefix + name)
        if text == "":
            return fallback if hint is not str or not self.parameterNode.HasParameter(self._prefix + name) else ""
        return text == "True" if hint is bool else hint(text)

    def write(self: Any, value: Any) -> None:
        if not isinstance(value, hint) and not (hint is float and isinstance(value, int)):
            raise TypeError(f"the parameter {name!r} is {hint.__name__}, not {type(value).__name__}")
        self.parameterNode.SetParameter(self._prefix + name, str(value))

    return property(read, write)
