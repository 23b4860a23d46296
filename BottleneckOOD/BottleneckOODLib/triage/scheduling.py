"""Who carries out the jobs of a batch: this process, processes of this machine, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from BottleneckOODLib.errors import BottleneckOODError, Cancelled, DependencyError, StoreError
from BottleneckOODLib.progress import CancelToken
from BottleneckOODLib.triage.judging import Done, Job, carry_out

_AHEAD = 2
_POLL_SECONDS = 0.2


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
            UserError: Nothing can go on: the disk is full, the model is damaged.
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

    A job whose worker died is given to another one; one that ended several workers is told as a failure of the case.

    Args:
        client: ``distributed.Client``.
        n_workers: How many workers there are.
        cancel: Checked while waiting.
    """

    def __init__(self, client: Any, n_workers: int, cancel: CancelToken) -> None:
        from distributed import as_completed  # noqa: PLC0415 - an extra

        self._client, self._cancel = client, cancel
        self._jobs: dict[str, Job] = {}
        self._completed = as_completed()
        self.room = _AHEAD * n_workers

    def hand_over(self, job: Job) -> None:
        """Take a job."""
        future = self._client.submit(carry_out, job, pure=False)
        self._jobs[future.key] = job
        self._completed.add(future)

    def next_done(self) -> Done:
        """Wait for any job."""
        future = self._wait()
        job = self._jobs.pop(future.key)
        error = future.exception()
        if error is None:
            result: Done = future.result()
            return result
        if isinstance(error, BottleneckOODError):
            raise error
        if type(error).__name__ == "KilledWorker":
            sentence = "The program was ended several times while it worked on this case (out of memory?); crop it."
            return Done(job.case_id, "", "", sentence, True, 0.0)
        message = f"A worker failed on {job.case_id} ({type(error).__name__}); the other cases are kept: run it again."
        raise StoreError(message) from error

    def _wait(self) -> Any:
        import queue  # noqa: PLC0415 - here alone

        while True:
            if self._cancel.cancelled:
                self._client.cancel([future for future in self._completed.futures])
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
        from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        message = "Several workers need Dask; install it with: pip install bottleneck-ood[scale]"
        raise DependencyError(message) from None
    close: Callable[[], None] = lambda: None  # noqa: E731
    if scheduler is None:
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit=0,
            env={"OMP_NUM_THREADS": "1"},
        )
        close = cluster.close
        address: Any = cluster
    else:
        address = scheduler
    try:
        client = Client(address, timeout="8s")
    except (OSError, ValueError, TimeoutError):
        message = f"The Dask scheduler {scheduler} does not answer; check its address and that it runs."
        raise StoreError(message) from None
    try:
        count = n_workers if scheduler is None else max(1, len(client.scheduler_info()["workers"]))
        yield DaskWorkers(client, count, cancel)
    finally:
        client.close()
        close()
