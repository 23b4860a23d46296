"""One worker's process as the asking side holds it: started, spoken to, heard, and ended with all it left."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from BottleneckOODLib.errors import DependencyError
from BottleneckOODLib.worker.protocol import MAX_LINE_BYTES, Alive, Job, ProtocolError, Request, decode, encode
from BottleneckOODLib.worker.python_command import NO_WINDOW, PythonCommand

_LOG_FILE = "worker.log"
_MOST_LOG_BYTES = 200_000


class WorkerProcess:
    """A running worker.

    Args:
        python: What to start.

    Raises:
        DependencyError: It cannot be started.

    Attributes:
        exchange: The private folder that it shares with this process.
        heard: What it said, in order; a ``ProtocolError`` for what is no message, None once it has ended. Threads that
            hand something over tell how that ended here too.
        ended: Whether ``end`` was called.
        asked_at: When each job was sent, by its number, on the monotonic clock; one whose volume is still being handed
            over is not among them.
    """

    def __init__(self, python: PythonCommand) -> None:
        self.exchange = Path(tempfile.mkdtemp(prefix="bottleneck-ood-"))
        self.heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.ended = False
        self.asked_at: dict[int, float] = {}
        self._own_id = 0
        try:
            with (self.exchange / _LOG_FILE).open("wb") as log:
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
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the program that was started."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, message: Request) -> None:
        """Say something; a worker that has died is noticed by what is heard."""
        stream = self._process.stdin
        if isinstance(message, Job):
            self.asked_at[message.job] = time.monotonic()
        if stream is not None:
            try:
                stream.write(encode(message))
                stream.flush()
            except OSError:
                return

    def log(self) -> str:
        """The end of what it printed."""
        try:
            raw = (self.exchange / _LOG_FILE).read_bytes()
        except OSError:
            return ""
        return raw[-_MOST_LOG_BYTES:].decode("utf-8", "replace")

    def end(self) -> None:
        """End it, and remove everything that was exchanged."""
        self.ended = True
        if self.running and self._own_id not in (0, self._process.pid):
            # A launcher's end is not its child's.
            with contextlib.suppress(OSError):
                os.kill(self._own_id, getattr(signal, "SIGKILL", signal.SIGTERM))
        self._process.kill()
        self._process.wait()
        # The other stream is the listener's to close: closing it here would wait for a child that still holds it.
        if self._process.stdin is not None:
            _close_quietly(self._process.stdin)
        shutil.rmtree(self.exchange, ignore_errors=True)

    def _listen(self, stream: IO[bytes]) -> None:
        try:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                message = decode(line)
                if isinstance(message, Alive) and message.process_id > 1 and message.process_id != os.getpid():
                    self._own_id = message.process_id
                self.heard.put(message)
        except ProtocolError as error:
            self.heard.put(error)
        except (OSError, ValueError):
            pass
        self.heard.put(None)
        _close_quietly(stream)


def _close_quietly(stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        stream.close()
