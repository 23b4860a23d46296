"""What a reader decided on a case, what the reader had been shown of the result, and what may overrule it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.checks import Light
from BottleneckOODLib.assessment.wording import STATE_WORDS
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.version import __version__

Rating = Literal["accept", "minor_edit", "major_edit", "reject", "bad_image", "withdrawn"]
RATING_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "accept": "Accept",
        "minor_edit": "Minor edit",
        "major_edit": "Major edit",
        "reject": "Reject",
        "bad_image": "Bad image",
    }
)
"""The ratings that a reader gives, in the order of their keys; none is the default."""
REASON_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "liver_missing": "Part of the liver is missing",
        "other_tissue": "Other tissue is marked",
        "contour_off": "The contour is off",
        "image_quality": "Noise, motion or metal in the image",
        "other_image": "Not the kind of image that was meant",
        "mask_fits": "The mask fits in every slice",
    }
)
"""The reasons that a reader can pick; a row may hold others, of another version."""
_CONTRADICTIONS = {
    ("accept", "red"),
    ("major_edit", "green"),
    ("reject", "green"),
    ("bad_image", "green"),
}
_NOTE_IN_WORDS = 120


@dataclass(frozen=True)
class Shown:
    """What stood before the reader when the decision was made."""

    light: Light
    percentile: float | None
    sentence: str


@dataclass(frozen=True)
class Versions:
    """What was judged, and what took part.

    Attributes:
        program: Version of the program that took the decision down.
        assessment_created: When the assessment was made, ISO 8601 with time zone; tells it from earlier ones.
        assessment_program: Version of the program that made it.
        model_name: Name of the model that segmented.
        model_version: Its version.
        model_fingerprint: Its fingerprint.
        reference_name: Name of the reference that the case was compared with.
        reference_fingerprint: Its fingerprint.
    """

    program: str
    assessment_created: str
    assessment_program: str
    model_name: str
    model_version: str
    model_fingerprint: str
    reference_name: str
    reference_fingerprint: str


@dataclass(frozen=True)
class Decision:
    """One row of the record; never changed, never removed.

    Attributes:
        decision_id: Tells this row from every other one.
        case_id: Name of the case.
        rating: What was decided, or ``"withdrawn"``.
        reasons: Keys of ``REASON_WORDS``, or others of another version.
        note: The reader's own words.
        reader: Who decided.
        decided: When, ISO 8601 with time zone.
        seconds: From when the case was shown until it was decided.
        blind_first: Whether the case was shown without its light at first.
        shown: What the reader had been shown of the result; None before it was revealed.
        light: The light that the assessment had, whether shown or not.
        versions: What was judged.
        withdraws: ``decision_id`` of the row that this row withdraws; empty for a rating.
    """

    decision_id: str
    case_id: str
    rating: Rating
    reasons: tuple[str, ...]
    note: str
    reader: str
    decided: str
    seconds: float
    blind_first: bool
    shown: Shown | None
    light: Light
    versions: Versions
    withdraws: str = ""


def overrules(rating: str, shown: Shown | None) -> bool:
    """Whether a rating contradicts the light that the reader has seen; what was not seen cannot be overruled.

    >>> overrules("accept", Shown("red", 99.0, "")), overrules("accept", None)
    (True, False)
    """
    return shown is not None and (rating, shown.light) in _CONTRADICTIONS


def missing_reason(rating: str, shown: Shown | None, reasons: Sequence[str], note: str) -> str:
    """A sentence when a rating overrules the light without saying why, else an empty text."""
    if not overrules(rating, shown) or reasons or note.strip() or shown is None:
        return ""
    return f'"{RATING_WORDS[rating]}" overrules the {shown.light} light; choose a reason or write a note.'


def shown_of(assessment: Assessment) -> Shown:
    """What a reader sees of an assessment whose light is not hidden."""
    return Shown(assessment.light, assessment.percentile, assessment.sentence)


def decide(
    assessment: Assessment,
    rating: Rating,
    *,
    reader: str,
    reasons: Sequence[str] = (),
    note: str = "",
    seconds: float = 0.0,
    blind_first: bool = False,
    shown: Shown | None = None,
    decided: datetime | None = None,
) -> Decision:
    """A reader's decision on an assessment, as a row to keep.

    Args:
        assessment: What is decided on.
        rating: One of ``RATING_WORDS``.
        reader: Who decides.
        reasons: Keys of ``REASON_WORDS``.
        note: The reader's own words.
        seconds: From when the case was shown.
        blind_first: Whether the case was shown without its light at first.
        shown: What the reader has been shown, see ``shown_of``; None for nothing.
        decided: When, with a time zone; None is now.

    Raises:
        InputError: No rating or no reader is given, or the light is overruled without a reason.
    """
    if rating not in RATING_WORDS:
        message = f"{rating!r} is no rating; choose one of {', '.join(RATING_WORDS)}."
        raise InputError(message)
    if not reader.strip():
        message = "A decision needs a reader; give your name or initials."
        raise InputError(message)
    if sentence := missing_reason(rating, shown, reasons, note):
        raise InputError(sentence)
    return Decision(
        decision_id=uuid.uuid4().hex,
        case_id=assessment.case_id,
        rating=rating,
        reasons=tuple(reasons),
        note=note,
        reader=reader.strip(),
        decided=_iso(decided),
        seconds=round(max(0.0, seconds), 3),
        blind_first=blind_first,
        shown=shown,
        light=assessment.light,
        versions=Versions(
            program=__version__,
            assessment_created=assessment.created,
            assessment_program=assessment.program_version,
            model_name=assessment.model.name,
            model_version=assessment.model.version,
            model_fingerprint=assessment.model.fingerprint,
            reference_name=assessment.reference.name,
            reference_fingerprint=assessment.reference.fingerprint,
        ),
    )


def withdraw(
    row: Decision, *, reader: str, note: str = "", shown: Shown | None = None, decided: datetime | None = None
) -> Decision:
    """The row that withdraws another; the other stays in the record.

    Raises:
        InputError: The row is itself a withdrawal.
    """
    if row.rating == "withdrawn":
        message = "A withdrawal cannot be withdrawn; decide on the case again."
        raise InputError(message)
    return replace(
        row,
        decision_id=uuid.uuid4().hex,
        rating="withdrawn",
        reasons=(),
        note=note,
        reader=reader.strip(),
        decided=_iso(decided),
        seconds=0.0,
        shown=shown,
        versions=replace(row.versions, program=__version__),
        withdraws=row.decision_id,
    )


def decision_words(row: Decision, *, withdrawn: bool = False) -> str:
    """A row for people, in one line."""
    moment = datetime.fromisoformat(row.decided).strftime("%Y-%m-%d %H:%M")
    rating = RATING_WORDS.get(row.rating, "Withdrawal")
    seen = "before the light was shown" if row.shown is None else f"seeing {row.shown.light}"
    if row.shown is not None:
        seen += f" ({STATE_WORDS[row.shown.light]})"
    note = " ".join(row.note.split())
    note = note if len(note) <= _NOTE_IN_WORDS else note[: _NOTE_IN_WORDS - 3] + "..."
    said = [f"{rating}, by {row.reader}, {moment}, {seen}", *(REASON_WORDS.get(key, key) for key in row.reasons), note]
    return ("Withdrawn: " if withdrawn else "") + "; ".join(part for part in said if part)


def _iso(moment: datetime | None) -> str:
    moment = datetime.now().astimezone() if moment is None else moment
    return (moment if moment.tzinfo else moment.astimezone()).isoformat(timespec="seconds")
