"""Which lights a reader has seen before rating: kept under the reader's own name, whoever holds the case."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from BottleneckOODLib.assessment.reader_names import reader_key
from BottleneckOODLib.triage.schema import AssessmentRow, SeenRow


def has_seen(session: Session, assessment: int, reader: str) -> bool:
    """Whether this reader was shown the light of an assessment, other than by rating it."""
    return session.get(SeenRow, (assessment, reader_key(reader))) is not None


def note_seen(session: Session, assessment: int, reader: str) -> None:
    """Take down that a reader was shown the light of an assessment; what is known already stays as it is."""
    if has_seen(session, assessment, reader):
        return
    moment = datetime.now(timezone.utc).isoformat(timespec="seconds")
    try:
        with session.begin_nested():
            session.add(SeenRow(assessment=assessment, reader=reader_key(reader), seen=moment))
    except IntegrityError:
        # The same reader was shown it in another window at the same moment.
        return


def last_seen(session: Session, case: int, reader: str) -> int | None:
    """The newest assessment of a case whose light this reader was shown; None for none.

    Args:
        session: A look into the store.
        case: The case's key inside the store.
        reader: Who.
    """
    query = (
        select(func.max(SeenRow.assessment))
        .join(AssessmentRow, AssessmentRow.number == SeenRow.assessment)
        .where(AssessmentRow.case == case, SeenRow.reader == reader_key(reader))
    )
    return session.scalar(query)
