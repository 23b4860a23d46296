from __future__ import annotations

import threading
import time
from collections.abc import Callable

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.worker.client import Done, Event, Failed, WorkerClient

Until = Callable[..., list[Event]]


def test_a_volume_is_loaded_in_another_thread_and_a_refusal_there_is_heard_as_one_sentence(
    a_client: WorkerClient, until: Until
) -> None:
    threads: list[str] = []

    def load() -> Volume:
        threads.append(threading.current_thread().name)
        message = "The volume is a drawing; choose a scan."
        raise InputError(message)

    a_client.assess(load, "drawing")
    assert a_client.busy
    failed = until(a_client)[-1]
    assert isinstance(failed, Failed)
    assert (failed.sentence, failed.stopped) == ("The volume is a drawing; choose a scan.", False)
    assert threads != [threading.main_thread().name]
    assert not a_client.busy


def test_a_run_that_was_stopped_before_its_volume_lay_there_never_reaches_the_worker(
    a_client: WorkerClient, a_volume: Volume, small_model: dict[str, str], until: Until
) -> None:
    go_on = threading.Event()

    def load() -> Volume:
        go_on.wait(60)
        return a_volume

    a_client.assess(load, "round", **small_model)
    a_client.stop()
    go_on.set()
    last = until(a_client)[-1]
    assert isinstance(last, Failed)
    assert last.stopped
    a_client.assess(a_volume, "round", **small_model)
    assert isinstance(until(a_client)[-1], Done)


def test_a_volume_that_does_not_fit_is_told(a_client: WorkerClient, until: Until) -> None:
    def load() -> Volume:
        raise MemoryError

    a_client.assess(load, "large")
    last = until(a_client)[-1]
    assert isinstance(last, Failed)
    assert "free space" in last.sentence


def test_a_volume_that_takes_long_to_hand_over_is_no_sign_of_a_hung_worker(
    a_volume: Volume, small_model: dict[str, str], until: Until
) -> None:
    client = WorkerClient()
    patience_s = client._hung_after_s

    def load() -> Volume:
        client._hung_after_s = 0.2
        time.sleep(1.0)
        client._hung_after_s = patience_s
        return a_volume

    client.assess(load, "round", **small_model)
    done = until(client)[-1]
    client.close()
    assert isinstance(done, Done), done
