"""The side of the worker that asks: no Qt, no waiting; a timer of the window calls ``poll``."""

from __future__ import annotations

import queue
import shutil
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.atomic_folder import check_replaceable, check_writable, written_whole
from BottleneckOODLib.errors import InputError, OutputError, UserError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.worker import protocol
from BottleneckOODLib.worker.handover import Taken, hand_over, take_over
from BottleneckOODLib.worker.process import WorkerProcess
from BottleneckOODLib.worker.protocol import (
    Alive,
    Assess,
    BuildReference,
    DevicesFound,
    Finished,
    ListDevices,
    Message,
    ProtocolError,
    Refused,
    Stop,
    Working,
)
from BottleneckOODLib.worker.python_command import PythonCommand, plain_python

STOP_WITHIN_S = 0.7
HUNG_AFTER_S = 45.0
_STOPPED = "The run was stopped; nothing was changed."


@dataclass(frozen=True)
class Done:
    """A case is judged.

    Attributes:
        assessment: The result, without the image.
        warm: Whether the model was there already.
    """

    assessment: Assessment
    warm: bool


@dataclass(frozen=True)
class Built:
    """A reference is built and stands in its place.

    Attributes:
        folder: Where.
        n_cases: How many cases it holds.
        n_left_out: How many could not be used.
        left_out: The first of these, each with its reason.
    """

    folder: Path
    n_cases: int
    n_left_out: int
    left_out: tuple[str, ...]


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


Event = Working | Done | Built | DevicesFound | Failed


@dataclass
class _Running:
    """The job that runs.

    Attributes:
        number: Its number.
        again: What the user does to try again.
        case_id: The case, for an assessment.
        output: Where the result goes, for a reference.
        stop_asked: When the user asked to stop it.
        being_taken: Whether its result is being read: whatever that takes, the worker owes no sign of life.
    """

    number: int
    again: str
    case_id: str = ""
    output: Path | None = None
    stop_asked: float | None = None
    being_taken: bool = False


class WorkerClient:
    """Runs one job at a time in a process that is started when it is first needed and kept for the next.

    The process ends with ``close``, and at the latest when nobody holds the client any more.

    Args:
        python: What runs it, such as ``python_command.slicer_python()``; None takes this interpreter.
        hung_after_s: Seconds without a sign of life after which it counts as hung.
    """

    def __init__(self, python: PythonCommand | None = None, hung_after_s: float = HUNG_AFTER_S) -> None:
        self._python = python or plain_python()
        self._hung_after_s = hung_after_s
        self._process: WorkerProcess | None = None
        self._end_when_gone: weakref.finalize[..., WorkerClient] | None = None
        self._last_heard = 0.0
        self._number = 0
        self._running: _Running | None = None
        self._looking: int | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs; looking for devices is none, and needs not be waited for."""
        return self._running is not None

    @property
    def expects_news(self) -> bool:
        """Whether ``poll`` has to be called: a job runs, or devices are looked for."""
        return self._running is not None or self._looking is not None

    def assess(
        self,
        volume: Volume | Callable[[], Volume],
        case_id: str,
        *,
        model: str = "demo",
        reference: str | None = None,
        device: str = "auto",
    ) -> None:
        """Start judging a case; ``poll`` tells how it goes, and ends with ``Done`` or ``Failed``.

        Args:
            volume: The volume, or what gives it: that is called in another thread.
            case_id: Name of the case.
            model: Name or folder of the model.
            reference: Name or folder of the reference; None takes the model's own.
            device: As for ``BottleneckOODLogic``.

        Raises:
            InputError: A job runs already.
            DependencyError: The worker's Python cannot be started.
            OutputError: The temporary folder cannot be used.
        """
        self._refuse_while_busy()
        process, number = self._ready()
        running = self._running = _Running(number, "assess the case again", case_id=case_id)
        request = Assess(number, f"volume-{number}", case_id, model, reference, device)
        load = volume if callable(volume) else lambda: volume
        # A worker that died since is noticed by ``poll``.
        hand_over(process, load, request, lambda: running.stop_asked is None)

    def build_reference(
        self, cases: Path, name: str, output: Path, *, model: str = "demo", device: str = "auto"
    ) -> None:
        """Start building a reference; ``poll`` tells how it goes, and ends with ``Built`` or ``Failed``.

        The worker writes into the exchange folder; only a reference that is complete is put in its place, so a build
        that was stopped or failed leaves nothing.

        Args:
            cases: A CSV of cases, or a folder of images.
            name: Name of the reference.
            output: The folder to make; one that is there already is never touched.
            model: Name or folder of the model.
            device: As for ``BottleneckOODLogic``.

        Raises:
            InputError: A job runs already.
            DependencyError: The worker's Python cannot be started.
            OutputError: ``output`` exists, or it or the temporary folder cannot be written.
        """
        self._refuse_while_busy()
        check_replaceable(output, overwrite=False, known=())
        check_writable(output)
        process, number = self._ready()
        self._running = _Running(number, "build the reference again", output=output)
        process.send(BuildReference(number, str(cases.resolve()), name, model, device))

    def list_devices(self) -> None:
        """Start looking for what could compute; ``poll`` answers with ``DevicesFound``, also while another job runs.

        Raises:
            DependencyError: The worker's Python cannot be started.
            OutputError: The temporary folder cannot be used.
        """
        if self._looking is None:
            process, number = self._ready()
            self._looking = number
            process.send(ListDevices(number))

    def stop(self) -> None:
        """Ask the job to stop; one that does not within a moment is ended with its process."""
        if self._running is not None and self._process is not None and self._running.stop_asked is None:
            self._running.stop_asked = time.monotonic()
            self._process.send(Stop(self._running.number))

    def poll(self) -> list[Event]:
        """What happened since the last call; the last event of a job is its result or ``Failed``. Never waits."""
        events: list[Event] = []
        while self._process is not None:
            try:
                heard = self._process.heard.get_nowait()
            except queue.Empty:
                break
            events += self._events_of(heard)
        if self._process is not None and self.expects_news:
            events += self._ended_if_late()
        return events

    def close(self) -> None:
        """End the process and remove everything that was exchanged."""
        self._running = self._looking = None
        self._process = None
        if self._end_when_gone is not None:
            self._end_when_gone()

    def _refuse_while_busy(self) -> None:
        if self._running is not None:
            what = "A case is being assessed" if self._running.output is None else "A reference is being built"
            message = f"{what}; wait for it, or stop it first."
            raise InputError(message)

    def _ready(self) -> tuple[WorkerProcess, int]:
        if self._process is None or not self._process.running:
            self.close()
            self._process = WorkerProcess(self._python)
            self._end_when_gone = weakref.finalize(self, self._process.end)
        self._number += 1
        self._last_heard = time.monotonic()
        return self._process, self._number

    def _events_of(self, heard: Message | Taken | ProtocolError | None) -> list[Event]:
        running = self._running
        if isinstance(heard, Taken):
            return self._done(heard)
        if heard is None:
            return self._ended("The worker ended unexpectedly (was the memory full?)")
        if isinstance(heard, ProtocolError | protocol.Request):
            return self._ended("The worker answered with something that is no answer")
        mine = running is not None and heard.job == running.number
        if mine or heard.job == self._looking:
            # A worker that lives but never takes up the job does not hear it.
            self._last_heard = time.monotonic()
        if heard.job == self._looking and isinstance(heard, DevicesFound | Refused):
            self._looking = None
            self._settle(heard.job)
            return [heard if isinstance(heard, DevicesFound) else DevicesFound(heard.job, (), heard.sentence)]
        if not mine or running is None or isinstance(heard, Alive):
            return []
        return self._working(heard, running) if isinstance(heard, Working) else self._result_of(heard, running)

    @staticmethod
    def _working(heard: Working, running: _Running) -> list[Event]:
        # What was on its way when the user stopped is of no interest any more.
        return [heard] if running.stop_asked is None else []

    def _result_of(self, heard: Finished | protocol.Built | DevicesFound | Refused, running: _Running) -> list[Event]:
        result: Event
        try:
            if isinstance(heard, Refused):
                # What was a fault of the program stands in the log alone.
                log = "" if heard.stopped or self._process is None else self._process.log()
                result = Failed(heard.sentence, heard.stopped, log)
            elif running.stop_asked is not None:
                result = Failed(_STOPPED, stopped=True)
            elif isinstance(heard, Finished) and running.output is None and self._process is not None:
                folder = self._inside(heard.folder)
                running.being_taken = True
                take_over(self._process, folder, running.number, running.case_id, warm=heard.warm)
                return []
            elif isinstance(heard, protocol.Built) and running.output is not None:
                _put_in_place(self._inside(heard.folder), running.output)
                result = Built(running.output, heard.n_cases, heard.n_left_out, heard.left_out)
            else:
                return self._ended("The worker answered with something that is no answer")
        except OutputError as error:
            result = Failed(str(error))
        except UserError:
            return self._ended("The worker's result cannot be used")
        return self._over(running, result)

    def _done(self, taken: Taken) -> list[Event]:
        running = self._running
        if running is None or taken.job != running.number:
            return []
        if taken.assessment is None:
            return self._ended("The worker's result cannot be used")
        stopped = running.stop_asked is not None
        return self._over(
            running, Failed(_STOPPED, stopped=True) if stopped else Done(taken.assessment, taken.warm)
        )

    def _over(self, running: _Running, result: Event) -> list[Event]:
        self._running = None
        self._settle(running.number)
        return [result]

    def _settle(self, job: int) -> None:
        if self._process is not None:
            self._process.settled(job)

    def _inside(self, name: str) -> Path:
        """A folder of the exchange folder; a name that leads elsewhere is refused."""
        exchange = Path() if self._process is None else self._process.exchange.resolve()
        folder = (exchange / name).resolve()
        if exchange not in folder.parents or not folder.is_dir():
            message = "The worker's result lies elsewhere than agreed."
            raise InputError(message)
        return folder

    def _ended_if_late(self) -> list[Event]:
        now, running = time.monotonic(), self._running
        if running is not None and running.stop_asked is not None and now - running.stop_asked > STOP_WITHIN_S:
            return self._ended("")
        asked_at = {} if self._process is None else self._process.asked_at
        numbers = (None if running is None or running.being_taken else running.number, self._looking)
        waited_for = [number for number in numbers if number is not None]
        if not waited_for or not all(number in asked_at for number in waited_for):
            # A volume is being handed over, or a result taken, which may take its time.
            return []
        since = max(self._last_heard, *(asked_at[number] for number in waited_for))
        if now - since > self._hung_after_s:
            return self._ended("The worker does not answer any more and was ended")
        return []

    def _ended(self, why: str) -> list[Event]:
        """The process is not to be trusted any more; the next job gets a fresh one."""
        running, looking = self._running, self._looking
        log = "" if self._process is None else self._process.log()
        self.close()
        events: list[Event] = []
        if running is not None and running.stop_asked is not None:
            events.append(Failed(_STOPPED, stopped=True, log=log))
        elif running is not None:
            events.append(Failed(f"{why}; {running.again}.", log=log))
        if looking is not None:
            events.append(DevicesFound(looking, (), "The devices could not be listed; the choice is made by itself."))
        return events


def _put_in_place(built: Path, output: Path) -> None:
    with written_whole(output, overwrite=False, known=()) as temporary:
        for path in built.iterdir():
            shutil.move(path, temporary / path.name)
