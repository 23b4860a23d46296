"""What the worklist asks of whoever shows its cases."""

from __future__ import annotations

from typing import Literal, Protocol

from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.panel.case_reading import OpenedCase

Answer = Literal["save", "leave", "stay"]


class Display(Protocol):
    """Where cases are shown."""

    def show(self, opened: OpenedCase) -> None:
        """Show a case.

        Raises:
            UserError: It cannot be shown; nothing of it is left then.
        """

    def remove(self, case_id: str) -> None:
        """Take a case out again, with everything that was made of it."""

    def edits(self) -> LabelVolume | None:
        """The mask of the shown case where it was edited; None where it is as it was loaded or saved last.

        Raises:
            UserError: It cannot be read.
        """

    def kept(self, labels: LabelVolume) -> None:
        """What was edited is saved: from now on it is what later edits are compared with."""

    def ask_about_edits(self, question: str) -> Answer:
        """Ask whether edits are saved, left, or returned to."""
