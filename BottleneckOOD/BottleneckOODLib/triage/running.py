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
from BottleneckOODLib.temporaries import clear_abandoned
from BottleneckOODLib.triage.finding import Candidate, PassedOver
from BottleneckOODLib.triage.judging import Done, Job, Judge, fingerprint_of, for_workers
from BottleneckOODLib.triage.place import Place, short_name
from BottleneckOODLib.triage.scheduling import Workers, workers_for
from BottleneckOODLib.triage.store import Store

_STEP = "Assessing"
_SHORT = 12
_LOST = "The program was ended several times while it worked on this case (out of memory?)"
_LOST_ONCE = f"{_LOST}; it is tried once more when triage is run again."
_TRIED_AGAIN = "It is tried once more when triage is run again."
_LOST_TWICE = f"{_LOST}, and again when it was tried once more; crop it."
# Names no file: one that went away cannot be looked up among the names that are not to be told.
_NOT_READ = "a file of it cannot be read; check that it is there and its permissions"
_CHANGED = "it changed or went away while it was assessed, so nothing was kept; run triage again"


@dataclass
class Summary:
    """What a batch came to.

    Attributes:
        assessed: Cases that were assessed now.
        known: Cases that had a result by this model and reference already.
        copies: Further copies of a case of this batch.
        unreadable: Cases that could not be read, which are grey in the queue, each with its reason.
        not_saved: Cases whose folder holds more than a result, such as an edited mask, and was kept; each with its
            reason, for the next batch to try again.
        passed_over: What is no volume to assess or changed meanwhile, each with its reason.
    """

    assessed: int = 0
    known: int = 0
    copies: int = 0
    unreadable: list[str] = field(default_factory=list)
    not_saved: list[str] = field(default_factory=list)
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
        store: Where results are kept; of this batch's processes this one alone writes to it.
        found: The volumes.
        output: Where each case gets a folder, below one for the store, the model and the reference.
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
    handed = for_workers(judge)
    # Of two stores with one output neither may replace what the other refers to.
    place = output.resolve() / f"{fingerprint[:_SHORT]}-{short_name(store.salt)}"
    summary, everything = Summary(), list(found)
    reporter = ProgressReporter(progress, cancel, {_STEP: 1.0})
    waiting = 0
    given: dict[str, tuple[Candidate, Place]] = {}
    finished = 0
    clear_abandoned(place)

    def keep(done: Done) -> None:
        item, where = given[done.case_id]
        if _is_as_it_was(item, where, read=bool(done.record)):
            _keep(done, item, store, fingerprint, summary)
        else:
            summary.passed_over.append(PassedOver(item.path, _CHANGED, named=bool(item.name)))

    with workers or workers_for(n_workers, scheduler, cancel) as team:
        for item in everything:
            reporter.report(_STEP, finished / len(everything))
            if isinstance(item, PassedOver):
                summary.passed_over.append(item)
                finished += 1
                continue
            try:
                case_id, where = _case_of(store, item)
            except InputError as error:
                reason = str(error) if item.name else _NOT_READ
                summary.passed_over.append(PassedOver(item.path, reason, named=bool(item.name)))
                finished += 1
                continue
            if case_id in given or store.is_judged(case_id, fingerprint):
                summary.copies += case_id in given
                summary.known += case_id not in given
                finished += 1
                continue
            given[case_id] = item, where
            team.hand_over(
                Job(
                    case_id,
                    str(item.path.absolute()),
                    item.series,
                    str(place),
                    handed,
                    fingerprint,
                    bool(item.name),
                    tuple(str(folder.absolute()) for folder in item.folders),
                )
            )
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


def _keep(done: Done, item: Candidate, store: Store, fingerprint: str, summary: Summary) -> None:
    if done.record:
        assessment, _ = parse_record(done.record, f"of {done.case_id}")
        kept = store.add_assessment(done.case_id, fingerprint, assessment, _portable(done.folder), done.seconds)
        # Another program may have been faster.
        summary.assessed += kept
        summary.known += not kept
    elif done.again:
        summary.not_saved.append(f"{done.case_id}: {done.sentence}")
    elif done.lost:
        once = _lost_once(fingerprint)
        twice = store.is_judged(done.case_id, once)
        judge, sentence = (fingerprint, _LOST_TWICE) if twice else (once, _LOST_ONCE)
        if done.sentence:
            sentence = done.sentence if twice else f"{done.sentence} {_TRIED_AGAIN}"
        if store.add_failure(done.case_id, judge, sentence, done.seconds):
            summary.unreadable.append(f"{done.case_id}: {sentence}")
    elif not done.is_scan:
        reason = done.sentence if item.name else done.sentence.replace(done.case_id, "(its name)")
        summary.passed_over.append(PassedOver(item.path, reason, named=bool(item.name)))
    elif store.add_failure(done.case_id, fingerprint, done.sentence, done.seconds):
        summary.unreadable.append(f"{done.case_id}: {done.sentence}")


def _lost_once(fingerprint: str) -> str:
    """Who is said to have judged a case that ended its workers for the first time: nobody, so it is tried again."""
    return f"lost {fingerprint}"[: len(fingerprint)]


def _case_of(store: Store, candidate: Candidate) -> tuple[str, Place]:
    place = candidate.place()
    known = store.case_at(place)
    return known if known is not None else store.note_case(candidate.content(), candidate.name, place), place


def _is_as_it_was(candidate: Candidate, place: Place, *, read: bool) -> bool:
    """Whether a file is the one that the case was known by: a drive that went away must not be the case's fault."""
    try:
        if not read:
            candidate.content()
        return candidate.place() == place
    except InputError:
        return False


def _portable(folder: str) -> str:
    return folder.replace(os.sep, "/")
