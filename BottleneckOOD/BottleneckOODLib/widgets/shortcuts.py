"""Keys that work while the module is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer


class Shortcuts:
    """Key sequences of the main window, switched on while the module is open.

    Args:
        actions: What each key sequence does.
    """

    def __init__(self, actions: Mapping[str, Callable[[], Any]]) -> None:
        self._shortcuts: list[Any] = []
        window = slicer.util.mainWindow()
        for keys, action in actions.items() if window is not None else ():
            shortcut = qt.QShortcut(window)
            shortcut.key = qt.QKeySequence(keys)
            shortcut.enabled = False
            shortcut.connect("activated()", action)
            self._shortcuts.append(shortcut)

    def switch(self, on: bool) -> None:
        """Switch them on or off."""
        for shortcut in self._shortcuts:
            shortcut.enabled = on

    def remove(self) -> None:
        """Take them away for good."""
        for shortcut in self._shortcuts:
            shortcut.enabled = False
            shortcut.deleteLater()
        self._shortcuts = []
