"""Several processes that each hold the model and measure cases of a reference."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.case_measuring import STEPS
from BottleneckOODLib.deaf_children import deaf_children
from BottleneckOODLib.errors import ReferenceSetError
from BottleneckOODLib.gathering.case import (
    CaseForReference,
    GatheredCase,
    GatheringPlan,
    LeftOutCase,
    measured_for_reference,
)
from BottleneckOODLib.progress import CancelToken, ProgressReporter

if TYPE_CHECKING:
    from BottleneckOODLib.model.adapter import Adapter

_AHEAD = 2
_LOOK_SECONDS = 0.2
_ENDED_WITHIN_SECONDS = 1.0


def measured_in_processes(
    cases: Iterable[CaseForReference], plan: GatheringPlan, workers: int, cancel: CancelToken
) -> Iterator[GatheredCase | LeftOutCase]:
    """Measure the cases in ``workers`` processes; the results come in the order of the cases.

    Only a few cases are taken ahead of the one that is waited for, so that results never pile up.

    Raises:
        ModelError: The model cannot be loaded.
        ReferenceSetError: A process ended before its case was measured.
        Cancelled: The run was stopped.
    """
    context = multiprocessing.get_context("spawn")
    # An event waits for everybody who waits for it, and so for ever for a process that was killed.
    stopped = context.RawValue("b", 0)
    pool = ProcessPoolExecutor(workers, context, _begin, (workers, stopped))
    waiting: deque[Future[GatheredCase | LeftOutCase]] = deque()
    try:
        for case in cases:
            with deaf_children():
                waiting.append(pool.submit(_measure, case, plan))
            if len(waiting) >= _AHEAD * workers:
                yield _result(waiting.popleft(), cancel)
        while waiting:
            yield _result(waiting.popleft(), cancel)
    except BrokenProcessPool:
        # One that Ctrl+C has reached before it could turn a deaf ear.
        cancel.raise_if_cancelled()
        message = (
            "A process that measured cases ended, perhaps for want of memory; run the same command again with fewer "
            "--workers, and it goes on where it was."
        )
        raise ReferenceSetError(message) from None
    finally:
        stopped.value = 1
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[GatheredCase | LeftOutCase], cancel: CancelToken) -> GatheredCase | LeftOutCase:
    while True:
        cancel.raise_if_cancelled()
        try:
            return future.result(timeout=_LOOK_SECONDS)
        except NotYet:
            # Done since, or too late in its own work: asked again it tells which.
            if future.done():
                return future.result()


class _SharedToken(CancelToken):
    """Set by the process that asked.

    Args:
        stopped: A number that the processes share; it is no longer 0 when the run was stopped.
    """

    def __init__(self, stopped: Any) -> None:
        super().__init__()
        self._stopped = stopped

    @property
    def cancelled(self) -> bool:
        """Whether the run was asked to stop."""
        return bool(self._stopped.value)


class _Held:
    """What a process keeps from one case to the next."""

    stopped: CancelToken
    segmenter: Adapter | None = None


def _begin(workers: int, stopped: Any) -> None:
    for end, what in ((_end_with_parent, ()), (_end_when_stopped, (stopped,))):
        threading.Thread(target=end, args=what, daemon=True).start()
    import torch  # noqa: PLC0415 - only these processes compute

    # Where it cannot be kept from them, the terminal's Ctrl+C reaches every process; who asked tells when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(max(1, torch.get_num_threads() // workers))
    _Held.stopped = _SharedToken(stopped)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _end_when_stopped(stopped: Any) -> None:
    while not stopped.value:
        time.sleep(_LOOK_SECONDS)
    # A case ends at its next window; an import, a model or a file that is being read may take long to come to one.
    time.sleep(_ENDED_WITHIN_SECONDS)
    os._exit(1)


def _measure(case: CaseForReference, plan: GatheringPlan) -> GatheredCase | LeftOutCase:
    if _Held.segmenter is None:
        _Held.segmenter = plan.load_segmenter()
    return measured_for_reference(case, _Held.segmenter, plan, ProgressReporter(None, _Held.stopped, STEPS))
