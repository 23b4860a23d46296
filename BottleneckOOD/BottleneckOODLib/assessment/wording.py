"""Every sentence that is said about a result. Similar is not right: each one ends in a call to review the mask."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from BottleneckOODLib.ood.calibration import RED_LEVEL

STATE_WORDS: Mapping[str, str] = {
    "green": "Similar to the training cases",
    "amber": "Unusual",
    "red": "Very unusual",
    "grey": "Could not be assessed",
}
STATE_SHAPES: Mapping[str, str] = {"green": "circle", "amber": "triangle", "red": "octagon", "grey": "square"}
# Told apart by lightness as well as hue, so they stay apart for deuteranopes and in print.
LIGHT_COLOURS: Mapping[str, str] = {"green": "#2a8f6d", "amber": "#f2b134", "red": "#a3162d", "grey": "#7b8794"}
CHECK_SIGNS: Mapping[str, str] = {"met": "●", "soft": "▲", "hard": "⬣", "not_assessed": "□"}
NOT_FOR_CLINICAL_USE = "Not for clinical use"
DEMONSTRATION = "Demonstration model, trained on generated bodies and two deformed scans. Not for clinical use."
RESEARCH_USE = "Research use, not for clinical use. Review the mask."
BATCH_NOTE = "A light tells how like the training cases an image is, not whether its mask is right; review every mask."
PRELIMINARY = "Preliminary"
MAP_NOTE = "Distances on this map mean nothing; the light does not come from it."
MAP_AXIS = "Distances on this map mean nothing"
BEYOND_MAP = "farther than this map can show"

REGIONS_LEGEND = "Unlike the training cases"
REGIONS_NOTE = (
    "Where the image looks least like the training cases to the network, in cells of a few centimetres. It is no map "
    "of tumours and none of errors of the mask: either can lie where nothing is coloured, and the light does not come "
    "from it; review the mask everywhere."
)
REGIONS_SCALE = "1 is as unlike as the farthest 5 of 100 parts of the training cases are from the other training cases."
NO_REGIONS = "The reference keeps no parts of its training cases, so it cannot tell where the image is unusual."

_REVIEW: Mapping[str, str] = {
    "green": "review the mask as you would any other",
    "amber": "review the mask with care",
    "red": "do not rely on the mask before you have reviewed it closely",
    "grey": "review the mask as if there were no light",
}
PART_REASONS: Mapping[str, str] = {
    "bottleneck": "in what the network makes of the image",
    "intensity_histogram": "in the intensities of the body",
    "body_layout": "in how the tissues lie in the body (its orientation, or another body part)",
    "mask_shape": "in the size, form or place of the mask",
    "mask_intensity": "in the intensities inside the mask",
    "output_confidence": "in that the network was less sure of its mask than of theirs",
}
PART_QUESTIONS: Mapping[str, str] = {
    "bottleneck": "What the network makes of the image",
    "intensity_histogram": "Intensities of the body",
    "body_layout": "Place of the tissues in the body",
    "mask_shape": "Size, form and place of the mask",
    "mask_intensity": "Intensities inside the mask",
    "output_confidence": "How unsure the network was of its mask",
}


def light_sentence(
    light: str,
    *,
    percentile: float | None,
    p_value: float | None,
    farthest_part: str | None,
    reason: str | None,
    beside: str | None = None,
) -> str:
    """The one sentence beside the light: what, compared with whom, why, and what to do.

    Args:
        light: One of the four states.
        percentile: Share of the training cases that are less unusual, in percent.
        p_value: The calibrated p-value.
        farthest_part: The feature space in which the case is farthest out.
        reason: Sentence of the failed check, or why nothing could be judged.
        beside: Sentence of a failed check that is not the reason of the light, which would be the same without it.
    """
    word = STATE_WORDS[light]
    if light == "grey":
        why = f": {_clause(reason)}" if reason else ""
        return f"{word}{why}; {_REVIEW[light]}."
    if percentile is None and beside:
        reason = reason or beside
    if percentile is None and not reason:
        return f"{word}; {_REVIEW[light]}."
    place = f"more unusual than {percentile:.0f} of 100 training cases" if percentile is not None else ""
    if light == "green" and place:
        return f"{word}: {place}; {_REVIEW[light]}."
    if reason:
        return f"{word}: {_clause(reason)}; {_REVIEW[light]}."
    part = PART_REASONS.get(farthest_part or "", "")
    where = f", most of all {part}" if part else ""
    if beside:
        return f"{word}: {_clause(beside)}; also {place}{where}; {_REVIEW[light]}."
    flagged = f"; about {_one_in(p_value)} cases like the training cases look this unusual" if p_value else ""
    return f"{word}: {place}{where}{flagged}; {_REVIEW[light]}."


def training_cases(n_cases: int, n_calibrating: int | None = None) -> str:
    """How many training cases a p-value is held against, and how many more there are.

    Args:
        n_cases: Cases of the reference.
        n_calibrating: Those of them that scores are held against; None where that is not known.

    >>> training_cases(159, 150)
    '150 training cases (9 more, whose mask failed, calibrate nothing)'
    >>> training_cases(159)
    '159 training cases'
    """
    counted, aside = training_case_counts(n_cases, n_calibrating)
    return f"{counted} ({aside})" if aside else counted


def training_case_counts(n_cases: int, n_calibrating: int | None = None) -> tuple[str, str]:
    """The two parts of ``training_cases``, where there is no room for both in a line; the second may be empty."""
    if n_calibrating is None or n_calibrating >= n_cases:
        return f"{n_cases} training cases", ""
    aside = n_cases - n_calibrating
    verb = "calibrates" if aside == 1 else "calibrate"
    return f"{n_calibrating} training cases", f"{aside} more, whose mask failed, {verb} nothing"


def corner_lines(light: str, percentile: float | None) -> tuple[str, str]:
    """What stands in the corner of a view: word and percentile, and beneath them what to do.

    >>> corner_lines("amber", 97.4)
    ('Unusual - beyond 97 of 100', 'Review the mask. Not for clinical use.')
    """
    place = "" if percentile is None or light == "grey" else f" - beyond {percentile:.0f} of 100"
    return f"{STATE_WORDS[light]}{place}", f"Review the mask. {NOT_FOR_CLINICAL_USE}."


def preliminary_sentence(light: str) -> str:
    """What is told before the mask is there."""
    return f"{PRELIMINARY}, before the mask is there: {STATE_WORDS[light]}; review the mask when it comes."


def expected_dice_sentence(dice: float, low: float, high: float, level: float, n_cases: int) -> str:
    """What training cases as unusual as this one had, and that it is no measurement."""
    return (
        f"Training cases as unusual as this one have a Dice of about {dice:.2f}, {100 * level:.0f} in 100 of them one "
        f"from {low:.2f} to {high:.2f} (by {n_cases} cases with a known Dice); this is no measurement: review the mask."
    )


def nothing_expected_sentence(n_cases: int) -> str:
    """Why no Dice is told of an unusual case: it would be read as its own."""
    return (
        f"The Dice of {n_cases} training cases is known, whether their mask failed or not, and says too little of a "
        "case this unusual; review the mask."
    )


def operating_point_sentence(
    failure_dice: float, n_failed: int, n_failed_beyond: int, n_other: int, n_other_beyond: int, *, beyond: bool
) -> str:
    """Where the case lies from the point that catches most failures, with what that point misses and what it costs."""
    failed = f"{n_failed_beyond} of the {n_failed} training cases whose mask failed (Dice of {failure_dice:g} or less)"
    others = f"{n_other_beyond} of the {n_other} others"
    if beyond:
        return f"It lies beyond the point that catches {failed}, as do {others}; review the mask."
    missed = n_failed - n_failed_beyond
    return f"It lies below the point that catches {failed} and {others}; {missed} failed below it, so review the mask."


def expected_dice_note(low: float, high: float, level: float, n_cases: int) -> str:
    """The same where there is room for a few words only, beside the sentence that calls to review."""
    return f"{100 * level:.0f} in 100 like it: Dice {low:.2f} to {high:.2f} ({n_cases} cases)"


def operating_point_note(
    n_failed: int, n_failed_beyond: int, n_other: int, n_other_beyond: int, *, beyond: bool
) -> str:
    """The same for the point that catches most failures, with the training cases beyond it."""
    side = "Beyond" if beyond else "Below"
    return f"{side} {n_failed_beyond} of {n_failed} failed, {n_other_beyond} of {n_other} others"


def unreachable_levels(attainable_p: float) -> list[str]:
    """A sentence for the user where the reference is too small for the light to become red by its p-value."""
    if attainable_p <= RED_LEVEL:
        return []
    least = f"With {round(1 / attainable_p) - 1} training cases no p-value below {attainable_p:.3f} exists"
    return [f"{least}, so the light cannot become red by it; build the reference from more cases."]


def missing_spaces(spaces: Collection[str]) -> list[str]:
    """A sentence for the user where the reference was built before how sure the network is counted."""
    if "output_confidence" in spaces:
        return []
    return [
        "The reference was built before it counted how sure the network is of its mask, so the light does not know; "
        "build the reference again."
    ]


def _one_in(p_value: float) -> str:
    return f"1 in {max(1, round(1 / p_value))}"


def _clause(sentence: str) -> str:
    text = sentence.strip().rstrip(".")
    # A sentence becomes a clause after a colon; names and abbreviations keep their capitals.
    keeps_capital = len(text) > 1 and text[1].isupper()
    return text if keeps_capital else text[:1].lower() + text[1:]
