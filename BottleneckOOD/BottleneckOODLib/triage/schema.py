"""The tables of a store.

``cases``, ``places``, ``assessments``, ``decisions`` and ``seen`` are a record: rows are added, never changed or
removed. The ``worklist`` is derived from them, one row a case, so that the queue is read from an index and a claim is
one update; it can be made anew at any time.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NAME, _MOMENT, _HASH = 255, 40, 64
SALT = "salt"
"""Setting: 32 random bytes in hexadecimal digits, drawn when the store is made."""


class Base(DeclarativeBase):
    """What every table shares."""


class SettingRow(Base):
    """Something that is the whole store's.

    Attributes:
        name: What.
        value: Its value.
    """

    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(String(_NAME))


class CaseRow(Base):
    """One case, by what its image holds.

    Attributes:
        number: Key inside the store.
        content: SHA-256 of the image's bytes: two copies are one case, and a moved file is the case that it was.
        case_id: Its name, unique in the store; never changes.
        first_seen: When, ISO 8601 with time zone.
    """

    __tablename__ = "cases"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[str] = mapped_column(String(_HASH), unique=True)
    case_id: Mapped[str] = mapped_column(String(_NAME), unique=True)
    first_seen: Mapped[str] = mapped_column(String(_MOMENT))


class PlaceRow(Base):
    """A place at which a case was seen.

    Attributes:
        number: Key inside the store.
        case: The case.
        path: The image file, or the folder of the DICOM series.
        series: UID of the series where the folder holds several, hashed with the store's salt; empty for a file.
        stamp: Size and time of the file or files, to tell whether they changed without reading them.
        seen: When, ISO 8601 with time zone.
    """

    __tablename__ = "places"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    case: Mapped[int] = mapped_column(ForeignKey("cases.number"), index=True)
    path: Mapped[str] = mapped_column(Text)
    series: Mapped[str] = mapped_column(String(_HASH), default="")
    stamp: Mapped[str] = mapped_column(String(_HASH))
    seen: Mapped[str] = mapped_column(String(_MOMENT))
    __table_args__ = (Index("places_by_path", "path", "series"),)


class AssessmentRow(Base):
    """One assessment of a case, or why there is none.

    Attributes:
        number: Key inside the store; later ones are newer.
        case: The case.
        created: When, ISO 8601 with time zone.
        judge: Fingerprint of model and reference, which the case was judged by.
        light: ``green``, ``amber``, ``red`` or ``grey``.
        p_value: None when grey.
        score: None when grey.
        percentile: None when grey.
        sentence: Beside the light; for a case that could not be read, why.
        folder: Where the assessment was saved; empty where there was nothing to save.
        seconds: What it took.
        record: The text of ``assessment.json``; empty for a case that could not be read.
    """

    __tablename__ = "assessments"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    case: Mapped[int] = mapped_column(ForeignKey("cases.number"), index=True)
    created: Mapped[str] = mapped_column(String(_MOMENT))
    judge: Mapped[str] = mapped_column(String(_HASH))
    light: Mapped[str] = mapped_column(String(8))
    p_value: Mapped[float | None] = mapped_column(Float)
    score: Mapped[float | None] = mapped_column(Float)
    percentile: Mapped[float | None] = mapped_column(Float)
    sentence: Mapped[str] = mapped_column(Text)
    folder: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(Float)
    record: Mapped[str] = mapped_column(Text)
    __table_args__ = (Index("assessments_by_judge", "judge", "case"),)


class DecisionRow(Base):
    """One decision, as ``assessment.decision_record`` writes it.

    Attributes:
        number: Key inside the store, in the order in which they came.
        decision_id: The decision's own; a second row of the same one is refused.
        case: The case.
        reader: Who decided.
        rating: What was decided, or ``withdrawn``.
        decided: When, ISO 8601 with time zone.
        line: The whole decision as one line of JSON.
    """

    __tablename__ = "decisions"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    decision_id: Mapped[str] = mapped_column(String(_HASH), unique=True)
    case: Mapped[int] = mapped_column(ForeignKey("cases.number"), index=True)
    reader: Mapped[str] = mapped_column(String(_NAME), index=True)
    rating: Mapped[str] = mapped_column(String(16))
    decided: Mapped[str] = mapped_column(String(_MOMENT))
    line: Mapped[str] = mapped_column(Text)


class SeenRow(Base):
    """That a reader was shown the light of an assessment other than by rating it; told once for each.

    Attributes:
        assessment: The assessment.
        reader: Who saw it, as ``reader_names.reader_key``.
        seen: When first, ISO 8601 with time zone.
    """

    __tablename__ = "seen"
    assessment: Mapped[int] = mapped_column(ForeignKey("assessments.number"), primary_key=True)
    reader: Mapped[str] = mapped_column(Text, primary_key=True)
    seen: Mapped[str] = mapped_column(String(_MOMENT))


class WorkRow(Base):
    """Where a case stands in the queue; derived from the other tables but for the claim.

    Attributes:
        case: The case.
        assessment: Its newest assessment.
        light: That assessment's light.
        unusual: What the queue is sorted by, greatest first.
        lot: From 0 to 1, drawn from the image's content: which cases a sample holds.
        readings: How many readers have a standing rating on it.
        rating: The last standing rating; empty without one.
        readers: Who has a standing rating on it, each as ``reader_names.reader_key`` and between line breaks.
        claimed_by: Who reads it now, as the name was typed; empty when nobody does.
        claimed_key: The same, as ``reader_names.reader_key``: what claims are compared by.
        claimed_assessment: The assessment that was before the reader last; None when nobody reads the case.
        claimed_at: Since when, seconds since 1970.
        claimed_until: Until when the claim holds.
        claimed_blind: Whether the reader was given the case without its light.
    """

    __tablename__ = "worklist"
    case: Mapped[int] = mapped_column(ForeignKey("cases.number"), primary_key=True)
    assessment: Mapped[int] = mapped_column(ForeignKey("assessments.number"))
    light: Mapped[str] = mapped_column(String(8))
    unusual: Mapped[float] = mapped_column(Float)
    lot: Mapped[float] = mapped_column(Float)
    readings: Mapped[int] = mapped_column(Integer, default=0)
    rating: Mapped[str] = mapped_column(String(16), default="")
    readers: Mapped[str] = mapped_column(Text, default="")
    claimed_by: Mapped[str] = mapped_column(String(_NAME), default="")
    claimed_key: Mapped[str] = mapped_column(Text, default="")
    claimed_assessment: Mapped[int | None] = mapped_column(ForeignKey("assessments.number"))
    claimed_at: Mapped[float] = mapped_column(Float, default=0.0)
    claimed_until: Mapped[float] = mapped_column(Float, default=0.0)
    claimed_blind: Mapped[bool] = mapped_column(Boolean, default=False)
    __table_args__ = (
        Index("worklist_by_readings", "readings", "unusual", "case"),
        Index("worklist_by_light", "light", "unusual", "case"),
        Index("worklist_by_unusual", "unusual", "case"),
        Index("worklist_by_claim", "claimed_key", "claimed_until"),
    )
