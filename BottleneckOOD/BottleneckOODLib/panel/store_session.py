"""A review store as the panel uses it; everything here waits for the store, so it is called in a ``Desk``.

SQLAlchemy is imported when a store is opened, not with this file.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from BottleneckOODLib.assessment.decision import Decision, shown_of
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.reader_names import same_reader
from BottleneckOODLib.errors import DependencyError, StoreError, UnavailableCaseError
from BottleneckOODLib.panel.dependencies import lacking_for
from BottleneckOODLib.panel.worklist_wording import NOT_INSTALLED
from BottleneckOODLib.triage.store_file import file_of_store

if TYPE_CHECKING:
    from BottleneckOODLib.triage.place import Place
    from BottleneckOODLib.triage.worklist import Waiting, Wish

PURPOSE = "the review store"
PAGE_SIZE = 50
PATIENCE_S = 4.0
State = Literal["open", "claimed", "read", "any"]


@dataclass(frozen=True)
class Filters:
    """Which cases are wanted; as ``triage.worklist.Wish``, which knows what each means."""

    state: State = "open"
    light: str = ""
    search: str = ""
    readings: int = 1
    green_share: float = 1.0


@dataclass(frozen=True)
class Page:
    """The first cases of the list, and how many there are."""

    cases: tuple[Waiting, ...]
    count: int


@dataclass(frozen=True)
class Whereabouts:
    """What has to be read of a case, and from where.

    Attributes:
        case_id: The case.
        sentence: The sentence beside its light; for a case that could not be read, why.
        folder: Where its assessment lies; empty where there was nothing to save.
        places: Where its image was seen, the latest first.
        content: SHA-256 of the image's bytes.
    """

    case_id: str
    sentence: str
    folder: str
    places: tuple[Place, ...]
    content: str


@dataclass(frozen=True)
class Claim:
    """A case that a reader has, under which name, and what is before that reader.

    Attributes:
        case_id: The case.
        holder: Whose claim it is.
        assessment: Which of its results was given, as ``triage.worklist.Waiting`` numbers them.
        blind: Whether it was given without its light.
    """

    case_id: str
    holder: str
    assessment: int
    blind: bool


@dataclass(frozen=True)
class Given:
    """A case that the reader has now, and nobody else.

    Attributes:
        case: Where it lies.
        claim: The reader's claim.
        log: What was decided on it.
        coming: The case that would be given next; None where none waits.
        again: Whether the reader has come to the end, and begins again with what was passed over.
    """

    case: Whereabouts
    claim: Claim
    log: DecisionLog
    coming: Whereabouts | None
    again: bool = False


class StoreSession:
    """An open store.

    Args:
        store: A file's path, or a database URL.
        patience_s: How long the store may let itself be waited for.

    Raises:
        StoreError: The file does not exist, or the store cannot be opened.
        DependencyError: What reads stores is not installed.
    """

    def __init__(self, store: str, patience_s: float = PATIENCE_S) -> None:
        if lacking := lacking_for(PURPOSE):
            raise DependencyError(NOT_INSTALLED.format(packages=lacking))
        from BottleneckOODLib.triage.decisions import StoredDecisions  # noqa: PLC0415 - imports SQLAlchemy
        from BottleneckOODLib.triage.store import Store  # noqa: PLC0415 - as above
        from BottleneckOODLib.triage.worklist import Worklist  # noqa: PLC0415 - as above

        file = file_of_store(store)
        # Opening must not make one.
        if file is not None and not file.is_file():
            message = f"The store {file} does not exist; choose the file that bottleneck-ood triage has made."
            raise StoreError(message)
        self._store = Store(store.strip(), patience_s)
        self._work, self._decisions = Worklist(self._store), StoredDecisions(self._store)
        self._untold: list[Claim] = []

    def close(self) -> None:
        """Close the connections."""
        self._store.close()

    def page(self, filters: Filters) -> Page:
        """The first page of the list, most unusual first."""
        wish = _wish(filters)
        return Page(tuple(self._work.page(wish, size=PAGE_SIZE)), self._work.count(wish))

    def give_next(
        self, reader: str, filters: Filters, *, blind: bool, passing_over: Collection[str], leaving: Claim | None
    ) -> Given | None:
        """The next case that waits; the one that the reader leaves is given back once there is another.

        Args:
            reader: Who asks.
            filters: Which cases; their state is not looked at.
            blind: Without its light.
            passing_over: Cases that were left without a rating; at the end of the queue they come again.
            leaving: The case before the reader; None for none.
        """
        wish = _wish(filters)
        here = set() if leaving is None else {leaving.case_id}
        waiting = self._work.claim_next(reader, wish, blind=blind, passing_over={*passing_over, *here})
        again = waiting is None and bool(set(passing_over) - here)
        if again:
            waiting = self._work.claim_next(reader, wish, blind=blind, passing_over=here)
        if waiting is None:
            return None
        return self._given(waiting, reader, filters, set() if again else set(passing_over), blind, leaving, again)

    def give(
        self,
        case_id: str,
        reader: str,
        filters: Filters,
        *,
        blind: bool,
        passing_over: Collection[str],
        leaving: Claim | None,
    ) -> Given:
        """One case, unless somebody else reads it.

        Raises:
            UnavailableCaseError: Somebody else reads it; it has no result.
            StoreError: The store refused it.
        """
        waiting = self._work.at(case_id)
        if waiting is None:
            message = f"The case {case_id} has no result yet; take another one."
            raise UnavailableCaseError(message)
        claimed = self._work.claim(case_id, reader, blind=blind)
        if claimed is None:
            raise UnavailableCaseError(_taken(case_id, waiting.claimed_by))
        return self._given(claimed, reader, filters, set(passing_over), blind, leaving, False)

    def keep(self, claim: Claim) -> bool:
        """Hold on to a case as it was shown; False where somebody else has it by now."""
        kept = self._work.keep(claim.case_id, claim.holder, claim.assessment, blind=claim.blind)
        self._take_down()
        return kept

    def release(self, claim: Claim) -> None:
        """Give a case back."""
        self._work.release(claim.case_id, claim.holder)
        self._take_down()

    def reveal(self, claim: Claim) -> None:
        """Take down that the light of a case was seen before it was rated.

        A store that refuses it, such as one that is locked, is told again when a case is held or given back.
        """
        self._untold.append(claim)
        self._take_down()

    def add(self, decision: Decision, claim: Claim) -> DecisionLog:
        """Keep a decision, and tell all that are there; one that is kept already is not kept twice.

        Who rates has done with the case; who withdraws has it before them still, and holds it again.

        Args:
            decision: The decision.
            claim: The claim of the case that it was made on: a newer result than that one is not rated unseen.

        Raises:
            StoreError: Somebody else reads the case by now, it was assessed anew since it was shown, or the store
                refused it; nothing was changed.
        """
        waiting = self._work.at(decision.case_id)
        theirs = "" if waiting is None else waiting.claimed_by
        ours = not theirs or any(same_reader(theirs, name) for name in (decision.reader, claim.holder))
        if not ours and not self.keep(claim):
            raise StoreError(_taken(decision.case_id, theirs))
        if not decision.withdraws:
            decision = self._as_seen(decision, claim)
        self._decisions.add(decision, None if decision.withdraws else claim.assessment)
        if not same_reader(claim.holder, decision.reader):
            self.release(claim)
        if decision.withdraws:
            self.keep(replace(claim, blind=False))
        return self._decisions.decisions_of(decision.case_id)

    def _as_seen(self, decision: Decision, claim: Claim) -> Decision:
        """With the light, if the reader has seen it elsewhere while it was hidden here, as ``triage.rating.rate``."""
        from BottleneckOODLib.triage.seen_lights import has_seen  # noqa: PLC0415 - imports SQLAlchemy

        if decision.shown is not None:
            return decision
        with self._store.reading() as session:
            if not has_seen(session, claim.assessment, decision.reader):
                return decision
        assessment = self._store.assessment_of(decision.case_id, claim.assessment)
        return decision if assessment is None else replace(decision, blind_first=False, shown=shown_of(assessment))

    def _given(
        self,
        waiting: Waiting,
        reader: str,
        filters: Filters,
        passing_over: set[str],
        blind: bool,
        leaving: Claim | None,
        again: bool,
    ) -> Given:
        if leaving is not None and leaving.case_id != waiting.case_id:
            self.release(leaving)
        claim = Claim(waiting.case_id, reader, waiting.assessment, waiting.claimed_blind and blind)
        if waiting.claimed_blind and not blind:
            self._tell_seen(claim)
        coming = self._work.coming(reader, _wish(filters), passing_over={*passing_over, waiting.case_id})
        return Given(
            self._whereabouts(waiting),
            claim,
            self._decisions.decisions_of(waiting.case_id),
            None if coming is None else self._whereabouts(coming),
            again,
        )

    def _take_down(self) -> None:
        with suppress(StoreError):
            while self._untold:
                self._tell_seen(self._untold[0])
                del self._untold[0]

    def _tell_seen(self, claim: Claim) -> None:
        self._work.reveal(claim.case_id, claim.holder, claim.assessment)

    def _whereabouts(self, waiting: Waiting) -> Whereabouts:
        case_id = waiting.case_id
        places, content = self._store.places_of(case_id), self._store.content_of(case_id)
        return Whereabouts(case_id, waiting.sentence, waiting.folder, places, content)


def without_password(store: str) -> str:
    """A store as it may be kept in settings, which anybody who has the computer can read.

    >>> without_password("postgresql://ann:secret@server/name"), without_password("/data/triage.db")
    ('postgresql://ann@server/name', '/data/triage.db')
    """
    return re.sub(r"([?&]password=)[^&]*", r"\1", re.sub(r"(://[^/@:]*):.*@", r"\1@", store))


def _wish(filters: Filters) -> Wish:
    from BottleneckOODLib.triage.worklist import Wish  # noqa: PLC0415 - imports SQLAlchemy

    return Wish(
        state=filters.state,
        light=filters.light,
        search=filters.search,
        readings=filters.readings,
        green_share=filters.green_share,
    )


def _taken(case_id: str, reader: str) -> str:
    return f"The case {case_id} is being read by {reader or 'somebody else'}; take another one."
