"""A JSON value is taken only as what it is declared to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from BottleneckOODLib.assessment.typed_json import as_type, list_of, typed


@dataclass(frozen=True)
class Inner:
    x: float


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None
    words: tuple[str, ...]
    size: tuple[int, float]
    kind: Literal["a", "b"] = "a"


GIVEN: dict[str, Any] = {"name": "n", "inner": {"x": 1}, "words": ["p", "q"], "size": [3, 4]}


def test_objects_become_dataclasses_and_lists_tuples_all_the_way_down() -> None:
    assert typed(Outer, GIVEN) == Outer("n", Inner(1.0), ("p", "q"), (3, 4.0))
    assert typed(Outer, {**GIVEN, "inner": None, "words": [], "kind": "b"}) == Outer("n", None, (), (3, 4.0), "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"inner": {"x": "1"}},
        {"inner": {"x": 1, "y": 2}},
        {"inner": {}},
        {"inner": [1]},
        {"inner": "x"},
        {"words": "pq"},
        {"words": [1]},
        {"words": None},
        {"words": {"p": 1}},
        {"size": [3]},
        {"size": [3, 4, 5]},
        {"size": [3.5, 4]},
        {"size": [3, float("nan")]},
        {"kind": "c"},
        {"name": None},
        {"other": 1},
    ],
)
def test_anything_else_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        typed(Outer, {**GIVEN, **changes})


@pytest.mark.parametrize(("hint", "value"), [(int, True), (bool, 1), (float, True), (str, b"x"), (float, float("inf"))])
def test_a_number_is_no_truth_value_and_the_other_way_round(hint: type, value: object) -> None:
    with pytest.raises(TypeError):
        as_type(hint, value)


def test_a_list_is_checked_part_by_part() -> None:
    assert list_of(int, [1, 2]) == (1, 2)
    with pytest.raises(TypeError):
        list_of(int, [1, "2"])
    with pytest.raises(TypeError):
        list_of(int, (1, 2))
