"""Everything that can go wrong, as a tree.

::

    BottleneckOODError
        UserError                       its text is one plain sentence for the user: what, which file, what to do
            InputError                  an image cannot be read or used
                SeriesChoiceError       a DICOM folder holds several series; ``series`` lists them
                NoScanError             the file is an image, but none of a patient, such as a label map
                SlowReadError           an image was not read in the time that a file of its size may take
            ModelError                  a model folder is missing, damaged or unsuitable
            DeviceError                 the asked device is not there
            ReferenceSetError           a reference folder is missing, damaged or unsuitable
                ReferenceMismatchError  the reference was made by another model, or its arrays do not fit the case
            EvaluationError             an embedding, a table or a setting of an evaluation cannot be used
            StoreError                  a store of cases and decisions cannot be used
                AssessedAnewError       what was before the reader is no longer the case's newest result
                UnavailableCaseError    another reader has the case, or it has no result; the store is in order
            OutputError                 a result cannot be written, or exists already
                KeptFolderError         more than a result lies where one goes, and was kept; other places are free
            DependencyError             an optional package or a system library is missing
        Cancelled                       the user stopped the run; not a failure
        ProgramFault                    something failed that should not have; its cause tells what
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb


class BottleneckOODError(Exception):
    """Base of every exception that this library raises on purpose."""


class UserError(BottleneckOODError):
    """A mistake that the user can mend; its text is the one sentence to show."""


class InputError(UserError):
    """An image cannot be read, or is nothing that can be assessed."""


class SeriesChoiceError(InputError):
    """A DICOM folder holds several series and the user must choose one.

    Attributes:
        series: One readable line for each series, beginning with its UID.
    """

    def __init__(self, message: str, series: Sequence[str]) -> None:
        super().__init__(message)
        self.series = tuple(series)


class NoScanError(InputError):
    """The file is an image, but none of a patient, such as a label map."""


class SlowReadError(InputError):
    """An image was not read in the time that a file of its size may take; the file is at fault, or its drive."""


class ModelError(UserError):
    """A model folder is missing, damaged, or does not suit the task."""


class DeviceError(UserError):
    """The computing device that was asked for is not available."""


class ReferenceSetError(UserError):
    """A reference folder is missing, damaged, or cannot be built from the given cases."""


class ReferenceMismatchError(ReferenceSetError):
    """The reference was made by another model, or its features do not fit the case."""


class EvaluationError(UserError):
    """An embedding, a table or a setting of an evaluation cannot be used."""


class StoreError(UserError):
    """A store of cases and decisions cannot be opened, read or written."""


class AssessedAnewError(StoreError):
    """What was before the reader is no longer the case's newest result, which is not rated unseen."""


class UnavailableCaseError(StoreError):
    """A case cannot be had because another reader has it, or it has no result; the store itself is in order."""


class OutputError(UserError):
    """A result cannot be written, or stands there already."""


class KeptFolderError(OutputError):
    """More than a result lies where one is to go, such as an edited mask; it was kept, and nothing else is wrong."""


class DependencyError(UserError):
    """A package or a system library that is needed is missing."""


class Cancelled(BottleneckOODError):
    """The user stopped the run."""


class ProgramFault(BottleneckOODError):
    """Something failed that should not have: a fault of the program, not of the user; its cause tells what."""


def fault_sentence(error: Exception) -> str:
    """What is told of an error that nobody foresaw: its kind and its place; its own words may name a file."""
    if isinstance(error, MemoryError):
        return "The memory of this computer does not suffice; close other programs or crop the volume."
    files = [(Path(frame.filename), frame.lineno) for frame in extract_tb(error.__traceback__)]
    ours = [f" in {path.name}, line {line}" for path, line in files if Path(__file__).parent in path.parents]
    where = ours[-1] if ours else ""
    return f"This is a fault of the program ({type(error).__name__}{where}); try again, or report it."


@contextmanager
def faults_told() -> Iterator[None]:
    """Whatever is raised inside and is none of this library's errors comes out as one of them.

    Raises:
        ProgramFault: Something was raised that nobody foresaw.
    """
    try:
        yield
    except BottleneckOODError:
        raise
    except Exception as error:
        raise ProgramFault(fault_sentence(error)) from error
