"""One worker's process as the asking side holds it: started, spoken to, heard, and ended with all it left."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from BottleneckOODLib.deaf_children import deaf_children
from BottleneckOODLib.errors import DependencyError, OutputError
from BottleneckOODLib.private_folder import private_folder, remove_in_use
from BottleneckOODLib.worker.protocol import MAX_LINE_BYTES, Alive, Job, ProtocolError, Request, decode, encode
from BottleneckOODLib.worker.python_command import NO_WINDOW, PythonCommand

_LOG_FILE = "worker.log"
_MOST_LOG_BYTES = 200_000
# A process that waits for a driver or a drive hears no signal, and the window must not wait with it.
_ENDED_WITHIN_S = 2.0


@dataclass
class _Identity:
    """What the listener learns of the worker, without holding on to who asked.

    Attributes:
        process_id: Of the worker itself, where a launcher stands between; 0 until it said so.
    """

    process_id: int = 0


class WorkerProcess:
    """A running worker.

    Args:
        python: What to start.

    Raises:
        DependencyError: It cannot be started.
        OutputError: The temporary folder cannot be used.

    Attributes:
        exchange: The private folder that it shares with this process.
        heard: What it said, in order; a ``ProtocolError`` for what is no message, None once it has ended. Threads that
            hand something over tell how that ended here too.
        ended: Whether ``end`` was called.
        asked_at: When each job was sent, by its number, on the monotonic clock; one whose volume is still being handed
            over is not among them, and one that is over is ``settled``.
    """

    def __init__(self, python: PythonCommand) -> None:
        self.exchange = private_folder(OutputError)
        self.heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.ended = False
        self.asked_at: dict[int, float] = {}
        self._identity = _Identity()
        self._notes: list[str] = []
        try:
            # Ended by Ctrl+C in a terminal it could not remove what was exchanged; it ends when its input is closed.
            with (self.exchange / _LOG_FILE).open("wb") as log, deaf_children():
                self._process = subprocess.Popen(
                    [*python.command, "-m", "BottleneckOODLib.worker.serve", str(self.exchange)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=dict(python.environment),
                    cwd=Path(__file__).resolve().parents[2],
                    creationflags=NO_WINDOW,
                )
        except OSError:
            shutil.rmtree(self.exchange, ignore_errors=True)
            message = f"The worker cannot be started with {python.command[0]}; check the installation of Python."
            raise DependencyError(message) from None
        # The listener outlives this object until the process ends, so it must not keep it alive.
        told = (self._process.stdout, self.heard, self._identity)
        threading.Thread(target=_listen, args=told, daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the program that was started."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, message: Request) -> None:
        """Say something; a worker that has died is noticed by what is heard, one that was ended hears nothing."""
        if self.ended:
            return
        stream = self._process.stdin
        if isinstance(message, Job):
            self.asked_at[message.job] = time.monotonic()
        if stream is not None:
            # A stream that another thread closed meanwhile is a ValueError.
            with contextlib.suppress(OSError, ValueError):
                stream.write(encode(message))
                stream.flush()

    def settled(self, job: int) -> None:
        """A job is over: nothing of it is kept, however many follow."""
        self.asked_at.pop(job, None)
        for left in (f"volume-{job}", f"job-{job}"):
            shutil.rmtree(self.exchange / left, ignore_errors=True)

    def note(self, text: str) -> None:
        """Add to the log what went wrong on this side."""
        self._notes.append(text)

    def log(self) -> str:
        """The end of what it printed, and every note."""
        try:
            raw = (self.exchange / _LOG_FILE).read_bytes()
        except OSError:
            raw = b""
        return raw[-_MOST_LOG_BYTES:].decode("utf-8", "replace") + "".join(self._notes)

    def end(self) -> None:
        """End it, and remove everything that was exchanged."""
        self.ended = True
        own_id = self._identity.process_id
        if self.running and own_id not in (0, self._process.pid):
            # A launcher's end is not its child's.
            with contextlib.suppress(OSError):
                os.kill(own_id, getattr(signal, "SIGKILL", signal.SIGTERM))
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDED_WITHIN_S)
        # The other stream is the listener's to close: closing it here would wait for a child that still holds it.
        if self._process.stdin is not None:
            _close_quietly(self._process.stdin)
        self.remove_exchange()

    def remove_exchange(self) -> None:
        """Remove the exchange folder, whoever of this process still writes there."""
        remove_in_use(self.exchange)


def _listen(stream: IO[bytes], heard: queue.SimpleQueue[Any], identity: _Identity) -> None:
    try:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            message = decode(line)
            if isinstance(message, Alive) and message.process_id > 1 and message.process_id != os.getpid():
                identity.process_id = message.process_id
            # While it waits for work nobody polls, and one a second would be kept for as long as the window is open.
            if not (isinstance(message, Alive) and message.job == 0):
                heard.put(message)
    except ProtocolError as error:
        heard.put(error)
    except (OSError, ValueError):
        pass
    finally:
        heard.put(None)
        _close_quietly(stream)


def _close_quietly(stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        stream.close()
