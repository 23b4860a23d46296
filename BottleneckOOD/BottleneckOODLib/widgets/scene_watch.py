"""Tells when the scene may say something else of a case, whoever changed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import slicer
import vtk

from BottleneckOODLib.scene.nodes import RECORD_ROLE, ROLE_ATTRIBUTE

_Method = TypeVar("_Method", bound=Callable[..., None])
_with_its_node: Callable[[_Method], _Method] = vtk.calldata_type(vtk.VTK_OBJECT)
_BROWSER = "vtkMRMLSequenceBrowserNode"


class SceneWatch:
    """Calls when a result came or went (in the Data module, by a script, by undoing) or another frame is shown.

    Args:
        scene: The ``vtkMRMLScene``.
        changed: What is called; not while a scene is loaded or closed, which ends with events of its own.
    """

    def __init__(self, scene: Any, changed: Callable[[], None]) -> None:
        self._scene = scene
        self._changed = changed
        self._observed = [
            (scene, scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._added)),
            (scene, scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, self._removed)),
        ]
        for index in range(scene.GetNumberOfNodesByClass(_BROWSER)):
            self._watch(scene.GetNthNodeByClass(index, _BROWSER))

    def close(self) -> None:
        """Watch nothing any more."""
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []

    def _watch(self, browser: Any) -> None:
        self._observed.append((browser, browser.AddObserver("ModifiedEvent", self._tell)))

    @_with_its_node
    def _added(self, _scene: Any, _event: str, node: Any) -> None:
        if node.IsA(_BROWSER):
            self._watch(node)
        self._tell_of(node)

    @_with_its_node
    def _removed(self, _scene: Any, _event: str, node: Any) -> None:
        if node.IsA(_BROWSER):
            for observed, tag in self._observed:
                if observed is node:
                    node.RemoveObserver(tag)
            self._observed = [one for one in self._observed if one[0] is not node]
        self._tell_of(node)

    def _tell_of(self, node: Any) -> None:
        # A new result's node gets its role only after it was added: whoever shows it tells of it.
        if node.GetAttribute(ROLE_ATTRIBUTE) == RECORD_ROLE:
            self._tell()

    def _tell(self, *_unused: Any) -> None:
        if not self._scene.IsBatchProcessing():
            self._changed()


class VoxelWatch:
    """Calls when the one volume that is followed gets other voxels, such as a new one that is filled later.

    Args:
        changed: What is called.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._followed: tuple[Any, int] | None = None

    def follow(self, volume_node: Any | None) -> None:
        """Follow this volume instead; None follows none."""
        if self._followed is not None and self._followed[0] is volume_node:
            return
        if self._followed is not None:
            self._followed[0].RemoveObserver(self._followed[1])
        self._followed = None
        if volume_node is not None:
            event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
            self._followed = (volume_node, volume_node.AddObserver(event, self._tell))

    def _tell(self, *_unused: Any) -> None:
        self._changed()
