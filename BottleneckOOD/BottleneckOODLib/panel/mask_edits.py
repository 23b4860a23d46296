"""Edits of a mask that are not saved yet: noticed, asked about, saved as a new version."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from BottleneckOODLib.assessment.versions import EditedVersion, save_version
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.panel.case_reading import OpenedCase
from BottleneckOODLib.panel.worklist_display import Answer, Display
from BottleneckOODLib.panel.worklist_wording import EDITED


class MaskEdits:
    """What the reader has done to the mask that is shown.

    Args:
        display: Where it is shown.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._given_up: LabelVolume | None = None
        self._saving: tuple[LabelVolume, Future[EditedVersion]] | None = None

    def unsaved(self) -> LabelVolume | None:
        """The mask where it was edited and not saved.

        Raises:
            UserError: It cannot be read.
        """
        return self._display.edits()

    def before_leaving(self, case_id: str) -> tuple[Answer, LabelVolume | None]:
        """What is to be done before a case is left; asks where there is something to lose, once for each edit.

        Raises:
            UserError: The mask cannot be read.
        """
        labels = self._display.edits()
        if labels is None or labels == self._given_up:
            return "leave", None
        answer = self._display.ask_about_edits(EDITED.format(case=case_id))
        self._given_up = labels if answer == "leave" else None
        return answer, labels

    def save(
        self,
        labels: LabelVolume,
        opened: OpenedCase,
        reader: str,
        submit: Callable[[Callable[[], EditedVersion]], Future[EditedVersion]],
    ) -> Future[EditedVersion]:
        """Have an edited mask saved beside the original; one that is being saved already is not saved twice.

        Args:
            labels: The mask.
            opened: The case.
            reader: Who has edited it.
            submit: Has it done in a thread.
        """
        if self._saving is not None and self._saving[0] == labels:
            saving = self._saving[1]
            if not saving.done() or saving.exception() is None:
                return saving
        self._saving = labels, submit(_version_job(labels, opened, reader))
        return self._saving[1]

    def forget(self) -> None:
        """Another case is shown."""
        self._given_up = self._saving = None


def _version_job(labels: LabelVolume, opened: OpenedCase, reader: str) -> Callable[[], EditedVersion]:
    return partial(
        save_version,
        labels,
        opened.folder,
        reader=reader,
        parent=opened.mask_file,
        assessment_created=opened.assessment.created,
    )
