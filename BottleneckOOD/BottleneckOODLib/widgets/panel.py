"""The whole panel: the widgets of the ``.ui`` file, bound to what the library shows and does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer
import slicer.util

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.catalogue import user_folder
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.model.gpu_facts import DeviceFacts
from BottleneckOODLib.panel.bug_report import bug_report
from BottleneckOODLib.panel.panel_state import PanelState, device_words
from BottleneckOODLib.panel.review_model import ReviewModel
from BottleneckOODLib.panel.store_decisions import PanelDecisions
from BottleneckOODLib.panel.view_model import JobRunner, PanelViewModel
from BottleneckOODLib.scene.case_name import case_id_for, frame_of
from BottleneckOODLib.scene.dicom_facts import acquisition_of, modality_of
from BottleneckOODLib.scene.masks_in_view import follow_the_views
from BottleneckOODLib.scene.review import SceneDecisions
from BottleneckOODLib.scene.show import remove, show
from BottleneckOODLib.scene.shown_case import case_on
from BottleneckOODLib.scene.volume_node import pending_volume, refusal_of
from BottleneckOODLib.translation import _
from BottleneckOODLib.widgets.case_section import CaseSection
from BottleneckOODLib.widgets.corner_lights import CornerLights
from BottleneckOODLib.widgets.dicom_database import dicom_tag
from BottleneckOODLib.widgets.help_page import HelpPage
from BottleneckOODLib.widgets.map_section import MapSection
from BottleneckOODLib.widgets.reference_section import ReferenceSection
from BottleneckOODLib.widgets.regions_section import RegionsSection
from BottleneckOODLib.widgets.result_section import ResultSection
from BottleneckOODLib.widgets.review_section import ReviewSection
from BottleneckOODLib.widgets.scene_choices import SceneChoices
from BottleneckOODLib.widgets.scene_watch import SceneWatch, VoxelWatch
from BottleneckOODLib.widgets.shortcuts import Shortcuts
from BottleneckOODLib.widgets.view_section import ViewSection
from BottleneckOODLib.widgets.worklist_section import WorklistSection

TICK_MS = 50
_LAYOUT_CHANGED = "layoutChanged(int)"


class ClosableRunner(JobRunner, Protocol):
    """A runner whose process can be ended."""

    def close(self) -> None:
        """End the process."""


class Panel:
    """The panel.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        resources: The module's ``Resources`` folder.
        scene: The ``vtkMRMLScene``.
        runner: Runs the jobs.
        ready: Asked before a job starts; False when the user does not want what is missing to be installed.
        parameters: Gives the parameter node in which the scene keeps what is chosen; asked when the module is opened.
    """

    def __init__(
        self,
        ui: Any,
        resources: Path,
        scene: Any,
        runner: ClosableRunner,
        ready: Callable[[], bool] = lambda: True,
        parameters: Callable[[], Any] = lambda: None,
    ) -> None:
        self.ui = ui
        self._scene = scene
        self._runner = runner
        self._assessment: Assessment | None = None
        self._running_on: str | None = None
        self._running_frame: str | None = None
        self._running_case: str | None = None
        self._open = False
        self._choices = SceneChoices(scene, parameters)
        self._chosen_while_busy = False
        self._edited_meanwhile = False
        self._drawn: tuple[Any, ...] | None = None
        decisions = PanelDecisions(SceneDecisions(scene))
        self.review_model = ReviewModel(
            decisions, has_seen=decisions.has_seen, revealed=decisions.revealed, in_store=decisions.in_store
        )
        self._corners = CornerLights(scene, self.review_model.hides, self._views_changed)
        self.view_model = PanelViewModel(
            runner,
            self._read_case,
            self._show,
            self._draw,
            ready=ready,
            reference_built=self._reference_built,
            devices_found=self._devices_found,
            references_folder=user_folder() / "references",
            saved=lambda: self._assessment,
        )
        self._timer = qt.QTimer()
        self._timer.interval = TICK_MS
        self._timer.connect("timeout()", self._tick)
        self._result = ResultSection(ui, resources / "Icons")
        self._views = ViewSection(ui, scene, self._case_id)
        self._map = MapSection(ui, scene, lambda: self._assessment)
        self._regions = RegionsSection(ui, scene, self._case_id)
        self._reference = ReferenceSection(ui, self.view_model)
        self.review = ReviewSection(ui, self.review_model, self._decided)
        self.worklist = WorklistSection(ui, scene, decisions, self._case_opened, ready, self._is_being_assessed)
        self._help = HelpPage(resources / "Help" / "what-does-this-mean.html")
        self.case = CaseSection(ui, self.view_model, self._volume_chosen, self.view_model.tell, self._remember)
        ui.assessButton.connect("clicked()", self.view_model.press)
        ui.modalitySelector.connect("currentIndexChanged(int)", self._modality_told)
        ui.copyReportButton.connect("clicked()", self._copy_report)
        ui.explainButton.connect("clicked()", self._help.show)
        ui.removeResultButton.connect("clicked()", self._remove_result)
        # None where the application runs without a window.
        self._layouts = slicer.app.layoutManager()
        if self._layouts is not None:
            self._layouts.connect(_LAYOUT_CHANGED, self._layout_switched)
        self._shortcuts = Shortcuts(self._actions())
        self._observed = [
            scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._scene_closes),
            scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, self._scene_changed),
            scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, self._scene_changed),
        ]
        self._watch = SceneWatch(scene, self._told_otherwise)
        self._voxels = VoxelWatch(self._voxels_changed)
        self._volume_chosen(self.case.volume_node)
        self._draw()
        self._corners.attach()

    def enter(self) -> None:
        """The module is opened: its keys work, what the scene says was chosen is chosen."""
        self._open = True
        self._corners.attach()
        self._map.listen_to_the_plot()
        self._shortcuts.switch(True)
        self._choose_as_before()

    def exit(self) -> None:
        """Another module is opened: its keys are its own; the light stays in the views."""
        self._open = False
        self._shortcuts.switch(False)

    def close(self) -> None:
        """Leave nothing behind: no process, no observer, nothing in the views."""
        self._open = False
        self._timer.stop()
        # The timer would hold the panel, and the panel the timer, for as long as the application runs.
        self._timer.disconnect("timeout()", self._tick)
        self._runner.close()
        self.worklist.close()
        for tag in self._observed:
            self._scene.RemoveObserver(tag)
        self._observed = []
        self._watch.close()
        self._voxels.follow(None)
        if self._layouts is not None:
            self._layouts.disconnect(_LAYOUT_CHANGED, self._layout_switched)
            self._layouts = None
        self._shortcuts.remove()
        self._map.close()
        self._corners.detach()
        self._help.close()

    def _actions(self) -> dict[str, Callable[[], Any]]:
        actions: dict[str, Callable[[], Any]] = {
            "Ctrl+Shift+E": self.view_model.press,
            "Ctrl+Shift+M": self._views.toggle_mask,
            "Ctrl+Shift+F": self._views.toggle_fill,
            "Ctrl+Shift+L": self._views.go_to_the_liver,
            "Ctrl+Shift+U": self._regions.toggle,
            "Ctrl+Shift+J": self._regions.go_to_the_most_unusual,
            "Ctrl+Shift+P": self._views.toggle_layout,
            "Ctrl+Shift+N": self.worklist.model.next,
            "Ctrl+Shift+B": self.worklist.model.previous,
        }
        actions.update(self.review.keys())
        return actions

    def _case_id(self) -> str | None:
        return None if self._assessment is None else self._assessment.case_id

    def _read_case(self) -> tuple[Callable[[], Volume], str]:
        node = self.case.volume_node
        refusal = refusal_of(node, dicom_tag)
        if node is None or refusal is not None:
            raise InputError(str(refusal))
        if node is self.worklist.volume:
            message = _("This case is from the worklist and has its result; load its image by itself to assess it.")
            raise InputError(message)
        known = modality_of(node, dicom_tag)
        modality = self.case.modality_told if known == "unknown" else known
        volume = pending_volume(node, modality, acquisition_of(node, dicom_tag))
        self._running_on, self._running_frame = str(node.GetID()), frame_of(node)
        self._running_case = case_id_for(node)
        return volume, self._running_case

    def _show(self, assessment: Assessment) -> None:
        node = self._scene.GetNodeByID(self._running_on) if self._running_on else None
        self._running_on = None
        if node is None:
            message = _("The volume was removed while it was assessed; nothing was shown.")
            raise InputError(message)
        show(assessment, self._scene, node, colour_by=self._map.colour_by, frame=self._running_frame)
        self._take(case_on(node))
        if self._assessment is None or self._assessment.case_id != assessment.case_id:
            message = _("The volume shows another frame by now; the result is there when the assessed one is shown.")
            raise InputError(message)

    def _is_being_assessed(self, case: str | None) -> bool:
        """Whether a result of that name is on its way into the scene."""
        return self.view_model.assesses and case == self._running_case

    def _case_opened(self, volume: Any) -> None:
        """A case of the store is in the scene: it is chosen and stands in the views."""
        self.case.choose(volume, "", "")
        if self._layouts is not None:
            slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self._volume_chosen(self.case.volume_node)

    def _decided(self) -> None:
        self._draw_result()
        self.worklist.model.decided()

    def _take(self, assessment: Assessment | None) -> None:
        """The case that the panel speaks of from now on."""
        self._assessment = assessment
        self.review_model.case_shown(assessment)
        self._corners.refresh()

    def _reference_built(self, name: str) -> None:
        self.case.fill_references(name)

    def _devices_found(self, devices: tuple[DeviceFacts, ...]) -> None:
        self.case.fill_devices(tuple((device.name, device_words(device)) for device in devices))

    def _tick(self, *_unused: Any) -> None:
        was_busy = self._runner.busy
        self.view_model.tick()
        if not self._runner.expects_news:
            self._timer.stop()
        if was_busy and not self._runner.busy:
            self._running_on = None
        if was_busy and not self._runner.busy and self._chosen_while_busy:
            # Whatever was chosen meanwhile counts now; what was said of the run stays.
            message = self.view_model.state.message
            self._volume_chosen(self.case.volume_node)
            self.view_model.tell(message)
        if was_busy and not self._runner.busy and self._edited_meanwhile:
            self._edited_meanwhile = False
            edited = _("The volume was changed while it was assessed; the result is of what it was before.")
            self.view_model.tell(f"{edited} {self.view_model.state.message}".strip())

    def _volume_chosen(self, node: Any | None) -> None:
        refusal = None if node is None else refusal_of(node, dicom_tag)
        usable = None if refusal is not None else node
        # Also while another one is assessed: what is rated is the case that is chosen, and nothing else.
        self._take(None if usable is None else case_on(usable))
        self._chosen_while_busy = self.view_model.assesses
        if self._chosen_while_busy:
            self.view_model.show_meanwhile(None if self._is_being_assessed(self._case_id()) else self._assessment)
            self._draw_result()
            return
        self._voxels.follow(node)
        unknown = usable is not None and modality_of(usable, dicom_tag) == "unknown"
        # Who has told it once is not asked again.
        told = "unknown" if self._assessment is None else self._assessment.input.modality
        self.case.ask_modality(unknown, told)
        asks = unknown and self.case.modality_told == "unknown"
        self.view_model.volume_chosen(None if usable is None else str(usable.GetName()), modality_needed=asks)
        if refusal is not None:
            self.view_model.tell(refusal)
        if self._assessment is not None:
            self.view_model.show_saved(self._assessment)
        self._draw_result()
        self._remember()

    def _modality_told(self, *_unused: Any) -> None:
        node = self.case.volume_node
        if node is not None:
            unknown = self.case.modality_told == "unknown"
            self.view_model.volume_chosen(str(node.GetName()), modality_needed=unknown)
            if self._assessment is not None:
                self.view_model.show_saved(self._assessment)

    def _draw(self) -> None:
        if self._runner.expects_news and not self._timer.active:
            self._timer.start()
        state = self._told()
        self.case.draw(state)
        self._reference.draw(state)
        self._draw_light()
        # How far a run is changes nothing of a result: what the user has done in the views meanwhile stays.
        if self._drawn != self._to_draw():
            self._draw_result()

    def _to_draw(self) -> tuple[Any, ...]:
        return self.view_model.state.result, self.review_model.state.light_hidden, self._assessment

    def _told(self) -> PanelState:
        """What may be shown: a preliminary light would tell the light before the reader has rated."""
        state = self.view_model.state
        untold = self._runner.busy and self.review_model.state.blind_first
        return replace(state, message="") if untold else state

    def _draw_light(self) -> None:
        state, hidden = self.view_model.state, self.review_model.state.light_hidden
        running = self.view_model.assesses
        what_next = _("Being assessed...") if running else "" if state.button_enabled else state.button_hint
        self._result.draw(state.result, self.case.intended_use, light_hidden=hidden, what_next=what_next)

    def _draw_result(self) -> None:
        self._drawn = self._to_draw()
        state, hidden = self.view_model.state, self.review_model.state.light_hidden
        self._draw_light()
        self._map.draw(state.result, light_hidden=hidden)
        self._regions.draw(light_hidden=hidden)
        self._views.draw(self._assessment is not None and self._assessment.volume_ml > 0)
        self.review.draw()
        self._corners.refresh()

    def _remove_result(self, *_unused: Any) -> None:
        case = self._case_id()
        if case is not None and case == self.worklist.model.case_id:
            # With its result would go what was edited and not saved.
            self.view_model.tell(_("This case is from the worklist; Next or Close take it out of the scene."))
        elif case is not None and not self._is_being_assessed(case):
            remove(self._scene, case)
            self._volume_chosen(self.case.volume_node)

    def _copy_report(self, *_unused: Any) -> None:
        state = self._told()
        text = bug_report(state.message, state.details, device=self.view_model.device)
        slicer.app.clipboard().setText(text)

    def _layout_switched(self, *_unused: Any) -> None:
        self._views.layout_switched()
        self._corners.attach()
        self._map.show_chart(None if self.review_model.state.light_hidden else self._case_id())

    def _told_otherwise(self) -> None:
        """A result came or went, or another frame is shown: the panel speaks of what the scene says now."""
        node = self.case.volume_node
        found = None if node is None or refusal_of(node, dicom_tag) is not None else case_on(node)
        if found != self._assessment:
            self._volume_chosen(node)
        self._corners.refresh()

    def _voxels_changed(self) -> None:
        """The chosen volume got other voxels: whether it can be assessed is asked again."""
        self._edited_meanwhile = self.view_model.assesses
        self._volume_chosen(self.case.volume_node)

    def _views_changed(self) -> None:
        """A view shows another volume."""
        follow_the_views(self._scene)
        self._regions.follow_the_views()

    def _scene_closes(self, *_unused: Any) -> None:
        # A reference that is being built has nothing to do with the scene.
        if self.view_model.assesses:
            self._runner.stop()
        self._running_on = None
        self.worklist.scene_closed()
        self.review_model.forget()
        self._choices.forget()

    def _scene_changed(self, *_unused: Any) -> None:
        self._volume_chosen(self.case.volume_node)
        # The selector may not have read the scene yet.
        qt.QTimer.singleShot(0, self._choose_as_before)

    def _choose_as_before(self) -> None:
        """What the scene keeps of the choices; the volume that the views show where it keeps none."""
        if self._open and not self._runner.busy:
            kept = self._choices.kept()
            volume = kept.volume or self.case.volume_node or self._choices.active_volume
            self.case.choose(volume, kept.model, kept.device)
            self._remember()

    def _remember(self) -> None:
        # While a scene is read, what it keeps has not been looked at yet.
        if self._open and not self._scene.IsBatchProcessing():
            self._choices.keep(self.case.volume_node, self.case.model_name, self.view_model.device)
