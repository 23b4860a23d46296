"""What every command's parser shares: examples in its help, and numbers that make sense."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence

from BottleneckOODLib.errors import InputError


def add_command(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    examples: Sequence[str],
    *,
    notes: str = "",
) -> argparse.ArgumentParser:
    """Add a command.

    Args:
        verbs: Where it is added.
        name: Its name.
        what: What it does, for the list of commands and its own help.
        examples: Whole command lines.
        notes: What stands before the examples.
    """
    lines = "\n".join(f"  {example}" for example in examples)
    epilog = f"{notes}\n\nexamples:\n{lines}" if notes else f"examples:\n{lines}"
    return verbs.add_parser(name, help=what, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter)


def whole_number(option: str, *, least: int) -> Callable[[str], int]:
    """Reads an option's whole number; one below ``least`` is an ``InputError``."""

    def read(text: str) -> int:
        value = int(text) if text.strip().lstrip("-").isdecimal() else least - 1
        if value < least:
            message = f"{option} is {text}; give a whole number of at least {least}."
            raise InputError(message)
        return value

    return read


def positive_number(option: str) -> Callable[[str], float]:
    """Reads an option's number; what is not finite and above 0 is an ``InputError``."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            message = f"{option} is {text}; give a number above 0."
            raise InputError(message)
        return value

    return read


def share(option: str) -> Callable[[str], float]:
    """A type for argparse that takes a number from 0 to 1."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            message = f"{option} is {text}; give a number from 0 to 1."
            raise InputError(message)
        return value

    return read
