"""The modules ``qt`` and its habits: one flat namespace, properties as attributes, ``connect`` by signature.

Slicer's Python speaks to Qt through PythonQt, this host through PySide6. What differs is bridged here or refused.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from shibokensupport import feature

TRUE_PROPERTY = 0x02
_QT_MODULES = (QtCore, QtGui, QtWidgets, QtUiTools)
_Meta = type(QtCore.QObject)


def attribute_style(module_name: str) -> None:
    """Give one module, by its name, PythonQt's ``label.text = "x"``."""
    _select(module_name, TRUE_PROPERTY)


def method_style(module_name: str) -> None:
    """Give one module, by its name, PySide's own ``label.setText("x")``; unnamed modules keep the style last used."""
    _select(module_name, 0)


def _select(module_name: str, style: int) -> None:
    # PySide's own function first reads the source of everything that is imported, and stumbles over torch.
    feature._is_initialized = True
    feature.pyside_feature_dict[module_name] = style
    QtCore.__init_feature__()


def signal_of(sender: Any, signature: str) -> tuple[Any, int]:
    """The signal that has a C++ signature, and how many arguments the signature passes on.

    Raises:
        ValueError: ``sender`` has no such signal; PythonQt would say so on the console only.
    """
    name, _, arguments = signature.rstrip(")").partition("(")
    if not signature.endswith(")"):
        raise ValueError(f"{signature!r} is no signature; write it as 'clicked()' or 'valueChanged(double)'")
    count = len([one for one in arguments.split(",") if one.strip()])
    for kind in type(sender).__mro__:
        host_signals: dict[str, str] = kind.__dict__.get("host_signals", {})
        if signature.replace(" ", "") in host_signals:
            return getattr(sender, host_signals[signature.replace(" ", "")]), count
    meta = sender.metaObject()
    normalized = QtCore.QMetaObject.normalizedSignature(signature)
    known = {bytes(meta.method(i).methodSignature()) for i in range(meta.methodCount())}
    # Qt knows a signal with default arguments under each of its shorter signatures too.
    if bytes(normalized) not in known:
        raise ValueError(f"{meta.className()} has no signal {signature!r}")
    return getattr(sender, name), count


def connect(sender: Any, signature: str, receiver: Callable[..., Any]) -> bool:
    """Call ``receiver`` with the arguments that the signature names."""
    signal, count = signal_of(sender, signature)

    def slot(*arguments: Any) -> None:
        receiver(*arguments[:count])

    signal.connect(slot)
    sender.__dict__.setdefault("_connections", []).append((signature, receiver, slot))
    return True


def disconnect(sender: Any, signature: str, receiver: Callable[..., Any]) -> bool:
    """Undo ``connect``; False when nothing was connected."""
    kept = sender.__dict__.get("_connections", [])
    for entry in kept:
        if entry[0] == signature and entry[1] == receiver:
            signal_of(sender, signature)[0].disconnect(entry[2])
            kept.remove(entry)
            return True
    return False


class PythonQtType(_Meta):  # type: ignore[misc, valid-type]
    """Gives a class ``connect`` by signature; the flat ``qt`` classes have Qt's own objects for instances too."""

    def __init__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> None:
        super().__init__(name, bases, members)
        # PySide looks for these two in the class itself only, not in its bases.
        cls.connect, cls.disconnect = connect, disconnect

    def __instancecheck__(cls, instance: object) -> bool:
        wrapped = cls.__dict__.get("_wrapped")
        return isinstance(instance, wrapped) if wrapped else super().__instancecheck__(instance)


def python_qt_class(base: type, **members: Any) -> type:
    """A Qt class with ``connect`` by signature, and whatever else is asked for."""
    return PythonQtType(base.__name__, (base,), {"_wrapped": base, "__module__": "qt", **members})


class QtModule(types.ModuleType):
    """``import qt``: the classes of QtCore, QtGui, QtWidgets and QtUiTools, made when first asked for."""

    def __init__(self, special: dict[str, Any]) -> None:
        super().__init__("qt", "Qt as PythonQt shows it")
        self.__dict__.update(special)

    def __getattr__(self, name: str) -> Any:
        # Signal, Slot and Property are PySide's; in Slicer they are not the same thing.
        source = next((m for m in _QT_MODULES if name.startswith("Q") and hasattr(m, name)), None)
        if source is None:
            raise AttributeError(f"module 'qt' has no attribute {name!r}")
        found = getattr(source, name)
        qobject = isinstance(found, _Meta) and issubclass(found, QtCore.QObject)
        if qobject and not issubclass(found, QtCore.QCoreApplication):
            found = python_qt_class(found)
        setattr(self, name, found)
        return found


def give_objects_pythonqt_names() -> None:
    """``name`` and ``className()``, which PythonQt gives to every QObject; one that Qt has deleted counts as False."""
    QtCore.QObject.name = property(lambda self: self.objectName(), lambda self, value: self.setObjectName(value))
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.__bool__ = lambda self: shiboken6.isValid(self)  # noqa: PLW0108 - a builtin is no method
