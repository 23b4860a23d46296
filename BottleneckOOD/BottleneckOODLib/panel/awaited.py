"""The one thing that the worklist waits for, what comes after it, and that it takes long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from BottleneckOODLib.errors import UserError
from BottleneckOODLib.panel.worklist_wording import FAULT

LATE_S = 8.0
_Result = TypeVar("_Result")


@dataclass
class _Step:
    """Something that a thread does.

    Attributes:
        future: What it gives.
        then: Called with that.
        since: When it was begun, on the caller's clock.
        failed: Called where it gives nothing.
    """

    future: Future[Any]
    then: Callable[[Any], None]
    since: float
    failed: Callable[[], None]


class Awaited:
    """Waits without holding up the window: ``poll`` takes up what is done.

    Args:
        clock: Seconds that only run forward.
        told: Called whenever it is another state, with a sentence for the reader or None.
    """

    def __init__(self, clock: Callable[[], float], told: Callable[[str | None], None]) -> None:
        self._clock, self._told = clock, told
        self._step: _Step | None = None
        self.is_late = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waited for."""
        return self._step is None

    @property
    def future(self) -> Future[Any] | None:
        """What is waited for; None for nothing."""
        return None if self._step is None else self._step.future

    def begin(
        self, future: Future[_Result], then: Callable[[_Result], None], failed: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for this, and no longer for what was waited for before.

        Args:
            future: What a thread will give.
            then: Called with that, in ``poll``.
            failed: Called where it gives nothing.
        """
        self._step = _Step(future, then, self._clock(), failed)
        self._told(None)

    def forget(self) -> None:
        """Wait for nothing any more."""
        self._step, self.is_late = None, False

    def poll(self) -> None:
        """Go on after what is done; a fault of the program is told, and raised for the log.

        Raises:
            BaseException: What was waited for ended with a fault of the program.
        """
        step = self._step
        if step is not None and step.future.done():
            self._step = None
            self._finish(step)
        late = self._step is not None and self._clock() - self._step.since > LATE_S
        if late != self.is_late:
            self.is_late = late
            self._told(None)

    def _finish(self, step: _Step) -> None:
        try:
            result = step.future.result()
        except UserError as error:
            step.failed()
            self._told(str(error))
        except BaseException:
            step.failed()
            self._told(FAULT)
            raise
        else:
            step.then(result)
            self._told(None)
