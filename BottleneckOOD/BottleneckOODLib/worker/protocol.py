"""What the two processes say to each other: one JSON object a line; voxels and masks go through files.

::

    to the worker      Assess     judge the volume that lies in the exchange folder
                       Stop       stop that job at the next window
    from the worker    Alive      every second, whatever it does
                       Working    where a job is
                       Finished   a job is done; the assessment lies in the exchange folder
                       Refused    the user's input was wrong, or the run was stopped, in one sentence
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from BottleneckOODLib.assessment.typed_json import typed

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
class Stop:
    """Stop a job."""

    job: int


@dataclass(frozen=True)
class Alive:
    """The worker's process runs; ``job`` is 0 while it has none."""

    job: int


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


Request = Assess | Stop
Report = Alive | Working | Finished | Refused
Message = Request | Report

_KINDS: Mapping[str, type[Message]] = MappingProxyType(
    {kind.__name__: kind for kind in (Assess, Stop, Alive, Working, Finished, Refused)}
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
