"""The store: every case, where it lies, and what was found of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import PurePath
from types import TracebackType

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session, defer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import parse_record, record_text
from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.imaging.reading import LONGEST_NAME
from BottleneckOODLib.triage.opening import open_engine
from BottleneckOODLib.triage.schema import AssessmentRow, CaseRow, DecisionRow, PlaceRow, WorkRow

_SEVERITY = {"green": 0.0, "amber": 1.0, "grey": 2.0, "red": 3.0}
_ATTEMPTS = 5


@dataclass(frozen=True)
class Place:
    """Where an image lies.

    Attributes:
        path: The file, or the folder of a DICOM series.
        series: UID of the series where the folder holds several, hashed; empty otherwise.
        stamp: Changes when the file or files do, known without reading them.
    """

    path: str
    series: str
    stamp: str


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


class Store:
    """A store, open.

    Args:
        store: A file's path, or a database URL.

    Raises:
        StoreError: It cannot be opened, or is of a newer version.
        DependencyError: The database's driver is not installed.
    """

    def __init__(self, store: str) -> None:
        self.engine = open_engine(store)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; everything that was acknowledged is on disk already."""
        self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: all of it is kept, or nothing.

        Raises:
            StoreError: The store refused it; nothing was changed.
        """
        try:
            with Session(self.engine) as session, session.begin():
                yield session
        except SQLAlchemyError as error:
            raise StoreError(_refused(error)) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A look into the store that hinders nobody.

        Raises:
            StoreError: The store cannot be read.
        """
        try:
            with self.engine.connect().execution_options(reading=True) as connection, Session(connection) as session:
                yield session
        except SQLAlchemyError as error:
            raise StoreError(_refused(error)) from error

    def case_at(self, place: Place) -> str | None:
        """Name of the case that was seen at this place, unchanged since; None where it must be looked at."""
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
            name: Name for a new case; a number is added where it stands for another case already.
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
        with self.writing() as session:
            case = session.scalars(select(CaseRow).where(CaseRow.content == content)).first()
            if case is None:
                case = CaseRow(content=content, case_id=_free_name(session, name), first_seen=_now())
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
            return tuple(Place(row.path, row.series, row.stamp) for row in session.scalars(query))

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

    def add_assessment(self, case_id: str, judge: str, assessment: Assessment, folder: str, seconds: float) -> None:
        """Keep a result; earlier ones stay.

        Args:
            case_id: Name of the case in the store.
            judge: Fingerprint of model and reference.
            assessment: The result.
            folder: Where it was saved.
            seconds: What it took.

        Raises:
            StoreError: There is no such case, or the store refused it.
        """
        self._add_result(
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

    def add_failure(self, case_id: str, judge: str, sentence: str, seconds: float) -> None:
        """Keep that a case could not be read, and why: it is grey in the queue."""
        row = AssessmentRow(
            created=_now(), judge=judge, light="grey", sentence=sentence, folder="", seconds=seconds, record=""
        )
        self._add_result(case_id, row)

    def found_of(self, case_id: str) -> Found | None:
        """The newest result of a case; None where there is none."""
        query = (
            select(AssessmentRow, CaseRow.case_id)
            .join(CaseRow, AssessmentRow.case == CaseRow.number)
            .where(CaseRow.case_id == case_id)
            .order_by(AssessmentRow.number.desc())
            .limit(1)
        )
        with self.reading() as session:
            row = session.execute(query).first()
            return None if row is None else found_in(row[0], row[1])

    def assessment_of(self, case_id: str) -> Assessment | None:
        """The newest assessment of a case, without its mask; None where it could not be read.

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
        with self.reading() as session:
            case_number(session, case_id)
            record = session.scalars(query).first()
        return parse_record(record, f"of {case_id} in the store")[0] if record else None

    def results(self) -> Iterator[Found]:
        """The newest result of every case, in the order in which the cases were first seen."""
        query = (
            select(AssessmentRow, CaseRow.case_id)
            .join(WorkRow, WorkRow.assessment == AssessmentRow.number)
            .join(CaseRow, CaseRow.number == WorkRow.case)
            .order_by(CaseRow.number)
            .options(defer(AssessmentRow.record))
            .execution_options(yield_per=500)
        )
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

    def counts(self) -> dict[str, int]:
        """How many cases, results and decisions there are."""
        tables = {"cases": CaseRow, "assessments": AssessmentRow, "decisions": DecisionRow}
        with self.reading() as session:
            return {
                name: int(session.scalar(select(func.count()).select_from(table)) or 0)
                for name, table in tables.items()
            }

    def _add_result(self, case_id: str, row: AssessmentRow) -> None:
        with self.writing() as session:
            row.case = case_number(session, case_id)
            session.add(row)
            session.flush()
            work = session.get(WorkRow, row.case)
            if work is None:
                work = WorkRow(case=row.case, lot=_lot_of(session, row.case))
                session.add(work)
            work.assessment, work.light, work.unusual = row.number, row.light, unusualness(row.light, row.score)


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


def _free_name(session: Session, name: str) -> str:
    number, free = 1, name
    while session.scalar(select(CaseRow.number).where(CaseRow.case_id == free)) is not None:
        number += 1
        free = f"{name[: LONGEST_NAME - 8]}-{number}"
    return free


def _lot_of(session: Session, number: int) -> float:
    content = str(session.scalar(select(CaseRow.content).where(CaseRow.number == number)))
    # Not the content's own digits: those of a chosen file could be chosen.
    return int(hashlib.sha256(f"lot {content}".encode()).hexdigest()[:12], 16) / 16**12


def _refused(error: SQLAlchemyError) -> str:
    why = str(getattr(error, "orig", None) or error).strip().splitlines() or ["unknown reason"]
    return f"The store could not be used ({why[0]}); nothing was changed: check the disk, the server and your rights."


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
