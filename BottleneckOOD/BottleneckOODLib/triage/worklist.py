"""The queue: the most unusual case first, and each case with one reader at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, and_, func, or_, select, update

from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.triage.decisions import NO_CLAIM, among, reader_name
from BottleneckOODLib.triage.schema import AssessmentRow, CaseRow, WorkRow
from BottleneckOODLib.triage.store import Store, case_number

CLAIM_SECONDS = 30 * 60.0
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
        light: Its light.
        sentence: The sentence beside the light.
        percentile: Share of the training cases that are less unusual, in percent; None when grey.
        folder: Where its assessment lies; empty where there was nothing to save.
        readings: How many readers have a standing rating on it.
        rating: The last standing rating; empty without one.
        claimed_by: Who reads it now; empty when nobody does.
        claimed_at: Since when, seconds since 1970; 0 when nobody does.
        claimed_until: Until when the claim holds.
        claimed_blind: Whether that reader was given it without its light.
        after: Where the next page of the queue begins.
    """

    case_id: str
    light: str
    sentence: str
    percentile: float | None
    folder: str
    readings: int
    rating: str
    claimed_by: str
    claimed_at: float
    claimed_until: float
    claimed_blind: bool
    after: tuple[float, int]


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
        seconds: float = CLAIM_SECONDS,
        now: float | None = None,
    ) -> Waiting | None:
        """Give a reader the most unusual case that waits, and keep the others from it for a while.

        A reader who holds a claim gets the same case again. Two readers never get the same case: the row is taken in
        one transaction, and rows that another reader is just taking are passed over.

        Args:
            reader: Who asks; never gets a case that this reader has rated already.
            wish: Which cases; its ``state`` is not looked at.
            blind: Give it without its light, to be rated first.
            seconds: How long the claim holds.
            now: Seconds since 1970; None asks the clock.

        Returns:
            The case, or None where none waits for this reader.

        Raises:
            StoreError: No reader is named, or the store refused it.
        """
        reader, wish, moment = checked_reader(reader), wish or Wish(), time.time() if now is None else now
        free = or_(WorkRow.claimed_by == "", WorkRow.claimed_by == reader, WorkRow.claimed_until < moment)
        waits = _wanted(select(WorkRow.case).join(CaseRow, CaseRow.number == WorkRow.case), wish, state=False).where(
            WorkRow.readings < wish.readings,
            ~among(reader),
        )
        mine = waits.where(WorkRow.claimed_by == reader, WorkRow.claimed_until >= moment)
        with self._store.writing() as session:
            number = session.scalars(mine.limit(1)).first()
            if number is None:
                query = waits.where(free).limit(1).with_for_update(skip_locked=True, of=WorkRow)
                number = session.scalars(query).first()
                if number is None:
                    return None
                taken = {"claimed_by": reader, "claimed_at": moment, "claimed_blind": blind}
                session.execute(update(WorkRow).where(WorkRow.case == number).values(**taken))
            session.execute(update(WorkRow).where(WorkRow.case == number).values(claimed_until=moment + seconds))
            return _waiting(session.execute(_queue().where(WorkRow.case == number)).one())

    def at(self, case_id: str) -> Waiting | None:
        """Where one case stands; None where it has no result yet.

        Raises:
            StoreError: There is no such case.
        """
        with self._store.reading() as session:
            row = session.execute(_queue().where(WorkRow.case == case_number(session, case_id))).first()
            return None if row is None else _waiting(row)

    def reveal(self, case_id: str, reader: str) -> None:
        """Take down that a reader who was given a case without its light has seen it now."""
        with self._store.writing() as session:
            number = case_number(session, case_id)
            mine = update(WorkRow).where(WorkRow.case == number, WorkRow.claimed_by == reader_name(reader))
            session.execute(mine.values(claimed_blind=False))

    def claim(self, case_id: str, reader: str, *, seconds: float = CLAIM_SECONDS, now: float | None = None) -> bool:
        """Claim one case, unless somebody else reads it.

        Returns:
            Whether the reader has it now.

        Raises:
            StoreError: No reader is named, there is no such case, or the store refused it.
        """
        reader, moment = checked_reader(reader), time.time() if now is None else now
        with self._store.writing() as session:
            number = case_number(session, case_id)
            taken = session.execute(
                update(WorkRow)
                .where(
                    WorkRow.case == number,
                    or_(WorkRow.claimed_by == "", WorkRow.claimed_by == reader, WorkRow.claimed_until < moment),
                )
                .values(claimed_by=reader, claimed_at=moment, claimed_until=moment + seconds, claimed_blind=False)
                .returning(WorkRow.case)
            )
            return taken.first() is not None

    def release(self, case_id: str, reader: str) -> None:
        """Give a claimed case back without a rating."""
        with self._store.writing() as session:
            session.execute(
                update(WorkRow)
                .where(WorkRow.case == case_number(session, case_id), WorkRow.claimed_by == reader_name(reader))
                .values(**NO_CLAIM)
            )


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


def _queue() -> Select[Any]:
    columns: list[Any] = [WorkRow, CaseRow.case_id]
    columns += [AssessmentRow.sentence, AssessmentRow.percentile, AssessmentRow.folder]
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
        "open": and_(WorkRow.readings < wish.readings, or_(WorkRow.claimed_by == "", WorkRow.claimed_until < now)),
        "claimed": and_(WorkRow.claimed_by != "", WorkRow.claimed_until >= now),
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
        work.light,
        row.sentence,
        row.percentile,
        row.folder,
        work.readings,
        work.rating,
        work.claimed_by,
        work.claimed_at,
        work.claimed_until,
        work.claimed_blind,
        (work.unusual, work.case),
    )
