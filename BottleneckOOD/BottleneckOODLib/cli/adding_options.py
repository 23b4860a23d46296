"""How the options of ``model add`` are written: axes, numbers, labels, arguments and steps of intensity."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from BottleneckOODLib.errors import InputError

INTENSITY_FORMS = (
    "range:A,B:C,D",
    "percentiles:P,Q:C,D[:nonzero|foreground]",
    "clip-percentiles:P,Q[:nonzero|foreground]",
    "z-score[:nonzero|foreground|MEAN,DEVIATION]",
    "n4",
)
_OVER = ("all", "nonzero", "foreground")
_PAIRS = ({"L", "R"}, {"P", "A"}, {"S", "I"})
_AXES = 3


def axes(text: str) -> str:
    """Reads ``--orientation``: three letters, one of each pair."""
    letters = text.upper()
    if len(letters) != _AXES or any(len(set(letters) & pair) != 1 for pair in _PAIRS):
        message = f"--orientation is {text}; give three letters such as RAS, one of L and R, P and A, S and I each."
        raise InputError(message)
    return letters


def positive_numbers(option: str) -> Callable[[str], tuple[float, float, float]]:
    """Reads three numbers above 0, such as ``1.5,1.5,2``; one alone counts three times."""

    def read(text: str) -> tuple[float, float, float]:
        values = _numbers(text)
        values = values * _AXES if len(values) == 1 else values
        if len(values) != _AXES or min(values) <= 0:
            message = f"{option} is {text}; give three numbers above 0, such as 1.5,1.5,2."
            raise InputError(message)
        return values[0], values[1], values[2]

    return read


def window(text: str) -> tuple[int, int, int]:
    """Reads ``--patch``: three whole numbers above 0, such as ``96,96,96``; one alone counts three times."""
    values = _numbers(text)
    values = values * _AXES if len(values) == 1 else values
    if len(values) != _AXES or any(value < 1 or value != int(value) for value in values):
        message = f"--patch is {text}; give three whole numbers above 0, such as 96,96,96."
        raise InputError(message)
    return int(values[0]), int(values[1]), int(values[2])


def share(text: str) -> float:
    """Reads ``--overlap``: 0 up to but not including 1."""
    values = _numbers(text)
    if len(values) != 1 or not 0 <= values[0] < 1:
        message = f"--overlap is {text}; give a share from 0 up to below 1."
        raise InputError(message)
    return values[0]


def label(text: str) -> tuple[str, int | None]:
    """Reads ``--label``: a name, or a name and its class such as ``liver=1``."""
    name, equals, value = text.partition("=")
    if not name.strip() or (equals and not value.strip().isdecimal()):
        message = f"--label is {text}; give a name, or a name and its class such as liver=1."
        raise InputError(message)
    return name.strip(), int(value) if equals else None


def argument(text: str) -> tuple[str, Any]:
    """Reads ``--argument``: a name and its value in JSON, such as ``channels=[16,32]``; other texts stay texts."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        message = f"--argument is {text}; give a name and a value such as feature_size=48."
        raise InputError(message)
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


def arguments(text: str) -> dict[str, Any]:
    """Reads ``--arguments``: a JSON object, or a file that holds one."""
    path = Path(text)
    try:
        written = text if text.lstrip().startswith("{") else path.read_text(encoding="utf-8")
        read = json.loads(written)
    except (OSError, ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        message = f"--arguments is {text}, which is no JSON object and no file that holds one; mend it."
        raise InputError(message)
    return read


def intensity_step(text: str) -> dict[str, Any]:
    """Reads ``--intensity``: one step, in one of ``INTENSITY_FORMS``."""
    kind, *parts = text.split(":")
    reader = _STEPS.get(kind)
    step = None if reader is None else reader(parts)
    if step is None:
        message = f"--intensity is {text}; give one of {', '.join(INTENSITY_FORMS)}, and several for several steps."
        raise InputError(message)
    return step


def _range(parts: Sequence[str]) -> dict[str, Any] | None:
    if len(parts) != 2 or not (_pair(parts[0]) and _pair(parts[1])):  # noqa: PLR2004
        return None
    return {"kind": "range", "from": _pair(parts[0]), "to": _pair(parts[1]), "clip": True}


def _percentiles(parts: Sequence[str]) -> dict[str, Any] | None:
    source, target, over = (*parts, "all")[:3] if len(parts) > 1 else ("", "", "")
    if len(parts) > 3 or over not in _OVER or not (_pair(source) and _pair(target)):  # noqa: PLR2004
        return None
    return {"kind": "percentiles", "from": _pair(source), "to": _pair(target), "clip": True, "over": over}


def _clipping(parts: Sequence[str]) -> dict[str, Any] | None:
    source, over = (*parts, "all")[:2] if parts else ("", "")
    if len(parts) > 2 or over not in _OVER or not _pair(source):  # noqa: PLR2004
        return None
    return {"kind": "percentiles", "from": _pair(source), "to": None, "clip": True, "over": over}


def _z_score(parts: Sequence[str]) -> dict[str, Any] | None:
    if len(parts) > 1:
        return None
    if not parts or parts[0] in _OVER:
        return {"kind": "z_score", "over": parts[0] if parts else "all"}
    fixed = _pair(parts[0])
    return None if fixed is None else {"kind": "z_score", "over": "all", "mean": fixed[0], "deviation": fixed[1]}


def _bias_field(parts: Sequence[str]) -> dict[str, Any] | None:
    return None if parts else {"kind": "n4"}


_STEPS: dict[str, Callable[[Sequence[str]], dict[str, Any] | None]] = {
    "range": _range,
    "percentiles": _percentiles,
    "clip-percentiles": _clipping,
    "z-score": _z_score,
    "n4": _bias_field,
}


def _pair(text: str) -> list[float] | None:
    values = _numbers(text)
    return list(values) if len(values) == 2 else None  # noqa: PLR2004


def _numbers(text: str) -> tuple[float, ...]:
    """The numbers between commas or ``x``; none where one of them is no finite number."""
    try:
        values = tuple(float(part) for part in text.lower().replace("x", ",").split(","))
    except ValueError:
        return ()
    return values if all(math.isfinite(value) for value in values) else ()
