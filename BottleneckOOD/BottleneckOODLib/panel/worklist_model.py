"""Between the worklist's widgets and the store: the widgets call its methods and ``poll``, and show its ``state``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.reader_names import same_reader
from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.assessment.versions import EditedVersion
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.panel import worklist_wording as wording
from BottleneckOODLib.panel.awaited import Awaited
from BottleneckOODLib.panel.case_list import ClaimHolder, CurrentCase
from BottleneckOODLib.panel.case_reading import CaseReader, OpenedCase
from BottleneckOODLib.panel.dependencies import lacking_for
from BottleneckOODLib.panel.desk import Desk
from BottleneckOODLib.panel.mask_edits import MaskEdits
from BottleneckOODLib.panel.open_store import OpenStore
from BottleneckOODLib.panel.store_decisions import PanelDecisions
from BottleneckOODLib.panel.store_session import PURPOSE, Filters, Given, Page, StoreSession
from BottleneckOODLib.panel.visited_cases import VisitedCases, Way
from BottleneckOODLib.panel.worklist_display import Display
from BottleneckOODLib.panel.worklist_state import WorklistState, rows_of, summary_of

_GOODBYE_S = 1.0
_Result = TypeVar("_Result")


class WorklistModel:
    """The worklist's behaviour. Nothing in it waits for a store or a file: ``poll`` takes up what has been done.

    Args:
        display: Where cases are shown.
        decisions: Told which case is decided on in the store.
        changed: Called whenever ``state`` has changed.
        ready: Asked when what reads stores is not installed; installs it where the user agrees.
        open_session: Opens a store; called in a thread.
        readers: Makes what reads cases, anew for each store.
        clock: Seconds that only run forward.
    """

    def __init__(
        self,
        display: Display,
        decisions: PanelDecisions,
        changed: Callable[[], None] = lambda: None,
        *,
        ready: Callable[[], bool] = lambda: True,
        open_session: Callable[[str], StoreSession] = StoreSession,
        readers: Callable[[], CaseReader] = CaseReader,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._display, self._decisions, self._changed = display, decisions, changed
        self._ready, self._open_session, self._clock = ready, open_session, clock
        self._readers, self._cases = readers, readers()
        self._edits = MaskEdits(display)
        self._desk: Desk | None = None
        self._store: OpenStore | None = None
        self._initials, self._blind, self._filters = "", False, Filters()
        self._awaited = Awaited(clock, self._stand)
        self._asking = False
        self._current: CurrentCase | None = None
        self._visited = VisitedCases()
        self._message = ""
        self.state = WorklistState()

    @property
    def case_id(self) -> str:
        """The case that is shown from the store; empty for none."""
        return "" if self._current is None or self._current.opened is None else self._current.given.case.case_id

    def set_reader(self, initials: str) -> None:
        """Who reads from now on; a case that is open stays claimed as it was."""
        self._initials = initials

    def set_blind_first(self, on: bool) -> None:
        """Whether cases are rated before their light is shown."""
        self._blind = on
        self._refresh_list()
        self._stand()

    def set_filters(self, filters: Filters) -> None:
        """Which cases are listed and given."""
        if filters != self._filters:
            self._filters = filters
            self._visited.passed_over.clear()
            self._refresh_list()

    def open_store(self, store: str) -> None:
        """Open a store instead of the one that is open."""
        if not store.strip():
            self._stand(message=wording.NO_STORE)
        elif self._desk is not None:
            self._leave(partial(self._reopen, store))
        elif not lacking_for(PURPOSE) or self._ready():
            self._desk, self._message = Desk(), ""
            self._cases.prepare()
            self._do(self._desk.submit(partial(self._open_session, store)), self._opened, self._shut)
        else:
            self._stand(message=wording.NOT_INSTALLED.format(packages=lacking_for(PURPOSE)))

    def close_store(self) -> None:
        """Close the store, and take its case out of the scene; asks first where edits would be lost."""
        self._leave(self._shut)

    def next(self) -> None:
        """The next case: the one that the reader came back from, or else the most unusual one that waits."""
        if self._may_move():
            after = self._visited.after
            self._leave(partial(self._ask_for, after, "on") if after else self._ask_for_next)

    def previous(self) -> None:
        """The case before."""
        if self._visited.before and self._may_move():
            self._leave(partial(self._ask_for, self._visited.before, "back"))

    def open_case(self, case_id: str) -> None:
        """A case that the reader chose in the list; the one that is open is shown anew, as it stands by now."""
        if self._may_move():
            self._leave(partial(self._ask_for, case_id, "again" if case_id == self._at else "new"))

    def save_version(self) -> None:
        """Save the edited mask as a new version beside the original."""
        if not self.case_id or not self._awaited.is_idle:
            return
        try:
            labels = self._edits.unsaved()
        except UserError as error:
            self._stand(message=str(error))
            return
        if labels is None:
            self._stand(message=wording.NOT_EDITED)
        else:
            self._save(labels, lambda: None)

    def decided(self) -> None:
        """The reader has decided on a case: the list is another one."""
        self._refresh_list()

    def poll(self, turn_s: float = 0.0) -> None:
        """Take up what has been done meanwhile; called by a timer of the window.

        Args:
            turn_s: How long to stand aside for the threads: where the application holds Python while its window waits
                for the user, they get on only meanwhile.
        """
        if turn_s:
            wait([self._awaited.future or self._cases.at_work], turn_s)
        # The window's timer goes on under the question; what comes after a step might ask a second one.
        if not self._asking:
            self._awaited.poll()
        try:
            if self._store is not None and self._store.list.poll():
                self._stand()
        except UserError as error:
            self._stand(message=str(error))
        if (here := self._current) is not None and not self._is_rated(here) and here.holder.poll(self._clock()):
            self._stand(message=wording.LOST.format(case=self._at))

    @property
    def expects_news(self) -> bool:
        """Whether ``poll`` has to be called."""
        return self._desk is not None

    def scene_closed(self) -> None:
        """The scene was closed, and with it what was shown."""
        self._drop_case(in_scene=False)
        self._refresh_list()
        self._stand(message="")

    def close(self) -> None:
        """Give the case back and end the threads; waits no more than a moment."""
        closed = self._let_go(in_scene=False)
        if closed is not None:
            # A store that does not answer gives the case back by itself, when the claim runs out.
            with contextlib.suppress(Exception):
                closed.result(_GOODBYE_S)
        self._cases.close()

    @property
    def _at(self) -> str:
        return "" if self._current is None else self._current.given.case.case_id

    def _may_move(self) -> bool:
        if self._store is None or not self._awaited.is_idle:
            return False
        if not self._initials.strip():
            self._stand(message=wording.NO_READER)
            return False
        return True

    def _do(
        self,
        future: Future[_Result],
        then: Callable[[_Result], None],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        if not self._awaited.is_idle and self._store is not None:
            # What comes after the step before is not done any more, so what it asked for is not wanted.
            self._store.give_back(None if self._current is None else self._current.holder.claim)
        self._awaited.begin(future, then, failed)

    def _opened(self, session: StoreSession) -> None:
        if self._desk is not None:
            self._store = OpenStore(session, self._desk)
            self._refresh_list()
        self._stand(message="")

    def _reopen(self, store: str) -> None:
        self._shut()
        self.open_store(store)

    def _shut(self) -> None:
        self._let_go(in_scene=True)
        self._visited = VisitedCases()
        self._cases.close()
        self._cases = self._readers()
        self._stand(message="")

    def _let_go(self, *, in_scene: bool) -> Future[None] | None:
        """Give back the case and let the store be closed; gives when that is done, None without a store."""
        store, desk, opening = self._store, self._desk, self._awaited.future
        self._drop_case(in_scene=in_scene)
        self._store = self._desk = None
        self._awaited.forget()
        if store is not None:
            return store.close()
        closed = None
        if desk is not None:
            if opening is not None:
                closed = desk.submit(partial(_close, opening))
            desk.close()
        return closed

    def _leave(self, go: Callable[[], None], stay: Callable[[], None] = lambda: None) -> None:
        """Go on from the case that is shown, unless the reader wants to return to what was edited."""
        if not self.case_id:
            go()
            return
        self._asking = True
        try:
            answer, labels = self._edits.before_leaving(self.case_id)
        except UserError as error:
            # What cannot be read cannot be saved either; the sentence says how to mend it.
            self._stand(message=str(error))
            stay()
            return
        finally:
            self._asking = False
        if answer == "save" and labels is not None:
            # What is edited while it is written is asked about again.
            self._save(labels, partial(self._leave, go, stay), stay)
        elif answer == "leave":
            go()
        else:
            stay()

    def _save(self, labels: LabelVolume, then: Callable[[], None], failed: Callable[[], None] = lambda: None) -> None:
        current = self._current
        if current is None or current.opened is None:
            return
        opened = current.opened

        def saved(version: EditedVersion) -> None:
            current.opened = replace(opened, mask_file=version.file)
            self._display.kept(labels)
            self._stand(message=wording.SAVED.format(file=version.file))
            then()

        reader = self._initials if self._initials.strip() else current.given.claim.holder
        self._do(self._edits.save(labels, opened, reader, self._cases.submit), saved, failed)

    def _ask_for_next(self) -> None:
        if self._store is not None:
            job = partial(self._store.session.give_next, self._initials, self._wanted(), **self._going())
            self._do(self._store.ask(job), partial(self._given, "new"))

    def _ask_for(self, case_id: str, way: Way) -> None:
        if self._store is not None:
            job = partial(self._store.session.give, case_id, self._initials, self._wanted(), **self._going())
            asked = self._store.ask(job)
            self._do(asked, partial(self._given, way), partial(self._visited.not_given, case_id, asked))

    def _wanted(self) -> Filters:
        """Who rates before the light is shown cannot choose by the light."""
        return replace(self._filters, light="") if self._blind else self._filters

    def _going(self) -> dict[str, Any]:
        """What is left without a rating comes again only when nothing else waits."""
        current = self._current
        if current is not None and not self._is_rated(current):
            self._visited.passed_over.add(self._at)
        leaving = None if current is None else current.holder.claim
        return {"blind": self._blind, "passing_over": frozenset(self._visited.passed_over), "leaving": leaving}

    def _is_rated(self, current: CurrentCase) -> bool:
        """Whether the reader who has the case has rated it."""
        log: DecisionLog = current.given.log
        if current.opened is not None:
            log = self._decisions.decisions_of(current.given.case.case_id)
        names = (current.given.claim.holder, self._initials)
        return any(same_reader(row.reader, name) for row in log.standing for name in names)

    def _given(self, way: Way, given: Given | None) -> None:
        if given is None or self._store is None:
            self._stand(message=wording.NONE_WAITS)
            return
        # The store took its time: what was edited meanwhile is not to be lost either.
        self._leave(partial(self._go_to, given, way), self._return)

    def _return(self) -> None:
        """The reader stays: the case that was given goes back, and the one that is shown is claimed again."""
        if self._store is not None and self._current is not None:
            self._store.give_back(self._current.holder.claim)

    def _go_to(self, given: Given, way: Way) -> None:
        if self._store is None:
            return
        self._store.taken_up()
        if given.again:
            self._visited.passed_over.clear()
        self._message = wording.AGAIN if given.again else ""
        # What it leaves behind in the store is given back already.
        self._drop_case(in_scene=True, release=False)
        self._visited.go_to(given.case.case_id, way)
        holder = ClaimHolder(self._store.session, self._store.desk, given.claim, self._clock())
        self._current = CurrentCase(given, None, holder)
        ahead = partial(self._cases.ahead, given.coming, given.claim.holder)
        self._do(self._cases.load(given.case, given.claim.holder), partial(self._read, given), ahead)
        self._refresh_list()

    def _read(self, given: Given, opened: OpenedCase) -> None:
        if self._store is None or self._current is None:
            return
        # Before anything is drawn: whether the light may be shown is asked of the decisions.
        self._decisions.take(self._store.session, self._store.desk, given.claim, given.log)
        self._current.opened = opened
        try:
            self._display.show(opened)
        except UserError as error:
            self._current.opened = None
            self._decisions.let_go()
            self._stand(message=str(error))
            return
        self._cases.ahead(given.coming, given.claim.holder)
        told = "" if opened.mask_file == SEGMENTATION_FILE else wording.EDITED_BEFORE.format(file=opened.mask_file)
        self._stand(message=" ".join(text for text in (self._message, told) if text))

    def _drop_case(self, *, in_scene: bool, release: bool = True) -> None:
        current, self._current = self._current, None
        self._edits.forget()
        self._decisions.let_go()
        if current is None:
            return
        if in_scene and current.opened is not None:
            self._display.remove(current.given.case.case_id)
        if release:
            current.holder.release()

    def _refresh_list(self) -> None:
        if self._store is not None:
            self._store.list.refresh(self._wanted())

    def _stand(self, message: str | None = None) -> None:
        if message is not None:
            self._message = message
        is_open, idle = self._store is not None, self._awaited.is_idle
        page = Page((), 0) if self._store is None else self._store.list.page
        state = WorklistState(
            is_open=is_open,
            opening=self._desk is not None and not is_open,
            can_open_store=idle,
            rows=rows_of(page.cases, light_hidden=self._blind),
            summary=summary_of(page) if is_open else "",
            can_move=is_open and idle,
            can_go_back=is_open and idle and bool(self._visited.before),
            can_save_version=bool(self.case_id) and idle,
            light_can_be_chosen=not self._blind,
            case_id=self._at,
            message=wording.LATE if self._awaited.is_late else self._message,
        )
        if state != self.state:
            self.state = state
            self._changed()


def _close(opening: Future[StoreSession]) -> None:
    # In the desk, so that it is open by now, or could not be opened.
    if opening.exception() is None:
        opening.result().close()
