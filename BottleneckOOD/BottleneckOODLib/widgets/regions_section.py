"""The overlay of unusual regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from BottleneckOODLib.assessment.wording import NO_REGIONS, REGIONS_NOTE, REGIONS_SCALE
from BottleneckOODLib.scene.mask import jump_to
from BottleneckOODLib.scene.overlay import (
    existing_overlay,
    most_unusual_place_shown,
    set_overlay_opacity,
    set_overlay_visible,
    take_strays_out,
)
from BottleneckOODLib.translation import _


class RegionsSection:
    """The overlay's part of the panel.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        scene: The ``vtkMRMLScene``.
        case: Gives the case that is shown, or None.
    """

    def __init__(self, ui: Any, scene: Any, case: Callable[[], str | None]) -> None:
        self._ui = ui
        self._scene = scene
        self._case = case
        self._hidden = False
        ui.regionsCheckBox.connect("toggled(bool)", self._apply)
        ui.regionsOpacity.connect("valueChanged(double)", self._apply)
        ui.jumpUnusualButton.connect("clicked()", self.go_to_the_most_unusual)

    def draw(self, *, light_hidden: bool = False) -> None:
        """What can be pressed, and what the overlay is not."""
        case = self._case()
        self._hidden = light_hidden
        there = case is not None and existing_overlay(self._scene, case) is not None and not light_hidden
        for widget in (self._ui.regionsCheckBox, self._ui.regionsOpacity, self._ui.jumpUnusualButton):
            widget.enabled = there
        missing = case is not None and not there and not light_hidden
        self._ui.regionsNote.text = _(NO_REGIONS) if missing else f"{_(REGIONS_NOTE)} {_(REGIONS_SCALE)}"
        self._apply()

    def toggle(self) -> None:
        """Show or hide the overlay."""
        self._ui.regionsCheckBox.checked = not self._ui.regionsCheckBox.checked

    def go_to_the_most_unusual(self, *_unused: Any) -> None:
        """Move the slice views to where the overlay is strongest."""
        case = self._case()
        place = None if case is None or self._hidden else most_unusual_place_shown(self._scene, case)
        if place is not None:
            jump_to(self._scene, place)

    def follow_the_views(self) -> None:
        """A view shows another volume: no overlay lies over a volume that is not its own."""
        take_strays_out(self._scene)
        self._apply()

    def _apply(self, *_unused: Any) -> None:
        case = self._case()
        if case is not None:
            set_overlay_opacity(self._scene, case, float(self._ui.regionsOpacity.value))
            set_overlay_visible(self._scene, case, bool(self._ui.regionsCheckBox.checked) and not self._hidden)
