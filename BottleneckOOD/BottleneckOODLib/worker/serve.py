"""The worker's process: ``python -m BottleneckOODLib.worker.serve EXCHANGE_FOLDER``.

It reads requests from its standard input and ends when that is closed, so it cannot outlive who started it.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn

from BottleneckOODLib.private_folder import remove_in_use
from BottleneckOODLib.progress import CancelToken, Progress
from BottleneckOODLib.worker.jobs import Jobs
from BottleneckOODLib.worker.protocol import Alive, Job, ProtocolError, Report, Stop, Working, decode, encode

ALIVE_EVERY_S = 1.0


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
        self._writing, self._leaving = threading.Lock(), threading.Lock()
        self._asked: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._tokens: dict[int, CancelToken] = {}
        self._job = 0
        self._jobs = Jobs(exchange)

    def run(self) -> None:
        """Serve until the process ends."""
        for task in (self._listen, self._live):
            threading.Thread(target=task, daemon=True).start()
        while True:
            job = self._asked.get()
            self._job = job.job
            self._say(self._jobs.do(job, partial(self._tell, job.job), self._tokens[job.job]))
            del self._tokens[job.job]
            self._job = 0

    def _tell(self, job: int, progress: Progress) -> None:
        self._say(Working(job, progress.step, progress.fraction, progress.seconds_left, progress.message))

    def _listen(self) -> None:
        try:
            for line in self._requests:
                request = decode(line)
                if isinstance(request, Stop):
                    self._tokens.get(request.job, CancelToken()).cancel()
                elif isinstance(request, Job):
                    self._tokens[request.job] = CancelToken()
                    self._asked.put(request)
        except (ProtocolError, OSError, ValueError):
            traceback.print_exc()
        self._leave()

    def _live(self) -> None:
        while True:
            self._say(Alive(self._job, os.getpid()))
            time.sleep(ALIVE_EVERY_S)

    def _say(self, report: Report) -> None:
        with self._writing:
            try:
                self._reports.write(encode(report))
                self._reports.flush()
            except OSError:
                self._leave()

    def _leave(self) -> NoReturn:
        """Whoever asked is gone: nothing that it left may stay. Of two threads that notice, one does it."""
        with self._leaving:
            remove_in_use(self._exchange)
            os._exit(0)


def main() -> None:
    """Keep standard output for messages alone: whatever a library prints goes to standard error, the log."""
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.basicConfig()
    Worker(sys.stdin.buffer, reports, Path(sys.argv[1])).run()


if __name__ == "__main__":
    main()
