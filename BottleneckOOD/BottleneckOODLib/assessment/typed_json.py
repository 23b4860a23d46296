"""Values of a JSON document, taken only when they have the type that is declared for them."""

from __future__ import annotations

import reprlib
import sys
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def typed(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass of a JSON object's values.

    Raises:
        TypeError: A value has another type than its field declares, or there are too many or too few.
    """
    hints = get_type_hints(kind)
    return kind(**{name: as_type(hints.get(name), value) for name, value in dict(values).items()})


def as_type(hint: Any, value: Any) -> Any:
    """A JSON value as what a type hint asks for.

    Args:
        hint: ``str``, ``int``, ``float``, ``bool``, a ``Literal``, a dataclass, a ``tuple`` or an optional of these.
        value: From ``json.loads``; whole numbers are taken for ``float``, lists for tuples, objects for dataclasses.

    Raises:
        TypeError: It is something else, or a number that is not finite.
    """
    if get_origin(hint) in (Union, types.UnionType):
        inner = [option for option in get_args(hint) if option is not type(None)]
        return None if value is None else as_type(inner[0], value)
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if get_origin(hint) is tuple and isinstance(value, list):
        return _tuple_of(get_args(hint), value)
    if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, dict):
        return typed(hint, value)
    if hint is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    message = f"{reprlib.repr(value)} where {hint} is needed"
    raise TypeError(message)


def list_of(hint: Any, values: Any) -> tuple[Any, ...]:
    """A JSON list as a tuple of what a type hint asks for.

    Raises:
        TypeError: It is no list, or a part of it has another type.
    """
    if not isinstance(values, list):
        message = f"{reprlib.repr(values)} where a list is needed"
        raise TypeError(message)
    return tuple(as_type(hint, value) for value in values)


def _tuple_of(hints: tuple[Any, ...], values: list[Any]) -> tuple[Any, ...]:
    if hints[1:] == (Ellipsis,):
        return list_of(hints[0], values)
    if len(values) != len(hints):
        message = f"{len(values)} values where {len(hints)} are needed"
        raise TypeError(message)
    return tuple(as_type(hint, value) for hint, value in zip(hints, values, strict=True))
