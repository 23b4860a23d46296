"""A store that is open, spoken to in a thread of its own; what it gives and nobody takes up goes back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from BottleneckOODLib.panel.case_list import CaseList
from BottleneckOODLib.panel.desk import Desk
from BottleneckOODLib.panel.store_session import Claim, Given, StoreSession


class OpenStore:
    """A store and its list.

    A case that was asked for is the reader's from when the store gives it. Until it is before the reader it is on its
    way: whatever ends that, such as a reader who stays with an edited mask or a store that is closed, it goes back.

    Args:
        session: The store.
        desk: In whose thread it is spoken to, one thing after another.
    """

    def __init__(self, session: StoreSession, desk: Desk) -> None:
        self.session, self.desk = session, desk
        self.list = CaseList(session, desk)
        self._on_its_way: Future[Given | None] | None = None

    def ask(self, question: Callable[[], Given | None]) -> Future[Given | None]:
        """Ask for a case."""
        self._on_its_way = self.desk.submit(question)
        return self._on_its_way

    def taken_up(self) -> None:
        """The case that was given is before the reader."""
        self._on_its_way = None

    def give_back(self, here: Claim | None = None) -> None:
        """The case that is on its way is not wanted any more, also where the store has not given it yet.

        Args:
            here: The claim of the case before the reader, which the store took back for the other one; None for none.
        """
        asked, self._on_its_way = self._on_its_way, None
        if asked is not None:
            self.desk.submit(partial(_give_back, self.session, asked, here))

    def close(self) -> Future[None]:
        """Close the store after everything that it was asked before; gives when that is done."""
        self.give_back()
        closed = self.desk.submit(self.session.close)
        self.desk.close()
        return closed


def _give_back(session: StoreSession, asked: Future[Given | None], here: Claim | None) -> None:
    # In the desk, so that what was asked before has been answered.
    given = None if asked.exception() is not None else asked.result()
    if given is None:
        return
    if here is None or here.case_id != given.claim.case_id:
        session.release(given.claim)
    if here is not None:
        session.keep(here)
