"""What a report tells of a store, as plain data; read from the store alone, but for the reference's own scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from BottleneckOODLib.assessment.assessment import MapPoint, ReferenceFacts
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.record import RecordHead, parse_head, parse_record
from BottleneckOODLib.catalogue import find_reference, list_references
from BottleneckOODLib.errors import InputError, ReferenceSetError
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.reference_folder import Reference, read_document
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.schema import AssessmentRow, CaseRow, PlaceRow, WorkRow
from BottleneckOODLib.triage.store import Found, Store, found_in

FloatArray = npt.NDArray[np.float64]

MOST_LISTED = 2000
"""So many cases are listed, the most unusual ones; counts and charts are of all."""
_AT_ONCE = 500


@dataclass(frozen=True)
class ListedCase:
    """A case of the list.

    Attributes:
        found: Its newest result.
        arrival: Its place in the order in which the cases were first seen, from 0.
        placement: Where it lies on the report's map; None where it has no place on that one.
        decisions: What readers decided on it.
    """

    found: Found
    arrival: int
    placement: Placement | None
    decisions: DecisionLog


@dataclass(frozen=True)
class JudgedBy:
    """Who judged, by fingerprint and by name, and how many cases' newest result it is.

    ``head`` is None where no case could be read.
    """

    judge: str
    head: RecordHead | None
    n_cases: int


@dataclass(frozen=True)
class Contents:
    """Everything that a report tells.

    Attributes:
        store: What the store is called, without its path, server or user.
        written: When the report was made, ISO 8601 with time zone.
        n_known: Cases in the store, also those without a result.
        results: The newest result of every case, in the order in which the cases were first seen.
        counts: How many cases of each light have each last rating (empty for none).
        listed: The most unusual cases, in the order of the worklist.
        judges: Which models and references judged, the most frequent first.
        map_reference: The reference whose map is shown; None where no case has a place.
        training: Its cases on the map.
        compared: The results by the reference of that map (or by the most frequent one) that have a p-value, in the
            same order.
        calibration: Its own scores, shape (n,); None where the reference is not at hand.
        n_damaged: Rows of decisions that cannot be read.
    """

    store: str
    written: str
    n_known: int
    results: tuple[Found, ...]
    counts: Mapping[tuple[str, str], int]
    listed: tuple[ListedCase, ...]
    judges: tuple[JudgedBy, ...]
    map_reference: ReferenceFacts | None
    training: tuple[MapPoint, ...]
    compared: tuple[Found, ...]
    calibration: FloatArray | None
    n_damaged: int

    @property
    def judged(self) -> list[Found]:
        """The results that have a p-value, in the order in which the cases were first seen."""
        return [found for found in self.results if _has_score(found)]


def gather(store: Store, *, reference: str | None = None, most: int = MOST_LISTED) -> Contents:
    """Read what a report tells.

    Args:
        store: The store, open.
        reference: Name or folder of the reference whose own scores the cases' are compared with; None looks for the
            one that judged them among those that have a name.
        most: How many cases are listed.

    Raises:
        StoreError: The store cannot be read.
        InputError: A record is damaged, or the chosen reference did not judge these cases.
        ReferenceSetError: The chosen reference is not there, or damaged.
    """
    numbers: list[int] = []
    by_number: dict[int, Found] = {}
    judge_of: dict[int, str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    with store.reading() as session:
        query = (
            select(AssessmentRow, CaseRow.case_id, CaseRow.number, WorkRow.rating)
            .join(WorkRow, WorkRow.assessment == AssessmentRow.number)
            .join(CaseRow, CaseRow.number == WorkRow.case)
            .order_by(WorkRow.unusual.desc(), WorkRow.case)
            .options(defer(AssessmentRow.record))
            .execution_options(yield_per=500)
        )
        for row, case_id, number, rating in session.execute(query):
            numbers.append(number)
            by_number[number], judge_of[number] = found_in(row, case_id), row.judge
            counts[row.light, rating] += 1
        heads = _heads(session, most)
        places = _places(session, [number for number in numbers[:most] if number not in heads])
        judges = _judges(session)
        shown = _map_reference(heads.values())
        # In the same look: a batch that runs meanwhile may have the case judged by another reference.
        training = _training(session, next((n for n, head in heads.items() if head.reference == shown), None))
        n_known = int(session.scalar(select(func.count()).select_from(CaseRow)) or 0)
    logs = dict(StoredDecisions(store).all())
    in_order = sorted(numbers)
    arrivals = {number: place for place, number in enumerate(in_order)}
    listed = []
    for number in islice(numbers, most):
        found, head = _without_paths(by_number[number], places.get(number, ())), heads.get(number)
        placement = head.placement if head is not None and head.reference == shown else None
        listed.append(ListedCase(found, arrivals[number], placement, logs.get(found.case_id, DecisionLog())))
    facts = shown or next((judge.head.reference for judge in judges if judge.head is not None), None)
    same = {one.judge for one in judges if one.head is not None and one.head.reference == facts}
    return Contents(
        store=_name_of(store),
        written=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        n_known=n_known,
        results=tuple(by_number[number] for number in in_order),
        counts=dict(counts),
        listed=tuple(listed),
        judges=judges,
        map_reference=shown,
        training=training,
        compared=tuple(by_number[n] for n in in_order if judge_of[n] in same and _has_score(by_number[n])),
        calibration=_calibration(facts, reference),
        n_damaged=sum(len(log.damage) for log in logs.values()),
    )


def _has_score(found: Found) -> bool:
    return found.p_value is not None and found.score is not None


def _heads(session: Session, most: int) -> dict[int, RecordHead]:
    """What the records of the most unusual cases tell of who judged, by the case's number."""
    query = (
        select(WorkRow.case, CaseRow.case_id, AssessmentRow.record)
        .join(AssessmentRow, AssessmentRow.number == WorkRow.assessment)
        .join(CaseRow, CaseRow.number == WorkRow.case)
        .order_by(WorkRow.unusual.desc(), WorkRow.case)
        .limit(most)
        .execution_options(yield_per=100)
    )
    return {
        case: parse_head(record, f"of {case_id} in the store")
        for case, case_id, record in session.execute(query)
        if record
    }


def _places(session: Session, cases: Sequence[int]) -> dict[int, list[str]]:
    places: dict[int, list[str]] = {}
    query = select(PlaceRow.case, PlaceRow.path)
    for start in range(0, len(cases), _AT_ONCE):
        for case, path in session.execute(query.where(PlaceRow.case.in_(cases[start : start + _AT_ONCE]))):
            places.setdefault(case, []).append(path)
    return places


def _without_paths(found: Found, places: Iterable[str]) -> Found:
    """Why a case could not be read may name its file with all its folders, whose names may be a patient's."""
    sentence = found.sentence
    for place in places:
        for path in {place, repr(place)[1:-1]}:
            sentence = sentence.replace(path, PurePath(path).name)
    return replace(found, sentence=sentence)


def _judges(session: Session) -> tuple[JudgedBy, ...]:
    newest = select(AssessmentRow.judge, func.count()).join(WorkRow, WorkRow.assessment == AssessmentRow.number)
    judges = []
    for judge, n_cases in session.execute(newest.group_by(AssessmentRow.judge)).all():
        with_record = select(AssessmentRow.record).where(AssessmentRow.judge == judge, AssessmentRow.record != "")
        record = session.scalar(with_record.order_by(AssessmentRow.number.desc()).limit(1))
        judges.append(JudgedBy(judge, parse_head(record, "in the store") if record else None, int(n_cases)))
    return tuple(sorted(judges, key=lambda one: -one.n_cases))


def _map_reference(heads: Iterable[RecordHead]) -> ReferenceFacts | None:
    """The reference on whose map most cases have a place."""
    counted = Counter(head.reference for head in heads if head.placement is not None)
    return counted.most_common(1)[0][0] if counted else None


def _training(session: Session, number: int | None) -> tuple[MapPoint, ...]:
    if number is None:
        return ()
    query = (
        select(AssessmentRow.record)
        .join(WorkRow, WorkRow.assessment == AssessmentRow.number)
        .where(WorkRow.case == number)
    )
    return parse_record(str(session.scalar(query)), "in the store")[0].map_points


def _calibration(judged_by: ReferenceFacts | None, chosen: str | None) -> FloatArray | None:
    """The reference's own combined scores, where the reference that judged is at hand."""
    if chosen is None:
        for folder in list_references().values() if judged_by is not None else ():
            # A damaged one among the user's own is no reason to write no report.
            with suppress(ReferenceSetError):
                if judged_by is not None and read_document(folder).get("fingerprint") == judged_by.fingerprint:
                    return Reference.load(folder).combined_calibration
        return None
    reference = Reference.load(find_reference(chosen))
    if judged_by is not None and reference.fingerprint != judged_by.fingerprint:
        message = f'The reference "{reference.name}" did not judge the cases of this store; leave --reference out.'
        raise InputError(message)
    return reference.combined_calibration


def _name_of(store: Store) -> str:
    url = store.engine.url
    name = PurePath(str(url.database or "")).name
    return name if url.get_backend_name() == "sqlite" else f"{name} ({url.get_backend_name()})"
