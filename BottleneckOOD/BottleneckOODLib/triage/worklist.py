"""The queue: the most unusual case first, and each case with one reader at a time."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, and_, func, not_, or_, select, update

from BottleneckOODLib.assessment.reader_names import reader_key, reader_name
from BottleneckOODLib.triage.claims import (
    CLAIM_SECONDS,
    LONGEST_CLAIM_SECONDS,
    NO_CLAIM,
    begin_claim,
    checked_reader,
    free_for,
    give,
    held_at,
    holds,
    is_mine,
    locked_row_for,
)
from BottleneckOODLib.triage.decisions import among
from BottleneckOODLib.triage.schema import AssessmentRow, CaseRow, WorkRow
from BottleneckOODLib.triage.seen_lights import has_seen, note_seen
from BottleneckOODLib.triage.store import Store, case_number

State = Literal["any", "open", "claimed", "read"]


@dataclass(frozen=True)
class Wish:
    """Which cases of the queue are wanted.

    Attributes:
        state: ``open`` for those that wait for a reading, ``claimed`` for those that somebody reads now, ``read``.
        light: Of that light alone; empty for any.
        rating: Whose last standing rating is this; empty for any.
        reader: That this reader has rated; empty for any.
        search: Whose name holds this text; empty for any.
        readings: How many readings a case needs until it counts as read.
        green_share: Which share of the green cases is wanted, 0 to 1; drawn once for each case, so it stays the same.
    """

    state: State = "any"
    light: str = ""
    rating: str = ""
    reader: str = ""
    search: str = ""
    readings: int = 1
    green_share: float = 1.0


@dataclass(frozen=True)
class Waiting:
    """A case in the queue.

    Attributes:
        case_id: Its name.
        assessment: Which result is its newest, as ``Store.assessment_of`` takes it.
        light: Its light.
        sentence: The sentence beside the light.
        percentile: Share of the training cases that are less unusual, in percent; None when grey.
        created: When its newest result was made, ISO 8601 with time zone.
        folder: Where its assessment lies; empty where there was nothing to save.
        readings: How many readers have a standing rating on it.
        rating: The last standing rating; empty without one.
        claimed_by: Who reads it now; empty when nobody does.
        claimed_at: Since when, seconds since 1970; 0 when nobody does.
        claimed_until: Until when the claim holds.
        claimed_blind: Whether that reader was given it without its light.
        claimed_assessment: The result that was before that reader last; None when nobody reads it.
        after: Where the next page of the queue begins.
    """

    case_id: str
    assessment: int
    light: str
    sentence: str
    percentile: float | None
    created: str
    folder: str
    readings: int
    rating: str
    claimed_by: str
    claimed_at: float
    claimed_until: float
    claimed_blind: bool
    claimed_assessment: int | None
    after: tuple[float, int]

    def is_held(self, moment: float) -> bool:
        """Whether somebody reads the case at a moment, in seconds since 1970."""
        return bool(self.claimed_by) and moment <= self.claimed_until <= moment + LONGEST_CLAIM_SECONDS


class Worklist:
    """The queue of a store.

    Args:
        store: The store, open.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self, wish: Wish | None = None, *, size: int = 50, after: tuple[float, int] | None = None
    ) -> list[Waiting]:
        """A page of the queue, the most unusual first.

        Args:
            wish: Which cases; None for all.
            size: How many.
            after: ``Waiting.after`` of the last case of the page before; None for the first page.
        """
        query = _wanted(_queue(), wish or Wish())
        if after is not None:
            unusual, case = after
            query = query.where(or_(WorkRow.unusual < unusual, and_(WorkRow.unusual == unusual, WorkRow.case > case)))
        with self._store.reading() as session:
            return [_waiting(row) for row in session.execute(query.limit(size))]

    def count(self, wish: Wish | None = None) -> int:
        """How many cases are wanted."""
        with self._store.reading() as session:
            query = select(func.count()).select_from(WorkRow)
            if wish is not None and wish.search:
                query = query.join(CaseRow, CaseRow.number == WorkRow.case)
            return int(session.scalar(_wanted(query, wish or Wish()).order_by(None)) or 0)

    def claim_next(
        self,
        reader: str,
        wish: Wish | None = None,
        *,
        blind: bool = False,
        passing_over: Collection[str] = (),
        seconds: float = CLAIM_SECONDS,
        now: float | None = None,
    ) -> Waiting | None:
        """Give a reader the most unusual case that waits, and keep the others from it for a while.

        A reader who holds a claim gets the same case again, as it stands now. Two readers never get the same case: the
        row is taken in one transaction, and rows that another reader is just taking are passed over.

        Args:
            reader: Who asks; never gets a case that this reader has rated already.
            wish: Which cases; its ``state`` is not looked at.
            blind: Give it without its light, to be rated first, unless this reader has seen that already.
            passing_over: Cases that the reader does not want now, claimed or not.
            seconds: How long the claim holds, up to ``LONGEST_CLAIM_SECONDS``.
            now: Seconds since 1970; None asks the clock.

        Returns:
            The case, or None where none waits for this reader. Never one that could not be read: it has no mask.

        Raises:
            StoreError: No reader is named, or the store refused it.
        """
        reader, moment = checked_reader(reader), time.time() if now is None else now
        waits = _waits_for(reader, wish or Wish(), passing_over)
        mine = waits.where(is_mine(reader), WorkRow.claimed_until >= moment)
        with self._store.writing() as session:
            number = session.scalars(mine.limit(1)).first()
            if number is None:
                query = waits.where(free_for(reader, moment)).limit(1).with_for_update(skip_locked=True, of=WorkRow)
                number = session.scalars(query).first()
                if number is None:
                    return None
            work = session.scalars(select(WorkRow).where(WorkRow.case == number).with_for_update()).one()
            held = holds(work, reader, moment)
            give(session, work, reader, moment, seconds, hidden=work.claimed_blind if held else blind)
            return _waiting(session.execute(_queue().where(WorkRow.case == number)).one())

    def coming(self, reader: str, wish: Wish | None = None, *, passing_over: Collection[str] = ()) -> Waiting | None:
        """The case that ``claim_next`` would give now, unclaimed: somebody else may be given it meanwhile.

        Raises:
            StoreError: No reader is named, or the store cannot be read.
        """
        reader, moment = checked_reader(reader), time.time()
        waits = _waits_for(reader, wish or Wish(), passing_over).where(free_for(reader, moment))
        with self._store.reading() as session:
            number = session.scalars(waits.limit(1)).first()
            return None if number is None else _waiting(session.execute(_queue().where(WorkRow.case == number)).one())

    def at(self, case_id: str) -> Waiting | None:
        """Where one case stands; None where it has no result yet.

        Raises:
            StoreError: There is no such case.
        """
        with self._store.reading() as session:
            row = session.execute(_queue().where(WorkRow.case == case_number(session, case_id))).first()
            return None if row is None else _waiting(row)

    def show(self, case_id: str, reader: str = "") -> Waiting | None:
        """Where one case stands, to be shown with its light; None where it has no result yet.

        What this reader sees is taken down under the reader's own name. Nobody else's claim is another one by that; a
        claim of the reader's own is of the result that is shown, and no longer one without its light.

        Args:
            case_id: The case.
            reader: Who looks; empty where that is not known, and nothing is taken down.

        Raises:
            StoreError: There is no such case, or the store refused it.
        """
        if not reader_name(reader):
            return self.at(case_id)
        with self._store.writing() as session:
            number = case_number(session, case_id)
            work = session.scalars(select(WorkRow).where(WorkRow.case == number).with_for_update()).first()
            if work is None:
                return None
            note_seen(session, work.assessment, reader)
            if work.claimed_key == reader_key(reader):
                work.claimed_blind, work.claimed_assessment = False, work.assessment
                session.flush()
            return _waiting(session.execute(_queue().where(WorkRow.case == number)).one())

    def reveal(self, case_id: str, reader: str, assessment: int) -> None:
        """Take down that a reader who was given a case without its light has seen that of a result now."""
        with self._store.writing() as session:
            number = case_number(session, case_id)
            mine = update(WorkRow).where(WorkRow.case == number, is_mine(reader))
            session.execute(mine.values(claimed_blind=False))
            note_seen(session, assessment, reader)

    def claim(
        self,
        case_id: str,
        reader: str,
        *,
        blind: bool = False,
        seconds: float = CLAIM_SECONDS,
        now: float | None = None,
    ) -> Waiting | None:
        """Claim one case to be shown as it stands now, unless somebody else reads it.

        Claiming one's own again makes the claim hold longer.

        Args:
            case_id: The case.
            reader: Who asks.
            blind: Give it without its light; a light that this reader has seen stays seen.
            seconds: How long the claim holds, up to ``LONGEST_CLAIM_SECONDS``.
            now: Seconds since 1970; None asks the clock.

        Returns:
            The case; None where somebody else has it.

        Raises:
            StoreError: No reader is named, there is no such case, or the store refused it.
        """
        reader, moment = checked_reader(reader), time.time() if now is None else now
        with self._store.writing() as session:
            number = case_number(session, case_id)
            work = locked_row_for(session, number, reader, moment)
            if work is None:
                return None
            seen_with_it = holds(work, reader, moment) and not work.claimed_blind
            give(session, work, reader, moment, seconds, hidden=blind and not seen_with_it)
            return _waiting(session.execute(_queue().where(WorkRow.case == number)).one())

    def keep(self, case_id: str, reader: str, assessment: int, *, blind: bool) -> bool:
        """Hold on to a case that is before a reader: what was shown stays what it was, whatever came since.

        Args:
            case_id: The case.
            reader: Who has it.
            assessment: The result that is before the reader, for a claim that ran out meanwhile.
            blind: Whether its light is hidden, for such a claim.

        Returns:
            Whether the reader has it now; not where somebody else took it.

        Raises:
            StoreError: No reader is named, there is no such case, or the store refused it.
        """
        reader, moment = checked_reader(reader), time.time()
        with self._store.writing() as session:
            work = locked_row_for(session, case_number(session, case_id), reader, moment)
            if work is None:
                return False
            if work.claimed_key != reader_key(reader):
                begin_claim(work, reader, moment)
                work.claimed_assessment = assessment
                work.claimed_blind = blind and not has_seen(session, assessment, reader)
            work.claimed_until = moment + CLAIM_SECONDS
            return True

    def release(self, case_id: str, reader: str) -> None:
        """Give a claimed case back without a rating."""
        with self._store.writing() as session:
            session.execute(
                update(WorkRow)
                .where(WorkRow.case == case_number(session, case_id), is_mine(reader))
                .values(**NO_CLAIM)
            )


def _waits_for(reader: str, wish: Wish, passing_over: Collection[str]) -> Select[Any]:
    """Numbers of the cases that a reader has not rated, the most unusual first; whoever may hold them.

    A case that could not be read has no mask to rate: given to a reader, it would be given again and again.
    """
    query = select(WorkRow.case).join(CaseRow, CaseRow.number == WorkRow.case)
    query = query.join(AssessmentRow, AssessmentRow.number == WorkRow.assessment)
    waits = _wanted(query, wish, state=False).where(
        WorkRow.readings < wish.readings,
        AssessmentRow.record != "",
        ~among(reader),
    )
    return waits.where(CaseRow.case_id.not_in(passing_over)) if passing_over else waits


def _queue() -> Select[Any]:
    columns: list[Any] = [WorkRow, CaseRow.case_id]
    columns += [AssessmentRow.sentence, AssessmentRow.percentile, AssessmentRow.created, AssessmentRow.folder]
    query: Select[Any] = (
        select(*columns)
        .join(CaseRow, CaseRow.number == WorkRow.case)
        .join(AssessmentRow, AssessmentRow.number == WorkRow.assessment)
        .order_by(WorkRow.unusual.desc(), WorkRow.case)
    )
    return query


def _wanted(query: Select[Any], wish: Wish, *, state: bool = True) -> Select[Any]:
    now = time.time()
    conditions = {
        "open": and_(WorkRow.readings < wish.readings, not_(held_at(now))),
        "claimed": held_at(now),
        "read": WorkRow.readings >= wish.readings,
    }
    if state and wish.state in conditions:
        query = query.where(conditions[wish.state])
    if wish.green_share < 1:
        query = query.where(or_(WorkRow.light != "green", WorkRow.lot < wish.green_share))
    if wish.light:
        query = query.where(WorkRow.light == wish.light)
    if wish.rating:
        query = query.where(WorkRow.rating == wish.rating)
    if wish.reader:
        query = query.where(among(wish.reader))
    if wish.search:
        query = query.where(CaseRow.case_id.icontains(wish.search, autoescape=True))
    return query.order_by(None).order_by(WorkRow.unusual.desc(), WorkRow.case)


def _waiting(row: Any) -> Waiting:
    work = row[0]
    return Waiting(
        row.case_id,
        work.assessment,
        work.light,
        row.sentence,
        row.percentile,
        row.created,
        row.folder,
        work.readings,
        work.rating,
        work.claimed_by,
        work.claimed_at,
        work.claimed_until,
        work.claimed_blind,
        work.claimed_assessment,
        (work.unusual, work.case),
    )
