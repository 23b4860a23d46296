"""Who carries out the jobs of a batch: this process, processes of this machine, or a Dask cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, Protocol

from BottleneckOODLib.deaf_children import deaf_children
from BottleneckOODLib.errors import BottleneckOODError, Cancelled, DependencyError, StoreError
from BottleneckOODLib.progress import CancelToken
from BottleneckOODLib.triage.judging import Done, Job, carry_out

_AHEAD = 2
_POLL_SECONDS = 0.2
_COUNT_SECONDS = 5.0
_ANSWER_WITHIN, _START_WITHIN = "8s", "120s"
"""How long another machine's scheduler may take to answer, and one that was just started on this one."""
_NEVER = "1000 days"
_LOST = "The Dask scheduler no longer answers; what was assessed is kept: start it and give the same command again."
_NOT_STARTED = "The processes of this machine do not answer; try it again with fewer --workers."


class Workers(Protocol):
    """Carries out jobs."""

    @property
    def room(self) -> int:
        """How many jobs are worth handing over before one is done."""

    def hand_over(self, job: Job) -> None:
        """Take a job; it need not be done yet when this returns."""

    def next_done(self) -> Done:
        """Wait for any job that was handed over.

        Raises:
            Cancelled: The run was stopped.
            UserError: Nothing can go on: the disk is full, the model is damaged, the scheduler is gone.
        """


class ThisProcess:
    """Does each job when its result is asked for.

    Args:
        cancel: Stops the running case between windows.
    """

    room = 1

    def __init__(self, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._waiting: list[Job] = []

    def hand_over(self, job: Job) -> None:
        """Take a job."""
        self._waiting.append(job)

    def next_done(self) -> Done:
        """Do the next job."""
        return carry_out(self._waiting.pop(0), self._cancel)


class DaskWorkers:
    """Hands jobs to a Dask cluster.

    A job whose worker died is given to another one; one that ended several workers is told as lost.

    Args:
        client: ``distributed.Client``.
        cancel: Checked while waiting.
    """

    def __init__(self, client: Any, cancel: CancelToken) -> None:
        from distributed import as_completed  # noqa: PLC0415 - an extra

        self._client, self._cancel = client, cancel
        self._jobs: dict[str, Job] = {}
        self._completed = as_completed()
        self._n_workers, self._counted = 1, float("-inf")

    @property
    def room(self) -> int:
        """Two jobs a worker; a cluster's workers come and go, so they are counted again every few seconds."""
        if time.monotonic() - self._counted > _COUNT_SECONDS:
            self._check_scheduler()
            try:
                self._n_workers, self._counted = max(1, len(self._client.nthreads())), time.monotonic()
            except OSError:
                raise StoreError(_LOST) from None
        return _AHEAD * self._n_workers

    def hand_over(self, job: Job) -> None:
        """Take a job."""
        self._check_scheduler()
        future = self._client.submit(carry_out, job, pure=False)
        self._jobs[future.key] = job
        self._completed.add(future)

    def next_done(self) -> Done:
        """Wait for any job."""
        future = self._wait()
        job = self._jobs.pop(future.key)
        if future.cancelled():
            raise StoreError(_LOST)
        error = future.exception()
        if error is None:
            try:
                result: Done = future.result()
            except CancelledError:
                # The scheduler was lost before the result was here.
                raise StoreError(_LOST) from None
            return result
        if isinstance(error, BottleneckOODError):
            raise error
        if type(error).__name__ == "KilledWorker":
            return Done(job.case_id, "", "", "", True, 0.0, lost=True)
        message = f"A worker failed on {job.case_id} ({type(error).__name__}); the other cases are kept: run it again."
        raise StoreError(message) from error

    def _check_scheduler(self) -> None:
        # A client that found its scheduler gone has closed itself, and fails at whatever it is asked.
        if self._client.status == "closed":
            raise StoreError(_LOST)

    def _wait(self) -> Any:
        import queue  # noqa: PLC0415 - here alone

        while True:
            if self._cancel.cancelled:
                # Copied at once: another thread takes out what is done meanwhile.
                self._client.cancel(list(self._completed.futures))
                message = "The run was stopped."
                raise Cancelled(message)
            try:
                return self._completed.queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue


@contextmanager
def workers_for(n_workers: int, scheduler: str | None, cancel: CancelToken) -> Iterator[Workers]:
    """The workers of a batch; those that were started for it are ended with it.

    Args:
        n_workers: Processes of this machine; 1 is this process.
        scheduler: Address of a running Dask scheduler; None for this machine.
        cancel: Stops the batch.

    Raises:
        DependencyError: Several workers are asked for and Dask is not installed.
        StoreError: The scheduler does not answer.
    """
    if scheduler is None and n_workers == 1:
        yield ThisProcess(cancel)
        return
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        message = "Several workers need Dask; install it with: pip install bottleneck-ood[scale]"
        raise DependencyError(message) from None
    close: Callable[[], None] = lambda: None  # noqa: E731
    if scheduler is None:
        try:
            # Python starts it before its first child, and lets that child hear again.
            resource_tracker.ensure_running()
            with deaf_children():
                cluster = processes_here(n_workers)
        except (OSError, RuntimeError):
            raise StoreError(_NOT_STARTED) from None
        close = cluster.close
        address: Any = cluster
    else:
        address = scheduler
    try:
        client = Client(address, timeout=_ANSWER_WITHIN if scheduler is not None else _START_WITHIN)
    except (OSError, ValueError, TimeoutError):
        close()
        message = f"The Dask scheduler {scheduler} does not answer; check its address and that it runs."
        raise StoreError(_NOT_STARTED if scheduler is None else message) from None
    try:
        yield DaskWorkers(client, cancel)
    finally:
        try:
            client.close()
        finally:
            close()


def processes_here(n_workers: int) -> Any:
    """A ``distributed.LocalCluster`` of processes that each have one thread."""
    import dask  # noqa: PLC0415 - an extra
    from distributed import LocalCluster  # noqa: PLC0415 - an extra

    # Without the MALLOC_TRIM_THRESHOLD_ that Dask would set: with it each large array is given back to the system at
    # once, and a case takes one and a half times the processor's time.
    environment = {"MALLOC_TRIM_THRESHOLD_": None, "OMP_NUM_THREADS": 1}
    # What it would warn of, such as a worker that is ended in its case, is told in our sentences.
    told = {"logging.distributed": "error"}
    # Read when a worker dies, so it stands for as long as this process: by itself Dask looks 15 seconds later, and
    # gives up for good a worker that is not back by then, or that is just beginning again after the next death.
    dask.config.set({"distributed.deploy.lost-worker-timeout": _NEVER})
    with dask.config.set({"distributed.nanny.pre-spawn-environ": environment, **told}):
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            # None would listen at a fixed port, and warn where another batch has taken it.
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.ERROR,
        )
