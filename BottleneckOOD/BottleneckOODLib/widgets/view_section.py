"""How the mask stands in the views, and the layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from BottleneckOODLib.scene.mask import jump_to, liver_centre_ras, set_drawn, show_surface
from BottleneckOODLib.scene.nodes import SEGMENTATION_ROLE, existing_node

SLICES_3D_AND_PLOT = "SlicerLayoutConventionalPlotView"


class ViewSection:
    """The mask's switches.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        scene: The ``vtkMRMLScene``.
        case: Gives the case that is shown, or None.
    """

    def __init__(self, ui: Any, scene: Any, case: Callable[[], str | None]) -> None:
        self._ui = ui
        self._scene = scene
        self._case = case
        self._layout_before: int | None = None
        self._applied_to: str | None = None
        ui.maskCheckBox.connect("toggled(bool)", self._apply)
        ui.outlineCheckBox.connect("toggled(bool)", self._apply)
        ui.fillCheckBox.connect("toggled(bool)", self._apply)
        ui.surfaceCheckBox.connect("toggled(bool)", self._apply_surface)
        ui.jumpLiverButton.connect("clicked()", self.go_to_the_liver)
        ui.layoutButton.connect("toggled(bool)", self._switch_layout)

    def draw(self, has_mask: bool) -> None:
        """What can be pressed."""
        ui = self._ui
        for widget in (ui.maskCheckBox, ui.outlineCheckBox, ui.fillCheckBox, ui.surfaceCheckBox, ui.jumpLiverButton):
            widget.enabled = has_mask
        case = self._case() if has_mask else None
        if case != self._applied_to:
            # Once a case: from then on whatever is hidden or drawn elsewhere, as in the Data module, stays so.
            self._applied_to = case
            self._apply()
            self._apply_surface()

    def go_to_the_liver(self, *_unused: Any) -> None:
        """Move the slice views to the middle of the mask."""
        case = self._case()
        mask = None if case is None else existing_node(self._scene, "vtkMRMLSegmentationNode", case, SEGMENTATION_ROLE)
        place = None if mask is None else liver_centre_ras(mask)
        if place is not None:
            jump_to(self._scene, place)

    def toggle_mask(self) -> None:
        """Show or hide the mask."""
        self._ui.maskCheckBox.checked = not self._ui.maskCheckBox.checked

    def toggle_fill(self) -> None:
        """From contour and fill to the contour alone, and back."""
        self._ui.outlineCheckBox.checked = True
        self._ui.fillCheckBox.checked = not self._ui.fillCheckBox.checked

    def toggle_layout(self) -> None:
        """To slices, 3D and the training map, and back."""
        self._ui.layoutButton.checked = not self._ui.layoutButton.checked

    def _apply(self, *_unused: Any) -> None:
        case = self._case()
        if case is not None:
            set_drawn(
                self._scene,
                case,
                visible=bool(self._ui.maskCheckBox.checked),
                outline=bool(self._ui.outlineCheckBox.checked),
                fill=bool(self._ui.fillCheckBox.checked),
            )

    def _apply_surface(self, *_unused: Any) -> None:
        case = self._case()
        if case is not None:
            shown = bool(self._ui.surfaceCheckBox.checked)
            show_surface(self._scene, case, shown)
            manager = slicer.app.layoutManager()
            for index in range(manager.threeDViewCount if shown and manager is not None else 0):
                manager.threeDWidget(index).threeDView().resetFocalPoint()

    def layout_switched(self) -> None:
        """The layout was changed, here or in the application's own menu: the button says which one stands."""
        node = self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        ours = node is not None and node.GetViewArrangement() == getattr(slicer.vtkMRMLLayoutNode, SLICES_3D_AND_PLOT)
        if bool(self._ui.layoutButton.checked) != ours:
            blocked = self._ui.layoutButton.blockSignals(True)
            self._ui.layoutButton.checked = ours
            self._ui.layoutButton.blockSignals(blocked)
            self._layout_before = None

    def _switch_layout(self, *_unused: Any) -> None:
        node = self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if node is None:
            return
        if self._ui.layoutButton.checked:
            self._layout_before = int(node.GetViewArrangement())
            node.SetViewArrangement(getattr(slicer.vtkMRMLLayoutNode, SLICES_3D_AND_PLOT))
        else:
            usual = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
            node.SetViewArrangement(usual if self._layout_before is None else self._layout_before)
            self._layout_before = None
