from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.model.gpu_facts import DeviceFacts
from BottleneckOODLib.panel.panel_state import ASSESS, BUILD, CANCEL, STOPPING, PanelState
from BottleneckOODLib.panel.view_model import PanelViewModel
from BottleneckOODLib.worker.client import Built, Done, Failed, WorkerClient
from BottleneckOODLib.worker.protocol import DevicesFound, Working

MakeAssessment = Callable[..., Assessment]
ARunner = Any
"""See ``a_runner`` in the shared fixtures."""


@pytest.fixture
def shown() -> list[Assessment]:
    return []


@pytest.fixture
def panel(a_runner: ARunner, shown: list[Assessment]) -> PanelViewModel:
    geometry = Geometry((4, 3, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    volume = Volume(np.zeros((2, 3, 4), np.float32), geometry, "CT", "ct")
    return PanelViewModel(a_runner, lambda: (lambda: volume, "case-7"), shown.append)


def started(panel: PanelViewModel) -> PanelViewModel:
    panel.volume_chosen("ct")
    panel.press()
    return panel


def test_a_worker_client_is_such_a_runner() -> None:
    assert PanelViewModel(WorkerClient(), lambda: pytest.fail("not asked"), print).state == PanelState()


def test_without_a_volume_the_button_says_what_is_missing(panel: PanelViewModel, a_runner: ARunner) -> None:
    assert not panel.state.button_enabled
    assert "Choose a CT volume" in panel.state.button_hint
    panel.press()
    assert a_runner.asked == []
    panel.volume_chosen("ct")
    assert panel.state.button_enabled
    panel.volume_chosen(None)
    assert not panel.state.button_enabled


def test_one_press_starts_and_the_button_becomes_cancel(panel: PanelViewModel, a_runner: ARunner) -> None:
    panel.model, panel.reference, panel.device = "mine", "my-reference", "cpu"
    started(panel)
    assert a_runner.asked == [("case-7", "mine", "my-reference", "cpu")]
    assert (panel.state.button, panel.state.choices_enabled, panel.state.progress) == (CANCEL, False, 0.0)


def test_progress_runs_forward_and_tells_the_step(panel: PanelViewModel, a_runner: ARunner) -> None:
    started(panel)
    seen = []
    for fraction in (0.1, 0.5, 0.4, 0.9):
        a_runner.coming = [Working(1, "Segmenting", fraction, 10.0, "")]
        panel.tick()
        seen.append(panel.state.progress)
    assert seen == [0.1, 0.5, 0.5, 0.9]
    assert panel.state.progress_text == "Segmenting, about 10 s left"


def test_a_preliminary_light_stays_until_the_result_is_there(
    panel: PanelViewModel, a_runner: ARunner, make_assessment: MakeAssessment
) -> None:
    started(panel)
    ahead = Working(1, "Looking ahead", 0.2, None, "Preliminary: x.")
    a_runner.coming = [ahead, Working(1, "Segmenting", 0.3, 9.0, "")]
    panel.tick()
    assert panel.state.message == "Preliminary: x."
    a_runner.coming = [Done(make_assessment(warnings=()), warm=True)]
    panel.tick()
    assert panel.state.message == ""


def test_a_result_is_put_into_the_scene_and_shown(
    panel: PanelViewModel, a_runner: ARunner, shown: list[Assessment], make_assessment: MakeAssessment
) -> None:
    started(panel)
    a_runner.coming = [Done(make_assessment("red"), warm=False)]
    panel.tick()
    assert [assessment.light for assessment in shown] == ["red"]
    assert panel.state.result is not None
    assert panel.state.result.light == "red"
    assert (panel.state.button, panel.state.button_enabled, panel.state.progress) == (ASSESS, True, None)
    assert panel.state.choices_enabled
    assert "modality" in panel.state.message


def test_an_old_result_does_not_stand_beside_a_new_run(
    panel: PanelViewModel, a_runner: ARunner, make_assessment: MakeAssessment
) -> None:
    started(panel)
    a_runner.coming = [Done(make_assessment("green"), warm=False)]
    panel.tick()
    panel.press()
    assert panel.state.result is None
    a_runner.coming = [Failed("It failed.")]
    panel.tick()
    assert panel.state.result is None


def test_cancel_stops_once_and_says_so_until_it_has(
    panel: PanelViewModel, a_runner: ARunner, shown: list[Assessment]
) -> None:
    started(panel)
    panel.press()
    assert a_runner.stops == 1
    assert (panel.state.button, panel.state.button_enabled) == (STOPPING, False)
    a_runner.coming = [Working(1, "Segmenting", 0.9, 1.0, "")]
    panel.tick()
    assert panel.state.button == STOPPING
    a_runner.coming = [Failed("The run was stopped; nothing was changed.", stopped=True)]
    panel.tick()
    assert (panel.state.button, panel.state.button_enabled) == (ASSESS, True)
    assert "stopped" in panel.state.message
    assert shown == []


def test_a_failure_is_one_sentence_with_its_details_folded_away(panel: PanelViewModel, a_runner: ARunner) -> None:
    started(panel)
    a_runner.coming = [Failed("The worker ended unexpectedly.", log="200 lines")]
    panel.tick()
    assert (panel.state.message, panel.state.details) == ("The worker ended unexpectedly.", "200 lines")
    assert panel.state.button_enabled


def test_a_volume_that_cannot_be_assessed_is_one_sentence(a_runner: ARunner, shown: list[Assessment]) -> None:
    def refuse() -> tuple[Volume, str]:
        message = "The volume is a vector volume; choose a grey-scale volume."
        raise InputError(message)

    panel = started(PanelViewModel(a_runner, refuse, shown.append))
    assert "vector" in panel.state.message
    assert panel.state.button == ASSESS
    assert a_runner.asked == []


def test_a_worker_that_cannot_start_is_one_sentence(panel: PanelViewModel, a_runner: ARunner) -> None:
    a_runner.refusal = InputError("The worker cannot be started.")
    started(panel)
    assert panel.state.message == "The worker cannot be started."
    assert panel.state.button == ASSESS


def test_a_result_that_cannot_be_shown_is_one_sentence(a_runner: ARunner, make_assessment: MakeAssessment) -> None:
    def fail(_assessment: Assessment) -> None:
        message = "The scene cannot take it."
        raise OutputError(message)

    geometry = Geometry((1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    volume = Volume(np.zeros((1, 1, 1), np.float32), geometry, "CT", "ct")
    panel = started(PanelViewModel(a_runner, lambda: (lambda: volume, "x"), fail))
    a_runner.coming = [Done(make_assessment("green"), warm=False)]
    panel.tick()
    assert panel.state.message == "The scene cannot take it."
    assert panel.state.result is None


def test_another_volume_takes_the_result_of_the_first_away(
    panel: PanelViewModel, a_runner: ARunner, make_assessment: MakeAssessment
) -> None:
    started(panel)
    a_runner.coming = [Done(make_assessment("green"), warm=False)]
    panel.tick()
    panel.volume_chosen("another")
    assert panel.state.result is None


def test_a_saved_result_is_shown_without_computing(
    panel: PanelViewModel, a_runner: ARunner, make_assessment: MakeAssessment
) -> None:
    panel.show_saved(make_assessment("amber"))
    assert panel.state.result is not None
    assert a_runner.asked == []
    started(panel)
    panel.show_saved(make_assessment("green"))
    assert panel.state.result is None


def test_the_widgets_are_told_of_every_change_and_of_nothing_else(a_runner: ARunner) -> None:
    told: list[int] = []
    panel = PanelViewModel(a_runner, lambda: pytest.fail("not asked"), print, lambda: told.append(1))
    panel.tick()
    panel.volume_chosen(None)
    assert told == []
    panel.volume_chosen("ct")
    panel.volume_chosen("ct")
    assert told == [1]


def test_a_choice_that_comes_while_a_case_runs_leaves_the_button_a_cancel(
    panel: PanelViewModel, a_runner: ARunner
) -> None:
    started(panel)
    panel.volume_chosen(None)
    assert (panel.state.button, panel.state.choices_enabled) == (CANCEL, False)
    assert a_runner.stops == 0


def test_the_scene_s_own_result_stands_again_when_a_run_gave_none(
    a_runner: ARunner, make_assessment: MakeAssessment, a_small_ct: Volume
) -> None:
    held: list[Assessment] = []
    panel = started(PanelViewModel(a_runner, lambda: (lambda: a_small_ct, "x"), held.append, saved=lambda: held[-1]))
    a_runner.coming = [Done(make_assessment("green"), warm=False)]
    panel.tick()
    panel.press()
    assert panel.state.result is None
    a_runner.coming = [Failed("The run was stopped; nothing was changed.", stopped=True)]
    panel.tick()
    assert panel.state.result is not None
    assert panel.state.result.light == "green"
    assert "stopped" in panel.state.message


def test_a_reference_is_built_from_what_was_chosen_and_is_offered_when_it_stands(
    a_runner: ARunner, tmp_path: Path
) -> None:
    offered: list[str] = []
    panel = PanelViewModel(
        a_runner,
        lambda: pytest.fail("no case is read"),
        lambda _: pytest.fail("nothing is shown"),
        reference_built=offered.append,
        references_folder=tmp_path,
    )
    panel.model, panel.device = "mine", "cpu"
    panel.press_build("", "new")
    assert a_runner.built == []
    assert "Choose the cases" in panel.state.build_message
    panel.press_build("cases.csv", "new")
    assert a_runner.built == [(Path("cases.csv"), "new", tmp_path / "new", "mine", "cpu")]
    assert (panel.state.build_button, panel.state.build_enabled, panel.state.choices_enabled) == (CANCEL, True, False)
    a_runner.coming = [Working(1, "Running the model on the cases", 0.5, 10.0, "case-3")]
    panel.tick()
    assert (panel.state.progress, panel.state.message) == (0.5, "")
    a_runner.coming = [Built(tmp_path / "new", 31, 2, ("a: no liver", "b: cannot be read"))]
    panel.tick()
    assert offered == ["new"]
    assert "31 cases" in panel.state.build_message
    assert "a: no liver" in panel.state.build_message
    assert panel.state.build_button == BUILD


def test_building_can_be_stopped_with_either_button_and_takes_no_result_away(
    a_runner: ARunner, make_assessment: MakeAssessment, a_small_ct: Volume, tmp_path: Path
) -> None:
    panel = started(
        PanelViewModel(a_runner, lambda: (lambda: a_small_ct, "x"), lambda _: None, references_folder=tmp_path)
    )
    a_runner.coming = [Done(make_assessment("green"), warm=False)]
    panel.tick()
    for press in (lambda: panel.press_build("cases", "new"), panel.press):
        panel.press_build("cases", "new")
        press()
        assert (panel.state.build_enabled, panel.state.button_enabled) == (False, False)
        a_runner.coming = [Failed("The run was stopped; nothing was changed.", stopped=True)]
        panel.tick()
        assert "stopped" in panel.state.build_message
        assert panel.state.result is not None
    assert a_runner.stops == 2


def test_devices_are_looked_for_while_everything_else_goes_on(a_runner: ARunner, a_small_ct: Volume) -> None:
    found: list[Any] = []
    panel = started(
        PanelViewModel(a_runner, lambda: (lambda: a_small_ct, "x"), lambda _: None, devices_found=found.append)
    )
    panel.find_devices()
    assert a_runner.looked == 1
    assert "Looking" in panel.state.device_note
    a_runner.coming = [DevicesFound(2, (DeviceFacts("auto", "the CPU", None, None),), "There is no card.")]
    panel.tick()
    assert panel.state.device_note == "There is no card."
    assert [device.name for device in found[0]] == ["auto"]
    assert panel.state.button == CANCEL


def test_nothing_starts_when_what_is_missing_shall_not_be_installed(a_runner: ARunner, a_small_ct: Volume) -> None:
    panel = started(
        PanelViewModel(a_runner, lambda: (lambda: a_small_ct, "x"), lambda _: None, ready=lambda: False)
    )
    panel.find_devices()
    assert (a_runner.asked, a_runner.looked) == ([], 0)
    assert panel.state.button == ASSESS


def test_an_image_of_an_unknown_kind_is_asked_for_first(panel: PanelViewModel, a_runner: ARunner) -> None:
    panel.volume_chosen("scan", modality_needed=True)
    panel.press()
    assert a_runner.asked == []
    assert "what kind of image" in panel.state.button_hint


def test_devices_are_told_once_after_the_first_case_without_being_asked_for(
    panel: PanelViewModel, a_runner: ARunner, make_assessment: MakeAssessment
) -> None:
    for _ in range(2):
        started(panel)
        a_runner.coming = [Done(make_assessment("green"), warm=False)]
        panel.tick()
    assert a_runner.looked == 1
    assert panel.state.device_note == ""
