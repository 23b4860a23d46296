"""Text from outside, such as the name of a file, on its way to a terminal."""

from __future__ import annotations

import sys


def printable(text: object) -> str:
    r"""The text without what a terminal would take for a command; its lines stay.

    >>> printable("ct\x1b[2J.nii.gz")
    'ct\\x1b[2J.nii.gz'
    """
    return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in str(text))


def say(text: object) -> None:
    """Print what may hold text from outside."""
    print(printable(text))


def complain(sentence: object) -> None:
    """Say what went wrong where errors are said."""
    print(f"bottleneck-ood: {printable(sentence)}", file=sys.stderr)
