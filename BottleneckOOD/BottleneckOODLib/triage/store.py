"""The store: every case, where it lies, and what was found of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import PurePath

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import parse_record, record_text
from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.imaging.reading import LONGEST_NAME
from BottleneckOODLib.triage.open_database import OpenDatabase
from BottleneckOODLib.triage.place import Place, hashed_name
from BottleneckOODLib.triage.schema import SALT, AssessmentRow, CaseRow, DecisionRow, PlaceRow, SettingRow, WorkRow

_SEVERITY = {"green": 0.0, "amber": 1.0, "grey": 2.0, "red": 3.0}
_ATTEMPTS = 5


@dataclass(frozen=True)
class Found:
    """The newest result of a case.

    Attributes:
        case_id: Name of the case.
        light: Its light.
        sentence: The sentence beside it.
        p_value: None when grey.
        score: None when grey.
        percentile: None when grey.
        created: When, ISO 8601 with time zone.
        folder: Where the assessment lies; empty where there was nothing to save.
        seconds: What it took.
    """

    case_id: str
    light: str
    sentence: str
    p_value: float | None
    score: float | None
    percentile: float | None
    created: str
    folder: str
    seconds: float


class Store(OpenDatabase):
    """A store, open: its cases, where they lie, and what was found of them."""

    @cached_property
    def salt(self) -> str:
        """Drawn when the store was made: what is hashed here means nothing elsewhere."""
        with self.reading() as session:
            return str(session.scalar(select(SettingRow.value).where(SettingRow.name == SALT)) or "")

    def case_at(self, place: Place) -> str | None:
        """Name of the case that was seen at this place, unchanged since; None where it must be looked at."""
        place = place.salted(self.salt)
        query = (
            select(CaseRow.case_id, PlaceRow.stamp)
            .join(PlaceRow, PlaceRow.case == CaseRow.number)
            .where(PlaceRow.path == place.path, PlaceRow.series == place.series)
            .order_by(PlaceRow.number.desc())
            .limit(1)
        )
        with self.reading() as session:
            found = session.execute(query).first()
        return str(found.case_id) if found is not None and found.stamp == place.stamp else None

    def note_case(self, content: str, name: str, place: Place) -> str:
        """Take down a case and where it lies; one that is known already keeps its name.

        Args:
            content: SHA-256 of the image's bytes.
            name: Name for a new case; a number is added where it stands for another case already. Empty names it by a
                hash of its content, salted.
            place: Where it was found.

        Returns:
            Its name in the store.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._note_case(content, name, place)
            except StoreError as error:
                # Another program took the case down, or the name, at the same moment.
                if not isinstance(error.__cause__, IntegrityError):
                    raise
        message = "The store is busy with other programs; try again."
        raise StoreError(message)

    def _note_case(self, content: str, name: str, place: Place) -> str:
        place = place.salted(self.salt)
        with self.writing() as session:
            case = session.scalars(select(CaseRow).where(CaseRow.content == content)).first()
            if case is None:
                case_id = _free_name(session, name or hashed_name(self.salt, content), any_case=bool(name))
                case = CaseRow(content=content, case_id=case_id, first_seen=_now())
                session.add(case)
                session.flush()
            last = session.scalars(
                select(PlaceRow)
                .where(PlaceRow.path == place.path, PlaceRow.series == place.series)
                .order_by(PlaceRow.number.desc())
                .limit(1)
            ).first()
            if last is None or (last.case, last.stamp) != (case.number, place.stamp):
                row = PlaceRow(case=case.number, path=place.path, series=place.series, stamp=place.stamp, seen=_now())
                session.add(row)
            return case.case_id

    def places_of(self, case_id: str) -> tuple[Place, ...]:
        """Everywhere a case was seen, the latest first."""
        query = (
            select(PlaceRow)
            .join(CaseRow, PlaceRow.case == CaseRow.number)
            .where(CaseRow.case_id == case_id)
            .order_by(PlaceRow.number.desc())
        )
        with self.reading() as session:
            rows = [(row.path, row.series, row.stamp) for row in session.scalars(query)]
        return tuple(Place(*row, self.salt if row[1] else "") for row in rows)

    def content_of(self, case_id: str) -> str:
        """SHA-256 of the bytes of a case's image, see ``finding.Candidate.content``."""
        with self.reading() as session:
            return str(session.scalar(select(CaseRow.content).where(CaseRow.case_id == case_id)))

    def is_judged(self, case_id: str, judge: str) -> bool:
        """Whether a case has a result by this model and reference."""
        query = (
            select(AssessmentRow.number)
            .join(CaseRow, AssessmentRow.case == CaseRow.number)
            .where(CaseRow.case_id == case_id, AssessmentRow.judge == judge)
            .limit(1)
        )
        with self.reading() as session:
            return session.execute(query).first() is not None

    def add_assessment(self, case_id: str, judge: str, assessment: Assessment, folder: str, seconds: float) -> bool:
        """Keep a result; earlier ones, by other models or references, stay.

        Args:
            case_id: Name of the case in the store.
            judge: Fingerprint of model and reference.
            assessment: The result.
            folder: Where it was saved.
            seconds: What it took.

        Returns:
            Whether it was kept: a case has one result by a model and reference, whatever runs beside this.

        Raises:
            StoreError: There is no such case, or the store refused it.
        """
        return self._add_result(
            case_id,
            AssessmentRow(
                created=assessment.created,
                judge=judge,
                light=assessment.light,
                p_value=assessment.p_value,
                score=assessment.score,
                percentile=assessment.percentile,
                sentence=assessment.sentence,
                folder=folder,
                seconds=seconds,
                record=record_text(assessment),
            ),
        )

    def add_failure(self, case_id: str, judge: str, sentence: str, seconds: float) -> bool:
        """Keep that a case could not be read, and why: it is grey in the queue; gives whether it was kept."""
        row = AssessmentRow(
            created=_now(), judge=judge, light="grey", sentence=sentence, folder="", seconds=seconds, record=""
        )
        return self._add_result(case_id, row)

    def assessment_of(self, case_id: str, number: int | None = None) -> Assessment | None:
        """An assessment of a case, without its mask; None where it could not be read.

        Args:
            case_id: The case.
            number: Which, as ``Waiting.assessment``; None for the newest.

        Raises:
            StoreError: There is no such case.
            InputError: The record is of a newer version.
        """
        query = (
            select(AssessmentRow.record)
            .join(CaseRow, AssessmentRow.case == CaseRow.number)
            .where(CaseRow.case_id == case_id)
            .order_by(AssessmentRow.number.desc())
            .limit(1)
        )
        if number is not None:
            query = query.where(AssessmentRow.number == number)
        with self.reading() as session:
            case_number(session, case_id)
            record = session.scalars(query).first()
        return parse_record(record, f"of {case_id} in the store")[0] if record else None

    def results(self, judge: str | None = None) -> Iterator[Found]:
        """The newest result of every case, in the order in which the cases were first seen.

        Args:
            judge: Fingerprint of a model and a reference: results by others are left out; None leaves out none.
        """
        query = (
            select(AssessmentRow, CaseRow.case_id)
            .join(WorkRow, WorkRow.assessment == AssessmentRow.number)
            .join(CaseRow, CaseRow.number == WorkRow.case)
            .order_by(CaseRow.number)
            .options(defer(AssessmentRow.record))
            .execution_options(yield_per=500)
        )
        if judge is not None:
            query = query.where(AssessmentRow.judge == judge)
        with self.reading() as session:
            for row, case_id in session.execute(query):
                yield found_in(row, case_id)

    def p_values(self) -> list[float]:
        """P-value of the newest result of every case that has one."""
        query = select(AssessmentRow.p_value).join(WorkRow, WorkRow.assessment == AssessmentRow.number)
        with self.reading() as session:
            return [p for p in session.scalars(query) if p is not None]

    def folders(self) -> dict[str, str]:
        """Folder in which each case was seen last, by the case's name."""
        query = select(CaseRow.case_id, PlaceRow.path).join(PlaceRow, PlaceRow.case == CaseRow.number)
        with self.reading() as session:
            found = session.execute(query.order_by(PlaceRow.number)).all()
        return {case_id: str(PurePath(path).parent) for case_id, path in found}

    def result_folders(self, case_id: str) -> tuple[str, ...]:
        """Folders of every result of a case, the oldest first; without those that saved nothing."""
        query = (
            select(AssessmentRow.folder)
            .join(CaseRow, AssessmentRow.case == CaseRow.number)
            .where(CaseRow.case_id == case_id, AssessmentRow.folder != "")
            .order_by(AssessmentRow.number)
        )
        with self.reading() as session:
            return tuple(dict.fromkeys(session.scalars(query)))

    def counts(self) -> dict[str, int]:
        """How many cases, results and decisions there are."""
        tables = {"cases": CaseRow, "assessments": AssessmentRow, "decisions": DecisionRow}
        with self.reading() as session:
            return {
                name: int(session.scalar(select(func.count()).select_from(table)) or 0)
                for name, table in tables.items()
            }

    def _add_result(self, case_id: str, row: AssessmentRow) -> bool:
        with self.writing() as session:
            row.case = case_number(session, case_id)
            # Two programs that assessed the same case are heard one after the other; whoever decides on it meanwhile
            # refers to this row and holds that of the worklist, so this lock leaves references alone.
            session.execute(select(CaseRow.number).where(CaseRow.number == row.case).with_for_update(key_share=True))
            known = select(AssessmentRow.number).where(
                AssessmentRow.case == row.case, AssessmentRow.judge == row.judge
            )
            if session.scalars(known.limit(1)).first() is not None:
                return False
            session.add(row)
            session.flush()
            work = session.get(WorkRow, row.case)
            if work is None:
                work = WorkRow(case=row.case, lot=_lot_of(session, row.case))
                session.add(work)
            work.assessment, work.light, work.unusual = row.number, row.light, unusualness(row.light, row.score)
            return True


def unusualness(light: str, score: float | None) -> float:
    """What the queue is sorted by: red, then grey, amber, green; within a light by the score.

    >>> unusualness("red", 1.0) > unusualness("grey", None) > unusualness("amber", 9.0) > unusualness("amber", 1.0)
    True
    """
    rank = 0.0 if score is None else max(score, 0.0)
    return _SEVERITY.get(light, _SEVERITY["grey"]) + rank / (1.0 + rank)


def case_number(session: Session, case_id: str) -> int:
    """Key of a case inside the store.

    Raises:
        StoreError: There is no such case.
    """
    number = session.scalar(select(CaseRow.number).where(CaseRow.case_id == case_id))
    if number is None:
        message = f"The store holds no case {case_id}; look at the list with: bottleneck-ood triage status."
        raise StoreError(message)
    return int(number)


def found_in(row: AssessmentRow, case_id: str) -> Found:
    """A row as a result."""
    return Found(
        case_id,
        row.light,
        row.sentence,
        row.p_value,
        row.score,
        row.percentile,
        row.created,
        row.folder,
        row.seconds,
    )


def _free_name(session: Session, name: str, *, any_case: bool) -> str:
    """A name that no case has; on Windows and macOS the results of ``CT1`` and ``ct1`` would be one folder."""
    number, free = 1, name
    while session.scalar(select(CaseRow.number).where(_is_called(free, any_case=any_case))) is not None:
        number += 1
        free = f"{name[: LONGEST_NAME - 8]}-{number}"
    return free


def _is_called(name: str, *, any_case: bool) -> ColumnElement[bool]:
    same = CaseRow.case_id == name
    return or_(same, func.lower(CaseRow.case_id) == name.lower()) if any_case else same


def _lot_of(session: Session, number: int) -> float:
    content = str(session.scalar(select(CaseRow.content).where(CaseRow.number == number)))
    # Not the content's own digits: those of a chosen file could be chosen.
    return int(hashlib.sha256(f"lot {content}".encode()).hexdigest()[:12], 16) / 16**12


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
