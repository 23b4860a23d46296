"""A case as a scene bundle (``.mrb``) that 3D Slicer opens with everything in it."""

from __future__ import annotations

from pathlib import Path

import slicer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.volume_node import add_volume_node


def write_scene(assessment: Assessment, path: Path) -> None:
    """Write volume, segmentation, table, plot and record as one ``.mrb`` file.

    Raises:
        OutputError: The bundle cannot be written.
    """
    scene = slicer.vtkMRMLScene()
    # Registers the conversion between the representations of a segmentation.
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    segmentations.SetMRMLScene(scene)
    try:
        volume_node = (
            None if assessment.volume is None else add_volume_node(scene, assessment.volume, assessment.case_id)
        )
        show(assessment, scene, volume_node)
        if not scene.WriteToMRB(str(path.resolve()), None):
            message = f"The scene {path.name} cannot be written; check the folder's permissions and the free space."
            raise OutputError(message)
    finally:
        scene.Clear(1)
