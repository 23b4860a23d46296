"""Between the panel's widgets and the worker: the widgets call its methods and show its ``state``."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.imaging.reading import safe_name
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.model.gpu_facts import DeviceFacts
from BottleneckOODLib.panel.panel_state import ASSESS, BUILD, CANCEL, STOPPING, PanelState, progress_words, result_state
from BottleneckOODLib.translation import _
from BottleneckOODLib.worker.client import Built, Done, Event, Failed
from BottleneckOODLib.worker.protocol import DevicesFound, Working

Job = Literal["", "assess", "build"]

_STARTS = _("Segments the liver and tells how unusual the case is.")
_STOPS = _("Stops the run; the scene stays as it is.")
_LOOKS = _("Looking for devices...")
_NAME_TOLD = 60
_NOT_SHOWN = _("The result could not be shown, so nothing of it stands in the scene; assess the case again.")
_ASKS_FIRST = _("Choose what kind of image the volume is first.")


class JobRunner(Protocol):
    """What runs the jobs, one at a time, such as ``worker.client.WorkerClient``."""

    @property
    def busy(self) -> bool:
        """Whether a job runs."""

    def assess(
        self,
        volume: Callable[[], Volume],
        case_id: str,
        *,
        model: str = ...,
        reference: str | None = ...,
        device: str = ...,
    ) -> None:
        """Start to assess a case."""

    @property
    def expects_news(self) -> bool:
        """Whether ``poll`` has to be called."""

    def build_reference(self, cases: Path, name: str, output: Path, *, model: str = ..., device: str = ...) -> None:
        """Start to build a reference."""

    def list_devices(self) -> None:
        """Start to look for devices; no job, it needs not be waited for."""

    def stop(self) -> None:
        """Ask the job to stop."""

    def poll(self) -> list[Event]:
        """What happened since the last call."""


class PanelViewModel:
    """The panel's behaviour.

    Args:
        runner: Runs the jobs.
        read_case: Gives what loads the chosen volume (in another thread) and its case name; raises a ``UserError``
            when it cannot be assessed.
        show: Puts a finished assessment into the scene.
        changed: Called whenever ``state`` has changed.
        ready: Asked before a job starts; False when the user does not want what is missing to be installed.
        reference_built: Called with the name of a reference that was built.
        devices_found: Called with the devices that the worker found.
        references_folder: Where new references go.
        saved: Gives the result that the scene holds for the case, or None; shown again when a run gave none.
    """

    def __init__(
        self,
        runner: JobRunner,
        read_case: Callable[[], tuple[Callable[[], Volume], str]],
        show: Callable[[Assessment], None],
        changed: Callable[[], None] = lambda: None,
        *,
        ready: Callable[[], bool] = lambda: True,
        reference_built: Callable[[str], None] = lambda _: None,
        devices_found: Callable[[tuple[DeviceFacts, ...]], None] = lambda _: None,
        references_folder: Path | None = None,
        saved: Callable[[], Assessment | None] = lambda: None,
    ) -> None:
        self._runner = runner
        self._read_case = read_case
        self._show = show
        self._changed = changed
        self._ready_to_run = ready
        self._reference_built = reference_built
        self._devices_found = devices_found
        self._references_folder = references_folder
        self._saved = saved
        self._job: Job = ""
        self._hint: str | None = None
        self._looked = False
        self.model = "demo"
        self.reference: str | None = None
        self.device = "auto"
        self.state = PanelState()

    @property
    def assesses(self) -> bool:
        """Whether a case is being assessed."""
        return bool(self._runner.busy) and self._job == "assess"

    @property
    def runs_beside(self) -> bool:
        """Whether something runs that has nothing to do with the case that is shown, such as building a reference."""
        return bool(self._runner.busy) and self._job != "assess"

    def volume_chosen(self, name: str | None, *, modality_needed: bool = False) -> None:
        """A volume was chosen, or none; whatever was said of another case is gone. A run goes on undisturbed.

        Args:
            name: Name of the volume; None when none is chosen.
            modality_needed: Nobody knows yet what kind of image it is.
        """
        self._hint = None if name is None else _ASKS_FIRST if modality_needed else _STARTS
        if not self._runner.busy:
            self._job = ""
            self._stand(self._at_rest())
        elif self.runs_beside:
            self._stand(replace(self.state, result=None))

    def press(self) -> None:
        """The big button: starts a case, or stops whatever runs."""
        if self._runner.busy:
            self._stop()
        elif self.state.button_enabled:
            self._start("assess", self._start_case)

    def press_build(self, cases: str, name: str) -> None:
        """The button that builds a reference: starts it, or stops whatever runs.

        Args:
            cases: A folder of images, or a table with a column ``image``.
            name: Name of the new reference.
        """
        if self._runner.busy:
            self._stop()
            return
        if not cases or not name or self._references_folder is None:
            self._stand(replace(self.state, build_message=_("Choose the cases, and give the reference a name.")))
            return
        if safe_name(name) != name:
            # A name with a separator or dots would lead out of the folder of references.
            told = _("A reference cannot be named {name}; use letters, digits, spaces and hyphens.")
            self._stand(replace(self.state, build_message=told.format(name=name[:_NAME_TOLD])))
            return
        output = self._references_folder / name
        if output.exists():
            told = _("A reference named {name} exists already and was kept; give the new one another name.")
            self._stand(replace(self.state, build_message=told.format(name=name)))
            return
        self._start(
            "build",
            lambda: self._runner.build_reference(Path(cases), name, output, model=self.model, device=self.device),
        )

    def find_devices(self) -> None:
        """Ask the worker which devices it sees; what runs goes on."""
        try:
            if not self._ready_to_run():
                return
            self._runner.list_devices()
        except UserError as error:
            self.tell(str(error))
            return
        self._looked = True
        self._stand(replace(self.state, device_note=_LOOKS))

    def tick(self) -> None:
        """A timer's beat: take in what the runner says."""
        for event in self._runner.poll():
            if isinstance(event, Working):
                self._take_progress(event)
            elif isinstance(event, Failed):
                self._take_failure(event)
            elif isinstance(event, Done):
                self._take_result(event.assessment)
            elif isinstance(event, Built):
                self._take_reference(event)
            else:
                self._take_devices(event)

    def show_saved(self, assessment: Assessment) -> None:
        """A result that the scene holds; nothing is computed."""
        if not self._runner.busy:
            self._stand(replace(self._at_rest(), result=result_state(assessment)))
        elif self.runs_beside:
            self._stand(replace(self.state, result=result_state(assessment)))

    def show_meanwhile(self, assessment: Assessment | None) -> None:
        """While a case is assessed, another one is chosen; what the scene holds of that one, or None, is shown."""
        if self.assesses:
            self._stand(replace(self.state, result=None if assessment is None else result_state(assessment)))

    def tell(self, sentence: str) -> None:
        """Something else that the user should read."""
        self._stand(replace(self.state, message=sentence))

    def _start_case(self) -> None:
        volume, case_id = self._read_case()
        self._runner.assess(volume, case_id, model=self.model, reference=self.reference, device=self.device)

    def _start(self, job: Job, start: Callable[[], None]) -> None:
        try:
            if not self._ready_to_run():
                return
            start()
        except UserError as error:
            if job == "build":
                self._stand(replace(self.state, build_message=str(error)))
            else:
                self._stand(replace(self.state, message=str(error), details=""))
            return
        self._job = job
        running = replace(
            self.state,
            button=CANCEL,
            button_enabled=True,
            button_hint=_STOPS,
            choices_enabled=False,
            progress=0.0,
            progress_text=_("Starting..."),
            message="",
            details="",
            build_message="",
            build_button=CANCEL if job == "build" else BUILD,
            build_enabled=job == "build",
        )
        # What is said of a case is no longer true of the one that is being assessed.
        self._stand(replace(running, result=None) if job == "assess" else running)

    def _stop(self) -> None:
        self._runner.stop()
        stopping = STOPPING if self._job == "build" else BUILD
        self._stand(
            replace(
                self.state, button=STOPPING, button_enabled=False, build_button=stopping, build_enabled=False
            )
        )

    def _take_progress(self, working: Working) -> None:
        if self.state.button == STOPPING:
            return
        self._stand(
            replace(
                self.state,
                progress=max(self.state.progress or 0.0, working.fraction),
                progress_text=progress_words(working),
                message=working.message if working.message and self._job == "assess" else self.state.message,
            )
        )

    def _take_failure(self, failed: Failed) -> None:
        if self._job == "build":
            self._stand(self._at_rest(build_message=failed.sentence, details=failed.log))
        else:
            self._stand(self._as_in_the_scene(message=failed.sentence, details=failed.log))

    def _take_result(self, assessment: Assessment) -> None:
        try:
            self._show(assessment)
        except UserError as error:
            self._stand(self._as_in_the_scene(message=str(error)))
            return
        except Exception:
            details = traceback.format_exc()
            self._stand(self._as_in_the_scene(message=_NOT_SHOWN, details=details))
            return
        self._stand(replace(self._at_rest(message=" ".join(assessment.warnings)), result=result_state(assessment)))
        self._look_once()

    def _look_once(self) -> None:
        """The worker has its devices at hand now, so they are told without being asked for."""
        if not self._looked:
            self._looked = True
            with suppress(UserError):
                self._runner.list_devices()

    def _take_reference(self, built: Built) -> None:
        name = built.folder.name
        told = _("The reference {name} was built from {count} cases.").format(name=name, count=built.n_cases)
        if built.n_left_out:
            left_out = _("Left out were {count}: {reasons}.")
            reasons = "; ".join(reason.rstrip(".") for reason in built.left_out)
            told += " " + left_out.format(count=built.n_left_out, reasons=reasons)
        self._stand(self._at_rest(build_message=told))
        self._reference_built(name)

    def _take_devices(self, found: DevicesFound) -> None:
        self._stand(replace(self.state, device_note=found.why_no_gpu))
        self._devices_found(found.devices)

    def _as_in_the_scene(self, *, message: str, details: str = "") -> PanelState:
        """A run that gave nothing leaves what the scene held before."""
        saved = self._saved()
        state = self._at_rest(message=message, details=details)
        return state if saved is None else replace(state, result=result_state(saved))

    def _at_rest(self, *, message: str = "", details: str = "", build_message: str | None = None) -> PanelState:
        """Nothing runs any more; only a case's own run replaces what was said of a case."""
        of_a_case = self._job != "build"
        self._job = ""
        return PanelState(
            button=ASSESS,
            button_enabled=self._hint == _STARTS,
            button_hint=self._hint or PanelState.button_hint,
            message=message,
            details=details,
            result=None if of_a_case else self.state.result,
            build_message=self.state.build_message if build_message is None else build_message,
            device_note="" if self.state.device_note == _LOOKS else self.state.device_note,
        )

    def _stand(self, state: PanelState) -> None:
        if state != self.state:
            self.state = state
            self._changed()
