"""The list of a store's cases, asked for again when it is another one; the case that is open, and its claim."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from BottleneckOODLib.panel.case_reading import OpenedCase
from BottleneckOODLib.panel.desk import Desk
from BottleneckOODLib.panel.store_session import Claim, Filters, Given, Page, StoreSession

HOLD_EVERY_S = 600.0


class CaseList:
    """The first page of the list; however often it is asked for, one question is on its way.

    Args:
        session: The store.
        desk: In whose thread the store is spoken to.
    """

    def __init__(self, session: StoreSession, desk: Desk) -> None:
        self._session, self._desk = session, desk
        self._coming: Future[Page] | None = None
        self._wanted: Filters | None = None
        self.page = Page((), 0)

    def refresh(self, filters: Filters) -> None:
        """Ask for the list as it is now."""
        self._wanted = filters
        self._ask()

    def poll(self) -> bool:
        """Whether another page has come.

        Raises:
            UserError: The list cannot be had.
        """
        coming = self._coming
        if coming is None or not coming.done():
            return False
        self._coming = None
        self._ask()
        page = coming.result()
        changed, self.page = page != self.page, page
        return changed

    def _ask(self) -> None:
        if self._coming is None and self._wanted is not None:
            self._coming = self._desk.submit(partial(self._session.page, self._wanted))
            self._wanted = None


class ClaimHolder:
    """Keeps a claim for as long as the case is open.

    Args:
        session: The store.
        desk: In whose thread the store is spoken to.
        claim: The claim.
        now: Seconds on the caller's clock.
    """

    def __init__(self, session: StoreSession, desk: Desk, claim: Claim, now: float) -> None:
        self._session, self._desk = session, desk
        self.claim = claim
        self._since = now
        self._answer: Future[bool] | None = None

    def poll(self, now: float) -> bool:
        """Whether the case was lost to another reader; said once. A store that does not answer is asked again later."""
        answer = self._answer
        if answer is not None and answer.done():
            self._answer = None
            return answer.exception() is None and not answer.result()
        if answer is None and now - self._since > HOLD_EVERY_S:
            self._since = now
            self._answer = self._desk.submit(partial(self._session.keep, self.claim))
        return False

    def release(self) -> None:
        """Give the case back."""
        self._desk.submit(partial(self._session.release, self.claim))


@dataclass
class CurrentCase:
    """The case before the reader.

    Attributes:
        given: As the store gave it.
        opened: As it was read; None while that lasts, and where it cannot be read or shown.
        holder: Keeps its claim.
    """

    given: Given
    opened: OpenedCase | None
    holder: ClaimHolder
