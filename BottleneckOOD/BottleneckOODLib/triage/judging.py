"""One case of a batch, as a worker does it: assess, save, and tell what the store has to keep."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from BottleneckOODLib.assessment.assessment import CASE_FILES
from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.atomic_folder import check_replaceable
from BottleneckOODLib.catalogue import list_models, list_references
from BottleneckOODLib.errors import InputError, KeptFolderError, ModelError, NoScanError, SlowReadError
from BottleneckOODLib.imaging.hidden_names import without_names
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.reading_process import ReadVolume, read_apart
from BottleneckOODLib.imaging.series_folders import SeriesFolders
from BottleneckOODLib.imaging.volume import Modality
from BottleneckOODLib.progress import CancelToken

if TYPE_CHECKING:
    from BottleneckOODLib.logic import BottleneckOODLogic


_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Judge:
    """Which model and reference judge, and where.

    Attributes:
        model: Name or folder of the model.
        reference: Name or folder of the reference; None takes the model's own.
        device: As for ``BottleneckOODLogic``.
        modality: What the images are, where the files do not say.
        trust_files: Read the images where they are judged, and not in a process of their own.
    """

    model: str = "demo"
    reference: str | None = None
    device: str = "auto"
    modality: Modality | None = None
    trust_files: bool = False


@dataclass(frozen=True)
class Job:
    """One case to assess.

    Attributes:
        case_id: Its name in the store.
        path: The image file, or the folder of the series.
        series: UID where the folder holds several series, or several folders hold this one.
        folders: Those of a series that lies in several; ``path`` is above them.
        output: Where its folder goes.
        judge: What judges it.
        fingerprint: ``fingerprint_of`` the judge where the case was handed out; empty asks for none.
        named: Whether the names of its files may stand in the record and in sentences.
    """

    case_id: str
    # Not told where a scheduler logs what it could not do.
    path: str = field(repr=False)
    series: str | None = field(repr=False)
    output: str
    judge: Judge
    fingerprint: str = ""
    named: bool = True
    folders: tuple[str, ...] = field(default=(), repr=False)

    @property
    def source(self) -> str | SeriesFolders:
        """What is read."""
        return SeriesFolders(Path(self.path), tuple(map(Path, self.folders))) if self.folders else self.path

    def told(self, error: InputError) -> str:
        """What is told of the case; under its name in the store alone where its files' names are not to be told."""
        return str(error) if self.named else without_names(str(error), self.source, self.case_id)


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
        again: Nothing is wrong with the case: its folder is kept for what lies in it, and a later batch tries again.
        lost: Several workers were ended while they worked on it, or its image was not read in time (``sentence``); the
            case may be at fault, or what it lies on.
    """

    case_id: str
    record: str
    folder: str
    sentence: str
    is_scan: bool
    seconds: float
    again: bool = False
    lost: bool = False


def fingerprint_of(judge: Judge) -> str:
    """Fingerprint of the model and the reference together; another one judges every case anew.

    Raises:
        ModelError: There is no such model, or it is damaged.
        ReferenceSetError: There is no such reference, or it was made by another model.
    """
    # Read anew: what this process judged with before may have been replaced since.
    _logic.cache_clear()
    return _fingerprint(_logic(judge))


def for_workers(judge: Judge) -> Judge:
    """The same, to be understood in another working folder: folders by their whole path, names as they are."""
    model, reference = judge.model, judge.reference
    if model not in list_models() and Path(model).is_dir():
        model = str(Path(model).absolute())
    if reference is not None and reference not in list_references() and Path(reference).is_dir():
        reference = str(Path(reference).absolute())
    return replace(judge, model=model, reference=reference)


def carry_out(job: Job, cancel: CancelToken | None = None) -> Done:
    """Assess a case and save it; the model stays warm for the next.

    One at a time in a process: a cluster's worker may have several threads, and the model is one.

    Raises:
        Cancelled: The run was stopped.
        OutputError: The result cannot be saved; the case is not at fault.
        ModelError: The model folder is damaged, or it or the reference is another one than where the
            case was handed out.
        ReferenceSetError: The reference is damaged.
    """
    with _ONE_AT_A_TIME:
        return _carried_out(job, cancel)


def _carried_out(job: Job, cancel: CancelToken | None) -> Done:
    started = time.perf_counter()
    logic = _logic_of(job)
    try:
        with contextlib.suppress(OSError):
            # Minutes of computing later it would be refused all the same.
            check_replaceable(Path(job.output) / job.case_id, overwrite=True, known=CASE_FILES)
        assessment = logic.assess(
            job.source,
            case_id=job.case_id,
            series=job.series,
            modality=job.judge.modality,
            cancel=cancel,
            keep_file_name=job.named,
        )
        folder = assessment.save(Path(job.output), overwrite=True)
    except KeptFolderError as error:
        return Done(job.case_id, "", "", str(error), True, time.perf_counter() - started, again=True)
    except SlowReadError as error:
        return Done(job.case_id, "", "", job.told(error), True, time.perf_counter() - started, lost=True)
    except InputError as error:
        seconds = time.perf_counter() - started
        return Done(job.case_id, "", "", job.told(error), not isinstance(error, NoScanError), seconds)
    return Done(job.case_id, record_text(assessment), str(folder), "", True, time.perf_counter() - started)


def _logic_of(job: Job) -> BottleneckOODLogic:
    """What this worker judges with: a warm one may be that of an earlier batch, a fresh one may find another model."""
    if job.fingerprint and _fingerprint(_logic(job.judge)) != job.fingerprint:
        _logic.cache_clear()
    if job.fingerprint and _fingerprint(_logic(job.judge)) != job.fingerprint:
        message = (
            "A worker has another model or reference of this name than the program that hands out the cases; install "
            "the same version everywhere, or, where it was replaced meanwhile, run it again: what was assessed is kept."
        )
        raise ModelError(message)
    return _logic(job.judge)


def _fingerprint(logic: BottleneckOODLogic) -> str:
    return hashlib.sha256(f"{logic.model.fingerprint}\0{logic.reference.fingerprint}".encode()).hexdigest()


@lru_cache(maxsize=1)
def _logic(judge: Judge) -> BottleneckOODLogic:
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415 - in the worker, not where jobs are made

    read: ReadVolume = read_volume if judge.trust_files else read_apart
    return BottleneckOODLogic(judge.model, judge.reference, judge.device, read=read)

