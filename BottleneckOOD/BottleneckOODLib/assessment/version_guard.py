"""What a new version of a reference would change, in words; and when it had better not be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from BottleneckOODLib.assessment.checks import Check, Light, overall_light
from BottleneckOODLib.assessment.wording import training_cases
from BottleneckOODLib.ood.calibration import AMBER_LEVEL
from BottleneckOODLib.reference.version_change import Pair, VersionChange

MOST_UNUSUAL = 0.5
"""Refused: a larger share of the added cases is unusual (p-value at or below the amber level) to the old version."""
MOST_LOST = 0.05
"""Refused: a larger share of the known failures that the old version flags would be green, those gained set off."""
MOST_SHIFT = 0.5
"""Refused: the bottleneck's centre moves farther, in units of the usual distance of a case from it."""
FEW_ADDED = 10
_LEVEL = 0.01
"""So rarely a warning about the share of unusual cases comes by chance, were they cases like the reference's."""


@dataclass(frozen=True)
class Moved:
    """One case whose light changes."""

    case_id: str
    old: Light
    new: Light
    old_p: float
    new_p: float


@dataclass(frozen=True)
class VersionGuard:
    """What is shown before a new version is made.

    Attributes:
        facts: Lines that tell what changes.
        moved: Other cases whose light changes.
        warnings: What speaks for looking again, a sentence each.
        refusals: Why the new version had better not be made, a sentence each.
    """

    facts: tuple[str, ...]
    moved: tuple[Moved, ...]
    warnings: tuple[str, ...]
    refusals: tuple[str, ...]


def version_guard(
    change: VersionChange,
    *,
    plain_facts: Mapping[str, Sequence[Check]],
    failed_own: Collection[str],
    failed_others: Collection[str],
    folders: Collection[str],
) -> VersionGuard:
    """Judge a change.

    Args:
        change: The change.
        plain_facts: Checks of cases that are not part of the p-value and turn their light whatever the version.
        failed_own: Names of cases of the old version whose mask is known to have failed.
        failed_others: Names of other cases whose mask or image a reader rejected.
        folders: Where the images of the added cases lie.
    """
    # A case of the reference may have the name of another case of the store.
    own = _moves(change.own, {})
    added, others = _moves(change.added, plain_facts), _moves(change.others, plain_facts)
    failures = [m for m in own if m.case_id in failed_own] + [m for m in others if m.case_id in failed_others]
    flagged = sum(m.old != "green" for m in failures)
    still = sum(m.new != "green" for m in failures)
    facts = [
        f"cases: {training_cases(change.n_old, change.n_calibrating[0])} before, "
        f"{training_cases(change.n_old + len(change.added), change.n_calibrating[1])} after",
        f"smallest p-value: {change.attainable[0]:.4f} before, {change.attainable[1]:.4f} after",
        *(_level_line(name, *scores) for name, scores in change.levels.items()),
        "95% of its cases lie within: "
        + ", ".join(f"{name} {old:.3g} -> {new:.3g}" for name, (old, new) in change.widths.items()),
        f"the bottleneck's centre moves by {change.centre_shift:.2f} of the usual distance of a case from it",
        _move_line("its own cases", own),
        _move_line("the added cases", added),
        _move_line("other cases of the store", others),
        f"known failures that are not green: {flagged} of {len(failures)} before, {still} after",
    ]
    newly_green = [m for m in failures if m.old != "green" and m.new == "green"]
    return VersionGuard(
        tuple(facts),
        tuple(m for m in others if m.old != m.new),
        tuple(_warnings(change, folders, newly_green)),
        tuple(_refusals(change, flagged, still)),
    )


def _warnings(change: VersionChange, folders: Collection[str], newly_green: Sequence[Moved]) -> list[str]:
    from scipy.stats import betabinom  # noqa: PLC0415 - slow to import

    n, unusual = len(change.added), _unusual(change.added)
    # How many of n cases like the reference's fall at or below a level, when n_old cases set it (Vovk, Asian Conference
    # on Machine Learning 2012).
    n_old, _ = change.n_calibrating
    rank = max(1, int(AMBER_LEVEL * (n_old + 1) + 1e-9))
    by_chance = betabinom(n, rank, n_old + 1 - rank)
    told = []
    if n < FEW_ADDED:
        told.append(f"{n} added cases are too few to tell whether they are alike; {FEW_ADDED} or more are better.")
    if by_chance.sf(unusual - 1) < _LEVEL:
        told.append(
            f"{unusual} of the {n} added cases are unusual to the old version, where about {AMBER_LEVEL * n:.0f} are "
            "expected: adding them widens what counts as usual, and cases like them will no longer be flagged."
        )
    elif by_chance.cdf(unusual) < _LEVEL:
        told.append(
            f"{unusual} of the {n} added cases are unusual to the old version, where about {AMBER_LEVEL * n:.0f} are "
            "expected: the levels tighten, and more cases will be flagged."
        )
    if n > change.n_old:
        told.append("More cases are added than the old version has; a reference built from all of them is clearer.")
    if len(set(folders)) == 1 and n > 1:
        told.append("All added cases come from one folder; cases of one place or scanner pull the reference to it.")
    if newly_green:
        names = ", ".join(sorted(m.case_id for m in newly_green)[:3])
        count = "1 known failure becomes" if len(newly_green) == 1 else f"{len(newly_green)} known failures become"
        told.append(f"{count} green, such as {names}; look at them before the new version is used.")
    return told


def _refusals(change: VersionChange, flagged: int, still: int) -> list[str]:
    n, unusual = len(change.added), _unusual(change.added)
    told = []
    if unusual > MOST_UNUSUAL * n:
        told.append(
            f"{unusual} of the {n} added cases are unusual to the old version, more than {MOST_UNUSUAL:.0%}: what it "
            "was made to flag would become usual."
        )
    if flagged - still > MOST_LOST * flagged:
        told.append(
            f"Of {flagged} known failures that are flagged {flagged - still} would be green, more than {MOST_LOST:.0%}."
        )
    if change.centre_shift > MOST_SHIFT:
        told.append(
            f"The bottleneck's centre would move by {change.centre_shift:.2f} of the usual distance of a case from it, "
            f"more than {MOST_SHIFT:g}: it would be another reference."
        )
    return told


def _unusual(pairs: Sequence[Pair]) -> int:
    return sum(pair.old <= AMBER_LEVEL for pair in pairs)


def _moves(pairs: Sequence[Pair], plain_facts: Mapping[str, Sequence[Check]]) -> list[Moved]:
    moved = []
    for pair in pairs:
        checks = plain_facts.get(pair.case_id, ())
        old, new = overall_light(pair.old, checks), overall_light(pair.new, checks)
        moved.append(Moved(pair.case_id, old, new, pair.old, pair.new))
    return moved


def _level_line(name: str, old: float | None, new: float | None) -> str:
    before, after = ("not reached" if score is None else f"{score:.2f}" for score in (old, new))
    return f"{name} beyond a score of: {before} before, {after} after (0 at the median of its cases, 1 at their 95%)"


def _move_line(what: str, moved: Sequence[Moved]) -> str:
    counts = Counter((m.old, m.new) for m in moved if m.old != m.new)
    kinds = ", ".join(f"{n} {old} -> {new}" for (old, new), n in sorted(counts.items()))
    return f"{what}: {counts.total()} of {len(moved)} change their light" + (f" ({kinds})" if kinds else "")
