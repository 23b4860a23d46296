"""The record of decisions: JSON lines that are only ever added, and what any store of them can do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol

from BottleneckOODLib.assessment.decision import RATING_WORDS, Decision
from BottleneckOODLib.assessment.typed_json import typed
from BottleneckOODLib.errors import InputError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DecisionLog:
    """The decisions on a case, in the order in which they were taken, and a sentence for each row that is damaged."""

    decisions: tuple[Decision, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def standing(self) -> tuple[Decision, ...]:
        """The ratings that nobody withdrew; the last one counts."""
        withdrawn = {row.withdraws for row in self.decisions}
        return tuple(row for row in self.decisions if row.rating in RATING_WORDS and row.decision_id not in withdrawn)


class DecisionStore(Protocol):
    """Keeps decisions; rows are added, never changed or removed."""

    def add(self, decision: Decision) -> None:
        """Keep one more row.

        Raises:
            UserError: It cannot be kept; nothing was changed.
        """

    def decisions_of(self, case_id: str) -> DecisionLog:
        """Everything that was decided on a case, also what was withdrawn.

        Raises:
            UserError: The record cannot be read, or is of a newer format.
        """


def decision_line(row: Decision) -> str:
    """A row as one line of JSON.

    ASCII only, so that neither a line separator in a note nor the encoding of what it passes through can break it.
    """
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(row)}, allow_nan=False) + "\n"


def with_row(text: str, row: Decision) -> str:
    """A record with one more row; what stands there, damaged or not, stays as it is."""
    return text + ("" if not text or text.endswith("\n") else "\n") + decision_line(row)


def decisions_text(rows: Iterable[Decision]) -> str:
    """The text of a record."""
    return "".join(decision_line(row) for row in rows)


def parse_decisions(text: str, source: str) -> DecisionLog:
    """The decisions of a record.

    Args:
        text: One JSON object a line.
        source: What the record is called in a sentence, such as ``"of case-7 in the scene"``.

    Returns:
        The rows that can be read, and a sentence for each that cannot.

    Raises:
        InputError: A row is of a newer format.
    """
    rows: list[Decision] = []
    damage: list[str] = []
    # Not splitlines: it also splits at signs that JSON allows inside a text.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line, parse_constant=_refuse_constant)
            version = document.pop("schema_version")
            if type(version) is int and version > SCHEMA_VERSION:
                message = f"The decisions {source} were made by a newer version of BottleneckOOD; update BottleneckOOD."
                raise InputError(message)
            if type(version) is not int or version != SCHEMA_VERSION:
                raise ValueError(version)
            rows.append(_checked(typed(Decision, document)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            damage.append(f"Line {number} of the decisions {source} is damaged and was left as it is; look at it.")
    return DecisionLog(tuple(rows), tuple(damage))


def _checked(row: Decision) -> Decision:
    moment = datetime.fromisoformat(row.decided)
    if moment.tzinfo is None or row.seconds < 0 or not row.decision_id:
        raise ValueError(row.decision_id)
    if (row.rating == "withdrawn") != bool(row.withdraws):
        raise ValueError(row.withdraws)
    return row


def _refuse_constant(name: str) -> float:
    message = f"{name} is no JSON number"
    raise ValueError(message)
