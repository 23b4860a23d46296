"""Volume, model, reference, device, the big button and how far the run is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer

from BottleneckOODLib.errors import UserError
from BottleneckOODLib.imaging.volume import Modality
from BottleneckOODLib.panel.choices import ModelChoice, add_model, model_choices, reference_choices
from BottleneckOODLib.panel.panel_state import PanelState
from BottleneckOODLib.panel.view_model import PanelViewModel
from BottleneckOODLib.translation import _

_DEVICES = (("auto", ""), ("cpu", ""))
_BAR_STEPS = 1000


class CaseSection:
    """The part of the panel where a case is chosen and run.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        view_model: What is shown and done.
        chosen: Called when another volume was chosen, with the volume node or None.
        tell: Called with a sentence that needs the user's eye.
        changed: Called when another model or device was chosen.
    """

    def __init__(
        self,
        ui: Any,
        view_model: PanelViewModel,
        chosen: Callable[[Any], None],
        tell: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._ui = ui
        self._view_model = view_model
        self._tell = tell
        self._chosen = chosen
        self._changed: Callable[[], None] = lambda: None
        self._models: tuple[ModelChoice, ...] = ()
        ui.modalitySelector.addItem(_("Choose..."), "unknown")
        ui.modalitySelector.addItem("CT", "CT")
        ui.modalitySelector.addItem("MR (T1w)", "MR")
        self.fill_models()
        self.fill_devices(_DEVICES)
        self.ask_modality(False)
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._volume_changed)
        ui.modelSelector.connect("currentIndexChanged(int)", self._model_changed)
        ui.referenceSelector.connect("currentIndexChanged(int)", self._reference_changed)
        ui.deviceSelector.connect("currentIndexChanged(int)", self._device_changed)
        ui.addModelButton.connect("clicked()", self._add_model)
        ui.findDevicesButton.connect("clicked()", view_model.find_devices)
        self._changed = changed

    @property
    def volume_node(self) -> Any | None:
        """The chosen volume's node, or None."""
        return self._ui.volumeSelector.currentNode()

    @property
    def intended_use(self) -> str:
        """What the chosen model is meant for, in its own words."""
        model = self._model()
        return "" if model is None else model.intended_use

    @property
    def model_name(self) -> str:
        """Name of the chosen model; empty where there is none."""
        model = self._model()
        return "" if model is None else model.name

    def choose(self, volume: Any | None, model: str, device: str) -> None:
        """Choose as if the user had; a model or device that is not there leaves what is chosen."""
        for selector, name in ((self._ui.modelSelector, model), (self._ui.deviceSelector, device)):
            place = int(selector.findData(name)) if name else -1
            if place >= 0:
                selector.currentIndex = place
        self._ui.volumeSelector.setCurrentNode(volume)

    @property
    def modality_told(self) -> Modality:
        """What the user said the image is; ``"unknown"`` while nothing was said."""
        told = str(self._ui.modalitySelector.itemData(self._ui.modalitySelector.currentIndex))
        return "CT" if told == "CT" else "MR" if told == "MR" else "unknown"

    def ask_modality(self, needed: bool, told: str = "unknown") -> None:
        """Show or hide the question what kind of image it is, with the answer that is known by now."""
        self._ui.modalityLabel.visible = needed
        self._ui.modalitySelector.visible = needed
        blocked = self._ui.modalitySelector.blockSignals(True)
        self._ui.modalitySelector.currentIndex = max(0, int(self._ui.modalitySelector.findData(told)))
        self._ui.modalitySelector.blockSignals(blocked)

    def fill_models(self, chosen: str = "demo") -> None:
        """The models that can be chosen, and for the chosen one its references."""
        self._models = model_choices()
        selector = self._ui.modelSelector
        names = [model.name for model in self._models]
        _fill(selector, [(name, name) for name in names], names.index(chosen) if chosen in names else 0)
        self._model_changed()

    def fill_references(self, chosen: str | None = None) -> None:
        """The references of the chosen model; its own is chosen by itself."""
        model = self._model()
        choices = () if model is None else reference_choices(model)
        usable = [choice for choice in choices if choice.matches]
        words = _("{name} ({count} cases)")
        rows = [(words.format(name=choice.name, count=choice.n_cases), str(choice.folder)) for choice in usable]
        names = [choice.name for choice in usable]
        _fill(self._ui.referenceSelector, rows, names.index(chosen) if chosen in names else 0)
        self._reference_changed()

    def fill_devices(self, devices: tuple[tuple[str, str], ...]) -> None:
        """The devices that can be chosen, name and words each; the one that was chosen stays where it can."""
        selector = self._ui.deviceSelector
        before = selector.itemData(selector.currentIndex)
        names = [name for name, _words in devices]
        rows = [(f"{name}: {words}" if words else name, name) for name, words in devices]
        _fill(selector, rows, names.index(before) if before in names else 0)
        self._device_changed()

    def draw(self, state: PanelState) -> None:
        """Show a state."""
        ui = self._ui
        ui.assessButton.text = state.button
        ui.assessButton.enabled = state.button_enabled
        ui.assessButton.toolTip = state.button_hint
        selectors = (ui.volumeSelector, ui.modalitySelector, ui.modelSelector, ui.referenceSelector, ui.deviceSelector)
        for widget in (*selectors, ui.addModelButton, ui.findDevicesButton):
            widget.enabled = state.choices_enabled
        running = state.progress is not None
        ui.progressBar.visible = ui.progressLabel.visible = running
        ui.progressBar.value = round((state.progress or 0.0) * _BAR_STEPS)
        ui.progressLabel.text = state.progress_text
        ui.messageLabel.visible = bool(state.message)
        ui.messageLabel.text = state.message
        ui.deviceNote.visible = bool(state.device_note)
        ui.deviceNote.text = state.device_note
        ui.detailsText.plainText = state.details

    def _model(self) -> ModelChoice | None:
        index = int(self._ui.modelSelector.currentIndex)
        return self._models[index] if 0 <= index < len(self._models) else None

    def _volume_changed(self, *_unused: Any) -> None:
        self._chosen(self.volume_node)

    def _model_changed(self, *_unused: Any) -> None:
        model = self._model()
        if model is None:
            return
        self._view_model.model = str(model.folder)
        self._ui.modelNote.text = model.problem
        self._ui.modelNote.visible = bool(model.problem)
        self.fill_references()
        self._changed()

    def _reference_changed(self, *_unused: Any) -> None:
        selector = self._ui.referenceSelector
        folder = selector.itemData(selector.currentIndex)
        self._view_model.reference = str(folder) if folder else None

    def _device_changed(self, *_unused: Any) -> None:
        selector = self._ui.deviceSelector
        self._view_model.device = str(selector.itemData(selector.currentIndex) or "auto")
        self._changed()

    def _add_model(self, *_unused: Any) -> None:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder that holds a model.json"))
        if not folder:
            return
        try:
            self.fill_models(add_model(Path(str(folder))).name)
        except UserError as error:
            self._tell(str(error))


def _fill(selector: Any, rows: list[tuple[str, str]], current: int) -> None:
    """New rows in a combo box; nobody is told before all of them stand."""
    blocked = selector.blockSignals(True)
    selector.clear()
    for text, data in rows:
        selector.addItem(text, data)
    selector.currentIndex = current if rows else -1
    selector.blockSignals(blocked)
