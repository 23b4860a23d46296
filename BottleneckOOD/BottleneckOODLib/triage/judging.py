"""One case of a batch, as a worker does it: assess, save, and tell what the store has to keep."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.errors import InputError, NoScanError
from BottleneckOODLib.imaging.volume import Modality
from BottleneckOODLib.progress import CancelToken

if TYPE_CHECKING:
    from BottleneckOODLib.logic import BottleneckOODLogic


@dataclass(frozen=True)
class Judge:
    """Which model and reference judge, and where.

    Attributes:
        model: Name or folder of the model.
        reference: Name or folder of the reference; None takes the model's own.
        device: As for ``BottleneckOODLogic``.
        modality: What the images are, where the files do not say.
    """

    model: str = "demo"
    reference: str | None = None
    device: str = "auto"
    modality: Modality | None = None


@dataclass(frozen=True)
class Job:
    """One case to assess.

    Attributes:
        case_id: Its name in the store.
        path: The image file, or the folder of the series.
        series: UID where the folder holds several series.
        output: Where its folder goes.
        judge: What judges it.
    """

    case_id: str
    path: str
    series: str | None
    output: str
    judge: Judge


@dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes:
        case_id: The case.
        record: The text of ``assessment.json``; empty where there is no assessment.
        folder: Where it was saved.
        sentence: Why there is no assessment.
        is_scan: Whether the file was a scan at all.
        seconds: What it took.
    """

    case_id: str
    record: str
    folder: str
    sentence: str
    is_scan: bool
    seconds: float


def fingerprint_of(judge: Judge) -> str:
    """Fingerprint of the model and the reference together; another one judges every case anew.

    Raises:
        ModelError: There is no such model, or it is damaged.
        ReferenceSetError: There is no such reference, or it was made by another model.
    """
    logic = _logic(judge)
    return hashlib.sha256(f"{logic.model.fingerprint}\0{logic.reference.fingerprint}".encode()).hexdigest()


def carry_out(job: Job, cancel: CancelToken | None = None) -> Done:
    """Assess a case and save it; the model stays warm for the next.

    Raises:
        Cancelled: The run was stopped.
        OutputError: The result cannot be saved; the case is not at fault.
        ModelError: The model folder is damaged.
        ReferenceSetError: The reference is damaged.
    """
    started = time.perf_counter()
    try:
        assessment = _logic(job.judge).assess(
            job.path, case_id=job.case_id, series=job.series, modality=job.judge.modality, cancel=cancel
        )
        folder = assessment.save(Path(job.output), overwrite=True)
    except InputError as error:
        seconds = time.perf_counter() - started
        return Done(job.case_id, "", "", str(error), not isinstance(error, NoScanError), seconds)
    return Done(job.case_id, record_text(assessment), str(folder), "", True, time.perf_counter() - started)


@lru_cache(maxsize=1)
def _logic(judge: Judge) -> BottleneckOODLogic:
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415 - in the worker, not where jobs are made

    return BottleneckOODLogic(judge.model, judge.reference, judge.device)
