"""``cases.csv``: the reference cases, a row each; no identifiers."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_MAX_BYTES = 50_000_000
_AXES = 3
_OUTCOMES = ("surface_mm", "hausdorff95_mm")
_LENGTHS = ("spacing_mm", "extent_mm")
MEASURED_COLUMNS = ("case_id", "dice", *_OUTCOMES, "modality", *_LENGTHS)
"""Columns that are measured; every other one is a fact that was given."""

Lengths = tuple[float, float, float]


@dataclass(frozen=True)
class ReferenceCase:
    """One reference case.

    Attributes:
        case_id: Its name.
        dice: Dice of the model's mask against the labels, when known.
        facts: Acquisition facts, no identifiers.
        surface_mm: Mean distance of the mask's surface from that of the labels, in mm, when known.
        hausdorff95_mm: The distance that 95% of both surfaces keep to, in mm, when known.
        modality: ``"CT"``, ``"MR"`` or ``"unknown"``; empty in references that were built before it was kept.
        spacing_mm: Voxel spacing along i, j, k, in mm, when kept.
        extent_mm: Length of the image along left-right, front-back, head-foot, in mm, when kept.
    """

    case_id: str
    dice: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    surface_mm: float | None = None
    hausdorff95_mm: float | None = None
    modality: str = ""
    spacing_mm: Lengths | None = None
    extent_mm: Lengths | None = None


@dataclass(frozen=True)
class ExtentRange:
    """How much of a patient the reference cases show.

    Attributes:
        least_mm: Along left-right, front-back, head-foot, in mm; infinite where not known.
        greatest_mm: The same; 0 where not known.
    """

    least_mm: Lengths
    greatest_mm: Lengths


def extent_range(cases: Sequence[ReferenceCase]) -> ExtentRange | None:
    """The range over all cases; None where it is known of none.

    References of generated bodies that were built before extents were kept tell their slices and how thick they are.
    """
    known = [extent for case in cases if (extent := case.extent_mm or _from_facts(case.facts)) is not None]
    if not known:
        return None
    by_axis = [[length for length in axis if length > 0] for axis in zip(*known, strict=True)]
    left, posterior, superior = (min(axis, default=math.inf) for axis in by_axis)
    most_left, most_posterior, most_superior = (max(axis, default=0.0) for axis in by_axis)
    return ExtentRange((left, posterior, superior), (most_left, most_posterior, most_superior))


def write_cases(cases: Sequence[ReferenceCase], path: Path) -> None:
    """Write the table; a column that no case has a value for is left out."""
    rows = [_row(case) for case in cases]
    measured = [name for name in MEASURED_COLUMNS if name in ("case_id", "dice") or any(row.get(name) for row in rows)]
    facts = sorted({name for row in rows for name in row} - set(MEASURED_COLUMNS))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*measured, *facts], restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def read_cases(path: Path) -> tuple[ReferenceCase, ...]:
    """Read the table; columns that earlier versions did not have are missing without harm.

    Raises:
        OSError: The file cannot be read.
        KeyError: A column that every version has is missing.
        ValueError: The file is too large or no table, or a number is none.
    """
    if path.stat().st_size > _MAX_BYTES:
        message = "the table of cases is too large"
        raise ValueError(message)
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            rows = list(csv.DictReader(stream))
        except csv.Error as error:
            raise ValueError(str(error)) from None
    return tuple(_case(row) for row in rows)


def _row(case: ReferenceCase) -> dict[str, str]:
    row = {name: value for name, value in case.facts.items() if name not in MEASURED_COLUMNS}
    row |= {"case_id": case.case_id, "dice": "" if case.dice is None else f"{case.dice:.4f}", "modality": case.modality}
    for name in _OUTCOMES:
        value = getattr(case, name)
        row[name] = "" if value is None else f"{value:.3f}"
    for name in _LENGTHS:
        lengths = getattr(case, name)
        row[name] = "" if lengths is None else " x ".join(f"{length:.10g}" for length in lengths)
    return row


def _case(row: Mapping[str, str]) -> ReferenceCase:
    return ReferenceCase(
        case_id=row["case_id"],
        dice=_number(row["dice"]),
        facts={name: value for name, value in row.items() if name not in MEASURED_COLUMNS and value},
        surface_mm=_number(row.get("surface_mm") or ""),
        hausdorff95_mm=_number(row.get("hausdorff95_mm") or ""),
        modality=row.get("modality") or "",
        spacing_mm=_lengths(row.get("spacing_mm") or ""),
        extent_mm=_lengths(row.get("extent_mm") or ""),
    )


def _from_facts(facts: Mapping[str, str]) -> Lengths | None:
    try:
        return 0.0, 0.0, float(facts["slices"]) * float(facts["slice_thickness_mm"])
    except (KeyError, ValueError):
        return None


def _number(text: str) -> float | None:
    return float(text) if text else None


def _lengths(text: str) -> Lengths | None:
    """Three lengths above 0; None for what is something else, such as a fact of that name in an older reference."""
    try:
        numbers = [float(part) for part in text.split(" x ")]
    except ValueError:
        return None
    if len(numbers) != _AXES or not all(math.isfinite(number) and number > 0 for number in numbers):
        return None
    first, second, third = numbers
    return first, second, third
