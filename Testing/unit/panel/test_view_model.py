from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.panel.panel_state import ASSESS, CANCEL, STOPPING, PanelState
from BottleneckOODLib.panel.view_model import PanelViewModel
from BottleneckOODLib.worker.client import Done, Event, Failed, WorkerClient
from BottleneckOODLib.worker.protocol import Working

MakeAssessment = Callable[..., Assessment]


class ARunner:
    """Runs nothing: the test says what happens."""

    def __init__(self) -> None:
        self.busy = False
        self.asked: list[tuple[str, str, str | None, str]] = []
        self.stops = 0
        self.coming: list[Event] = []
        self.refusal: InputError | None = None

    def assess(
        self, volume: Volume, case_id: str, *, model: str = "", reference: str | None = None, device: str = ""
    ) -> None:
        if self.refusal is not None:
            raise self.refusal
        assert volume.voxels.size
        self.asked.append((case_id, model, reference, device))
        self.busy = True

    def stop(self) -> None:
        self.stops += 1

    def poll(self) -> list[Event]:
        events, self.coming = self.coming, []
        if any(isinstance(event, Done | Failed) for event in events):
            self.busy = False
        return events


@pytest.fixture
def runner() -> ARunner:
    return ARunner()


@pytest.fixture
def shown() -> list[Assessment]:
    return []


@pytest.fixture
def panel(runner: ARunner, shown: list[Assessment]) -> PanelViewModel:
    geometry = Geometry((4, 3, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    volume = Volume(np.zeros((2, 3, 4), np.float32), geometry, "CT", "ct")
    return PanelViewModel(runner, lambda: (volume, "case-7"), shown.append)


def started(panel: PanelViewModel) -> PanelViewModel:
    panel.volume_chosen("ct")
    panel.press()
    return panel


def test_a_worker_client_is_such_a_runner() -> None:
    assert PanelViewModel(WorkerClient(), lambda: pytest.fail("not asked"), print).state == PanelState()


def test_without_a_volume_the_button_says_what_is_missing(panel: PanelViewModel, runner: ARunner) -> None:
    assert not panel.state.button_enabled
    assert "Choose a CT volume" in panel.state.button_hint
    panel.press()
    assert runner.asked == []
    panel.volume_chosen("ct")
    assert panel.state.button_enabled
    panel.volume_chosen(None)
    assert not panel.state.button_enabled


def test_one_press_starts_and_the_button_becomes_cancel(panel: PanelViewModel, runner: ARunner) -> None:
    panel.model, panel.reference, panel.device = "mine", "my-reference", "cpu"
    started(panel)
    assert runner.asked == [("case-7", "mine", "my-reference", "cpu")]
    assert (panel.state.button, panel.state.choices_enabled, panel.state.progress) == (CANCEL, False, 0.0)


def test_progress_runs_forward_and_tells_the_step(panel: PanelViewModel, runner: ARunner) -> None:
    started(panel)
    seen = []
    for fraction in (0.1, 0.5, 0.4, 0.9):
        runner.coming = [Working(1, "Segmenting", fraction, 10.0, "")]
        panel.tick()
        seen.append(panel.state.progress)
    assert seen == [0.1, 0.5, 0.5, 0.9]
    assert panel.state.progress_text == "Segmenting, about 10 s left"


def test_a_preliminary_light_stays_until_the_result_is_there(
    panel: PanelViewModel, runner: ARunner, make_assessment: MakeAssessment
) -> None:
    started(panel)
    runner.coming = [Working(1, "Looking ahead", 0.2, None, "Preliminary: x."), Working(1, "Segmenting", 0.3, 9.0, "")]
    panel.tick()
    assert panel.state.message == "Preliminary: x."
    runner.coming = [Done(make_assessment(warnings=()), warm=True)]
    panel.tick()
    assert panel.state.message == ""


def test_a_result_is_put_into_the_scene_and_shown(
    panel: PanelViewModel, runner: ARunner, shown: list[Assessment], make_assessment: MakeAssessment
) -> None:
    started(panel)
    runner.coming = [Done(make_assessment("red"), warm=False)]
    panel.tick()
    assert [assessment.light for assessment in shown] == ["red"]
    assert panel.state.result is not None
    assert panel.state.result.light == "red"
    assert (panel.state.button, panel.state.button_enabled, panel.state.progress) == (ASSESS, True, None)
    assert panel.state.choices_enabled
    assert "modality" in panel.state.message


def test_an_old_result_does_not_stand_beside_a_new_run(
    panel: PanelViewModel, runner: ARunner, make_assessment: MakeAssessment
) -> None:
    started(panel)
    runner.coming = [Done(make_assessment("green"), warm=False)]
    panel.tick()
    panel.press()
    assert panel.state.result is None
    runner.coming = [Failed("It failed.")]
    panel.tick()
    assert panel.state.result is None


def test_cancel_stops_once_and_says_so_until_it_has(
    panel: PanelViewModel, runner: ARunner, shown: list[Assessment]
) -> None:
    started(panel)
    panel.press()
    assert runner.stops == 1
    assert (panel.state.button, panel.state.button_enabled) == (STOPPING, False)
    runner.coming = [Working(1, "Segmenting", 0.9, 1.0, "")]
    panel.tick()
    assert panel.state.button == STOPPING
    runner.coming = [Failed("The run was stopped; nothing was changed.", stopped=True)]
    panel.tick()
    assert (panel.state.button, panel.state.button_enabled) == (ASSESS, True)
    assert "stopped" in panel.state.message
    assert shown == []


def test_a_failure_is_one_sentence_with_its_details_folded_away(panel: PanelViewModel, runner: ARunner) -> None:
    started(panel)
    runner.coming = [Failed("The worker ended unexpectedly.", log="200 lines")]
    panel.tick()
    assert (panel.state.message, panel.state.details) == ("The worker ended unexpectedly.", "200 lines")
    assert panel.state.button_enabled


def test_a_volume_that_cannot_be_assessed_is_one_sentence(runner: ARunner, shown: list[Assessment]) -> None:
    def refuse() -> tuple[Volume, str]:
        message = "The volume is a vector volume; choose a grey-scale volume."
        raise InputError(message)

    panel = started(PanelViewModel(runner, refuse, shown.append))
    assert "vector" in panel.state.message
    assert panel.state.button == ASSESS
    assert runner.asked == []


def test_a_worker_that_cannot_start_is_one_sentence(panel: PanelViewModel, runner: ARunner) -> None:
    runner.refusal = InputError("The worker cannot be started.")
    started(panel)
    assert panel.state.message == "The worker cannot be started."
    assert panel.state.button == ASSESS


def test_a_result_that_cannot_be_shown_is_one_sentence(runner: ARunner, make_assessment: MakeAssessment) -> None:
    def fail(_assessment: Assessment) -> None:
        message = "The scene cannot take it."
        raise OutputError(message)

    geometry = Geometry((1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    volume = Volume(np.zeros((1, 1, 1), np.float32), geometry, "CT", "ct")
    panel = started(PanelViewModel(runner, lambda: (volume, "x"), fail))
    runner.coming = [Done(make_assessment("green"), warm=False)]
    panel.tick()
    assert panel.state.message == "The scene cannot take it."
    assert panel.state.result is None


def test_another_volume_takes_the_result_of_the_first_away(
    panel: PanelViewModel, runner: ARunner, make_assessment: MakeAssessment
) -> None:
    started(panel)
    runner.coming = [Done(make_assessment("green"), warm=False)]
    panel.tick()
    panel.volume_chosen("another")
    assert panel.state.result is None


def test_a_saved_result_is_shown_without_computing(
    panel: PanelViewModel, runner: ARunner, make_assessment: MakeAssessment
) -> None:
    panel.show_saved(make_assessment("amber"))
    assert panel.state.result is not None
    assert runner.asked == []
    started(panel)
    panel.show_saved(make_assessment("green"))
    assert panel.state.result is None


def test_the_widgets_are_told_of_every_change_and_of_nothing_else(runner: ARunner) -> None:
    told: list[int] = []
    panel = PanelViewModel(runner, lambda: pytest.fail("not asked"), print, lambda: told.append(1))
    panel.tick()
    panel.volume_chosen(None)
    assert told == []
    panel.volume_chosen("ct")
    panel.volume_chosen("ct")
    assert told == [1]


def test_a_choice_that_comes_while_a_case_runs_leaves_the_button_a_cancel(
    panel: PanelViewModel, runner: ARunner
) -> None:
    started(panel)
    panel.volume_chosen(None)
    assert (panel.state.button, panel.state.choices_enabled) == (CANCEL, False)
    assert runner.stops == 0
