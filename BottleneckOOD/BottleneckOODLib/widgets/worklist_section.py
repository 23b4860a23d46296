"""The cases of a review store: which one is next, its result in the scene, its edited mask in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer.util

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.panel.case_reading import OpenedCase
from BottleneckOODLib.panel.store_decisions import PanelDecisions
from BottleneckOODLib.panel.store_session import Filters, without_password
from BottleneckOODLib.panel.worklist_display import Answer
from BottleneckOODLib.panel.worklist_model import WorklistModel
from BottleneckOODLib.panel.worklist_state import LIGHT_CHOICES, STATE_CHOICES, Row, state_named
from BottleneckOODLib.scene.edited_mask import edits_in
from BottleneckOODLib.scene.nodes import SEGMENTATION_ROLE, existing_node, nodes_of, remove_node
from BottleneckOODLib.scene.show import remove, show
from BottleneckOODLib.scene.volume_node import add_volume_node
from BottleneckOODLib.translation import _

_TICK_MS, _TURN_S = 25, 0.005
_STORE_SETTING, _GREEN_SETTING, _READINGS_SETTING = (
    f"BottleneckOOD/{name}" for name in ("ReviewStore", "GreenSharePercent", "ReadingsPerCase")
)


class WorklistSection:
    """The worklist's part of the panel, and the ``Display`` of its cases.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        scene: The ``vtkMRMLScene``.
        decisions: Told which case is decided on in the store.
        shown: Called with the volume of a case that is in the scene now.
        ready: Installs what reads stores, where the user agrees.
        being_assessed: Whether a result of that name is on its way into the scene.
    """

    def __init__(
        self,
        ui: Any,
        scene: Any,
        decisions: PanelDecisions,
        shown: Callable[[Any], None],
        ready: Callable[[], bool],
        being_assessed: Callable[[str], bool],
    ) -> None:
        self._ui, self._scene, self._shown, self._being_assessed = ui, scene, shown, being_assessed
        self._rows: tuple[Row, ...] = ()
        self._volume: Any | None = None
        self._mask: LabelVolume | None = None
        self.model = WorklistModel(self, decisions, self.draw, ready=ready)
        self._timer = qt.QTimer()
        self._timer.interval = _TICK_MS
        self._timer.connect("timeout()", self._tick)
        self._fill()
        ui.openStoreButton.connect("clicked()", self._open_store)
        ui.closeStoreButton.connect("clicked()", self.model.close_store)
        ui.worklistReaderEdit.connect("textChanged(QString)", self._take_reader)
        ui.readerEdit.connect("textChanged(QString)", self._reader_told)
        ui.blindFirstCheckBox.connect("toggled(bool)", self._blind_first_told)
        for selector in (ui.stateSelector, ui.lightSelector):
            selector.connect("currentIndexChanged(int)", self._take_filters)
        ui.searchEdit.connect("textChanged(QString)", self._take_filters)
        for box in (ui.greenShareSpinBox, ui.readingsSpinBox):
            box.connect("valueChanged(int)", self._take_filters)
        ui.nextCaseButton.connect("clicked()", self.model.next)
        ui.previousCaseButton.connect("clicked()", self.model.previous)
        ui.openCaseButton.connect("clicked()", self._open_case)
        ui.worklistTable.connect("itemSelectionChanged()", self.draw)
        ui.saveVersionButton.connect("clicked()", self.model.save_version)
        self._reader_told()
        self._blind_first_told()
        self._take_filters()
        self.draw()

    @property
    def volume(self) -> Any | None:
        """The volume of the case from the store; None without one."""
        return self._volume

    def show(self, opened: OpenedCase) -> None:
        """Put a case into the scene, as it was assessed.

        Raises:
            InputError: The scene holds another case of that name or is about to, or the case does not fit into the
                memory.
        """
        case = opened.case_id
        if nodes_of(self._scene, case) or self._being_assessed(case):
            message = _("The scene holds a case called {case} already; close the scene, then take this one again.")
            raise InputError(message.format(case=case))
        volume = None
        try:
            volume = add_volume_node(self._scene, opened.volume, case)
            show(opened.assessment, self._scene, volume)
        except (MemoryError, ValueError):
            if volume is not None:
                remove_node(self._scene, volume)
            message = _("The case {case} does not fit into the memory; close what you do not need, and take it again.")
            raise InputError(message.format(case=case)) from None
        self._volume, self._mask = volume, opened.assessment.segmentation
        self._shown(volume)

    def remove(self, case_id: str) -> None:
        """Take a case out of the scene, with its volume; what the user made of it stays."""
        volume, self._volume, self._mask = self._volume, None, None
        remove(self._scene, case_id)
        if volume is not None and volume.GetScene() is not None:
            remove_node(self._scene, volume)

    def edits(self) -> LabelVolume | None:
        """The mask where it was edited."""
        case, mask = self.model.case_id, self._mask
        node = existing_node(self._scene, "vtkMRMLSegmentationNode", case, SEGMENTATION_ROLE) if case else None
        return None if node is None or mask is None else edits_in(node, mask)

    def kept(self, labels: LabelVolume) -> None:
        """Later edits are compared with what is saved now."""
        self._mask = labels

    def ask_about_edits(self, question: str) -> Answer:
        """One question with three answers; closing it stays."""
        # Nobody answers in a self-test, and nothing may be lost.
        if slicer.app.testingEnabled():
            return "save"
        # Without a window of its own some window managers put it behind the application.
        box = qt.QMessageBox(slicer.util.mainWindow())
        box.windowTitle = "BottleneckOOD"
        box.text = question
        save = box.addButton(_("Save as new version"), qt.QMessageBox.AcceptRole)
        leave = box.addButton(_("Leave"), qt.QMessageBox.DestructiveRole)
        box.addButton(_("Cancel"), qt.QMessageBox.RejectRole)
        box.exec_()
        clicked = box.clickedButton()
        # The main window would keep it for as long as the application runs.
        box.deleteLater()
        return "save" if clicked == save else "leave" if clicked == leave else "stay"

    def scene_closed(self) -> None:
        """The scene is empty: there is no case of the store in it."""
        self._volume = self._mask = None
        self.model.scene_closed()

    def close(self) -> None:
        """Give the case back, and leave nothing behind."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._tick)
        self.model.close()

    def draw(self, *_unused: Any) -> None:
        """Show the state."""
        ui, state = self._ui, self.model.state
        if self.model.expects_news and not self._timer.active:
            self._timer.start()
        ui.openStoreButton.enabled = state.can_open_store
        ui.closeStoreButton.enabled = state.is_open or state.opening
        ui.lightSelector.enabled = state.light_can_be_chosen
        ui.previousCaseButton.enabled = state.can_go_back
        ui.nextCaseButton.enabled = state.can_move
        ui.saveVersionButton.enabled = state.can_save_version
        ui.worklistSummary.text = state.summary
        ui.worklistMessage.text = state.message
        table = ui.worklistTable
        if self._rows != state.rows:
            chosen, self._rows = self._chosen, state.rows
            blocked = table.blockSignals(True)
            table.rowCount = len(state.rows)
            for row, case in enumerate(state.rows):
                for column, text in enumerate((case.case_id, case.light, case.state, case.rating)):
                    table.setItem(row, column, qt.QTableWidgetItem(text))
            table.resizeColumnsToContents()
            # The table keeps the number of the row, which is another case by now.
            where = next((row for row, case in enumerate(state.rows) if case.case_id == chosen), -1)
            if int(table.currentRow()) != where:
                table.setCurrentCell(where, 0)
            table.blockSignals(blocked)
        ui.openCaseButton.enabled = state.can_move and bool(self._chosen)

    @property
    def _chosen(self) -> str:
        """The case that is highlighted in the list; empty for none."""
        row = int(self._ui.worklistTable.currentRow())
        return self._rows[row].case_id if 0 <= row < len(self._rows) else ""

    def _fill(self) -> None:
        ui, settings = self._ui, qt.QSettings()
        for selector, choices in ((ui.stateSelector, STATE_CHOICES), (ui.lightSelector, LIGHT_CHOICES)):
            for name, word in choices.items():
                selector.addItem(_(word), name)
        ui.storeEdit.currentPath = str(settings.value(_STORE_SETTING) or "")
        ui.greenShareSpinBox.value = _number(settings.value(_GREEN_SETTING), 100)
        ui.readingsSpinBox.value = _number(settings.value(_READINGS_SETTING), 1)

    def _tick(self, *_unused: Any) -> None:
        self.model.poll(_TURN_S)
        if not self.model.expects_news:
            self._timer.stop()

    def _open_store(self, *_unused: Any) -> None:
        store = str(self._ui.storeEdit.currentPath)
        qt.QSettings().setValue(_STORE_SETTING, without_password(store))
        self.model.open_store(store)

    def _open_case(self, *_unused: Any) -> None:
        if self._chosen:
            self.model.open_case(self._chosen)

    def _take_reader(self, *_unused: Any) -> None:
        # One name for the whole panel; the review's part keeps it in the settings.
        self._ui.readerEdit.text = str(self._ui.worklistReaderEdit.text)

    def _reader_told(self, *_unused: Any) -> None:
        name = str(self._ui.readerEdit.text)
        if str(self._ui.worklistReaderEdit.text) != name:
            self._ui.worklistReaderEdit.text = name
        self.model.set_reader(name)

    def _blind_first_told(self, *_unused: Any) -> None:
        self.model.set_blind_first(bool(self._ui.blindFirstCheckBox.checked))

    def _take_filters(self, *_unused: Any) -> None:
        ui, settings = self._ui, qt.QSettings()
        green, readings = int(ui.greenShareSpinBox.value), int(ui.readingsSpinBox.value)
        settings.setValue(_GREEN_SETTING, str(green))
        settings.setValue(_READINGS_SETTING, str(readings))
        state = str(ui.stateSelector.itemData(ui.stateSelector.currentIndex))
        light = str(ui.lightSelector.itemData(ui.lightSelector.currentIndex) or "")
        self.model.set_filters(Filters(state_named(state), light, str(ui.searchEdit.text), readings, green / 100))


def _number(kept: Any, otherwise: int) -> int:
    text = str(kept or "")
    return int(text) if text.isdecimal() else otherwise
