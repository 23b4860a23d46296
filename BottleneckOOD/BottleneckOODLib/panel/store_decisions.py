"""Where a decision goes: to the store for the case that the worklist opened, to the scene for every other one.

A case of a store is decided in the store alone. A copy in the scene would be a second record of the same reading:
undone here and not there, saved to a disk that the team does not see, and told again whenever the scene is opened.
"""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, replace

from BottleneckOODLib.assessment.decision import Decision
from BottleneckOODLib.assessment.decision_record import DecisionLog, DecisionStore
from BottleneckOODLib.errors import AssessedAnewError, StoreError
from BottleneckOODLib.panel.desk import Desk
from BottleneckOODLib.panel.store_session import Claim, StoreSession
from BottleneckOODLib.panel.worklist_wording import SHOW_AGAIN

MOMENT_S = 1.0


@dataclass
class _FromStore:
    """The case that the worklist opened.

    Attributes:
        unsettled: A decision of which the store has not said whether it is kept.
    """

    claim: Claim
    log: DecisionLog
    session: StoreSession
    desk: Desk
    unsettled: tuple[Decision, Future[DecisionLog]] | None = None


class PanelDecisions:
    """The panel's ``DecisionStore``.

    Args:
        scene: Keeps the decisions on all cases that are of no store.
        moment_s: How long the window waits for the store.
    """

    def __init__(self, scene: DecisionStore, moment_s: float = MOMENT_S) -> None:
        self._scene = scene
        self._moment_s = moment_s
        self._case: _FromStore | None = None

    def take(self, session: StoreSession, desk: Desk, claim: Claim, log: DecisionLog) -> None:
        """From now on decisions on this case go to the store.

        Args:
            session: The store.
            desk: In whose thread the store is spoken to.
            claim: The reader's claim of it.
            log: What was decided on it.
        """
        self._case = _FromStore(claim, log, session, desk)

    def let_go(self) -> None:
        """No case is of a store any more."""
        self._case = None

    def in_store(self, case_id: str) -> bool:
        """Whether decisions on this case go to the store."""
        return self._case is not None and self._case.claim.case_id == case_id

    def has_seen(self, case_id: str) -> bool:
        """Whether the store knows that this reader has seen the light of a case."""
        return self._case is not None and self.in_store(case_id) and not self._case.claim.blind

    def revealed(self, case_id: str) -> None:
        """The light was shown without a rating: the store takes it down, and nobody waits for that."""
        case = self._case
        if case is not None and self.in_store(case_id) and case.claim.blind:
            claim = case.claim = replace(case.claim, blind=False)
            case.desk.submit(lambda: case.session.reveal(claim))

    def add(self, decision: Decision) -> None:
        """Keep one more row.

        A store that does not answer within a moment leaves it open whether the row is kept. Saving the same again asks
        for that very row, so that it is never kept twice.

        Raises:
            UserError: It cannot be kept, or is not known to be kept yet.
        """
        case = self._case
        if case is None or not self.in_store(decision.case_id):
            self._scene.add(decision)
            return
        again = case.unsettled is not None and _same(case.unsettled[0], decision)
        if again and case.unsettled is not None:
            decision, future = case.unsettled
            if future.done() and future.exception() is not None:
                future = self._submit(case, decision)
        else:
            future = self._submit(case, decision)
        case.unsettled = (decision, future)
        try:
            case.log = future.result(self._moment_s)
        except NotYet:
            message = (
                "The store has not answered yet, so it is not known whether the decision is kept; "
                "press Save decision again in a moment."
            )
            raise StoreError(message) from None
        except AssessedAnewError as error:
            message = f"{error} {SHOW_AGAIN}"
            raise AssessedAnewError(message) from None
        case.unsettled = None

    def decisions_of(self, case_id: str) -> DecisionLog:
        """Everything that was decided on a case; of the case from the store, as it was told last."""
        if self._case is not None and self.in_store(case_id):
            return self._case.log
        return self._scene.decisions_of(case_id)

    @staticmethod
    def _submit(case: _FromStore, decision: Decision) -> Future[DecisionLog]:
        return case.desk.submit(lambda: case.session.add(decision, case.claim))


def _same(one: Decision, other: Decision) -> bool:
    """Whether two rows say the same, whenever the reader pressed."""
    return one == replace(other, decision_id=one.decision_id, decided=one.decided, seconds=one.seconds)
