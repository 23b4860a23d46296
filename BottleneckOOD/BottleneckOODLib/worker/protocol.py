"""What the two processes say to each other: one JSON object a line; voxels and masks go through files.

::

    to the worker      Assess          judge the volume that lies in the exchange folder
                       BuildReference  build a reference from cases that lie elsewhere
                       ListDevices     tell what could compute
                       Stop            stop that job at the next window
    from the worker    Alive           every second, whatever it does
                       Working         where a job is
                       Finished        a case is judged; the assessment lies in the exchange folder
                       Built           a reference is built and lies in the exchange folder
                       DevicesFound    what could compute, and why no graphics card does
                       Refused         the user's input was wrong, or the run was stopped, in one sentence
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import get_args

from BottleneckOODLib.assessment.typed_json import typed
from BottleneckOODLib.model.gpu_facts import DeviceFacts

MAX_LINE_BYTES = 100_000


@dataclass(frozen=True)
class Assess:
    """Judge a volume.

    Attributes:
        job: Number of the job, given by who asks.
        volume: Name of the folder with the volume, inside the exchange folder.
        case_id: Name of the case.
        model: Name or folder of the model.
        reference: Name or folder of the reference; None takes the model's own.
        device: As for ``BottleneckOODLogic``.
    """

    job: int
    volume: str
    case_id: str
    model: str
    reference: str | None
    device: str


@dataclass(frozen=True)
class BuildReference:
    """Build a reference.

    Attributes:
        job: Number of the job.
        cases: A CSV of cases, or a folder of images.
        name: Name of the reference.
        model: Name or folder of the model.
        device: As for ``BottleneckOODLogic``.
    """

    job: int
    cases: str
    name: str
    model: str
    device: str


@dataclass(frozen=True)
class ListDevices:
    """Tell what could compute."""

    job: int


@dataclass(frozen=True)
class Stop:
    """Stop a job."""

    job: int


@dataclass(frozen=True)
class Alive:
    """The worker's process runs.

    Attributes:
        job: What it works on; 0 while there is nothing.
        process_id: Of the process itself, which is not the one that was started where a launcher stands between.
    """

    job: int
    process_id: int


@dataclass(frozen=True)
class Working:
    """Where a job is; as ``progress.Progress``."""

    job: int
    step: str
    fraction: float
    seconds_left: float | None
    message: str


@dataclass(frozen=True)
class Finished:
    """A job is done.

    Attributes:
        job: Its number.
        folder: Name of the assessment's folder, inside the exchange folder.
        warm: Whether the model was there already.
    """

    job: int
    folder: str
    warm: bool


@dataclass(frozen=True)
class Built:
    """A reference is built.

    Attributes:
        job: Number of the job.
        folder: Name of its folder, inside the exchange folder.
        n_cases: How many cases it holds.
        n_left_out: How many could not be used.
        left_out: The first of these, each with its reason.
    """

    job: int
    folder: str
    n_cases: int
    n_left_out: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class DevicesFound:
    """What could compute.

    Attributes:
        job: Number of the job.
        devices: ``auto`` first.
        why_no_gpu: Why no graphics card is among them, in one sentence; empty when one is.
    """

    job: int
    devices: tuple[DeviceFacts, ...]
    why_no_gpu: str


@dataclass(frozen=True)
class Refused:
    """A job ended without a result.

    Attributes:
        job: Its number.
        sentence: Why, for the user.
        stopped: Whether the user stopped it.
    """

    job: int
    sentence: str
    stopped: bool


Job = Assess | BuildReference | ListDevices
Request = Job | Stop
Result = Finished | Built | DevicesFound | Refused
Report = Alive | Working | Result
Message = Request | Report

_KINDS: Mapping[str, type[Message]] = MappingProxyType(
    {kind.__name__: kind for kind in get_args(Message)}
)


class ProtocolError(ValueError):
    """The other side said something that is no message."""


def encode(message: Message) -> bytes:
    """A message as one line.

    >>> encode(Stop(3))
    b'{"kind": "Stop", "job": 3}\\n'
    """
    content = {"kind": type(message).__name__, **asdict(message)}
    return json.dumps(content, allow_nan=False).encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line.

    Raises:
        ProtocolError: The line is no message.
    """
    try:
        if len(line) > MAX_LINE_BYTES:
            raise ProtocolError("a line is too long")  # noqa: EM101 - shown to nobody
        content = json.loads(line)
        return typed(_KINDS[content.pop("kind")], content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProtocolError("a line is no message") from None  # noqa: EM101
