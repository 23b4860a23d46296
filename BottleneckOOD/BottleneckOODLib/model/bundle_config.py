"""The configuration of a MONAI bundle, read as data: references are followed, nothing is ever evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.json_object import json_object

_MAX_BYTES = 4_000_000
_DEEPEST = 40
# References in lists of references double with every line; a real configuration has some hundred values.
_MOST_VALUES = 100_000
_REFERENCE = r"@(?P<id>[\w:#]+)"
_PLAIN_REFERENCE = re.compile(rf"^\$?{_REFERENCE}$")
# Where a network computes is no matter of what it is.
_MOVED_REFERENCE = re.compile(rf"^\$\s*{_REFERENCE}\.to\(\s*(?:device\s*=\s*)?(?:@\w+|'[\w:]+'|\"[\w:]+\")\s*\)$")
_SEPARATOR = re.compile(r"::|#")


class BundleConfig:
    """One JSON configuration of a bundle.

    What is understood of MONAI's syntax: ``@id`` references; ``$@id``; ``$@id.to(@device)``, which is ``@id``; and
    ``$`` before a literal of Python, such as ``$(96, 96, 96)`` or ``$None``. Everything else that begins with ``$``
    (an expression) or ``%`` (a macro) is refused by name, when and only when it is needed.

    Args:
        path: The file.

    Raises:
        ModelError: It is missing, too large, or no JSON object.

    Source:
        https://docs.monai.io/en/stable/config_syntax.html
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            message = f"The bundle has no {path.parent.name}/{path.name}; only configurations in JSON are read."
            raise ModelError(message)
        document = json_object(path, _MAX_BYTES)
        if document is None:
            message = f"The configuration {path} cannot be read as a JSON object; copy the bundle again."
            raise ModelError(message)
        self.document: Mapping[str, Any] = document
        self._values_left = _MOST_VALUES

    def first(self, *names: str) -> str | None:
        """The first of these entries that there is."""
        return next((name for name in names if name in self.document), None)

    def raw(self, identifier: str) -> Any:
        """What stands under an id such as ``a::b::0``, references not followed.

        Raises:
            ModelError: There is no such entry.
        """
        found: Any = self.document
        for part in _SEPARATOR.split(identifier):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError):
                message = f'The configuration {self.path} refers to "{identifier}", which is not there.'
                raise ModelError(message) from None
        return found

    def followed(self, value: Any, where: str) -> tuple[Any, str]:
        """What a reference leads to, and where that stands; what it holds stays as it is written.

        Raises:
            ModelError: As for ``resolved``.
        """
        for _ in range(_DEEPEST):
            if not isinstance(value, str):
                return value, where
            reference = _reference(value)
            if reference is None:
                return self.resolved(value, where), where
            value, where = self.raw(reference), reference
        return self.resolved(value, where, _DEEPEST + 1), where

    def resolved(self, value: Any, where: str, depth: int = 0) -> Any:
        """A value with every reference in it followed.

        Args:
            value: A value of the configuration.
            where: Its place, for the sentence.
            depth: How many references and levels led here.

        Raises:
            ModelError: Something in it would have to be run, or refers to what is not there or to itself, or the
                references of the configuration multiply.
        """
        self._values_left -= 1
        if self._values_left < 0:
            message = f"The references in {self.path} lead to more than {_MOST_VALUES} values; mend the bundle."
            raise ModelError(message)
        if depth > _DEEPEST:
            message = f"The entry {where} of {self.path} refers to itself or is nested too deeply; mend the bundle."
            raise ModelError(message)
        if isinstance(value, Mapping):
            return {key: self.resolved(item, f"{where}::{key}", depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolved(item, f"{where}::{index}", depth + 1) for index, item in enumerate(value)]
        if isinstance(value, str) and value[:1] in ("@", "$", "%"):
            return self._resolved_text(value, where, depth)
        return value

    def _resolved_text(self, text: str, where: str, depth: int) -> Any:
        reference = _reference(text)
        if reference is not None:
            return self.resolved(self.raw(reference), reference, depth + 1)
        if text.startswith("$"):
            try:
                return _plain(ast.literal_eval(text[1:].strip()))
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                pass
        what = "macro" if text.startswith("%") else "expression"
        message = (
            f"The entry {where} of {self.path} is the {what} {text!r}, and nothing in a bundle is run here; write its "
            "value in its place."
        )
        raise ModelError(message)


def class_name(entry: object) -> str:
    """The name of an entry's class, without MONAI's modules before it; empty where the entry names none."""
    target = entry.get("_target_") if isinstance(entry, Mapping) else None
    if not isinstance(target, str):
        return ""
    module, _, name = target.rpartition(".")
    # A class of another package may have any name; it stays as it is written, and is in no list.
    return name if not module or module == "monai" or module.startswith("monai.") else target


def _reference(text: str) -> str | None:
    match = _PLAIN_REFERENCE.match(text) or _MOVED_REFERENCE.match(text)
    return None if match is None else match.group("id")


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError(value)
    return value
