"""What is let go of at an awkward moment leaves no process, no folder and no run that never ends."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.worker import process as process_module
from BottleneckOODLib.worker.client import Done, Event, Failed, WorkerClient
from BottleneckOODLib.worker.handover import Taken, hand_over, take_over
from BottleneckOODLib.worker.process import WorkerProcess
from BottleneckOODLib.worker.protocol import Assess, Finished, Refused, encode
from BottleneckOODLib.worker.python_command import PythonCommand
from BottleneckOODLib.worker.serve import Worker

Until = Callable[..., list[Event]]
AProgram = Callable[[str], PythonCommand]

SLEEPS = "time.sleep(600)"
ANSWERS = """
from pathlib import Path
sys.stdin.buffer.readline()
(Path(sys.argv[-1]) / "job-1").mkdir()
print({said!r}, file=sys.stderr, flush=True)
sys.stdout.buffer.write({answer!r})
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture
def a_sleeper(a_program: AProgram) -> Iterator[WorkerProcess]:
    """A process that neither says nor hears anything."""
    process = WorkerProcess(a_program(SLEEPS))
    yield process
    process.end()


def heard_from(process: WorkerProcess, kind: type) -> Any:
    """The next thing of a kind that is heard."""
    while not isinstance(heard := process.heard.get(timeout=300), kind):
        pass
    return heard


def fill(folder: Path, writes: threading.Event) -> None:
    """Write files into a folder until it is gone."""
    folder.mkdir()
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (folder / f"voxels-{number}.npy").write_bytes(b"a patient")
            writes.set()


def test_a_client_that_nobody_holds_any_more_takes_its_worker_along(
    a_program: AProgram, ends: Callable[[int], bool]
) -> None:
    client: WorkerClient | None = WorkerClient(a_program(SLEEPS))
    assert client is not None
    client.list_devices()
    assert client._process is not None
    pid, exchange = client._process.pid, client._process.exchange
    client = None
    gc.collect()
    assert ends(pid)
    assert not exchange.exists()


def test_also_while_a_volume_is_loaded_for_it(
    a_program: AProgram, a_volume: Volume, ends: Callable[[int], bool], threads_are_over: Callable[[], bool]
) -> None:
    go_on = threading.Event()

    def load() -> Volume:
        go_on.wait(60)
        return a_volume

    client: WorkerClient | None = WorkerClient(a_program(SLEEPS))
    assert client is not None
    client.assess(load, "round")
    assert client._process is not None
    pid, exchange = client._process.pid, client._process.exchange
    client = None
    gc.collect()
    assert ends(pid)
    go_on.set()
    assert threads_are_over()
    assert not exchange.exists()


def test_a_client_that_is_held_keeps_its_worker(a_program: AProgram) -> None:
    client = WorkerClient(a_program(SLEEPS))
    client.list_devices()
    gc.collect()
    assert client._process is not None
    assert client._process.running
    client.close()


def test_a_volume_that_is_written_while_its_worker_is_ended_stays_nowhere(
    a_sleeper: WorkerProcess,
    a_volume: Volume,
    monkeypatch: pytest.MonkeyPatch,
    threads_are_over: Callable[[], bool],
) -> None:
    def put_late(_volume: Volume, folder: Path) -> None:
        a_sleeper.end()
        folder.mkdir(parents=True)
        (folder / "voxels.npy").write_bytes(b"a patient")

    monkeypatch.setattr("BottleneckOODLib.worker.handover.put_volume", put_late)
    request = Assess(1, "volume-1", "round", "demo", None, "cpu")
    hand_over(a_sleeper, lambda: a_volume, request, lambda: True)
    assert heard_from(a_sleeper, Refused).stopped
    assert threads_are_over()
    assert not a_sleeper.exchange.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a folder with an open file keeps its name there")
def test_a_volume_that_is_being_written_is_gone_when_its_worker_has_ended(a_program: AProgram) -> None:
    for _ in range(20):
        process, writes = WorkerProcess(a_program(SLEEPS)), threading.Event()
        writer = threading.Thread(target=fill, args=(process.exchange / "volume-1", writes), daemon=True)
        writer.start()
        assert writes.wait(60)
        process.end()
        assert list(process.exchange.parent.glob(f"{process.exchange.name}*")) == []
        writer.join(60)
        assert not writer.is_alive()


@pytest.mark.skipif(sys.platform == "win32", reason="a folder with an open file keeps its name there")
def test_a_worker_whose_client_is_gone_leaves_nothing_of_what_it_just_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Left(BaseException):
        pass

    def leave(_code: int) -> None:
        raise Left

    monkeypatch.setattr("BottleneckOODLib.worker.serve.os._exit", leave)
    for number in range(20):
        exchange, writes = tmp_path / str(number), threading.Event()
        exchange.mkdir()
        writer = threading.Thread(target=fill, args=(exchange / "job-1", writes), daemon=True)
        writer.start()
        assert writes.wait(60)
        with pytest.raises(Left):
            Worker(io.BytesIO(), io.BytesIO(), exchange)._leave()
        assert list(tmp_path.iterdir()) == []
        writer.join(60)


def test_a_worker_that_hears_no_signal_holds_nobody_up(
    a_sleeper: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits for the driver of a card that hangs."""
    monkeypatch.setattr(process_module, "_ENDED_WITHIN_S", 0.1)
    killed = a_sleeper._process.kill
    monkeypatch.setattr(a_sleeper._process, "kill", lambda: None)
    ending = threading.Thread(target=a_sleeper.end, daemon=True)
    ending.start()
    ending.join(60)
    assert not ending.is_alive()
    assert not a_sleeper.exchange.exists()
    killed()


@pytest.mark.parametrize("failure", [KeyError("x"), OSError(28, "full"), None])
def test_a_result_that_is_read_while_its_worker_is_ended_stays_nowhere(
    a_sleeper: WorkerProcess,
    monkeypatch: pytest.MonkeyPatch,
    make_assessment: Callable[..., Assessment],
    threads_are_over: Callable[[], bool],
    failure: Exception | None,
) -> None:
    def take_late(folder: Path, _case_id: str) -> Assessment:
        a_sleeper.end()
        folder.mkdir(parents=True)
        if failure is not None:
            raise failure
        return make_assessment("green")

    monkeypatch.setattr("BottleneckOODLib.worker.handover.take_assessment", take_late)
    take_over(a_sleeper, a_sleeper.exchange / "job-1", 1, "round", warm=False)
    assert (heard_from(a_sleeper, Taken).assessment is None) == (failure is not None)
    assert threads_are_over()
    assert not a_sleeper.exchange.exists()


def test_what_is_said_to_an_ended_worker_is_said_to_nobody(a_sleeper: WorkerProcess) -> None:
    a_sleeper.end()
    a_sleeper.send(Assess(1, "volume-1", "round", "demo", None, "cpu"))
    assert a_sleeper.asked_at == {}


def test_a_stream_that_is_closed_under_a_message_is_no_error(a_sleeper: WorkerProcess) -> None:
    """As when the window closes between the look and the word."""
    assert a_sleeper._process.stdin is not None
    a_sleeper._process.stdin.close()
    a_sleeper.send(Assess(1, "volume-1", "round", "demo", None, "cpu"))


def test_a_loader_s_fault_ends_the_run_with_one_sentence_and_its_details_in_the_log(
    a_program: AProgram, until: Until
) -> None:
    def load() -> Volume:
        raise RuntimeError("planted in the loader")

    client = WorkerClient(a_program(SLEEPS))
    client.assess(load, "round")
    failed = until(client)[-1]
    client.close()
    assert isinstance(failed, Failed)
    assert not failed.stopped
    assert "could not be read" in failed.sentence
    assert "planted" not in failed.sentence
    assert "planted in the loader" in failed.log


def test_a_reader_s_fault_ends_the_run_with_one_sentence_and_its_details_in_the_log(
    a_program: AProgram, a_volume: Volume, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(_folder: Path, _case_id: str) -> Assessment:
        raise RuntimeError("planted in the reader")

    monkeypatch.setattr("BottleneckOODLib.worker.handover.take_assessment", take)
    answer = encode(Finished(1, "job-1", warm=True))
    client = WorkerClient(a_program(ANSWERS.format(said="", answer=answer)))
    client.assess(a_volume, "round")
    failed = until(client)[-1]
    assert isinstance(failed, Failed)
    assert failed.sentence == "The worker's result cannot be used; assess the case again."
    assert "planted in the reader" in failed.log


def test_a_result_that_takes_long_to_read_is_no_sign_of_a_hung_worker(
    a_program: AProgram,
    a_volume: Volume,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
    make_assessment: Callable[..., Assessment],
) -> None:
    client = WorkerClient(a_program(ANSWERS.format(said="", answer=encode(Finished(1, "job-1", warm=True)))))

    def take(_folder: Path, _case_id: str) -> Assessment:
        client._hung_after_s = 0.2
        time.sleep(1.0)
        return make_assessment("green")

    monkeypatch.setattr("BottleneckOODLib.worker.handover.take_assessment", take)
    client.assess(a_volume, "round")
    done = until(client)[-1]
    client.close()
    assert isinstance(done, Done), done


@pytest.mark.parametrize("stopped", [False, True])
def test_a_refusal_brings_what_the_worker_printed_unless_the_user_stopped_it(
    a_program: AProgram, a_volume: Volume, until: Until, stopped: bool
) -> None:
    answer = encode(Refused(1, "The worker met a fault.", stopped=stopped))
    client = WorkerClient(a_program(ANSWERS.format(said="Traceback: planted", answer=answer)))
    client.assess(a_volume, "round")
    failed = until(client)[-1]
    client.close()
    assert isinstance(failed, Failed)
    assert failed.stopped == stopped
    assert ("Traceback: planted" in failed.log) == (not stopped)


def test_a_temporary_folder_that_cannot_be_used_is_one_sentence(
    a_volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = WorkerClient()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    for start in (client.list_devices, lambda: client.assess(a_volume, "round")):
        with pytest.raises(OutputError, match="temporary folder cannot be written"):
            start()
    assert not client.expects_news
