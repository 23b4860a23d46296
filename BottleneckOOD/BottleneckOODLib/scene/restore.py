"""Results from a scene that was saved with them, without computing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.scene.nodes import (
    SEGMENTATION_ROLE,
    VOLUME_REFERENCE,
    existing_node,
    recorded_assessment,
    records_in,
)


@dataclass(frozen=True)
class CaseInScene:
    """A case whose result a scene holds.

    Attributes:
        assessment: The result, without its mask.
        volume_node: The volume that was assessed; None where it is no longer there.
        segmentation_node: The mask; None where there is none.
    """

    assessment: Assessment
    volume_node: Any | None
    segmentation_node: Any | None


def cases_in(scene: Any) -> dict[str, CaseInScene]:
    """The results that a scene holds, by case.

    Raises:
        InputError: A record is damaged, or of a newer format.
    """
    return {
        case: CaseInScene(
            recorded_assessment(case, record),
            record.GetNodeReference(VOLUME_REFERENCE),
            existing_node(scene, "vtkMRMLSegmentationNode", case, SEGMENTATION_ROLE),
        )
        for case, record in records_in(scene)
    }
