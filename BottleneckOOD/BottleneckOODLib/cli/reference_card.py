"""The card of a reference: what it is for, whom it holds, what it can tell, and how it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.errors import ModelError

if TYPE_CHECKING:
    from BottleneckOODLib.reference.cases_file import ReferenceCase
    from BottleneckOODLib.reference.outcomes import Outcomes
    from BottleneckOODLib.reference.reference_folder import Reference

GOOD_DICE = 0.9
_MOST_KINDS = 6
_COUNTED = {"manufacturer": ("manufacturer",), "contrast": ("contrast_phase", "contrast_agent")}
"""What is counted over the cases, and the facts that tell it, the better one first."""


def card_rows(reference: Reference) -> dict[str, str]:
    """The card, a line a row; what is not known is told as not known, not left out."""
    settings, cases = reference.settings, reference.cases
    outcomes = sorted(case.dice for case in cases if case.dice is not None)
    return {
        "name": reference.name,
        "intended use": _intended_use(reference.model_fingerprint),
        "cases": f"{counted_cases(reference)}; {len(settings.get('left_out', ()))} could not be used",
        **population_rows(cases),
        "failed mask": _failed_mask(reference),
        "smallest p-value": f"{1 / (int(reference.calibrating.sum()) + 1):.4f}",
        "levels": ", ".join(f"{name} {level}" for name, level in settings["levels"].items()),
        "pooling": str(settings["pooling"]),
        "detector": _in_words(settings["detector_choice"]),
        "spaces": ", ".join(f"{name} ({space.features.shape[1]})" for name, space in reference.spaces.items()),
        "Dice of its cases": "unknown"
        if not outcomes
        else f"mean {fmean(outcomes):.3f}, median {median(outcomes):.3f}, lowest {outcomes[0]:.3f}, "
        f"at least 0.9 in {100 * fmean(d >= GOOD_DICE for d in outcomes):.0f}%, known for {len(outcomes)}",
        **outcome_rows(reference.outcomes),
        "built": str(settings.get("built", "not kept")),
        **version_rows(settings.get("versions", ())),
        "made by model": reference.model_fingerprint,
        "fingerprint": reference.fingerprint,
    }


def population_rows(cases: Sequence[ReferenceCase]) -> dict[str, str]:
    """Whom the reference holds: modality, spacing, extent, manufacturers and contrast."""
    rows = {"modality": _counts([case.modality for case in cases])}
    for name, lengths in (
        ("voxels, mm", [case.spacing_mm for case in cases if case.spacing_mm is not None]),
        ("extent, mm", [case.extent_mm for case in cases if case.extent_mm is not None]),
    ):
        axes = [f"{min(axis):.3g} to {max(axis):.3g}" for axis in zip(*lengths, strict=True)]
        rows[name] = " x ".join(axes) if axes else "not kept"
    for name, facts in _COUNTED.items():
        rows[name] = _counts([next((case.facts[fact] for fact in facts if fact in case.facts), "") for case in cases])
    return rows


def outcome_rows(outcomes: Outcomes | None) -> dict[str, str]:
    """What the outcomes of its cases say of a new case's score, or why they say nothing."""
    if outcomes is None:
        return {"known outcomes": "not held against the scores; build the reference again for that"}
    rows = {}
    point, expected = outcomes.operating_point, outcomes.expected_dice
    if point is not None:
        rows["operating point"] = (
            f"score {point.threshold:.2f} catches {point.n_failed_beyond} of {point.n_failed} training cases with a "
            f"Dice of {point.failure_dice:g} or less, and {point.n_other_beyond} of {point.n_other} others "
            "(chosen on them)"
        )
    if expected is not None:
        rows["expected Dice"] = (
            f"{min(expected.dice):.2f} to {max(expected.dice):.2f} by score, +/- {expected.margin:.2f} for "
            f"{100 * expected.level:.0f}% of cases like its own ({expected.n_cases} training cases with a known Dice)"
        )
    for reason in outcomes.reasons:
        name, _, why = reason.partition(": ")
        told = why.rstrip(".").replace(" cases with a known Dice ", " training cases with a known Dice ")
        rows["operating point" if "operating" in name else "expected Dice"] = f"none: {told}"
    return rows


def version_rows(steps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """From which version it was made, step by step, the latest first."""
    rows = {}
    for number, step in enumerate(reversed(steps)):
        who = ", ".join(step.get("readers", ())) or (f"{step['n_readers']} reader" + "s" * (step["n_readers"] != 1))
        key = "extends" if number == 0 else f"  {number} before that"
        rows[key] = (
            f"{step['parent_name']} ({step['parent'][:8]}) by {step['n_added']} cases that {who} rated "
            f"{' or '.join(step['ratings'])}, {step['made']}"
        )
        if step.get("against"):
            rows[f"{key}, although"] = " ".join(step["against"])
    return rows


def _counts(values: Sequence[str]) -> str:
    """How many cases have each value, the commonest first."""
    known = Counter(value for value in values if value)
    if not known:
        return "not known"
    parts = [f"{value} {count}" for value, count in known.most_common(_MOST_KINDS)]
    if len(known) > _MOST_KINDS:
        parts.append(f"{len(known) - _MOST_KINDS} other kinds")
    unknown = len(values) - known.total()
    return ", ".join([*parts, f"not known {unknown}"] if unknown else parts)


def counted_cases(reference: Reference) -> str:
    """How many cases calibrate, and how many more there are."""
    from BottleneckOODLib.assessment.wording import training_cases  # noqa: PLC0415 - keeps --help fast

    return training_cases(len(reference.cases), int(reference.calibrating.sum()))


def _failed_mask(reference: Reference) -> str:
    if reference.failure_dice is None:
        return "not told apart; all cases calibrate, because the reference was built before failed masks were left out"
    return f"Dice of {reference.failure_dice:g} or less"


def _intended_use(model_fingerprint: str) -> str:
    from BottleneckOODLib.catalogue import list_models  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.model.model_folder import read_model_file  # noqa: PLC0415

    for folder in list_models().values():
        try:
            model = read_model_file(folder)
        except ModelError:
            continue
        if model.fingerprint == model_fingerprint:
            return f"with model {model.name}: {model.intended_use}"
    return "with the model that made it, which is none of those that model list names"


def _in_words(choice: Mapping[str, Any]) -> str:
    """The detector, and how well it tells failures apart."""
    name = {"md": "shrunk Mahalanobis distance"}.get(str(choice["detector"]), str(choice["detector"]))
    if choice.get("auroc") is None:
        return f"{name} ({choice['reason']})"
    where = str(choice.get("chosen_on", "the reference's own cases, each left out"))
    n_failed, n_good = int(choice["n_failed"]), int(choice["n_good"])
    return (
        f"{name}, by AUROC {choice['auroc']} on {where}: {n_failed} of those {n_failed + n_good} images failed "
        f"({choice['failure']}); {choice['reason']}"
    )
