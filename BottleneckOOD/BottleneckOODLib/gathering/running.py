"""Measuring all cases of a reference, in their order, with how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from BottleneckOODLib.case_measuring import STEPS
from BottleneckOODLib.gathering.case import (
    CaseForReference,
    GatheredCase,
    GatheringPlan,
    LeftOutCase,
    measured_for_reference,
)
from BottleneckOODLib.gathering.processes import measured_in_processes
from BottleneckOODLib.progress import LEFT_OUT, CancelToken, Progress, ProgressCallback, ProgressReporter

RUNNING = "Running the model on the cases"
FITTING = 0.95
"""How far a build is when the cases are measured."""


def gathered_cases(
    cases: Iterable[CaseForReference],
    plan: GatheringPlan,
    *,
    n_cases: int | None,
    workers: int = 1,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[GatheredCase | LeftOutCase]:
    """Measure every case; the results come in the order of the cases, whatever the number of processes.

    Args:
        cases: The cases; each is loaded when its turn comes.
        plan: How they are measured.
        n_cases: How many there are, for the progress.
        workers: Processes; each holds the model and takes its share of the processor.
        progress: Called with every case, and with every window where one process runs.
        cancel: Stops between windows.

    Yields:
        Each case as measured, or left out with the reason. An image that came before is left out: a double makes
        itself look usual.

    Raises:
        ModelError: The model cannot be loaded.
        ReferenceSetError: A process ended before its case was measured.
        Cancelled: The run was stopped.
    """
    cancel = cancel or CancelToken()
    pace = _Pace(progress, n_cases)
    if workers > 1:
        results = measured_in_processes(cases, plan, workers, cancel)
    else:
        results = _measured_here(cases, plan, pace, cancel)
    seen: dict[str, str] = {}
    for result in results:
        told: GatheredCase | LeftOutCase = result
        if isinstance(result, GatheredCase):
            first = seen.setdefault(result.image, result.case.case_id)
            if first != result.case.case_id:
                told = LeftOutCase(result.case.case_id, f"It is the same image as {first}.")
        pace.done(told, ran=isinstance(result, GatheredCase) and result.ran)
        yield told


def _measured_here(
    cases: Iterable[CaseForReference], plan: GatheringPlan, pace: _Pace, cancel: CancelToken
) -> Iterator[GatheredCase | LeftOutCase]:
    segmenter = plan.load_segmenter()
    for case in cases:
        cancel.raise_if_cancelled()
        pace.report(case.case_id)
        within = ProgressReporter(pace.within(case.case_id), cancel, STEPS)
        yield measured_for_reference(case, segmenter, plan, within)


class _Pace:
    """Tells how far the cases are, and from those that the model ran on how long the others will take."""

    def __init__(self, progress: ProgressCallback | None, n_cases: int | None) -> None:
        self._progress, self._n_cases = progress, n_cases
        self._done = self._ran = 0
        self._seconds = 0.0
        self._since = time.monotonic()
        self._fraction = 0.0

    def report(self, case_id: str, share: float = 0.0, message: str = "") -> None:
        """Tell that ``share`` of the case is done."""
        if self._progress is None:
            return
        left = None
        if self._n_cases:
            self._fraction = max(self._fraction, min(1.0, (self._done + share) / self._n_cases))
            if self._ran:
                left = max(0.0, self._seconds / self._ran * (self._n_cases - self._done - share))
        self._progress(Progress(RUNNING, FITTING * self._fraction, left, message or case_id))

    def within(self, case_id: str) -> ProgressCallback:
        """What the steps of one case report to."""
        return lambda told: self.report(case_id, told.fraction)

    def done(self, result: GatheredCase | LeftOutCase, *, ran: bool) -> None:
        """Count a case."""
        now = time.monotonic()
        self._done += 1
        if ran:
            # Cases that had been kept take no time, and would promise too short a time for the others.
            self._ran += 1
            self._seconds += now - self._since
        self._since = now
        name = result.case_id if isinstance(result, LeftOutCase) else result.case.case_id
        self.report(name, message=f"{LEFT_OUT}: {name}: {result.reason}" if isinstance(result, LeftOutCase) else "")
