"""The displayable managers of a view, which go when the view goes."""

from __future__ import annotations

from typing import Any


def managers_of(factory: Any, renderer: Any) -> Any:
    """A new ``vtkMRMLDisplayableManagerGroup`` on a renderer.

    Python's wrapper counts what the factory returns a second time. Without the correction, window, renderer and
    managers of every view stay for as long as the process, follow the scene, and slow down whatever comes after.
    """
    group = factory.InstantiateDisplayableManagers(renderer)
    if group.GetReferenceCount() > 1:
        group.UnRegister(None)
    return group
