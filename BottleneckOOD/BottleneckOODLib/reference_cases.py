"""Generated bodies as the cases of a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.logic import CaseForReference
from BottleneckOODLib.synthesis.body import SyntheticCase
from BottleneckOODLib.synthesis.real_anatomy import read_real_anatomies
from BottleneckOODLib.synthesis.samples import reference_cases


def generated_cases(n: int, seed: int, data: Path | None) -> Iterator[CaseForReference]:
    """The cases of the demo reference, each made when its turn comes.

    Args:
        n: How many.
        seed: The same seed gives the same cases.
        data: Folder with labelled scans whose deformed copies are a part of the cases; None for bodies alone.
    """
    real = [] if data is None else read_real_anatomies(data)
    for number, case in enumerate(reference_cases(n, seed, real=real)):
        facts = {str(key): str(value) for key, value in case.facts.items()}
        yield CaseForReference(f"body-{number:03d}", _loader(case), facts)


def _loader(case: SyntheticCase) -> Callable[[], tuple[Volume, LabelVolume | None]]:
    return lambda: (case.volume, case.liver)
