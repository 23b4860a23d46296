"""Everything that the panel shows at one moment, as plain data; every widget is bound to one field."""

from __future__ import annotations

from dataclasses import dataclass

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.checks import Check
from BottleneckOODLib.assessment.wording import (
    CHECK_SIGNS,
    DEMONSTRATION,
    NOT_FOR_CLINICAL_USE,
    PART_QUESTIONS,
    STATE_SHAPES,
    STATE_WORDS,
    training_case_counts,
)
from BottleneckOODLib.model.gpu_facts import DeviceFacts
from BottleneckOODLib.translation import _
from BottleneckOODLib.worker.protocol import Working

ASSESS, CANCEL, STOPPING = _("Assess"), _("Cancel"), _("Stopping...")
BUILD = _("Build reference")
_NO_VOLUME = _("Choose a CT volume first.")
_SECONDS_PER_MINUTE = 60


@dataclass(frozen=True)
class Row:
    """A line with a sign, such as a check.

    Attributes:
        sign: Told apart by shape, not by colour alone.
        text: What is said.
        state: The state that the sign stands for.
    """

    sign: str
    text: str
    state: str


@dataclass(frozen=True)
class ResultState:
    """The result's part of the panel.

    Attributes:
        case_id: The case that is shown.
        light: ``"green"``, ``"amber"``, ``"red"`` or ``"grey"``.
        shape: Its shape: circle, triangle, octagon or square.
        word: Its word.
        sentence: The one sentence.
        percentile: ``"97 of 100"``, or empty when grey.
        facts: Name and value of each number that is shown.
        checks: The questions and their answers.
        neighbours: Case, relative distance and Dice of each of the nearest training cases.
        caveat: What must stand beside every result.
    """

    case_id: str
    light: str
    shape: str
    word: str
    sentence: str
    percentile: str
    facts: tuple[tuple[str, str], ...]
    checks: tuple[Row, ...]
    neighbours: tuple[tuple[str, str, str], ...]
    caveat: str


@dataclass(frozen=True)
class PanelState:
    """The whole panel.

    Attributes:
        button: Text of the big button.
        button_enabled: Whether it can be pressed.
        button_hint: Its tooltip; says what is missing when it cannot be pressed.
        choices_enabled: Whether volume, model and device can be changed.
        progress: Share that is done, 0 to 1, or None while nothing runs.
        progress_text: Step in words, and the time left.
        message: One sentence that needs the user's eye; empty when there is none.
        details: What is folded away beneath the message, for a bug report.
        result: The result's part, or None.
        build_button: Text of the button that builds a reference.
        build_enabled: Whether it can be pressed.
        build_message: How the building ended, or what is missing.
        device_note: What is to be said of the devices, such as why no graphics card is used.
    """

    button: str = ASSESS
    button_enabled: bool = False
    button_hint: str = _NO_VOLUME
    choices_enabled: bool = True
    progress: float | None = None
    progress_text: str = ""
    message: str = ""
    details: str = ""
    result: ResultState | None = None
    build_button: str = BUILD
    build_enabled: bool = True
    build_message: str = ""
    device_note: str = ""


def result_state(assessment: Assessment) -> ResultState:
    """How an assessment is shown."""
    percentile = "" if assessment.percentile is None else f"{assessment.percentile:.0f} of 100"
    facts = [(_("Mask volume"), f"{assessment.volume_ml:,.0f} ml")]
    if assessment.p_value is not None:
        counted, aside = training_case_counts(assessment.reference.n_cases, assessment.n_calibrating)
        facts.append((_("p-value"), f"{assessment.p_value:.3f} ({counted})"))
        facts += [(_("Not among them"), aside)] if aside else []
    outcome = _similar_cases_dice(assessment)
    if outcome:
        facts.append((_("Dice of similar training cases"), outcome))
    facts += [(_("By known outcomes"), note) for note in (assessment.outcome.notes() if assessment.outcome else ())]
    facts.append((_("Computed"), f"{assessment.timings_s.get('total', 0.0):.1f} s on {assessment.device}"))
    return ResultState(
        case_id=assessment.case_id,
        light=assessment.light,
        shape=STATE_SHAPES[assessment.light],
        word=STATE_WORDS[assessment.light],
        sentence=assessment.sentence,
        percentile=percentile,
        facts=tuple(facts),
        checks=tuple(_check_row(check, assessment) for check in assessment.checks),
        neighbours=tuple(
            (n.case_id, f"{n.relative_distance:.1f} x", "unknown" if n.dice is None else f"{n.dice:.2f}")
            for n in assessment.neighbours
        ),
        caveat=DEMONSTRATION if assessment.model.demonstration else NOT_FOR_CLINICAL_USE + ".",
    )


def progress_words(working: Working) -> str:
    """A step and the time left, in words.

    >>> progress_words(Working(1, "Segmenting", 0.5, 42.0, ""))
    'Segmenting, about 42 s left'
    """
    left = working.seconds_left
    if left is None:
        return f"{working.step}..."
    if left < 1:
        return _("{step}, nearly done").format(step=working.step)
    if left < 2 * _SECONDS_PER_MINUTE:
        return _("{step}, about {left} s left").format(step=working.step, left=f"{left:.0f}")
    return _("{step}, about {left} min left").format(step=working.step, left=f"{left / _SECONDS_PER_MINUTE:.0f}")


def device_words(device: DeviceFacts) -> str:
    """A device and its memory, in words.

    >>> device_words(DeviceFacts("cuda:0", "NVIDIA A100", 30.0, 40.0))
    'NVIDIA A100, 30.0 of 40.0 GB free'
    """
    if device.free_gb is None or device.total_gb is None:
        return device.description
    return f"{device.description}, {device.free_gb:.1f} of {device.total_gb:.1f} GB free"


def _check_row(check: Check, assessment: Assessment) -> Row:
    part = assessment.parts.get(check.name) if check.calibrated else None
    text = check.message
    if part is not None:
        text = f"{PART_QUESTIONS.get(check.name, check.name)}: more unusual than {part.percentile:.0f} of 100."
    return Row(CHECK_SIGNS[check.state], text, check.state)


def _similar_cases_dice(assessment: Assessment) -> str:
    """The outcomes of the nearest training cases; nothing for an unusual case: theirs would be read as its own."""
    known = [n.dice for n in assessment.neighbours if n.dice is not None]
    beyond = assessment.placement is None or assessment.placement.beyond_map
    if not known or beyond or assessment.light != "green":
        return ""
    return f"{min(known):.2f} to {max(known):.2f}"
