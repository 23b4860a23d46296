"""The side of the worker that asks: no Qt, no waiting; a timer of the window calls ``poll``."""

from __future__ import annotations

import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import DependencyError, InputError, OutputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.worker.exchange import put_volume
from BottleneckOODLib.worker.protocol import (
    MAX_LINE_BYTES,
    Alive,
    Assess,
    Finished,
    Message,
    ProtocolError,
    Refused,
    Stop,
    Working,
    decode,
    encode,
)

STOP_WITHIN_S = 0.7
HUNG_AFTER_S = 45.0
_STOPPED = "The run was stopped; nothing was changed."
_LOG_FILE = "worker.log"
_MOST_LOG_BYTES = 200_000


@dataclass(frozen=True)
class Done:
    """The job is done.

    Attributes:
        assessment: Its result, without the image.
        warm: Whether the model was there already.
    """

    assessment: Assessment
    warm: bool


@dataclass(frozen=True)
class Failed:
    """The job ended without a result.

    Attributes:
        sentence: Why, for the user.
        stopped: Whether the user stopped it.
        log: What the worker printed, for a bug report; folded away.
    """

    sentence: str
    stopped: bool = False
    log: str = ""


Event = Working | Done | Failed


class WorkerClient:
    """Runs one job at a time in a process that is started when it is first needed and kept for the next.

    Args:
        command: The Python to run it with, such as ``["PythonSlicer"]``; None takes this one.
        environment: Its environment; None takes this process's.
        hung_after_s: Seconds without a sign of life after which it counts as hung.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        hung_after_s: float = HUNG_AFTER_S,
    ) -> None:
        self._command = list(command or [sys.executable])
        self._environment = None if environment is None else dict(environment)
        self._hung_after_s = hung_after_s
        self._process: subprocess.Popen[bytes] | None = None
        self._exchange: Path | None = None
        self._heard: queue.SimpleQueue[Message | ProtocolError | None] = queue.SimpleQueue()
        self._last_heard = 0.0
        self._job = 0
        self._busy = False
        self._stop_asked: float | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self._busy

    def assess(
        self,
        volume: Volume,
        case_id: str,
        *,
        model: str = "demo",
        reference: str | None = None,
        device: str = "auto",
    ) -> None:
        """Start a job; ``poll`` tells how it goes.

        Raises:
            InputError: A job runs already.
            DependencyError: The worker's Python cannot be started.
            OutputError: The volume cannot be handed over.
        """
        if self._busy:
            message = "A case is being assessed; wait for it, or stop it first."
            raise InputError(message)
        exchange = self._started()
        self._job += 1
        name = f"volume-{self._job}"
        try:
            put_volume(volume, exchange / name)
        except OSError:
            message = "The volume could not be handed to the worker; check the free space of the temporary folder."
            raise OutputError(message) from None
        self._busy, self._stop_asked, self._last_heard = True, None, time.monotonic()
        # A worker that died since is noticed by ``poll``.
        self._send(Assess(self._job, name, case_id, model, reference, device))

    def stop(self) -> None:
        """Ask the job to stop; one that does not within a moment is ended with its process."""
        if self._busy and self._stop_asked is None:
            self._stop_asked = time.monotonic()
            self._send(Stop(self._job))

    def poll(self) -> list[Event]:
        """What happened since the last call; the last event of a job is ``Done`` or ``Failed``. Never waits."""
        events: list[Event] = []
        while self._busy:
            try:
                heard = self._heard.get_nowait()
            except queue.Empty:
                break
            self._last_heard = time.monotonic()
            event = self._event_of(heard)
            if event is not None:
                events.append(event)
        if self._busy:
            late = self._lateness()
            if late is not None:
                events.append(self._ended(late))
        return events

    def close(self) -> None:
        """End the process and remove everything that was exchanged."""
        self._busy = False
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    _close_quietly(stream)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            shutil.rmtree(exchange, ignore_errors=True)

    def _event_of(self, heard: Message | ProtocolError | None) -> Event | None:
        if heard is None:
            return self._ended(Failed("The worker ended unexpectedly (was the memory full?); assess the case again."))
        if isinstance(heard, Working | Alive) or (isinstance(heard, Finished | Refused) and heard.job != self._job):
            # What was on its way when the user stopped is of no interest any more.
            told = isinstance(heard, Working) and heard.job == self._job and self._stop_asked is None
            return heard if told and isinstance(heard, Working) else None
        if isinstance(heard, Refused):
            self._busy = False
            return Failed(heard.sentence, heard.stopped)
        if isinstance(heard, Finished):
            self._busy = False
            return self._done(heard) if self._stop_asked is None else Failed(_STOPPED, stopped=True)
        return self._ended(Failed("The worker answered with something that is no answer; assess the case again."))

    def _done(self, finished: Finished) -> Event:
        exchange = self._exchange or Path()
        folder = (exchange / finished.folder).resolve()
        try:
            if exchange.resolve() not in folder.parents:
                message = "The worker's result lies elsewhere than agreed."
                raise InputError(message)
            assessment = Assessment.load(folder)
        except InputError as error:
            return self._ended(Failed(f"The worker's result cannot be used; assess the case again. {error}"))
        shutil.rmtree(exchange / f"volume-{self._job}", ignore_errors=True)
        shutil.rmtree(folder.parent, ignore_errors=True)
        return Done(assessment, finished.warm)

    def _lateness(self) -> Failed | None:
        now = time.monotonic()
        if self._stop_asked is not None and now - self._stop_asked > STOP_WITHIN_S:
            return Failed(_STOPPED, stopped=True)
        if now - self._last_heard > self._hung_after_s:
            return Failed("The worker does not answer any more and was ended; assess the case again.")
        return None

    def _ended(self, failed: Failed) -> Failed:
        """The job is over and its process is not to be trusted; the next job gets a fresh one."""
        log = self._log()
        self.close()
        return Failed(failed.sentence, failed.stopped, log)

    def _started(self) -> Path:
        if self._process is not None and self._process.poll() is None and self._exchange is not None:
            return self._exchange
        self.close()
        self._heard = queue.SimpleQueue()
        exchange = Path(tempfile.mkdtemp(prefix="bottleneck-ood-"))
        try:
            with (exchange / _LOG_FILE).open("wb") as log:
                self._process = subprocess.Popen(
                    [*self._command, "-m", "BottleneckOODLib.worker.serve", str(exchange)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self._environment,
                    cwd=Path(__file__).resolve().parents[2],
                )
        except OSError:
            shutil.rmtree(exchange, ignore_errors=True)
            message = f"The worker cannot be started with {self._command[0]}; check the installation of Python."
            raise DependencyError(message) from None
        self._exchange = exchange
        listener = threading.Thread(target=_listen, args=(self._process.stdout, self._heard), daemon=True)
        listener.start()
        return exchange

    def _send(self, message: Message) -> None:
        stream = None if self._process is None else self._process.stdin
        if stream is not None:
            try:
                stream.write(encode(message))
                stream.flush()
            except OSError:
                # It is dead; its silence tells ``poll``.
                return

    def _log(self) -> str:
        if self._exchange is None:
            return ""
        try:
            raw = (self._exchange / _LOG_FILE).read_bytes()
        except OSError:
            return ""
        return raw[-_MOST_LOG_BYTES:].decode("utf-8", "replace")


def _listen(stream: IO[bytes], heard: queue.SimpleQueue[Message | ProtocolError | None]) -> None:
    try:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            heard.put(decode(line))
    except ProtocolError as error:
        heard.put(error)
    except (OSError, ValueError):
        pass
    heard.put(None)


def _close_quietly(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        return
