"""The cases that a reader has been to: where *Previous* and *Next* lead, and what was passed over."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Literal

from BottleneckOODLib.errors import StoreError, UnavailableCaseError

Way = Literal["back", "on", "new", "again"]


class VisitedCases:
    """A way through the cases that can be gone back and on again, as pages in a browser can."""

    def __init__(self) -> None:
        self._cases: list[str] = []
        self._place = -1
        self.passed_over: set[str] = set()

    @property
    def before(self) -> str:
        """The case before the one that the reader is at; empty for none."""
        return self._cases[self._place - 1] if self._place > 0 else ""

    @property
    def after(self) -> str:
        """The case that the reader came back from; empty at the end of the way."""
        return self._cases[self._place + 1] if self._place + 1 < len(self._cases) else ""

    def go_to(self, case_id: str, way: Way) -> None:
        """The reader is at a case: a step back or on, a new one, from which the way goes on, or the same again."""
        if way == "again":
            return
        if way == "new":
            self._cases[self._place + 1 :] = [case_id]
        self._place += -1 if way == "back" else 1

    def not_given(self, case_id: str, asked: Future[Any]) -> None:
        """A case that cannot be had any more is no longer on the way; what the store refuses now, it may give later."""
        error = asked.exception()
        if isinstance(error, StoreError) and not isinstance(error, UnavailableCaseError):
            return
        for place in range(len(self._cases) - 1, -1, -1):
            if self._cases[place] == case_id and place != self._place:
                del self._cases[place]
                self._place -= place < self._place
