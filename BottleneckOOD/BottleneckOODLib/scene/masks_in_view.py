"""A mask is drawn over its own volume only: over another patient's image it would be read as that patient's."""

from __future__ import annotations

from typing import Any

from BottleneckOODLib.scene.nodes import SEGMENTATION_ROLE, VOLUME_REFERENCE, existing_node, records_in

_OUT_OF_VIEW = "BottleneckOOD.OutOfView"


def follow_the_views(scene: Any) -> None:
    """Hide each mask whose volume no slice view shows, and bring it back when one does.

    A mask that the user hid stays hidden. Where no view shows any volume nothing is changed.
    """
    composites = [
        scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"))
    ]
    shown = {composite.GetBackgroundVolumeID() for composite in composites} - {None, ""}
    if not shown:
        return
    for case, record in records_in(scene):
        mask = existing_node(scene, "vtkMRMLSegmentationNode", case, SEGMENTATION_ROLE)
        display = None if mask is None else mask.GetDisplayNode()
        if mask is None or display is None:
            continue
        in_view = record.GetNodeReferenceID(VOLUME_REFERENCE) in shown
        if not in_view and display.GetVisibility():
            display.SetVisibility(False)
            mask.SetAttribute(_OUT_OF_VIEW, "1")
        elif in_view and mask.GetAttribute(_OUT_OF_VIEW):
            display.SetVisibility(True)
            mask.SetAttribute(_OUT_OF_VIEW, None)
