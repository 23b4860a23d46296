"""A case with one reader at a time: who holds a row of the worklist, until when, and what is before that reader."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, select
from sqlalchemy.orm import Session

from BottleneckOODLib.assessment.reader_names import reader_key, reader_name
from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.triage.schema import WorkRow
from BottleneckOODLib.triage.seen_lights import has_seen, note_seen

CLAIM_SECONDS = 30 * 60.0
LONGEST_CLAIM_SECONDS = 24 * 3600.0
"""A claim that would hold longer was made by a clock that went wrong, and holds nobody off."""
NO_CLAIM: Mapping[str, Any] = MappingProxyType(
    {
        "claimed_by": "",
        "claimed_key": "",
        "claimed_assessment": None,
        "claimed_at": 0.0,
        "claimed_until": 0.0,
        "claimed_blind": False,
    }
)
"""The columns of a case that nobody reads."""


def checked_reader(reader: str) -> str:
    """A reader's name as it is kept.

    Raises:
        StoreError: It is empty.
    """
    name = reader_name(reader)
    if not name:
        message = "A reader needs a name; give your name or initials."
        raise StoreError(message)
    return name


def is_mine(reader: str) -> ColumnElement[bool]:
    """Whether a row of the worklist is claimed by this reader, also where the claim has run out."""
    return WorkRow.claimed_key == reader_key(reader)


def free_for(reader: str, moment: float) -> ColumnElement[bool]:
    """Whether a reader may have a row of the worklist at a moment, in seconds since 1970."""
    return or_(is_mine(reader), not_(held_at(moment)))


def held_at(moment: float) -> ColumnElement[bool]:
    """As ``Waiting.is_held``, for a row of the worklist."""
    return and_(
        WorkRow.claimed_by != "",
        WorkRow.claimed_until >= moment,
        WorkRow.claimed_until <= moment + LONGEST_CLAIM_SECONDS,
    )


def locked_row_for(session: Session, number: int, reader: str, moment: float) -> WorkRow | None:
    """A case's row, locked; None where somebody else reads the case, or it has no result."""
    free = select(WorkRow).where(WorkRow.case == number, free_for(reader, moment))
    return session.scalars(free.with_for_update()).first()


def holds(work: WorkRow, reader: str, moment: float) -> bool:
    """Whether a row is this reader's at a moment."""
    return work.claimed_key == reader_key(reader) and work.claimed_until >= moment


def begin_claim(work: WorkRow, reader: str, moment: float) -> None:
    """From this moment on a row is this reader's."""
    work.claimed_by, work.claimed_key, work.claimed_at = reader_name(reader), reader_key(reader), moment


def give(session: Session, work: WorkRow, reader: str, moment: float, seconds: float, *, hidden: bool) -> None:
    """Give a case whose row is locked to a reader, as it stands now.

    Args:
        session: The transaction.
        work: The row.
        reader: Who gets it.
        moment: Seconds since 1970.
        seconds: How long the claim holds.
        hidden: Whether the light is hidden; one that this reader has seen is not.
    """
    if not holds(work, reader, moment):
        begin_claim(work, reader, moment)
    work.claimed_until, work.claimed_assessment = moment + seconds, work.assessment
    work.claimed_blind = hidden and not has_seen(session, work.assessment, reader)
    if not work.claimed_blind:
        note_seen(session, work.assessment, reader)
    session.flush()
