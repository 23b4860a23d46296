"""Stores and clocks that do what the test says."""

from __future__ import annotations

import pytest

from BottleneckOODLib.assessment.decision import Decision
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.panel.review_model import ReviewModel


class AStore:
    """Keeps rows in a list, or refuses with a sentence."""

    def __init__(self) -> None:
        self.rows: list[Decision] = []
        self.damage: tuple[str, ...] = ()
        self.refusal: UserError | None = None
        self.unreadable: UserError | None = None

    def add(self, decision: Decision) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.rows.append(decision)

    def decisions_of(self, case_id: str) -> DecisionLog:
        if self.unreadable is not None:
            raise self.unreadable
        return DecisionLog(tuple(row for row in self.rows if row.case_id == case_id), self.damage)


class AClock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> AStore:
    return AStore()


@pytest.fixture
def clock() -> AClock:
    return AClock()


@pytest.fixture
def review(store: AStore, clock: AClock) -> ReviewModel:
    return ReviewModel(store, reader="Zoë", clock=clock)


@pytest.fixture
def blind(store: AStore, clock: AClock) -> ReviewModel:
    return ReviewModel(store, reader="Zoë", blind_first=True, clock=clock)
