"""A case of a store as it is read: image, mask, unusual regions and light; no network runs, no scene is touched."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.reader_names import same_reader
from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.assessment.versions import edited_versions
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.reading_process import ReadVolume
from BottleneckOODLib.imaging.volume import LabelVolume, Modality, Volume
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.panel.apart import ReadingApart
from BottleneckOODLib.panel.desk import Desk
from BottleneckOODLib.panel.store_session import Whereabouts

_Result = TypeVar("_Result")
# Files round where voxels lie: NIfTI in single precision.
_SAME_PLACE_MM = 0.01


@dataclass(frozen=True)
class OpenedCase:
    """A case that was read.

    Attributes:
        case_id: The case.
        volume: Its image.
        assessment: Its result, with the mask to be shown.
        folder: Where the result lies.
        mask_file: Name of the mask's file: the model's own, or the version that this reader saved last.
    """

    case_id: str
    volume: Volume
    assessment: Assessment
    folder: Path
    mask_file: str


def read_case(
    case: Whereabouts,
    reader: str,
    read: ReadVolume = read_volume,
    read_labels: Callable[[Path], LabelVolume] = read_label_volume,
) -> OpenedCase:
    """Read a case with the program's own readers, which read it when it was assessed.

    Whoever has edited its mask before goes on with that; others see the model's own.

    Args:
        case: The case.
        reader: Who reads it.
        read: Reads its image.
        read_labels: Reads its mask.

    Raises:
        InputError: There is no result, or the image or the result is gone, damaged or another one by now.
    """
    if not case.folder:
        message = f"{case.case_id} could not be assessed, so there is no mask to rate: {case.sentence}"
        raise InputError(message)
    folder = Path(case.folder)
    assessment, mask_file = Assessment.load(folder, read_labels), SEGMENTATION_FILE
    if assessment.case_id != case.case_id:
        message = f"The folder {folder} holds the result of another case; run triage again."
        raise InputError(message)
    for version in edited_versions(folder):
        if same_reader(version.reader, reader) and version.assessment_created == assessment.created:
            mask_file = version.file
    if mask_file != SEGMENTATION_FILE:
        assessment = replace(assessment, segmentation=read_labels(folder / mask_file))
    volume = _image_of(case, assessment, read)
    mask = assessment.segmentation
    if mask is not None and not mask.geometry.is_close(volume.geometry, _SAME_PLACE_MM):
        message = f"The mask of {case.case_id} does not lie on its image; run triage on the image again."
        raise InputError(message)
    return OpenedCase(case.case_id, volume, assessment, folder, mask_file)


class CaseReader:
    """Reads cases in threads: the one that is wanted, and the one after it ahead of time; each in a process of its own.

    Args:
        read: Reads a case, called in a thread; None reads it by ``read_case`` in those processes.
    """

    def __init__(self, read: Callable[[Whereabouts, str], OpenedCase] | None = None) -> None:
        self._read = read
        self._now, self._later = (_Place(Desk(), ReadingApart()) for _ in range(2))
        self._last: Future[Any] = Future()
        self._last.set_result(None)
        self._ahead: tuple[tuple[Whereabouts, str], Future[OpenedCase]] | None = None

    def prepare(self) -> None:
        """Start what will read the first case, which is soon wanted."""
        if self._read is None:
            self._now.desk.submit(self._now.apart.start)

    def load(self, case: Whereabouts, reader: str) -> Future[OpenedCase]:
        """Read a case; one that was begun ahead of time is not read again."""
        if self._ahead is not None and self._ahead[0] == (case, reader):
            future = self._ahead[1]
            self._ahead = None
            if not future.cancel() and (not future.done() or future.exception() is None):
                return future
        return self.submit(self._job(self._now, case, reader))

    def ahead(self, case: Whereabouts | None, reader: str) -> None:
        """Begin with the case that is likely wanted next; what was read ahead before is forgotten."""
        if self._ahead is not None and self._ahead[0] == (case, reader):
            return
        if self._ahead is not None:
            self._ahead[1].cancel()
            self._ahead = None
        if case is not None and case.folder:
            self._ahead = (case, reader), self._later.desk.submit(self._job(self._later, case, reader))

    @property
    def at_work(self) -> Future[Any]:
        """What is read ahead, or what is done last: done when no thread has anything to do."""
        return self._last if self._ahead is None else self._ahead[1]

    def submit(self, job: Callable[[], _Result]) -> Future[_Result]:
        """Have something else done with a case's files, such as saving a version of its mask."""
        future = self._now.desk.submit(job)
        self._last = future
        return future

    def close(self) -> None:
        """End the threads and the processes after what they do, and forget what was read ahead."""
        self.ahead(None, "")
        for place in (self._now, self._later):
            place.desk.submit(place.apart.close)
            place.desk.close()

    def _job(self, place: _Place, case: Whereabouts, reader: str) -> Callable[[], OpenedCase]:
        if self._read is not None:
            return partial(self._read, case, reader)
        return partial(read_case, case, reader, place.apart.read, place.apart.read_labels)


@dataclass(frozen=True)
class _Place:
    """Where cases are read."""

    desk: Desk
    apart: ReadingApart


def _image_of(case: Whereabouts, assessment: Assessment, read: ReadVolume) -> Volume:
    from BottleneckOODLib.triage.finding import image_at  # noqa: PLC0415 - imports SQLAlchemy

    known: Modality | None = {"CT": "CT", "MR": "MR"}.get(assessment.input.modality)  # type: ignore[assignment]
    reason: InputError | None = None
    for place in case.places:
        try:
            found = image_at(place, case.content)
            return read(found.source, series=found.series, modality=known)
        except InputError as error:
            reason = reason or error
    raise reason or InputError(f"The store does not say where the image of {case.case_id} lies; run triage again.")
