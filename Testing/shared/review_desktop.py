"""A reader's panel without its widgets: the real worklist and review over a real store; a display that remembers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from review_stores import CASE_GRID

from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.panel.case_reading import CaseReader, OpenedCase, read_case
from BottleneckOODLib.panel.review_model import ReviewModel
from BottleneckOODLib.panel.store_decisions import PanelDecisions
from BottleneckOODLib.panel.store_session import StoreSession
from BottleneckOODLib.panel.worklist_model import WorklistModel


class ADisplay:
    """What a scene would hold, and a reader who answers."""

    def __init__(self) -> None:
        self.shown: list[OpenedCase] = []
        self.mask: LabelVolume | None = None
        self.answers: list[str] = []
        self.asked: list[str] = []
        self.on_show: Callable[[OpenedCase], None] = lambda _opened: None

    def show(self, opened: OpenedCase) -> None:
        self.shown.append(opened)
        self.mask = opened.assessment.segmentation
        self.on_show(opened)

    def remove(self, case_id: str) -> None:
        assert self.shown.pop().case_id == case_id
        self.mask = None

    def edits(self) -> LabelVolume | None:
        loaded = self.shown[-1].assessment.segmentation if self.shown else None
        return None if self.mask == loaded else self.mask

    def kept(self, labels: LabelVolume) -> None:
        self.shown[-1] = replace(
            self.shown[-1], assessment=replace(self.shown[-1].assessment, segmentation=labels)
        )

    def ask_about_edits(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0)

    def edit(self, seed: int = 0) -> LabelVolume:
        assert self.mask is not None
        turned = np.random.default_rng(seed).random(CASE_GRID.shape) < 0.5
        self.mask = replace(self.mask, labels=np.where(turned, 1 - self.mask.labels, self.mask.labels))
        return self.mask


def reading_here() -> CaseReader:
    """Without the processes, which take longer to start than these cases to read."""
    return CaseReader(read_case)


class NoScene:
    """Nothing that is of a store may get here."""

    def add(self, decision: object) -> None:
        raise AssertionError(decision)

    def decisions_of(self, case_id: str) -> DecisionLog:
        return DecisionLog()


# A busy machine is no store that does not answer.
PATIENCE_S = 60.0
patient = partial(StoreSession, patience_s=PATIENCE_S)


class Desktop:
    """A reader's panel without its widgets."""

    def __init__(
        self, reader: str, *, blind: bool = False, cases: Callable[[], CaseReader] = reading_here, **options: object
    ) -> None:
        self.display, self.now = ADisplay(), 1000.0
        self.decisions = PanelDecisions(NoScene(), PATIENCE_S)
        self.review = ReviewModel(
            self.decisions,
            reader=reader,
            blind_first=blind,
            has_seen=self.decisions.has_seen,
            revealed=self.decisions.revealed,
            in_store=self.decisions.in_store,
        )
        self.display.on_show = lambda opened: self.review.case_shown(opened.assessment)
        chosen = {"open_session": patient, **options}
        self.list = WorklistModel(
            self.display, self.decisions, readers=cases, clock=lambda: self.now, **chosen  # type: ignore[arg-type]
        )
        self.url = ""
        self.list.set_reader(reader)
        self.list.set_blind_first(blind)

    def wait(self) -> None:
        end = time.monotonic() + 2 * PATIENCE_S
        quiet = 0
        while quiet < 3:
            assert time.monotonic() < end, self.list.state
            self.list.poll()
            store = self.list._store
            busy = not self.list._awaited.is_idle or (store is not None and store.list._coming is not None)
            quiet = 0 if busy else quiet + 1
            time.sleep(0.001)

    def open(self, url: str) -> Desktop:
        self.url = url
        self.list.open_store(url)
        self.wait()
        return self

    def next(self) -> str:
        self.list.next()
        self.wait()
        return self.case

    def previous(self) -> str:
        self.list.previous()
        self.wait()
        return self.case

    @property
    def case(self) -> str:
        return self.display.shown[-1].case_id if self.display.shown else ""

    def rate(self, rating: str = "minor_edit", note: str = "why") -> None:
        self.review.choose(rating)  # type: ignore[arg-type]
        self.review.set_note(note)
        self.review.save()
        self.list.decided()
        self.wait()


@pytest.fixture
def desktops() -> Iterator[Callable[..., Desktop]]:
    made: list[Desktop] = []

    def make(reader: str, **options: object) -> Desktop:
        made.append(Desktop(reader, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for desktop in made:
        desktop.list.close()
