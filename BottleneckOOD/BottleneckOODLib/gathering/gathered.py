"""The cases of a reference that were measured, put together in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.gathering.case import GatheredCase, LeftOutCase
from BottleneckOODLib.local_regions import bank_of
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.reference.cases_file import ReferenceCase

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gathered:
    """Everything that a reference is fitted to.

    Attributes:
        features: Of each space, shape (n, d), rows in the order of ``cases``.
        cases: The cases that can be used.
        left_out: One line for each other case: its name and why.
        tokens: Local tokens of each case.
        thumbnails: A PNG of each case; empty where none were asked for.
    """

    features: dict[str, FloatArray]
    cases: tuple[ReferenceCase, ...]
    left_out: tuple[str, ...]
    tokens: tuple[npt.NDArray[np.float32] | None, ...]
    thumbnails: tuple[bytes, ...]

    @classmethod
    def of(cls, results: Iterable[GatheredCase | LeftOutCase], known_dice: Mapping[str, float]) -> Gathered:
        """Take the results as they come.

        Args:
            results: In the order of the cases.
            known_dice: Dice of cases that have no labels, by name; a measured one stands.
        """
        kept: list[GatheredCase] = []
        left_out: list[str] = []
        for result in results:
            if isinstance(result, LeftOutCase):
                left_out.append(f"{result.case_id}: {result.reason}")
            else:
                kept.append(result)
        spaces = kept[0].row.features if kept else {}
        return cls(
            {space: np.array([one.row.features[space] for one in kept]) for space in spaces},
            tuple(_with_dice(one.case, known_dice) for one in kept),
            tuple(left_out),
            tuple(one.row.tokens for one in kept),
            tuple(one.row.thumbnail.tobytes() for one in kept if one.row.thumbnail is not None),
        )

    def bank(self) -> TokenBank | None:
        """The cases' tokens, for the map of unusual regions."""
        return bank_of(self.tokens)


def _with_dice(case: ReferenceCase, known_dice: Mapping[str, float]) -> ReferenceCase:
    if case.dice is not None or case.case_id not in known_dice:
        return case
    return replace(case, dice=round(known_dice[case.case_id], 4))
