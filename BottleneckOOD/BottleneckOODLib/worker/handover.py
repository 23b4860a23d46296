"""Large things go from one process to the other in threads of their own, so that the window never waits for them."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.worker.exchange import put_volume, take_assessment
from BottleneckOODLib.worker.process import WorkerProcess
from BottleneckOODLib.worker.protocol import Assess, Refused

_FAULT = "The volume could not be read because of a fault of the program; the details are in the log. Report it."
_NO_ROOM = "The volume could not be handed to the worker; check the free space of the temporary folder."


@dataclass(frozen=True)
class Taken:
    """A result that was read from the exchange folder.

    Attributes:
        job: Number of the job.
        assessment: The result; None when it cannot be used.
        warm: Whether the model was there already.
    """

    job: int
    assessment: Assessment | None
    warm: bool


def hand_over(
    process: WorkerProcess, load: Callable[[], Volume], request: Assess, wanted: Callable[[], bool]
) -> None:
    """Load a volume, put it into the exchange folder and then send the request; what goes wrong is heard as a refusal.

    Nothing is sent to a worker that was ended meanwhile, and nothing stays in its folder.

    Args:
        process: The worker.
        load: Gives the volume; called in another thread.
        request: What is asked of the worker.
        wanted: Whether the job is still wanted when the volume lies there.
    """

    def work() -> None:
        try:
            put_volume(load(), process.exchange / request.volume)
        except UserError as error:
            process.heard.put(Refused(request.job, str(error), stopped=False))
        except (OSError, MemoryError):
            process.heard.put(Refused(request.job, _NO_ROOM, stopped=False))
        except Exception:
            # Whatever a loader raises: nobody else would hear of it, and the run would never end.
            _tell_fault(process)
            process.heard.put(Refused(request.job, _FAULT, stopped=False))
        else:
            if wanted() and not process.ended:
                process.send(request)
            else:
                process.heard.put(Refused(request.job, "The run was stopped; nothing was changed.", stopped=True))
        finally:
            _remove_if_ended(process)

    threading.Thread(target=work, daemon=True).start()


def take_over(process: WorkerProcess, folder: Path, job: int, case_id: str, *, warm: bool) -> None:
    """Read a result from the exchange folder; it is heard as ``Taken``."""

    def work() -> None:
        try:
            taken = Taken(job, take_assessment(folder, case_id), warm)
        except (UserError, OSError, MemoryError):
            taken = Taken(job, None, warm)
        except Exception:
            # As above.
            _tell_fault(process)
            taken = Taken(job, None, warm)
        finally:
            _remove_if_ended(process)
        process.heard.put(taken)

    threading.Thread(target=work, daemon=True).start()


def _tell_fault(process: WorkerProcess) -> None:
    traceback.print_exc()
    process.note(traceback.format_exc())


def _remove_if_ended(process: WorkerProcess) -> None:
    """Where a folder with an open file keeps its name, what was written meanwhile is still there."""
    if process.ended:
        process.remove_exchange()
