"""Everything that the review's part of the panel shows at one moment, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from BottleneckOODLib.assessment.decision import RATING_WORDS, REASON_WORDS, decision_words
from BottleneckOODLib.assessment.decision_record import DecisionLog

RATING_TIPS: Mapping[str, str] = MappingProxyType(
    {
        "accept": "I would use this mask as it is.",
        "minor_edit": "I would use this mask after a small correction.",
        "major_edit": "I would use this mask only after a large correction.",
        "reject": "I would not use this mask.",
        "bad_image": "The image itself cannot be used.",
    }
)


@dataclass(frozen=True)
class Choice:
    """Something that the reader can pick.

    Attributes:
        name: What is handed to ``choose`` or ``toggle_reason``.
        word: Its text.
        key: The key that picks it; empty for reasons.
        tip: Its tooltip.
        chosen: Whether the reader picked it; never by itself.
    """

    name: str
    word: str
    key: str
    tip: str
    chosen: bool = False


@dataclass(frozen=True)
class ReviewState:
    """The review's part of the panel.

    Attributes:
        case_id: The case under review; empty when there is none.
        enabled: Whether there is a case to decide on.
        ratings: The ratings, in the order of their keys.
        reasons: The reasons.
        note: The reader's words so far.
        reader: Who decides.
        save_enabled: Whether *Save* can be pressed.
        save_hint: Its tooltip; says what is missing when it cannot be pressed.
        undo_enabled: Whether this reader's last decision on this assessment can be withdrawn.
        undo_hint: Its tooltip.
        blind_first: Whether cases are rated before their light is shown.
        light_hidden: Whether everything that tells the light must be hidden now, in panel, plots and views.
        saved: The decisions on this case, in words; withdrawn ones too.
        message: What needs the reader's eye; empty when there is nothing.
    """

    case_id: str = ""
    enabled: bool = False
    ratings: tuple[Choice, ...] = ()
    reasons: tuple[Choice, ...] = ()
    note: str = ""
    reader: str = ""
    save_enabled: bool = False
    save_hint: str = ""
    undo_enabled: bool = False
    undo_hint: str = ""
    blind_first: bool = False
    light_hidden: bool = False
    saved: tuple[str, ...] = ()
    message: str = ""


def rating_choices(chosen: str | None) -> tuple[Choice, ...]:
    """The ratings with their keys, 1 to 5."""
    return tuple(
        Choice(name, word, str(number), f"{RATING_TIPS[name]} Key {number}.", name == chosen)
        for number, (name, word) in enumerate(RATING_WORDS.items(), start=1)
    )


def reason_choices(chosen: tuple[str, ...]) -> tuple[Choice, ...]:
    """The reasons."""
    tip = "Why you decide so; needed when you overrule the light."
    return tuple(Choice(name, word, "", tip, name in chosen) for name, word in REASON_WORDS.items())


def saved_words(log: DecisionLog, assessment_created: str, *, hidden: bool) -> tuple[str, ...]:
    """The rows of a case in words, in their order.

    Args:
        log: The case's decisions.
        assessment_created: When the assessment that is shown was made; rows of another one say so.
        hidden: Whether the light is hidden; then the rows are only counted, because they tell it.
    """
    if hidden and log.decisions:
        return (f"Decisions on this case so far: {len(log.decisions)}; they are shown once you have rated.",)
    standing = {row.decision_id for row in log.standing}
    lines = []
    for row in log.decisions:
        words = decision_words(row, withdrawn=row.rating in RATING_WORDS and row.decision_id not in standing)
        earlier = row.versions.assessment_created != assessment_created
        lines.append(f"{words} (on another assessment of this case)" if earlier else words)
    return tuple(lines)
