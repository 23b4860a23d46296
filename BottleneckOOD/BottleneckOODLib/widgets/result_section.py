"""The light, the sentence, the numbers and the answers to the questions."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import qt

from BottleneckOODLib.panel.panel_state import ResultState, Row
from BottleneckOODLib.translation import _

_HIDDEN = "none"


class ResultSection:
    """The result's part of the panel; the light has the same place always.

    Args:
        ui: The widgets of the ``.ui`` file by name.
        icons: Folder of the light's pictures.
    """

    def __init__(self, ui: Any, icons: Path) -> None:
        self._ui = ui
        self._icons = icons

    def draw(
        self, result: ResultState | None, intended_use: str, *, light_hidden: bool = False, what_next: str = ""
    ) -> None:
        """Show a result, or that there is none yet.

        Args:
            result: What is shown.
            intended_use: What the model is meant for, in its own words.
            light_hidden: The reader rates first: nothing may tell what the light says.
            what_next: What is said where there is no result yet.
        """
        ui = self._ui
        shown = result if not light_hidden else None
        light = _HIDDEN if shown is None else shown.light
        ui.lightPicture.pixmap = qt.QPixmap(str(self._icons / f"BottleneckOOD-light-{light}.png")).scaled(
            ui.lightPicture.size, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation
        )
        ui.caveatLabel.text = _("Not for clinical use.") if result is None else _(result.caveat)
        ui.intendedUseLabel.text = intended_use
        ui.intendedUseLabel.visible = bool(intended_use) and result is not None
        ui.removeResultButton.enabled = result is not None
        for label in (ui.percentileLabel, ui.factsLabel, ui.checksLabel):
            label.visible = shown is not None
        if shown is None:
            hidden = result is not None
            ui.wordLabel.text = _("Light hidden") if hidden else _("No result yet")
            ui.lightPicture.accessibleName = str(ui.wordLabel.text)
            ui.sentenceLabel.text = (
                _("Rate the mask first; the light is shown when you have saved your rating.")
                if hidden
                else what_next or _("Choose a volume and press Assess.")
            )
            return
        ui.lightPicture.accessibleName = f"{shown.shape}: {shown.word}"
        ui.wordLabel.text = _(shown.word)
        more = _("More unusual than {percentile} training cases").format(percentile=shown.percentile)
        ui.percentileLabel.text = more if shown.percentile else ""
        ui.sentenceLabel.text = shown.sentence
        ui.factsLabel.text = _table([(name, value) for name, value in shown.facts])
        ui.checksLabel.text = _table([(row.sign, row.text) for row in _worst_first(shown.checks)])


def _worst_first(rows: tuple[Row, ...]) -> list[Row]:
    order = ("hard", "soft", "not_assessed", "met")
    return sorted(rows, key=lambda row: order.index(row.state) if row.state in order else len(order))


def _table(rows: list[tuple[str, str]]) -> str:
    """Rows of two columns; whatever a case is called, it is text."""
    lines = [f"<tr><td>{escape(left)}&nbsp;&nbsp;</td><td>{escape(right)}</td></tr>" for left, right in rows]
    return f"<table>{''.join(lines)}</table>"
