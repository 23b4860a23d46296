"""A thread that does one thing after another, so that the window waits for none of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class Desk:
    """Does what it is given in a thread of its own, in order.

    The thread is no more than a daemon: one that hangs in the system, as a network drive that is gone makes it, keeps
    nobody from closing the application.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self._jobs,), daemon=True).start()

    def submit(self, job: Callable[[], _Result]) -> Future[_Result]:
        """Have something done; one that has not begun can be cancelled."""
        future: Future[_Result] = Future()
        self._jobs.put((future, job))
        return future

    def close(self) -> None:
        """End the thread after what it has been given."""
        self._jobs.put(None)


def _work(jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]) -> None:
    while (item := jobs.get()) is not None:
        future, job = item
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(job())
        except BaseException as error:
            future.set_exception(error)
        # Nothing of it, such as a whole image, is held on to while the next one is waited for.
        del item, future, job
