"""A batch: every volume once, the bad ones with their reason, each result in the store before the next is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from BottleneckOODLib.assessment.record import parse_record
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.progress import CancelToken, ProgressCallback, ProgressReporter
from BottleneckOODLib.triage.finding import Candidate, PassedOver
from BottleneckOODLib.triage.judging import Done, Job, Judge, fingerprint_of
from BottleneckOODLib.triage.scheduling import Workers, workers_for
from BottleneckOODLib.triage.store import Store

_STEP = "Assessing"
_SHORT = 12


@dataclass
class Summary:
    """What a batch came to.

    Attributes:
        assessed: Cases that were assessed now.
        known: Cases that had a result by this model and reference already.
        copies: Further copies of a case of this batch.
        unreadable: Cases that could not be read, which are grey in the queue, each with its reason.
        passed_over: What is no volume to assess, each with its reason.
    """

    assessed: int = 0
    known: int = 0
    copies: int = 0
    unreadable: list[str] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)


def run_batch(
    store: Store,
    found: Iterable[Candidate | PassedOver],
    output: Path,
    judge: Judge,
    *,
    n_workers: int = 1,
    scheduler: str | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    workers: AbstractContextManager[Workers] | None = None,
) -> Summary:
    """Assess what has no result yet, and keep each result as soon as it is there.

    A batch that was stopped or killed goes on when it is run again: a case is known by what its image holds, so nothing
    is done twice, whatever was added, moved or copied meanwhile.

    Args:
        store: Where results are kept; this process alone writes to it.
        found: The volumes.
        output: Where each case gets a folder, below one for the model and reference.
        judge: Model and reference.
        n_workers: Processes of this machine.
        scheduler: Address of a Dask scheduler instead.
        progress: Called with every case.
        cancel: Stops between windows.
        workers: Who carries out the jobs; None makes them.

    Raises:
        Cancelled: The run was stopped; what was assessed is kept.
        UserError: The model or the reference cannot be used, or nothing can be saved.
    """
    fingerprint, cancel = fingerprint_of(judge), cancel or CancelToken()
    place = output.resolve() / fingerprint[:_SHORT]
    summary, everything = Summary(), list(found)
    reporter = ProgressReporter(progress, cancel, {_STEP: 1.0})
    waiting = 0
    seen: set[str] = set()
    finished = 0

    def keep(done: Done) -> None:
        if done.record:
            assessment, _ = parse_record(done.record, f"of {done.case_id}")
            store.add_assessment(done.case_id, fingerprint, assessment, _portable(done.folder), done.seconds)
            summary.assessed += 1
        elif done.is_scan:
            store.add_failure(done.case_id, fingerprint, done.sentence, done.seconds)
            summary.unreadable.append(f"{done.case_id}: {done.sentence}")
        else:
            summary.passed_over.append(PassedOver(Path(done.case_id), done.sentence))

    with workers or workers_for(n_workers, scheduler, cancel) as team:
        for item in everything:
            reporter.report(_STEP, finished / len(everything))
            if isinstance(item, PassedOver):
                summary.passed_over.append(item)
                finished += 1
                continue
            try:
                case_id = _case_of(store, item)
            except InputError as error:
                summary.passed_over.append(PassedOver(item.path, str(error)))
                finished += 1
                continue
            if case_id in seen or store.is_judged(case_id, fingerprint):
                summary.copies += case_id in seen
                summary.known += case_id not in seen
                finished += 1
                continue
            seen.add(case_id)
            team.hand_over(Job(case_id, str(item.path), item.series, str(place), judge))
            waiting += 1
            while waiting >= team.room:
                keep(team.next_done())
                waiting, finished = waiting - 1, finished + 1
                reporter.report(_STEP, finished / len(everything), "")
        while waiting:
            keep(team.next_done())
            waiting, finished = waiting - 1, finished + 1
            reporter.report(_STEP, finished / len(everything))
    return summary


def _case_of(store: Store, candidate: Candidate) -> str:
    place = candidate.place()
    known = store.case_at(place)
    return known if known is not None else store.note_case(candidate.content(), candidate.name, place)


def _portable(folder: str) -> str:
    return folder.replace(os.sep, "/")
