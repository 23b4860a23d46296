"""The reader's own rating."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import qt

from BottleneckOODLib.assessment.decision import RATING_WORDS, Rating
from BottleneckOODLib.panel.review_model import ReviewModel

_READER_SETTING = "BottleneckOOD/Reader"
_RATE_FIRST_SETTING = "BottleneckOOD/RateFirst"
_RATINGS = [name for name in get_args(Rating) if name in RATING_WORDS]


class ReviewSection:
    """The review's part of the panel. No rating is ever filled in beforehand.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        model: What is shown and done.
        changed: Called when something was decided, or the light is hidden or revealed.
    """

    def __init__(self, ui: Any, model: ReviewModel, changed: Callable[[], None]) -> None:
        self._ui = ui
        self._model = model
        self._changed = changed
        self._drawing = False
        self._buttons = [getattr(ui, f"ratingButton{key}") for key in range(1, len(_RATINGS) + 1)]
        for button, rate in zip(self._buttons, self.keys().values(), strict=True):
            button.connect("clicked()", rate)
        for choice in model.state.reasons:
            item = qt.QListWidgetItem(choice.word)
            item.setToolTip(choice.tip)
            item.setCheckState(qt.Qt.Unchecked)
            ui.reasonsList.addItem(item)
        settings = qt.QSettings()
        ui.readerEdit.text = str(settings.value(_READER_SETTING) or "")
        ui.blindFirstCheckBox.checked = str(settings.value(_RATE_FIRST_SETTING) or "") == "yes"
        model.set_reader(str(ui.readerEdit.text))
        model.set_blind_first(bool(ui.blindFirstCheckBox.checked))
        ui.readerEdit.connect("textChanged(QString)", self._take_reader)
        ui.noteEdit.connect("textChanged()", self._take_note)
        ui.reasonsList.connect("itemChanged(QListWidgetItem*)", self._take_reasons)
        ui.blindFirstCheckBox.connect("toggled(bool)", self._take_blind_first)
        ui.saveDecisionButton.connect("clicked()", self._save)
        ui.undoDecisionButton.connect("clicked()", self._undo)

    def keys(self) -> dict[str, Callable[[], None]]:
        """What the keys 1 to 5 do."""
        choices = zip(self._model.state.ratings, _RATINGS, strict=True)
        return {choice.key: partial(self.rate, name) for choice, name in choices}

    def rate(self, rating: Rating) -> None:
        """The reader picks a rating; it is a decision only once it is saved."""
        self._model.choose(rating)
        self.draw()

    def draw(self) -> None:
        """Show what the reader has picked and saved."""
        ui, state = self._ui, self._model.state
        self._drawing = True
        try:
            for button, choice in zip(self._buttons, state.ratings, strict=True):
                button.enabled = state.enabled
                button.checked = choice.chosen
                button.toolTip = choice.tip
            for row, choice in enumerate(state.reasons):
                ui.reasonsList.item(row).setCheckState(qt.Qt.Checked if choice.chosen else qt.Qt.Unchecked)
            ui.reasonsList.enabled = ui.noteEdit.enabled = state.enabled
            if str(ui.noteEdit.plainText) != state.note:
                ui.noteEdit.plainText = state.note
            ui.saveDecisionButton.enabled = state.save_enabled
            ui.saveDecisionButton.toolTip = state.save_hint
            ui.undoDecisionButton.enabled = state.undo_enabled
            ui.undoDecisionButton.toolTip = state.undo_hint
            ui.reviewMessage.text = state.message or ("" if state.save_enabled else state.save_hint)
            ui.decisionsLabel.text = "\n".join(state.saved)
            ui.decisionsLabel.visible = bool(state.saved)
        finally:
            self._drawing = False

    def _take_reader(self, *_unused: Any) -> None:
        name = str(self._ui.readerEdit.text)
        qt.QSettings().setValue(_READER_SETTING, name)
        self._model.set_reader(name)
        self.draw()

    def _take_note(self, *_unused: Any) -> None:
        if not self._drawing:
            self._model.set_note(str(self._ui.noteEdit.plainText))
            self.draw()

    def _take_reasons(self, *_unused: Any) -> None:
        if self._drawing:
            return
        for row, choice in enumerate(self._model.state.reasons):
            if (self._ui.reasonsList.item(row).checkState() == qt.Qt.Checked) != choice.chosen:
                self._model.toggle_reason(choice.name)
        self.draw()

    def _take_blind_first(self, *_unused: Any) -> None:
        on = bool(self._ui.blindFirstCheckBox.checked)
        qt.QSettings().setValue(_RATE_FIRST_SETTING, "yes" if on else "no")
        self._model.set_blind_first(on)
        self._changed()

    def _save(self, *_unused: Any) -> None:
        self._model.save()
        self._changed()

    def _undo(self, *_unused: Any) -> None:
        self._model.undo()
        self._changed()
