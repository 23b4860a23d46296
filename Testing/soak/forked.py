"""Commands of the program in a child of this process, ended by the system at a chosen moment.

The parent has imported everything that is slow to import, so that a command takes what its work takes; the child is a
process of its own, runs ``main``, and is ended with SIGKILL, or runs into a limit, as one that a shell started.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR
_CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod"}


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; None where it was killed.
        said: What it printed, both streams together.
        seconds: What it took.
        steps: How many file operations it had made below the folder that was watched.
    """

    code: int | None
    said: str
    seconds: float
    steps: int = 0

    @property
    def sentence(self) -> str:
        """Its last line."""
        lines = self.said.strip().splitlines()
        return lines[-1] if lines else ""


@dataclass(frozen=True)
class Fate:
    """What happens to a command.

    Attributes:
        seconds: It is killed after so long.
        step: It is killed before its so-manieth file operation below ``watched``.
        watched: The folder whose files count.
        file_bytes: No file can grow beyond this (``RLIMIT_FSIZE``).
        user: It runs as this user's number.
    """

    seconds: float | None = None
    step: int | None = None
    watched: Path | None = None
    file_bytes: int | None = None
    user: int | None = None


def command(words: Sequence[str], fate: Fate | None = None) -> Ended:
    """Run ``bottleneck-ood WORDS`` in a child."""

    def run() -> int:
        from BottleneckOODLib.cli.main import main

        return main([str(word) for word in words])

    return in_a_child(run, fate)


def in_a_child(work: Callable[[], int], fate: Fate | None = None) -> Ended:
    """Run something in a child; what it returns is its exit code."""
    fate = fate or Fate()
    reading, writing = os.pipe()
    counting, counted = os.pipe()
    started = time.monotonic()
    child = _forked(work, fate, writing, counted)
    os.close(writing)
    os.close(counted)
    said = _listen(reading, child, started, fate.seconds)
    with os.fdopen(counting, "rb") as stream:
        steps = len(stream.read())
    _, status = os.waitpid(child, 0)
    code = None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return Ended(code, said, time.monotonic() - started, steps)


class Running:
    """Something that runs in a child beside this process.

    Args:
        work: What; returns the exit code.
        said: The file that gets what it prints.
    """

    def __init__(self, work: Callable[[], int], said: Path) -> None:
        with said.open("ab") as stream:
            self._child = _forked(work, Fate(), stream.fileno(), None)
        self._status: int | None = None

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself or was killed."""
        if self._status is None:
            child, status = os.waitpid(self._child, os.WNOHANG)
            self._status = status if child else None
        return self._status is not None

    @property
    def code(self) -> int | None:
        """Its exit code once it has ended; None where it was killed."""
        return None if self._status is None or os.WIFSIGNALED(self._status) else os.WEXITSTATUS(self._status)

    def kill(self) -> None:
        """End it as a power cut would."""
        if not self.ended:
            os.kill(self._child, signal.SIGKILL)
            _, self._status = os.waitpid(self._child, 0)

    def wait(self) -> int | None:
        """Wait until it ends; gives its exit code."""
        if self._status is None:
            _, self._status = os.waitpid(self._child, 0)
        return self.code


def _forked(work: Callable[[], int], fate: Fate, writing: int, counted: int | None) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _become_child(work, fate, writing, counted)
    return child


def _listen(reading: int, child: int, started: float, seconds: float | None) -> str:
    said = b""
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while True:
            left = None if seconds is None else max(0.0, started + seconds - time.monotonic())
            ready, _, _ = select.select([stream], [], [], left)
            if not ready:
                os.kill(child, signal.SIGKILL)
                seconds = None
                continue
            block = stream.read(65536)
            if not block:
                return said.decode(errors="replace")
            said += block


def _become_child(work: Callable[[], int], fate: Fate, writing: int, counted: int | None) -> None:
    code = 99
    try:
        for number in (1, 2):
            os.dup2(writing, number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        if fate.watched is not None:
            sys.addaudithook(_watcher(str(fate.watched), fate.step, counted))
        if fate.file_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (fate.file_bytes, fate.file_bytes))
        if fate.user is not None:
            os.setgroups([])
            os.setgid(fate.user)
            os.setuid(fate.user)
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:
        os.write(2, f"\nescaped: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def _watcher(folder: str, step: int | None, counted: int | None) -> Callable[[str, tuple[Any, ...]], None]:
    made = 0

    def look(event: str, words: tuple[Any, ...]) -> None:
        nonlocal made
        opened = event == "open" and isinstance(words[2], int) and bool(words[2] & _WRITING)
        if not (opened or event in _CHANGES) or not _below(words[0], folder):
            return
        made += 1
        if made == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if counted is not None:
            os.write(counted, b".")

    return look


def _below(path: object, folder: str) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(folder)
