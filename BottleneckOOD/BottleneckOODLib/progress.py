"""How a long run reports where it is, and how it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from BottleneckOODLib.errors import Cancelled

LEFT_OUT = "Left out"
"""How a message begins that tells of a case that cannot be used; a run goes on without it."""


@dataclass(frozen=True)
class Progress:
    """One report of a running job.

    Attributes:
        step: What is being done, in words a user understands ("Segmenting").
        fraction: Share of the whole job that is done, 0 to 1.
        seconds_left: Estimated seconds to the end, or None while it cannot be told.
        message: Something to tell beside the step, such as a preliminary light; empty if nothing.
    """

    step: str
    fraction: float
    seconds_left: float | None = None
    message: str = ""


ProgressCallback = Callable[[Progress], None]


class CancelToken:
    """Stops a run from another thread or a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the run to stop at its next check."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the run was asked to stop."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise if the run was asked to stop.

        Raises:
            Cancelled: ``cancel`` was called.
        """
        if self.cancelled:
            message = "The run was stopped; nothing was saved."
            raise Cancelled(message)


class ProgressReporter:
    """Turns "this much of that step" into the fraction of the whole job, with the time left.

    Args:
        callback: Receives each report; None drops them.
        cancel: Checked at every report, so that each reporting place is also a place to stop.
        weights: Relative cost of each step, in the order of the steps.
    """

    def __init__(
        self,
        callback: ProgressCallback | None,
        cancel: CancelToken | None,
        weights: dict[str, float],
    ) -> None:
        self._callback = callback
        self._cancel = cancel or CancelToken()
        self._weights = weights
        self._total = sum(weights.values())
        self._started = time.monotonic()
        self._fraction = 0.0

    def report(self, step: str, share: float = 0.0, message: str = "") -> None:
        """Report that ``share`` (0 to 1) of ``step`` is done.

        Raises:
            Cancelled: The run was asked to stop.
        """
        self._cancel.raise_if_cancelled()
        if self._callback is None:
            return
        before = 0.0
        for name, weight in self._weights.items():
            if name == step:
                before += weight * min(max(share, 0.0), 1.0)
                break
            before += weight
        # A bar that runs backwards reads as a fault.
        self._fraction = max(self._fraction, before / self._total)
        elapsed = time.monotonic() - self._started
        known = self._fraction > 0.02  # noqa: PLR2004 - below that the estimate is noise
        left = elapsed * (1 - self._fraction) / self._fraction if known else None
        self._callback(Progress(step, self._fraction, left, message))


class StepClock:
    """Seconds of each step.

    Args:
        steps: Their names; those that are never timed stay at 0.
    """

    def __init__(self, steps: Sequence[str]) -> None:
        self._started = time.perf_counter()
        self._steps = dict.fromkeys(steps, 0.0)

    @contextmanager
    def timing(self, step: str) -> Iterator[None]:
        """Add the seconds of a block to a step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._steps[step] += time.perf_counter() - started

    def seconds(self) -> dict[str, float]:
        """Seconds of each step so far, and ``total`` since the start."""
        total = time.perf_counter() - self._started
        return {step: round(seconds, 4) for step, seconds in {**self._steps, "total": total}.items()}
