"""One case from a script in the application: assessed by the worker, shown in the scene."""

from __future__ import annotations

import time
from typing import Any

import slicer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import Cancelled, ModelError
from BottleneckOODLib.imaging.volume import Modality
from BottleneckOODLib.scene.case_name import case_id_for
from BottleneckOODLib.scene.dicom_facts import acquisition_of, modality_of
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.volume_node import pending_volume
from BottleneckOODLib.widgets.dicom_database import dicom_tag
from BottleneckOODLib.worker.client import Done, Failed, WorkerClient

_PAUSE_S = 0.02


def assess_and_show(
    runner: WorkerClient,
    volume_node: Any,
    *,
    model: str = "demo",
    reference: str | None = None,
    device: str = "auto",
    modality: Modality = "unknown",
) -> Assessment:
    """Assess a volume and show the result; the application goes on drawing meanwhile.

    Raises:
        UserError: The volume, the model or the reference cannot be used.
        Cancelled: The run was stopped.
    """
    known = modality_of(volume_node, dicom_tag)
    told = modality if known == "unknown" else known
    volume = pending_volume(volume_node, told, acquisition_of(volume_node, dicom_tag))
    runner.assess(volume, case_id_for(volume_node), model=model, reference=reference, device=device)
    while True:
        for event in runner.poll():
            if isinstance(event, Done):
                show(event.assessment, volume_node.GetScene(), volume_node)
                return event.assessment
            if isinstance(event, Failed):
                if event.stopped:
                    raise Cancelled(event.sentence)
                raise ModelError(event.sentence)
        slicer.app.processEvents()
        time.sleep(_PAUSE_S)
