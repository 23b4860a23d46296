"""What every command's parser shares: examples in its help, and numbers that make sense."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.likely_meant import nearest_name


class SentenceParser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence, with what may have been meant, and that takes no shortened options."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        """Refuse.

        Raises:
            InputError: Always.
        """
        what = message.removeprefix("argument ")
        message = f"{what[:1].upper()}{what[1:]}; see {self.prog} --help."
        raise InputError(message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but an option that there is not is told before what is missing.

        Raises:
            InputError: The words are none that the command takes.
        """
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is None:
            self._refuse_unknown_options(words)
        return super().parse_known_args(words, namespace)

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        for word in words:
            option = word.partition("=")[0]
            if word == "--":
                return
            if word.startswith("--") and option not in self._option_string_actions:
                meant = nearest_name(option, self._option_string_actions)
                hint = f"did you mean {meant}? See" if meant else "see"
                message = f"{self.prog} has no option {option}; {hint} {self.prog} --help."
                raise InputError(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        name = action.option_strings[-1] if action.option_strings else str(action.metavar or action.dest)
        meant = nearest_name(str(value), known)
        hint = f"did you mean {meant}? One of" if meant else "give one of"
        message = f"{name} is {value}; {hint} {', '.join(known)}."
        raise InputError(message)


def refuse_both(arguments: argparse.Namespace) -> None:
    """Refuse to go on with what was stopped and to begin it anew in one.

    Raises:
        InputError: ``--resume`` and ``--overwrite`` are both given.
    """
    if arguments.resume and arguments.overwrite:
        message = "--resume goes on where a run was stopped and --overwrite begins it anew; give one of the two."
        raise InputError(message)


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
