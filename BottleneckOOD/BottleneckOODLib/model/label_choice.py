"""Choosing the organ by its name among the labels of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from BottleneckOODLib.errors import ModelError


@dataclass(frozen=True)
class LabelChoice:
    """What becomes of a model's labels.

    Attributes:
        labels: The organ's class by its name.
        merged: Classes that count as the organ, by name.
        others: All else that the model knows, by name; background where it wins.
    """

    labels: Mapping[str, int]
    merged: Mapping[str, int]
    others: Mapping[str, int]


def choose_labels(known: Mapping[str, int], organ: str | None, merge: Sequence[str] = ()) -> LabelChoice:
    """Find the organ, and what is merged into it, whatever the case of the letters.

    Args:
        known: Class of each structure by name, without the background.
        organ: Name of the organ; None where the model knows one structure only.
        merge: Names of structures that count as the organ.

    Raises:
        ModelError: A name is unknown or ambiguous, or several could be meant.
    """
    if not known:
        message = "The model does not say which labels it has; name the organ's class, such as --label liver=1."
        raise ModelError(message)
    if organ is None and len(known) > 1:
        message = f"The model has the labels {', '.join(known)}; choose the organ, such as --label {next(iter(known))}."
        raise ModelError(message)
    chosen = next(iter(known)) if organ is None else _found(known, organ)
    merged = {name: known[name] for name in (_found(known, wanted) for wanted in merge) if name != chosen}
    others = {name: value for name, value in known.items() if name != chosen and name not in merged}
    return LabelChoice({chosen: known[chosen]}, merged, others)


def _found(known: Mapping[str, int], wanted: str) -> str:
    same = [name for name in known if name.casefold() == wanted.casefold()]
    if len(same) != 1:
        message = f'The model has no label called "{wanted}"; it has {", ".join(known)}.'
        raise ModelError(message)
    return same[0]
