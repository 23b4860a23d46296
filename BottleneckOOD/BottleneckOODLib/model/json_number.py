"""Numbers of a JSON document that others wrote."""

from __future__ import annotations

import reprlib
import sys


def number(value: object) -> float:
    """A finite number.

    Raises:
        TypeError: It is something else, or a whole number beyond what a float can hold.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        message = f"{reprlib.repr(value)} where a number is needed"
        raise TypeError(message)
    return float(value)
