"""Everything that the worklist's part of the panel shows at one moment, as plain data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from BottleneckOODLib.assessment.decision import RATING_WORDS
from BottleneckOODLib.panel.store_session import Page, State

if TYPE_CHECKING:
    from BottleneckOODLib.triage.worklist import Waiting

STATE_CHOICES: Mapping[State, str] = MappingProxyType(
    {"open": "Waiting", "claimed": "Being read", "read": "Read", "any": "All"}
)
"""Which cases can be listed, in the order in which they are offered."""
LIGHT_CHOICES: Mapping[str, str] = MappingProxyType(
    {"": "Any light", "red": "Red", "grey": "Grey", "amber": "Amber", "green": "Green"}
)
"""Of which light, the most unusual first."""
HIDDEN = "hidden"


@dataclass(frozen=True)
class Row:
    """A case in the list: what stands in its columns."""

    case_id: str
    light: str
    state: str
    rating: str


@dataclass(frozen=True)
class WorklistState:
    """The worklist's part of the panel.

    Attributes:
        is_open: Whether a store is open.
        opening: Whether the store is being opened.
        can_open_store: Whether *Open store* can be pressed.
        rows: The first page of the list, most unusual first.
        summary: How many cases there are, and how many of them are listed.
        can_move: Whether *Next* and *Open* can be pressed.
        can_go_back: Whether *Previous* can be pressed.
        can_save_version: Whether the mask of an opened case can be saved as a new version.
        light_can_be_chosen: Whether cases can be chosen by their light; not by who rates first.
        case_id: The case that was opened; empty for none.
        message: What needs the reader's eye; empty when there is nothing.
    """

    is_open: bool = False
    opening: bool = False
    can_open_store: bool = True
    rows: tuple[Row, ...] = ()
    summary: str = ""
    can_move: bool = False
    can_go_back: bool = False
    can_save_version: bool = False
    light_can_be_chosen: bool = True
    case_id: str = ""
    message: str = ""


def state_named(name: str) -> State:
    """One of ``STATE_CHOICES`` by its name; the waiting ones for any other."""
    return next((state for state in STATE_CHOICES if state == name), "open")


def rows_of(cases: Sequence[Waiting], *, light_hidden: bool, now: float | None = None) -> tuple[Row, ...]:
    """The list's rows.

    Args:
        cases: The cases.
        light_hidden: Whether the reader is to rate before the light is shown; what others have rated tells of it.
        now: Seconds since 1970; None asks the clock.
    """
    moment = time.time() if now is None else now
    return tuple(
        Row(
            case.case_id,
            HIDDEN if light_hidden else case.light,
            f"being read by {case.claimed_by}"
            if case.is_held(moment)
            else f"read by {case.readings}"
            if case.readings
            else "waits",
            HIDDEN if light_hidden and case.rating else RATING_WORDS.get(case.rating, ""),
        )
        for case in cases
    )


def summary_of(page: Page) -> str:
    """How many cases there are, and how many of them are listed."""
    if not page.count:
        return "No case is like that."
    cases = "1 case" if page.count == 1 else f"{page.count:,} cases"
    listed = len(page.cases)
    return f"{cases}, the most unusual first." if listed == page.count else f"{cases}; the first {listed} are listed."
