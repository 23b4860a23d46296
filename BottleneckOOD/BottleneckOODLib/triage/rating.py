"""A reader is given a case of the store, rates it, or takes a rating back; how it was given tells what was shown."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from BottleneckOODLib.assessment.decision import Decision, Rating, decide, shown_of, withdraw
from BottleneckOODLib.assessment.reader_names import reader_name, same_reader
from BottleneckOODLib.errors import AssessedAnewError, StoreError
from BottleneckOODLib.triage.decisions import StoredDecisions, assessed_anew
from BottleneckOODLib.triage.seen_lights import last_seen
from BottleneckOODLib.triage.store import Store, case_number
from BottleneckOODLib.triage.worklist import Waiting, Wish, Worklist


def next_case(
    store: Store, reader: str, wish: Wish | None = None, *, blind: bool = False, passing_over: Collection[str] = ()
) -> Waiting | None:
    """The next case, as ``Worklist.claim_next``; a light that the reader has seen after a rating is not hidden again.

    Raises:
        StoreError: No reader is named, or the store refused it.
        InputError: A decision is of a newer version.
    """
    work = Worklist(store)
    waiting = work.claim_next(reader, wish, blind=blind, passing_over=passing_over)
    if waiting is None or not waiting.claimed_blind:
        return waiting
    rows = StoredDecisions(store).decisions_of(waiting.case_id).decisions
    of_it = (row for row in rows if row.versions.assessment_created == waiting.created)
    if not any(same_reader(row.reader, waiting.claimed_by) for row in of_it):
        return waiting
    work.reveal(waiting.case_id, reader, waiting.assessment)
    return replace(waiting, claimed_blind=False)


def rate(
    store: Store,
    case_id: str,
    rating: Rating,
    *,
    reader: str,
    reasons: Sequence[str] = (),
    note: str = "",
    given: Waiting | None = None,
) -> Decision:
    """Keep a rating of what was shown, and end the reader's claim; when this returns, it is on disk.

    Args:
        store: The store, open.
        case_id: The case.
        rating: One of ``RATING_WORDS``.
        reader: Who rates.
        reasons: Keys of ``REASON_WORDS``.
        note: The reader's own words.
        given: The case as it stands before the reader; None where only the store tells: by the reader's claim, or else
            by the light that the reader was shown last. A case that was never shown is rated as it stands now.

    Raises:
        StoreError: There is no such case, it has no mask, somebody else reads it, it was assessed anew since it was
            given, or the store refused it.
        InputError: A light that was seen is overruled without a reason.
    """
    reader = reader_name(reader)
    waiting = Worklist(store).at(case_id)
    # By its number: a newer one may come while it is read.
    assessment = store.assessment_of(case_id, None if waiting is None else waiting.assessment)
    if assessment is None or waiting is None:
        message = f"The case {case_id} has no assessment, so there is no mask to rate."
        raise StoreError(message)
    mine = same_reader(waiting.claimed_by, reader)
    if is_held(waiting) and not mine:
        message = f"The case {case_id} is being read by {waiting.claimed_by}; take another one."
        raise StoreError(message)
    with store.reading() as session:
        seen = last_seen(session, case_number(session, case_id), reader)
    if given is not None:
        before_the_reader: int | None = given.assessment
    elif mine:
        before_the_reader = waiting.claimed_assessment
    else:
        before_the_reader = seen
    if before_the_reader not in (None, waiting.assessment):
        raise AssessedAnewError(assessed_anew(case_id))
    # A claim that ran out, and that another reader's ended, does not mean that the light was shown; a look since does.
    claim = waiting if mine else given
    hidden = claim is not None and claim.claimed_blind and seen != waiting.assessment
    row = decide(
        assessment,
        rating,
        reader=reader,
        reasons=reasons,
        note=note,
        seconds=0.0 if claim is None else max(0.0, time.time() - claim.claimed_at),
        blind_first=hidden,
        shown=None if hidden else shown_of(assessment),
    )
    StoredDecisions(store).add(row, waiting.assessment)
    return row


def undo(store: Store, case_id: str, *, reader: str, note: str = "") -> tuple[Decision, Decision | None]:
    """Withdraw a reader's last standing rating of a case.

    Returns:
        The rating that was withdrawn, and the reader's rating that stands now, if any.

    Raises:
        StoreError: There is no such case, no such rating, or the store refused it.
    """
    reader, decisions = reader_name(reader), StoredDecisions(store)
    mine = [row for row in decisions.decisions_of(case_id).standing if same_reader(row.reader, reader)]
    if not mine:
        message = f"There is no rating of {case_id} by {reader} to withdraw."
        raise StoreError(message)
    assessment = store.assessment_of(case_id)
    shown = None if assessment is None else shown_of(assessment)
    decisions.add(withdraw(mine[-1], reader=reader, note=note, shown=shown))
    return mine[-1], mine[-2] if len(mine) > 1 else None


def is_held(waiting: Waiting) -> bool:
    """Whether somebody reads the case now."""
    return waiting.is_held(time.time())
