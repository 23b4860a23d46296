"""What is chosen in the panel, kept with the scene in the module's parameter node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from BottleneckOODLib.scene.volume_node import refusal_of


@dataclass(frozen=True)
class Kept:
    """What a scene keeps of the choices.

    Attributes:
        volume: The volume's node, or None.
        model: Name of the model; a folder would lead elsewhere on another computer.
        device: Name of the device.
    """

    volume: Any | None = None
    model: str = ""
    device: str = ""


class SceneChoices:
    """The parameter node, asked for when it is first needed: it is a node of the user's scene.

    Args:
        scene: The ``vtkMRMLScene``.
        parameters: Gives the module's parameter node, wrapped; None where there is none.
    """

    def __init__(self, scene: Any, parameters: Callable[[], Any]) -> None:
        self._scene = scene
        self._parameters = parameters
        self._node: Any = None

    @property
    def active_volume(self) -> Any | None:
        """The volume that the views were last told to show, where it can be assessed."""
        selection = self._scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
        volume = None if selection is None else self._scene.GetNodeByID(selection.GetActiveVolumeID() or "")
        return None if volume is None or refusal_of(volume) is not None else volume

    def kept(self) -> Kept:
        """What the scene keeps."""
        self._node = self._parameters()
        if self._node is None:
            return Kept()
        return Kept(self._node.inputVolume, str(self._node.model), str(self._node.device))

    def keep(self, volume: Any | None, model: str, device: str) -> None:
        """Keep what is chosen now; a node that holds it already is not touched."""
        node = self._node
        if node is None:
            return
        for name, value in (("inputVolume", volume), ("model", model), ("device", device)):
            if getattr(node, name) != value:
                setattr(node, name, value)

    def forget(self) -> None:
        """The scene is being closed."""
        self._node = None
