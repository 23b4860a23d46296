"""Between the panel's widgets and the worker: the widgets call its methods and show its ``state``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.panel.panel_state import ASSESS, CANCEL, STOPPING, PanelState, progress_words, result_state
from BottleneckOODLib.worker.client import Done, Event, Failed
from BottleneckOODLib.worker.protocol import Working

_STARTS = "Segments the liver and tells how unusual the case is."
_STOPS = "Stops the run; the scene stays as it is."


class CaseRunner(Protocol):
    """What runs a case, such as ``worker.client.WorkerClient``."""

    @property
    def busy(self) -> bool:
        """Whether a job runs."""

    def assess(
        self, volume: Volume, case_id: str, *, model: str = ..., reference: str | None = ..., device: str = ...
    ) -> None:
        """Start a job."""

    def stop(self) -> None:
        """Ask the job to stop."""

    def poll(self) -> list[Event]:
        """What happened since the last call."""


class PanelViewModel:
    """The panel's behaviour.

    Args:
        runner: Runs the cases.
        read_case: Gives the chosen volume and its case name; raises a ``UserError`` when it cannot be assessed.
        show: Puts a finished assessment into the scene.
        changed: Called whenever ``state`` has changed.
    """

    def __init__(
        self,
        runner: CaseRunner,
        read_case: Callable[[], tuple[Volume, str]],
        show: Callable[[Assessment], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._runner = runner
        self._read_case = read_case
        self._show = show
        self._changed = changed
        self.model = "demo"
        self.reference: str | None = None
        self.device = "auto"
        self.state = PanelState()

    def volume_chosen(self, name: str | None) -> None:
        """A volume was chosen, or none; whatever was said of another case is gone. A run goes on undisturbed."""
        if self._runner.busy:
            return
        self._stand(PanelState() if name is None else PanelState(button_enabled=True, button_hint=_STARTS))

    def press(self) -> None:
        """The big button."""
        if self._runner.busy:
            self._runner.stop()
            self._stand(replace(self.state, button=STOPPING, button_enabled=False))
            return
        if not self.state.button_enabled:
            return
        try:
            volume, case_id = self._read_case()
            self._runner.assess(volume, case_id, model=self.model, reference=self.reference, device=self.device)
        except UserError as error:
            self._stand(replace(self.state, message=str(error), details="", result=None))
            return
        self._stand(
            PanelState(
                button=CANCEL,
                button_enabled=True,
                button_hint=_STOPS,
                choices_enabled=False,
                progress=0.0,
                progress_text="Starting...",
            )
        )

    def tick(self) -> None:
        """A timer's beat: take in what the runner says."""
        for event in self._runner.poll():
            if isinstance(event, Working):
                self._take_progress(event)
            elif isinstance(event, Failed):
                self._stand(_ready(message=event.sentence, details=event.log))
            elif isinstance(event, Done):
                self._take_result(event.assessment)

    def show_saved(self, assessment: Assessment) -> None:
        """A result that a loaded scene holds; nothing is computed."""
        if not self._runner.busy:
            self._stand(replace(_ready(), result=result_state(assessment)))

    def _take_progress(self, working: Working) -> None:
        if self.state.button == STOPPING:
            return
        self._stand(
            replace(
                self.state,
                progress=max(self.state.progress or 0.0, working.fraction),
                progress_text=progress_words(working),
                message=working.message or self.state.message,
            )
        )

    def _take_result(self, assessment: Assessment) -> None:
        try:
            self._show(assessment)
        except UserError as error:
            self._stand(_ready(message=str(error)))
            return
        message = " ".join(assessment.warnings)
        self._stand(replace(_ready(message=message), result=result_state(assessment)))

    def _stand(self, state: PanelState) -> None:
        if state != self.state:
            self.state = state
            self._changed()


def _ready(message: str = "", details: str = "") -> PanelState:
    return PanelState(button=ASSESS, button_enabled=True, button_hint=_STARTS, message=message, details=details)
