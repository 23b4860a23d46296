"""What the worker does for each request; the model stays loaded from one job to the next."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from BottleneckOODLib.errors import Cancelled, ProgramFault, UserError
from BottleneckOODLib.progress import CancelToken, Progress, ProgressCallback
from BottleneckOODLib.worker.protocol import (
    Assess,
    BuildReference,
    Built,
    DevicesFound,
    Finished,
    Job,
    Refused,
    Result,
)

if TYPE_CHECKING:
    from BottleneckOODLib.logic import BottleneckOODLogic

# So that a message stays a short line whatever the names are.
_MOST_LEFT_OUT, _LONGEST_REASON = 30, 400


class Jobs:
    """Does one job at a time.

    Args:
        exchange: The exchange folder; nothing is written anywhere else.
    """

    def __init__(self, exchange: Path) -> None:
        self._exchange = exchange
        self._logic: BottleneckOODLogic | None = None
        self._loaded: tuple[str, str | None, str] | None = None

    def do(self, job: Job, tell: ProgressCallback, cancel: CancelToken) -> Result:
        """Do a job; every failure becomes a sentence.

        Args:
            job: What is asked.
            tell: Called with every step.
            cancel: Stops it at the next window.
        """
        try:
            return self._done(job, tell, cancel)
        except Cancelled:
            return Refused(job.job, "The run was stopped; nothing was changed.", stopped=True)
        except UserError as error:
            return Refused(job.job, str(error), stopped=False)
        except Exception as error:
            traceback.print_exc()
            cause = error.__cause__ if isinstance(error, ProgramFault) else error
            return Refused(job.job, _sentence_for(cause or error), stopped=False)

    def _done(self, job: Job, tell: ProgressCallback, cancel: CancelToken) -> Result:
        tell(Progress("Starting", 0.0))
        cancel.raise_if_cancelled()
        if isinstance(job, Assess):
            return self._assess(job, tell, cancel)
        if isinstance(job, BuildReference):
            return self._build(job, tell, cancel)
        return _devices(job.job)

    def _assess(self, job: Assess, tell: ProgressCallback, cancel: CancelToken) -> Finished:
        # The first of these imports takes seconds; the process answers all the while.
        from BottleneckOODLib.worker.exchange import put_assessment, take_volume  # noqa: PLC0415

        warm = self._loaded == (job.model, job.reference, job.device)
        logic = self._logic_for(job.model, job.reference, job.device)
        volume = take_volume(self._exchange / job.volume)
        assessment = logic.assess(volume, case_id=job.case_id, progress=tell, cancel=cancel)
        cancel.raise_if_cancelled()
        folder = put_assessment(assessment, self._exchange / f"job-{job.job}")
        return Finished(job.job, folder.relative_to(self._exchange).as_posix(), warm)

    def _build(self, job: BuildReference, tell: ProgressCallback, cancel: CancelToken) -> Built:
        from BottleneckOODLib.imaging.reading_process import close_apart, read_apart  # noqa: PLC0415
        from BottleneckOODLib.reference.building import check_names_and_count  # noqa: PLC0415
        from BottleneckOODLib.reference_cases import listed_cases  # noqa: PLC0415

        logic = self._logic_for(job.model, None, job.device)
        # A file that ends whoever reads it costs its own case, and not the whole build.
        cases = listed_cases(Path(job.cases), read=read_apart)
        check_names_and_count([case.case_id for case in cases])
        try:
            reference = logic.build_reference(job.name, cases, n_cases=len(cases), progress=tell, cancel=cancel)
        finally:
            # What waits for the next job is the worker alone.
            close_apart()
        cancel.raise_if_cancelled()
        folder = f"job-{job.job}/reference"
        reference.save(self._exchange / folder)
        left_out = [str(line) for line in reference.settings.get("left_out", ())]
        shown = tuple(line[:_LONGEST_REASON] for line in left_out[:_MOST_LEFT_OUT])
        return Built(job.job, folder, len(reference.cases), len(left_out), shown)

    def _logic_for(self, model: str, reference: str | None, device: str) -> BottleneckOODLogic:
        from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415

        wanted = (model, reference, device)
        if self._logic is None or self._loaded != wanted:
            # Two models at once would need twice the memory.
            self._logic = self._loaded = None
            self._logic, self._loaded = BottleneckOODLogic(*wanted), wanted
        return self._logic


def _sentence_for(error: BaseException) -> str:
    if isinstance(error, ImportError):
        package = (error.name or "torch").partition(".")[0]
        return f"The Python package {package} is missing or damaged; install what is missing, then try again."
    if isinstance(error, MemoryError):
        return "The memory of this computer does not suffice; close other programs or crop the volume."
    return "The worker met a fault of the program; the details are in its log. Try again, or report it."


def _devices(number: int) -> DevicesFound:
    from BottleneckOODLib.model.devices import gpu_facts, list_devices  # noqa: PLC0415
    from BottleneckOODLib.model.gpu_facts import why_no_gpu  # noqa: PLC0415

    # First, because torch complains of a driver once only.
    reason = why_no_gpu(gpu_facts())
    return DevicesFound(number, list_devices(), reason)
