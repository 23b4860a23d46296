"""Out-of-distribution quality assurance for segmentation, by the distance of bottleneck features."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.version import __version__

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.assessment import Assessment
    from BottleneckOODLib.errors import Cancelled, UserError
    from BottleneckOODLib.imaging.reading import read_volume
    from BottleneckOODLib.imaging.volume import Volume
    from BottleneckOODLib.logic import BottleneckOODLogic
    from BottleneckOODLib.progress import CancelToken, Progress

# Slicer imports every module at start-up, so nothing heavy may load before it is used (PEP 562).
_HOMES = {
    "Assessment": "BottleneckOODLib.assessment.assessment",
    "BottleneckOODLogic": "BottleneckOODLib.logic",
    "Cancelled": "BottleneckOODLib.errors",
    "CancelToken": "BottleneckOODLib.progress",
    "Progress": "BottleneckOODLib.progress",
    "UserError": "BottleneckOODLib.errors",
    "Volume": "BottleneckOODLib.imaging.volume",
    "read_volume": "BottleneckOODLib.imaging.reading",
}

# Who wants to read what is logged sets up where; until then it goes nowhere.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "Assessment",
    "BottleneckOODLogic",
    "CancelToken",
    "Cancelled",
    "Progress",
    "UserError",
    "Volume",
    "__version__",
    "read_volume",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
