"""Building a reference from the user's own training cases."""

from __future__ import annotations

from typing import Any

import ctk

from BottleneckOODLib.panel.panel_state import PanelState
from BottleneckOODLib.panel.view_model import PanelViewModel


class ReferenceSection:
    """The part of the panel that builds references.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        view_model: What is shown and done.
    """

    def __init__(self, ui: Any, view_model: PanelViewModel) -> None:
        self._ui = ui
        self._view_model = view_model
        # With files among its kinds its browse button would offer nothing but files; a table's path can be typed.
        ui.casesEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.buildButton.connect("clicked()", self._build)

    def draw(self, state: PanelState) -> None:
        """Show a state."""
        self._ui.buildButton.text = state.build_button
        self._ui.buildButton.enabled = state.build_enabled
        for widget in (self._ui.casesEdit, self._ui.referenceNameEdit):
            widget.enabled = state.choices_enabled
        self._ui.referenceNote.visible = bool(state.build_message)
        self._ui.referenceNote.text = state.build_message

    def _build(self, *_unused: Any) -> None:
        self._view_model.press_build(str(self._ui.casesEdit.currentPath), str(self._ui.referenceNameEdit.text).strip())
