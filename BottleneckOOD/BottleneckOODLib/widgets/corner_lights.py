"""The light in a corner of every slice view, following the case that the view shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.scene.corner_light import CornerLight
from BottleneckOODLib.scene.shown_case import shown_case

_MODIFIED = "ModifiedEvent"


class CornerLights:
    """One corner light a slice view of the layout.

    Args:
        scene: The ``vtkMRMLScene``.
        hidden: Whether the light must not be told now (the reader rates first).
        other_volume: Called when a view shows another volume.
    """

    def __init__(
        self, scene: Any, hidden: Callable[[Assessment], bool], other_volume: Callable[[], None] = lambda: None
    ) -> None:
        self._scene = scene
        self._hidden = hidden
        self._other_volume = other_volume
        self._backgrounds: dict[str, str | None] = {}
        self._lights: dict[str, tuple[CornerLight, Any]] = {}
        self._observed: dict[str, tuple[Any, int]] = {}

    def attach(self) -> None:
        """Take in the slice views that are there now; those known already stay, those that are gone are dropped."""
        self._drop_gone_views()
        manager = slicer.app.layoutManager()
        for name in [] if manager is None else manager.sliceViewNames():
            if name in self._lights:
                continue
            widget = manager.sliceWidget(name)
            renderer = widget.sliceView().renderWindow().GetRenderers().GetFirstRenderer()
            composite = widget.sliceLogic().GetSliceCompositeNode()
            self._lights[name] = (CornerLight(renderer), widget)
            self._observed[name] = (composite, composite.AddObserver(_MODIFIED, self._view_changed))
        self.refresh()

    def _drop_gone_views(self) -> None:
        manager = slicer.app.layoutManager()
        names = () if manager is None else manager.sliceViewNames()
        for name, (light, widget) in list(self._lights.items()):
            # Another view may have the name by now. A widget that is gone cannot be asked for anything.
            if name not in names or manager.sliceWidget(name) != widget:
                composite, tag = self._observed.pop(name)
                composite.RemoveObserver(tag)
                light.clear()
                del self._lights[name]

    def _view_changed(self, *_unused: Any) -> None:
        self._drop_gone_views()
        composites = ((name, widget.sliceLogic().GetSliceCompositeNode()) for name, (_, widget) in self._lights.items())
        backgrounds = {name: composite.GetBackgroundVolumeID() for name, composite in composites}
        if backgrounds != self._backgrounds:
            self._backgrounds = backgrounds
            self._other_volume()
        self.refresh()

    def refresh(self, *_unused: Any) -> None:
        """Show in each view the light of the case that it shows."""
        self._drop_gone_views()
        for light, widget in self._lights.values():
            assessment = shown_case(widget.sliceLogic().GetSliceCompositeNode())
            before = light.shown
            if assessment is None or self._hidden(assessment):
                light.clear()
            else:
                light.show(assessment.light, assessment.percentile)
            if light.shown != before:
                widget.sliceView().scheduleRender()

    def detach(self) -> None:
        """Leave every view as it was."""
        self._drop_gone_views()
        for node, tag in self._observed.values():
            node.RemoveObserver(tag)
        for light, widget in self._lights.values():
            light.clear()
            widget.sliceView().scheduleRender()
        self._observed, self._lights = {}, {}
