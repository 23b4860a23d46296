"""The readers' decisions in a store: rows that are only ever added."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from BottleneckOODLib.assessment.decision import Decision
from BottleneckOODLib.assessment.decision_record import DecisionLog, decision_line, parse_decisions
from BottleneckOODLib.assessment.reader_names import reader_key
from BottleneckOODLib.errors import AssessedAnewError
from BottleneckOODLib.triage.claims import NO_CLAIM, is_mine
from BottleneckOODLib.triage.schema import CaseRow, DecisionRow, WorkRow
from BottleneckOODLib.triage.store import Store, case_number

# Stands around each reader's name in the worklist; no name holds it.
_BETWEEN = "\n"


class StoredDecisions:
    """The decisions of a store, as ``DecisionStore``.

    Args:
        store: The store, open.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, decision: Decision, shown: int | None = None) -> None:
        """Keep one more row, and end the reader's claim; when this returns, it is on disk.

        A row that is there already is not kept twice, so that a caller that was not told may try again.

        Args:
            decision: The row.
            shown: The assessment that was before the reader; None where that is not known, and for a withdrawal.

        Raises:
            AssessedAnewError: It was assessed anew since it was shown; nothing was changed.
            StoreError: There is no such case, or the store refused it; nothing was changed.
        """
        with self._store.writing() as session:
            number = case_number(session, decision.case_id)
            # Two readers who decide on one case at the same moment are counted one after the other.
            newest = session.scalar(select(WorkRow.assessment).where(WorkRow.case == number).with_for_update())
            known = select(DecisionRow.number).where(DecisionRow.decision_id == decision.decision_id)
            if session.execute(known).first() is not None:
                return
            if shown is not None and shown != newest:
                raise AssessedAnewError(assessed_anew(decision.case_id))
            row = DecisionRow(
                decision_id=decision.decision_id,
                case=number,
                reader=decision.reader,
                rating=decision.rating,
                decided=decision.decided,
                line=decision_line(decision),
            )
            session.add(row)
            session.flush()
            _count_readings(session, number, decision.case_id)
            session.execute(
                update(WorkRow)
                .where(WorkRow.case == number, is_mine(decision.reader))
                .values(**NO_CLAIM)
            )

    def decisions_of(self, case_id: str) -> DecisionLog:
        """Everything that was decided on a case, also what was withdrawn.

        Raises:
            StoreError: There is no such case, or the store cannot be read.
            InputError: A row is of a newer version.
        """
        with self._store.reading() as session:
            return _log_of(session, case_number(session, case_id), case_id)

    def all(self) -> Iterator[tuple[str, DecisionLog]]:
        """Every case that was decided on, with its decisions, in the order of the cases."""
        query = (
            select(CaseRow.case_id, DecisionRow.line)
            .join(DecisionRow, DecisionRow.case == CaseRow.number)
            .order_by(CaseRow.number, DecisionRow.number)
            .execution_options(yield_per=500)
        )
        current, lines = "", ""
        with self._store.reading() as session:
            for case_id, line in session.execute(query):
                if case_id != current and lines:
                    yield current, parse_decisions(lines, f"of {current} in the store")
                    lines = ""
                current, lines = case_id, lines + line
        if lines:
            yield current, parse_decisions(lines, f"of {current} in the store")


def assessed_anew(case_id: str) -> str:
    """The sentence for a rating of an assessment that is no longer the case's newest."""
    return f"The case {case_id} was assessed anew since it was shown to you; show it again, and rate it then."


def among(reader: str) -> ColumnElement[bool]:
    """Whether this reader has a standing rating on a case of the worklist."""
    return WorkRow.readers.contains(_marked(reader_key(reader)), autoescape=True)


def _marked(reader: str) -> str:
    return f"{_BETWEEN}{reader}{_BETWEEN}"


def _log_of(session: Session, number: int, case_id: str) -> DecisionLog:
    query = select(DecisionRow.line).where(DecisionRow.case == number).order_by(DecisionRow.number)
    return parse_decisions("".join(session.scalars(query)), f"of {case_id} in the store")


def _count_readings(session: Session, number: int, case_id: str) -> None:
    standing = _log_of(session, number, case_id).standing
    readers = sorted({reader_key(row.reader) for row in standing})
    session.execute(
        update(WorkRow)
        .where(WorkRow.case == number)
        .values(
            readings=len(readers),
            rating=standing[-1].rating if standing else "",
            readers="".join(_marked(reader) for reader in readers),
        )
    )
