from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from resting_worker import resting_worker

from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.worker.client import Built, Done, Event, Failed, WorkerClient
from BottleneckOODLib.worker.protocol import Working
from BottleneckOODLib.worker.python_command import PythonCommand, plain_python

FORMATS = Path(__file__).resolve().parents[2] / "formats" / "v1"
SMALL_MODEL = {"model": str(FORMATS / "model"), "reference": str(FORMATS / "reference"), "device": "cpu"}


@pytest.fixture
def a_volume() -> Volume:
    """A noisy round body at an oblique place."""
    z, y, x = np.ogrid[:20, :40, :56]
    body = ((x - 28) / 23) ** 2 + ((y - 20) / 15) ** 2 + 0 * z < 1
    voxels = np.where(body, 40.0, -1000.0) + np.random.default_rng(0).normal(0, 10, (20, 40, 56))
    direction = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry((56, 40, 20), (5.1, 4.9, 5.0), (1 / 3, -7.0, 1e3), direction)
    return Volume(voxels.astype(np.float32), geometry, "CT", "round", warnings=("a warning",))


@pytest.fixture
def a_client() -> Iterator[WorkerClient]:
    client = WorkerClient()
    yield client
    client.close()


@pytest.fixture
def small_model() -> dict[str, str]:
    return SMALL_MODEL


Until = Callable[..., list[Event]]
AProgram = Callable[[str], PythonCommand]


@pytest.fixture
def a_program(tmp_path: Path) -> AProgram:
    """A stand-in for the worker's Python: it runs the text, with the exchange folder as its last argument."""

    def make(text: str) -> PythonCommand:
        path = tmp_path / "stand_in.py"
        path.write_text(f"import sys, time\n{text}\n", encoding="utf-8")
        return PythonCommand((sys.executable, str(path)), plain_python().environment)

    return make


@pytest.fixture
def until() -> Until:
    """Polls as a window's timer does, until an event is of one of the kinds."""

    def wait(client: WorkerClient, *kinds: type, seconds: float = 300.0) -> list[Event]:
        events: list[Event] = []
        end = time.monotonic() + seconds
        wanted = kinds or (Done, Built, Failed)
        while time.monotonic() < end:
            events += client.poll()
            if any(isinstance(event, wanted) for event in events):
                return events
            if not client.expects_news:
                break
            time.sleep(0.01)
        raise AssertionError(f"waited in vain for {wanted}: {events}")

    return wait


@pytest.fixture
def go_on(tmp_path: Path) -> Path:
    """The file that lets a resting worker go on."""
    return tmp_path / "go on"


@pytest.fixture
def a_working_client(
    a_volume: Volume, small_model: dict[str, str], until: Until, tmp_path: Path, go_on: Path
) -> Iterator[WorkerClient]:
    """A client whose worker is at work, however late it is looked at."""
    client = WorkerClient(resting_worker(tmp_path, go_on, step="Segmenting"))
    client.assess(a_volume, "round", **small_model)
    until(client, Working)
    yield client
    client.close()


@pytest.fixture
def threads_are_over() -> Callable[[], bool]:
    """Whether nothing is handed over any more, in either direction, within a minute."""

    def wait() -> bool:
        end = time.monotonic() + 60
        while time.monotonic() < end and any("(work)" in thread.name for thread in threading.enumerate()):
            time.sleep(0.01)
        return not any("(work)" in thread.name for thread in threading.enumerate())

    return wait


@pytest.fixture
def ends() -> Callable[[int], bool]:
    """Whether a process is gone within two minutes; one that nobody has buried yet counts as gone."""

    def gone(pid: int) -> bool:
        try:
            os.kill(pid, 0)
            return ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except ProcessLookupError:
            return True
        except OSError:
            return False

    def wait(pid: int) -> bool:
        end = time.monotonic() + 120
        while not gone(pid) and time.monotonic() < end:
            time.sleep(0.05)
        return gone(pid)

    return wait
