"""Where the reference's own cases come from, when something is to be measured on them that it does not keep."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference_cases import listed_cases
from BottleneckOODLib.robustness.displacements import LabelledVolume
from BottleneckOODLib.synthesis.real_anatomy import read_real_anatomies
from BottleneckOODLib.synthesis.samples import reference_cases

_GENERATED = "body-"
_SEED = 7
_MANY = 10_000


def calibration_cases(reference: Reference, listed: Path | None, data: Path) -> tuple[str, Iterator[CaseForReference]]:
    """Cases of a reference, loaded when their turn comes.

    Args:
        reference: The reference.
        listed: A table or folder with its cases; None takes the generated ones where the reference was made of those.
        data: Folder with the labelled scans whose deformed copies are among the demo's cases.

    Returns:
        What they are, in words, and the cases; none where they cannot be had.

    Raises:
        InputError: The list cannot be read, or names no case of the reference.
    """
    own = {case.case_id for case in reference.cases}
    if listed is not None:
        cases = [case for case in listed_cases(listed) if case.case_id in own]
        if not cases:
            message = f"The list {listed} names no case of the reference {reference.name}; give its own cases."
            raise InputError(message)
        return "listed", iter(cases)
    if not all(name.startswith(_GENERATED) for name in own):
        return "none", iter(())
    return f"generated, seed {_SEED}", _generated(data)


def _generated(data: Path) -> Iterator[CaseForReference]:
    """The demo's cases, none of them made before it is asked for."""
    try:
        real = read_real_anatomies(data)
    except InputError:
        real = []

    def load(number: int) -> LabelledVolume:
        case = next(reference_cases(number + 1, _SEED, real=real, first=number))
        return case.volume, case.liver

    for number in range(_MANY):
        yield CaseForReference(f"{_GENERATED}{number:03d}", partial(load, number))
