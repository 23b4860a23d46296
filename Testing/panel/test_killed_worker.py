"""The real worker behind the real panel: killed, suspended, cancelled and left behind; the scene never suffers."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import slicer
from resting_worker import resting_worker

from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.scene.volume_node import add_volume_node
from BottleneckOODLib.worker.protocol import Working

SceneState = Callable[[Any], dict[str, Any]]
Until = Callable[..., None]
STOPPED = "The run was stopped; nothing was changed."


@pytest.fixture
def a_case(a_module_widget: Any, the_application: Any, a_ct_file: Path) -> Any:
    """The panel with a CT that can be assessed."""
    ui = a_module_widget.ui
    node = add_volume_node(the_application.scene, read_volume(a_ct_file), "a case")
    slicer.util.setSliceViewerLayers(background=node)
    ui.volumeSelector.setCurrentNode(node)
    ui.modalitySelector.setCurrentIndex(ui.modalitySelector.findData("CT"))
    return a_module_widget


def runner(widget: Any) -> Any:
    return widget.logic.runner


@pytest.fixture
def go_on(tmp_path: Path) -> Path:
    """The file that lets a resting worker go on."""
    return tmp_path / "go on"


def start(widget: Any, until: Until, step: str, go_on: Path) -> Any:
    """Press the button and wait until a step is told, at which the worker rests; gives the process."""
    client, told = runner(widget), ["Starting"]
    client._python = resting_worker(go_on.parent, go_on, step=step)
    poll = client.poll

    def poll_and_note() -> list[Any]:
        events = poll()
        told.extend(event.step for event in events if isinstance(event, Working))
        return events

    # A quick step is told and over between two looks at the panel.
    client.poll = poll_and_note
    widget.ui.assessButton.click()
    until(lambda: step in told or not client.busy)
    del client.poll
    assert client.busy
    return client._process


def assessed(widget: Any, until: Until) -> None:
    assert widget.ui.assessButton.isEnabled()
    widget.ui.assessButton.click()
    until(lambda: not runner(widget).busy)
    assert widget.ui.wordLabel.text() == "Similar to the training cases", widget.ui.messageLabel.text()


@pytest.mark.parametrize("step", ["Starting", "Preparing", "Segmenting"])
def test_a_killed_worker_is_one_sentence_and_the_next_press_gets_a_fresh_one(
    a_case: Any, spin_until: Until, scene_state: SceneState, go_on: Path, step: str
) -> None:
    scene, ui = slicer.mrmlScene, a_case.ui
    before = scene_state(scene)
    process = start(a_case, spin_until, step, go_on)
    os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    spin_until(lambda: not runner(a_case).busy)
    assert ui.messageLabel.text() == "The worker ended unexpectedly (was the memory full?); assess the case again."
    assert scene_state(scene) == before
    spin_until(lambda: not process.exchange.exists())
    go_on.touch()
    assessed(a_case, spin_until)
    assert ui.messageLabel.text() == ""


def test_a_worker_that_is_killed_while_it_waits_costs_nothing(a_case: Any, spin_until: Until) -> None:
    assessed(a_case, spin_until)
    old = runner(a_case)._process
    os.kill(old.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    spin_until(lambda: not old.running)
    assessed(a_case, spin_until)
    assert runner(a_case)._process.pid != old.pid


def test_a_case_is_stopped_at_random_moments_and_the_scene_stays_as_it_was(
    a_case: Any, spin_until: Until, scene_state: SceneState
) -> None:
    scene, ui = slicer.mrmlScene, a_case.ui
    assessed(a_case, spin_until)
    before, moments = scene_state(scene), random.Random(4)
    for _ in range(6):
        ui.assessButton.click()
        wanted = moments.uniform(0.0, 0.9)
        spin_until(lambda wanted=wanted: ui.progressBar.value() >= 1000 * wanted or not runner(a_case).busy)
        if not runner(a_case).busy:
            before = scene_state(scene)
            continue
        ui.assessButton.click()
        spin_until(lambda: not runner(a_case).busy)
        assert ui.messageLabel.text() == STOPPED
        assert ui.wordLabel.text() == "Similar to the training cases"
        assert scene_state(scene) == before
    assessed(a_case, spin_until)


@pytest.mark.skipif(sys.platform == "win32", reason="no process is suspended there")
def test_a_suspended_worker_is_ended_when_the_case_is_cancelled(a_case: Any, spin_until: Until, go_on: Path) -> None:
    process = start(a_case, spin_until, "Segmenting", go_on)
    os.kill(process.pid, signal.SIGSTOP)
    a_case.ui.assessButton.click()
    spin_until(lambda: not runner(a_case).busy)
    assert a_case.ui.messageLabel.text() == STOPPED
    spin_until(lambda: not process.running)
    spin_until(lambda: not process.exchange.exists())


@pytest.mark.parametrize("how", ["quit", "reload", "cleanup"])
def test_whatever_ends_the_module_ends_the_run_and_leaves_no_process_and_no_folder(
    a_case: Any, spin_until: Until, the_application: Any, go_on: Path, how: str
) -> None:
    process = start(a_case, spin_until, "Starting", go_on)
    if how == "quit":
        the_application.about_to_quit()
    elif how == "reload":
        a_case.onReload()
    else:
        a_case.cleanup()
    spin_until(lambda: not process.running)
    spin_until(lambda: not process.exchange.exists())
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_a_scene_that_is_closed_while_a_case_runs_ends_with_the_next_case_assessed(
    a_case: Any, spin_until: Until, a_ct_file: Path, go_on: Path
) -> None:
    scene, ui = slicer.mrmlScene, a_case.ui
    start(a_case, spin_until, "Segmenting", go_on)
    scene.Clear()
    go_on.touch()
    spin_until(lambda: not runner(a_case).busy)
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0
    node = add_volume_node(scene, read_volume(a_ct_file), "the next")
    ui.volumeSelector.setCurrentNode(node)
    ui.modalitySelector.setCurrentIndex(ui.modalitySelector.findData("CT"))
    assessed(a_case, spin_until)
