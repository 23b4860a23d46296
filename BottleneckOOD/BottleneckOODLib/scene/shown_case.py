"""Which case a slice view shows."""

from __future__ import annotations

from typing import Any

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.scene.case_name import is_shown_frame
from BottleneckOODLib.scene.nodes import VOLUME_REFERENCE, recorded_assessment, records_in


def shown_case(composite_node: Any) -> Assessment | None:
    """The result on the volume that a slice view shows: its background, or its foreground where there is no background.

    A volume that lies over or under another one says nothing of that: then the view has no light.

    Args:
        composite_node: The view's ``vtkMRMLSliceCompositeNode``.

    Returns:
        The assessment without its mask; None where that volume was not assessed, shows another frame of its sequence,
        or the record cannot be read: a view without a light says nothing about the mask.
    """
    scene = composite_node.GetScene()
    if scene is None:
        return None
    volume_id = composite_node.GetBackgroundVolumeID()
    if not volume_id and composite_node.GetForegroundOpacity() > 0:
        volume_id = composite_node.GetForegroundVolumeID()
    volume = scene.GetNodeByID(volume_id) if volume_id else None
    return None if volume is None else case_on(volume)


def case_on(volume_node: Any) -> Assessment | None:
    """The result on a volume, in the frame that it shows; None where there is none that can be read."""
    for case, record in records_in(volume_node.GetScene()):
        if record.GetNodeReferenceID(VOLUME_REFERENCE) == volume_node.GetID() and is_shown_frame(volume_node, record):
            try:
                return recorded_assessment(case, record)
            except InputError:
                continue
    return None
