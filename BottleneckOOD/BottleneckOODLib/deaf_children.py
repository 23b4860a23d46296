"""Processes that the terminal's Ctrl+C does not reach: who started them stops them, and says so once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deaf_children() -> Iterator[None]:
    """What is started inside does not hear Ctrl+C, from its first moment on; here it is heard as soon as this ends.

    A process that turns a deaf ear by itself does so only when it has imported what it needs, which takes seconds.
    On Windows nothing is done: such processes have no console.

    Source:
        sigprocmask(2): the mask is inherited by what is forked, and stays over an execve.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
