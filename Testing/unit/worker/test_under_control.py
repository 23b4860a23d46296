"""Whatever goes wrong, wherever: a sentence, nothing left behind, and a fresh worker for the next case."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.worker.client import Done, Event, Failed, WorkerClient
from BottleneckOODLib.worker.protocol import DevicesFound, Working
from BottleneckOODLib.worker.python_command import PythonCommand

Until = Callable[..., list[Event]]
AProgram = Callable[[str], PythonCommand]
Model = dict[str, str]

N_MOMENTS, SEED = 20, 20240407
N_WINDOWS = 12

# Runs the real worker; from a window on, its network fails for batches that are large enough.
SCARCE = """
import os, signal
sys.argv = [sys.argv[0], sys.argv[-1]]
from BottleneckOODLib.worker import jobs, serve
logic_for, seen = jobs.Jobs._logic_for, [0]
def scarce(self, *wanted):
    # Only now is torch imported, as in the real worker.
    import torch
    logic = logic_for(self, *wanted)
    network = logic.segmenter._network
    forward = type(network).forward
    def short(windows):
        if seen[0] >= {window} and len(windows) >= {batch}:
            {failure}
        seen[0] += len(windows)
        return forward(network, windows)
    network.forward = short
    return logic
jobs.Jobs._logic_for = scarce
serve.main()
"""
WITHOUT_TORCH = """
sys.argv = [sys.argv[0], sys.argv[-1]]
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
from BottleneckOODLib.worker import serve
serve.main()
"""
OUT_OF_MEMORY = "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')"
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
HUNG = "os.kill(os.getpid(), signal.SIGSTOP)"


@pytest.fixture
def a_larger_volume() -> Volume:
    """Several batches of windows for the small model."""
    z, y, x = np.ogrid[:44, :60, :80]
    radius = ((x - 40) / 33) ** 2 + ((y - 30) / 23) ** 2 + 0 * z
    voxels = np.where(radius < 1, np.where(radius < 0.7, 45.0, -100.0), -1000.0)
    voxels = voxels + np.random.default_rng(1).normal(0, 10, voxels.shape)
    geometry = Geometry((80, 60, 44), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Volume(voxels.astype(np.float32), geometry, "CT", "large")


def left_in(client: WorkerClient) -> list[str]:
    return [] if client._process is None else sorted(path.name for path in client._process.exchange.iterdir())


def test_stopping_at_twenty_random_moments(
    a_client: WorkerClient, a_larger_volume: Volume, small_model: Model, until: Until
) -> None:
    durations = []
    for start in ("cold", "warm"):
        started = time.monotonic()
        a_client.assess(a_larger_volume, start, **small_model)
        expected = until(a_client)[-1]
        assert isinstance(expected, Done)
        durations.append(time.monotonic() - started)
    cold, warm = durations
    # From cold starts, as after an ended worker, and from warm ones, as after a stopped one.
    moments = random.Random(SEED)
    stopped = 0
    for number in range(N_MOMENTS):
        if number % 5 == 0:
            a_client.close()
        exchanges = {a_client._process.exchange} if a_client._process is not None else set()
        a_client.assess(a_larger_volume, f"case-{number}", **small_model)
        assert a_client._process is not None
        exchanges.add(a_client._process.exchange)
        # At a random time or after a few messages, by which the run may be over; it is not before the first look.
        end = time.monotonic() + moments.uniform(0, cold if number % 5 == 0 else warm)
        enough = None if number % 2 == 0 else number // 2 % 4
        events: list[Event] = []
        while a_client.busy and (time.monotonic() < end if enough is None else len(events) < enough):
            events += a_client.poll()
            time.sleep(0.002)
        if a_client.busy:
            a_client.stop()
            events += until(a_client, Failed)
            stopped += 1
            failed = events[-1]
            assert isinstance(failed, Failed), (number, events)
            assert failed.stopped
            assert failed.sentence == "The run was stopped; nothing was changed."
            assert not [event for event in events if isinstance(event, Done)]
        assert not a_client.busy
        assert set(left_in(a_client)) <= {"worker.log"}
        current = None if a_client._process is None else a_client._process.exchange
        assert not [path for path in exchanges if path.exists() and path != current]
    # How many of the others come before the end is the machine's matter.
    assert stopped >= 3
    a_client.assess(a_larger_volume, "after all", **small_model)
    done = until(a_client)[-1]
    assert isinstance(done, Done)
    mask, expected_mask = done.assessment.segmentation, expected.assessment.segmentation
    assert mask is not None
    assert expected_mask is not None
    assert np.mean(mask.labels == expected_mask.labels) > 0.999
    assert done.assessment.p_value == expected.assessment.p_value


@pytest.mark.parametrize("window", [0, N_WINDOWS // 2, N_WINDOWS - 4], ids=["first", "middle", "last"])
def test_want_of_memory_is_told_and_gives_the_same_result(
    a_larger_volume: Volume, small_model: Model, until: Until, a_program: AProgram, window: int
) -> None:
    results = []
    for failure in ("pass", OUT_OF_MEMORY):
        client = WorkerClient(a_program(SCARCE.format(window=window, batch=2, failure=failure)))
        client.assess(a_larger_volume, "large", **small_model)
        events = until(client)
        done = events[-1]
        client.close()
        assert isinstance(done, Done), done
        fractions = [event.fraction for event in events if isinstance(event, Working)]
        assert fractions == sorted(fractions)
        results.append(done.assessment)
    plenty, scarce = results
    assert [w for w in scarce.warnings if w not in plenty.warnings] == [
        "The memory of cpu sufficed for one window at a time only; this takes longer."
    ]
    assert scarce.light == plenty.light
    assert scarce.p_value == plenty.p_value
    assert scarce.segmentation is not None
    assert plenty.segmentation is not None
    assert np.mean(scarce.segmentation.labels == plenty.segmentation.labels) > 0.999


@pytest.mark.parametrize("window", [0, N_WINDOWS // 2, N_WINDOWS - 1], ids=["first", "middle", "last"])
def test_no_memory_at_all_is_grey_with_a_sentence_and_the_worker_stays(
    a_larger_volume: Volume, small_model: Model, until: Until, a_program: AProgram, window: int
) -> None:
    client = WorkerClient(a_program(SCARCE.format(window=window, batch=1, failure=OUT_OF_MEMORY)))
    for _ in range(2):
        client.assess(a_larger_volume, "large", **small_model)
        done = until(client)[-1]
        assert isinstance(done, Done), done
        assert done.assessment.light == "grey"
        assert "memory of this computer does not suffice" in done.assessment.sentence
        assert left_in(client) == ["worker.log"]
    client.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    # A killed one is heard at once: it is never late, however long a busy machine takes to start it.
    ("failure", "said", "hung_after_s"), [(KILLED, "was the memory full?", 600.0), (HUNG, "does not answer", 6.0)]
)
@pytest.mark.parametrize("window", [0, N_WINDOWS // 2], ids=["first", "middle"])
def test_killed_or_hung_inside_the_model(
    a_larger_volume: Volume,
    small_model: Model,
    until: Until,
    a_program: AProgram,
    ends: Callable[[int], bool],
    window: int,
    failure: str,
    said: str,
    hung_after_s: float,
) -> None:
    client = WorkerClient(a_program(SCARCE.format(window=window, batch=1, failure=failure)), hung_after_s)
    client.assess(a_larger_volume, "large", **small_model)
    assert client._process is not None
    exchange, pid = client._process.exchange, client._process.pid
    failed = until(client, Failed)[-1]
    assert isinstance(failed, Failed)
    assert said in failed.sentence
    assert failed.sentence.endswith("assess the case again.")
    assert not failed.stopped
    assert not exchange.exists()
    assert ends(pid)
    assert client._process is None


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot suspend a process by a signal")
def test_a_suspended_worker_that_is_stopped_is_ended(
    a_working_client: WorkerClient, until: Until, ends: Callable[[int], bool]
) -> None:
    assert a_working_client._process is not None
    pid = a_working_client._process.pid
    os.kill(pid, signal.SIGSTOP)
    a_working_client.stop()
    failed = until(a_working_client, Failed)[-1]
    assert isinstance(failed, Failed)
    assert failed.stopped
    assert ends(pid)


def test_a_missing_package_is_named(a_volume: Volume, until: Until, a_program: AProgram) -> None:
    client = WorkerClient(a_program(WITHOUT_TORCH))
    client.list_devices()
    found = until(client, DevicesFound)[-1]
    assert isinstance(found, DevicesFound)
    assert found.devices == ()
    assert "package torch is missing" in found.why_no_gpu
    client.assess(a_volume, "round")
    failed = until(client)[-1]
    assert isinstance(failed, Failed)
    assert "package torch is missing" in failed.sentence
    client.close()


def test_a_full_disk_is_a_sentence(
    a_client: WorkerClient, a_volume: Volume, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    def full(_volume: Volume, _folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("BottleneckOODLib.worker.handover.put_volume", full)
    a_client.assess(a_volume, "round")
    last = until(a_client)[-1]
    assert isinstance(last, Failed)
    assert "free space of the temporary folder" in last.sentence
    assert not a_client.busy
