"""One case from a script in the application: assessed by the worker, shown in the scene."""

from __future__ import annotations

import time
from typing import Any

import slicer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import Cancelled, InputError, ModelError
from BottleneckOODLib.imaging.volume import Modality
from BottleneckOODLib.scene.case_name import case_id_for, frame_of
from BottleneckOODLib.scene.dicom_facts import acquisition_of, modality_of
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.volume_node import pending_volume, refusal_of
from BottleneckOODLib.widgets.dicom_database import dicom_tag
from BottleneckOODLib.worker.client import STOP_WITHIN_S, Done, Failed, WorkerClient

_PAUSE_S = 0.02
_GONE = "The volume was removed while it was assessed; nothing was shown."
_TAKEN = "The result went to the module's panel, which shares the worker; assess the case again."


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

    Whatever ends it before the result, such as Ctrl+C or a volume that is removed, ends the job too.

    Raises:
        UserError: The volume, the model or the reference cannot be used, or the volume was removed meanwhile.
        Cancelled: The run was stopped.
    """
    refusal = refusal_of(volume_node, dicom_tag)
    if refusal is not None:
        raise InputError(refusal)
    known = modality_of(volume_node, dicom_tag)
    told = modality if known == "unknown" else known
    scene, node_id, frame = volume_node.GetScene(), volume_node.GetID(), frame_of(volume_node)
    volume = pending_volume(volume_node, told, acquisition_of(volume_node, dicom_tag))
    runner.assess(volume, case_id_for(volume_node), model=model, reference=reference, device=device)
    try:
        while True:
            assessment = _result(runner)
            # Asked by its ID: another volume may have that by now.
            if scene.GetNodeByID(node_id) is not volume_node:
                raise InputError(_GONE)
            if assessment is not None:
                show(assessment, scene, volume_node, frame=frame)
                return assessment
            if not runner.busy:
                raise InputError(_TAKEN)
            slicer.app.processEvents()
            time.sleep(_PAUSE_S)
    finally:
        if runner.busy:
            _end_job(runner)


def _result(runner: WorkerClient) -> Assessment | None:
    for event in runner.poll():
        if isinstance(event, Done):
            return event.assessment
        if isinstance(event, Failed):
            raise Cancelled(event.sentence) if event.stopped else ModelError(event.sentence)
    return None


def _end_job(runner: WorkerClient) -> None:
    """Stop the job and hear its end, so that the next one can start; the warm worker stays where it stops in time."""
    runner.stop()
    end = time.monotonic() + 2 * STOP_WITHIN_S
    # However late this thread is, it listens once before it gives the worker up.
    runner.poll()
    while runner.busy and time.monotonic() < end:
        time.sleep(_PAUSE_S)
        runner.poll()
    if runner.busy:
        runner.close()
