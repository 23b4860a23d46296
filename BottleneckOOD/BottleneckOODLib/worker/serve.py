"""The worker's process: ``python -m BottleneckOODLib.worker.serve EXCHANGE_FOLDER``.

It reads requests from its standard input and ends when that is closed, so it cannot outlive who started it.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from BottleneckOODLib.errors import Cancelled, UserError
from BottleneckOODLib.progress import CancelToken, Progress
from BottleneckOODLib.worker.protocol import (
    Alive,
    Assess,
    Finished,
    ProtocolError,
    Refused,
    Report,
    Stop,
    Working,
    decode,
    encode,
)

if TYPE_CHECKING:
    from BottleneckOODLib.logic import BottleneckOODLogic

ALIVE_EVERY_S = 1.0
_FAULT = "The worker met a fault of the program; the details are in its log. Assess the case again, or report it."


class Worker:
    """One job at a time; requests are read, and signs of life given, while it runs.

    Args:
        requests: Where lines come from.
        reports: Where lines go.
        exchange: The exchange folder.
    """

    def __init__(self, requests: BinaryIO, reports: BinaryIO, exchange: Path) -> None:
        self._requests = requests
        self._reports = reports
        self._exchange = exchange
        self._writing = threading.Lock()
        self._jobs: queue.SimpleQueue[Assess] = queue.SimpleQueue()
        self._tokens: dict[int, CancelToken] = {}
        self._job = 0
        self._logic: BottleneckOODLogic | None = None
        self._loaded: tuple[str, str | None, str] | None = None

    def run(self) -> None:
        """Serve until the process ends."""
        for task in (self._listen, self._live):
            threading.Thread(target=task, daemon=True).start()
        while True:
            request = self._jobs.get()
            self._job = request.job
            self._say(self._answer(request))
            self._job = 0

    def _answer(self, request: Assess) -> Report:
        token = self._tokens[request.job]
        try:
            return self._assess(request, token)
        except Cancelled:
            return Refused(request.job, "The run was stopped; nothing was changed.", stopped=True)
        except UserError as error:
            return Refused(request.job, str(error), stopped=False)
        except Exception:
            traceback.print_exc()
            return Refused(request.job, _FAULT, stopped=False)

    def _assess(self, request: Assess, token: CancelToken) -> Finished:
        # The first of these imports takes seconds; the process answers all the while.
        from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415
        from BottleneckOODLib.worker.exchange import take_volume  # noqa: PLC0415

        def tell(progress: Progress) -> None:
            self._say(Working(request.job, progress.step, progress.fraction, progress.seconds_left, progress.message))

        tell(Progress("Starting", 0.0))
        token.raise_if_cancelled()
        wanted = (request.model, request.reference, request.device)
        warm = self._logic is not None and self._loaded == wanted
        if self._logic is None or not warm:
            self._logic, self._loaded = BottleneckOODLogic(*wanted), wanted
        volume = take_volume(self._exchange / request.volume)
        assessment = self._logic.assess(volume, case_id=request.case_id, progress=tell, cancel=token)
        token.raise_if_cancelled()
        folder = f"job-{request.job}"
        saved = assessment.save(self._exchange / folder, picture=False)
        return Finished(request.job, f"{folder}/{saved.name}", warm)

    def _listen(self) -> None:
        try:
            for line in self._requests:
                request = decode(line)
                if isinstance(request, Assess):
                    self._tokens[request.job] = CancelToken()
                    self._jobs.put(request)
                elif isinstance(request, Stop) and request.job in self._tokens:
                    self._tokens[request.job].cancel()
        except (ProtocolError, OSError, ValueError):
            traceback.print_exc()
        # Whoever asked is gone: nothing that it left may stay.
        shutil.rmtree(self._exchange, ignore_errors=True)
        os._exit(0)

    def _live(self) -> None:
        pause = threading.Event()
        while not pause.wait(ALIVE_EVERY_S):
            self._say(Alive(self._job))

    def _say(self, report: Report) -> None:
        with self._writing:
            try:
                self._reports.write(encode(report))
                self._reports.flush()
            except OSError:
                os._exit(0)


def main() -> None:
    """Keep standard output for messages alone: whatever a library prints goes to standard error, the log."""
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    Worker(sys.stdin.buffer, reports, Path(sys.argv[1])).run()


if __name__ == "__main__":
    main()
