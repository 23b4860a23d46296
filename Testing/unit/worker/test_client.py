"""A real process each: warm, stopped, killed, hung, and answering with garbage."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.errors import DependencyError, InputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.worker import client as client_module
from BottleneckOODLib.worker.client import Done, Event, Failed, WorkerClient
from BottleneckOODLib.worker.protocol import Alive, Finished, Stop, Working, encode
from BottleneckOODLib.worker.python_command import PythonCommand

Until = Callable[..., list[Event]]
AProgram = Callable[[str], PythonCommand]
Model = dict[str, str]
# What a stand-in says is its process is ended with it, so it must be none that somebody else has.
NOBODY = 0


def process_of(client: WorkerClient) -> subprocess.Popen[bytes]:
    assert client._process is not None
    return client._process._process


def exchange_of(client: WorkerClient) -> Path:
    assert client._process is not None
    return client._process.exchange


def open_files(process_id: str) -> int:
    """How many, where the system tells."""
    folder = Path("/proc") / process_id / "fd"
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_the_result_is_that_of_the_same_logic_here(
    a_client: WorkerClient, a_volume: Volume, small_model: Model, until: Until
) -> None:
    a_client.assess(a_volume, "round", **small_model)
    events = until(a_client)
    done = events[-1]
    assert isinstance(done, Done)
    here = BottleneckOODLogic(**small_model).assess(a_volume, case_id="round")
    assert (done.assessment.light, done.assessment.p_value, done.assessment.checks) == (
        here.light, here.p_value, here.checks,
    )  # fmt: skip
    mask, own_mask = done.assessment.segmentation, here.segmentation
    assert mask is not None
    assert own_mask is not None
    assert mask.names == own_mask.names
    assert mask.geometry.is_close(own_mask.geometry)
    # A network's last digits vary from process to process, and with them a voxel that is half organ.
    assert np.mean(mask.labels == own_mask.labels) > 0.999
    fractions = [event.fraction for event in events if isinstance(event, Working)]
    assert fractions == sorted(fractions)
    assert "Segmenting" in {event.step for event in events if isinstance(event, Working)}


def test_the_second_case_finds_the_model_warm_and_leaves_nothing_behind(
    a_client: WorkerClient,
    a_volume: Volume,
    small_model: Model,
    until: Until,
    threads_are_over: Callable[[], bool],
) -> None:
    warm, files, volumes = [], [], []
    for name in ("first", "second", "third", "fourth"):
        volume = replace(a_volume)
        volumes.append(weakref.ref(volume))
        a_client.assess(volume, name, **small_model)
        del volume
        done = until(a_client)[-1]
        assert isinstance(done, Done)
        assert done.assessment.case_id == name
        warm.append(done.warm)
        # Who handed the volume over may still be about to let go of it.
        assert threads_are_over()
        # Files that earlier tests left open go with their garbage.
        gc.collect()
        files.append((open_files("self"), open_files(str(process_of(a_client).pid))))
    assert warm == [False, True, True, True]
    assert all(last <= second for second, last in zip(files[1], files[-1], strict=True))
    assert [volume() for volume in volumes] == [None] * 4
    assert a_client._process is not None
    assert a_client._process.asked_at == {}
    assert [path.name for path in exchange_of(a_client).iterdir()] == ["worker.log"]


def test_a_worker_that_waits_for_work_fills_no_memory_of_who_asked(a_volume: Volume, a_program: AProgram) -> None:
    """A sign of life a second, which nobody takes up while the window is open and no case is run."""
    said = encode(Alive(0, NOBODY)) * 100 + encode(Alive(7, NOBODY))
    client = WorkerClient(a_program(f"sys.stdout.buffer.write({said!r}); sys.stdout.flush(); time.sleep(60)"))
    client.list_devices()
    assert client._process is not None
    assert client._process.heard.get(timeout=300) == Alive(7, NOBODY)
    assert client._process.heard.empty()
    client.close()


def test_a_wrong_input_is_the_logic_s_sentence_and_the_worker_stays(
    a_client: WorkerClient, a_volume: Volume, small_model: Model, until: Until
) -> None:
    a_client.assess(a_volume, "round", model="no such model")
    failed = until(a_client)[-1]
    assert isinstance(failed, Failed)
    assert "no such model" in failed.sentence
    before = process_of(a_client).pid
    a_client.assess(a_volume, "round", **small_model)
    assert isinstance(until(a_client)[-1], Done)
    assert process_of(a_client).pid == before


def test_one_job_at_a_time(a_working_client: WorkerClient, a_volume: Volume, small_model: Model) -> None:
    with pytest.raises(InputError, match="is being assessed"):
        a_working_client.assess(a_volume, "other", **small_model)


def test_a_killed_worker_is_one_sentence_and_the_next_case_gets_a_fresh_one(
    a_working_client: WorkerClient, a_volume: Volume, small_model: Model, until: Until, go_on: Path
) -> None:
    exchange = exchange_of(a_working_client)
    process_of(a_working_client).kill()
    failed = until(a_working_client)[-1]
    assert isinstance(failed, Failed)
    assert "ended unexpectedly" in failed.sentence
    assert not failed.stopped
    assert not exchange.exists()
    go_on.touch()
    a_working_client.assess(a_volume, "round", **small_model)
    assert isinstance(until(a_working_client)[-1], Done)


def test_a_worker_that_died_between_two_cases_is_replaced(
    a_client: WorkerClient, a_volume: Volume, small_model: Model, until: Until
) -> None:
    a_client.assess(a_volume, "round", **small_model)
    until(a_client)
    process_of(a_client).kill()
    process_of(a_client).wait()
    a_client.assess(a_volume, "round", **small_model)
    assert isinstance(until(a_client)[-1], Done)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot suspend a process by a signal")
def test_a_hung_worker_is_ended(
    a_working_client: WorkerClient, until: Until, ends: Callable[[int], bool]
) -> None:
    a_working_client._hung_after_s = 0.5
    pid = process_of(a_working_client).pid
    os.kill(pid, signal.SIGSTOP)
    failed = until(a_working_client, Failed)[-1]
    assert isinstance(failed, Failed)
    assert "does not answer" in failed.sentence
    assert ends(pid)


def test_a_worker_that_lives_but_never_takes_up_the_job_is_ended(
    a_volume: Volume, until: Until, a_program: AProgram
) -> None:
    """As where a launcher keeps its child's standard input to itself."""
    alive = encode(Alive(0, NOBODY))
    client = WorkerClient(
        a_program(f"while True:\n    sys.stdout.buffer.write({alive!r}); sys.stdout.flush(); time.sleep(0.05)"),
        hung_after_s=1.5,
    )
    client.assess(a_volume, "round")
    failed = until(client)[-1]
    assert isinstance(failed, Failed)
    assert "does not answer" in failed.sentence


FINISHED_ELSEWHERE = Finished(1, "../..", warm=True)
FINISHED_NOWHERE = Finished(1, "nothing", warm=True)


@pytest.mark.parametrize(
    "text",
    [
        "print('hello')",
        "sys.stdout.buffer.write(b'\\xff' * 300_000); sys.stdout.flush(); time.sleep(60)",
        *(
            f"sys.stdout.buffer.write({encode(message)!r}); sys.stdout.flush(); time.sleep(60)"
            for message in (Stop(1), FINISHED_ELSEWHERE, FINISHED_NOWHERE)
        ),
        "sys.exit(3)",
    ],
)
def test_garbage_is_one_sentence(a_volume: Volume, until: Until, a_program: AProgram, text: str) -> None:
    client = WorkerClient(a_program(text))
    client.assess(a_volume, "round")
    failed = until(client)[-1]
    assert isinstance(failed, Failed)
    assert "\n" not in failed.sentence
    assert "assess the case again" in failed.sentence
    assert not client.busy
    assert client._process is None


def test_what_the_worker_printed_is_kept_for_a_bug_report(
    a_volume: Volume, until: Until, a_program: AProgram
) -> None:
    client = WorkerClient(a_program("print('segmentation fault', file=sys.stderr); sys.exit(1)"))
    client.assess(a_volume, "round")
    failed = until(client)[-1]
    assert isinstance(failed, Failed)
    assert "segmentation fault" in failed.log
    assert "segmentation fault" not in failed.sentence


def test_a_python_that_is_not_there_is_one_sentence(a_volume: Volume, tmp_path: Path) -> None:
    client = WorkerClient(PythonCommand((str(tmp_path / "no-python"),), {}))
    with pytest.raises(DependencyError, match="no-python"):
        client.assess(a_volume, "round")
    assert not client.busy


def test_closing_ends_the_process_and_removes_the_folder(
    a_working_client: WorkerClient, ends: Callable[[int], bool]
) -> None:
    pid, exchange = process_of(a_working_client).pid, exchange_of(a_working_client)
    a_working_client.close()
    assert ends(pid)
    assert not exchange.exists()
    a_working_client.close()


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_worker_does_not_outlive_who_started_it(
    a_volume: Volume, tmp_path: Path, ends: Callable[[int], bool], interrupted: bool
) -> None:
    """Nor where a terminal's Ctrl+C ends both."""
    if interrupted and os.name == "nt":
        pytest.skip("no process there has such signals")
    np.save(tmp_path / "voxels.npy", a_volume.voxels)
    code = (
        "import os, signal, sys, numpy as np\n"
        "from BottleneckOODLib.imaging.volume import Geometry, Volume\n"
        "from BottleneckOODLib.worker.client import WorkerClient\n"
        f"voxels = np.load({str(tmp_path / 'voxels.npy')!r})\n"
        "k, j, i = voxels.shape\n"
        "geometry = Geometry((i, j, k), (5, 5, 5), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))\n"
        "client = WorkerClient()\n"
        "client.assess(Volume(voxels, geometry, 'CT', 'x'), 'x')\n"
        "print(client._process.pid, client._process.exchange, flush=True)\n"
        f"os.kill(client._process.pid, signal.SIGINT) if {interrupted} else None\n"
        "os._exit(1)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False).stdout
    pid, exchange = told.split(maxsplit=1)
    end = time.monotonic() + 120
    while Path(exchange.strip()).exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(exchange.strip()).exists()
    assert ends(int(pid))


def test_asking_needs_neither_torch_nor_qt() -> None:
    code = "import sys, BottleneckOODLib.worker.client; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("'torch'", "'monai'", "'umap'", "'slicer'", "'qt'", "'matplotlib'", "'sklearn'"):
        assert heavy not in loaded


def test_the_limits_leave_a_stop_under_a_second() -> None:
    assert client_module.STOP_WITHIN_S < 1
