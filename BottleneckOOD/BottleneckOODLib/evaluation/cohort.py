"""Who is evaluated: training and test cases with what is known of their segmentation."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.evaluation.embeddings import LEAST_TRAINING_CASES, Array, Embeddings, case_name
from BottleneckOODLib.likely_meant import other_separator

FloatArray = npt.NDArray[np.float64]

NAME_COLUMN, DICE_COLUMN = "filename", "DICE_Score"
OUTCOMES = {"dice": DICE_COLUMN, "hd": "HD", "sd": "SD"}
MEDIAN = "median"


@dataclass(frozen=True)
class Performance:
    """A table of segmentation performance.

    Attributes:
        path: Where it was read.
        outcomes: Of each case, by name: ``dice``, and ``hd`` and ``sd`` in mm where the table has them.
    """

    path: Path
    outcomes: Mapping[str, Mapping[str, float]]

    def column(self, outcome: str) -> FloatArray:
        """All known values of one outcome, in the order of the table; empty if it has none."""
        values = (of_case.get(outcome, math.nan) for of_case in self.outcomes.values())
        return np.array([value for value in values if not math.isnan(value)])


@dataclass(frozen=True, eq=False)
class Cohort:
    """What is evaluated.

    Attributes:
        train_names: Names of the training cases, in rising order.
        train: Their embeddings, shape (n_train, ...).
        train_dice: Their Dice, NaN where the table has none, shape (n_train,).
        test_names: Names of the test cases: first those in distribution, each part in rising order.
        test: Their embeddings, shape (n_test, ...).
        outcomes: ``dice``, and ``hd`` and ``sd`` if the table has them, each shape (n_test,); NaN where not known.
        failed: Whether a test case counts as out of distribution: its Dice is at or below the threshold.
        threshold: That threshold.
        table_means: Mean of each outcome over the whole table, which the published code compares with.
        classes: Class of each training case; None where they have none.
    """

    train_names: tuple[str, ...]
    train: Array
    train_dice: FloatArray
    test_names: tuple[str, ...]
    test: Array
    outcomes: Mapping[str, FloatArray]
    failed: npt.NDArray[np.bool_]
    threshold: float
    table_means: Mapping[str, float]
    classes: tuple[str, ...] | None = None


def read_table(path: Path, called: str, needed: tuple[str, str]) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and rows of a CSV file.

    Args:
        path: The file.
        called: What it is called in a sentence.
        needed: The columns that it must have.

    Raises:
        EvaluationError: It cannot be read, or lacks a needed column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error):
        message = f"The {called} {path} cannot be read; give a CSV file in UTF-8."
        raise EvaluationError(message) from None
    if separated := other_separator(columns):
        message = f"The {called} {path} cannot be used: {separated}."
        raise EvaluationError(message)
    for column in needed:
        if column not in columns:
            message = f'The {called} {path} has no column "{column}"; it needs {" and ".join(needed)}.'
            raise EvaluationError(message)
    return columns, rows


def read_performance(path: Path) -> Performance:
    """Read the table: ``filename``, ``DICE_Score``, and ``HD`` and ``SD`` if they are there.

    Raises:
        EvaluationError: It cannot be read, lacks a column, names a case twice, or holds what is no number.
    """
    columns, rows = read_table(path, "performance table", (NAME_COLUMN, DICE_COLUMN))
    known = {name: column for name, column in OUTCOMES.items() if column in columns}
    outcomes: dict[str, dict[str, float]] = {}
    for line, row in enumerate(rows, start=2):
        name = case_name(row[NAME_COLUMN] or "")
        if not name:
            message = f"The performance table {path} has no filename in line {line}; name the case or leave it out."
            raise EvaluationError(message)
        if name in outcomes:
            message = f"The performance table {path} names the case {name} twice (line {line}); keep one line a case."
            raise EvaluationError(message)
        outcomes[name] = {
            outcome: _number(row[column], path, name, column, is_dice=outcome == "dice")
            for outcome, column in known.items()
        }
    if not outcomes:
        message = f"The performance table {path} has no cases; give one line a test case."
        raise EvaluationError(message)
    return Performance(path, outcomes)


def make_cohort(train: Embeddings, test: Embeddings, table: Performance, threshold: float | str, mode: str) -> Cohort:
    """Match embeddings with the table and split the test cases.

    Args:
        train: Training cases.
        test: Test cases.
        table: Performance of every test case, and of training cases where known.
        threshold: A Dice, or ``"median"``: of the whole table in ``paper`` mode, else of the test cases.
        mode: ``"paper"`` or ``"deployable"``.

    Raises:
        EvaluationError: Names or shapes do not match, or only one class is there.
    """
    _check_names(train, test, table)
    if train.features.shape[1:] != test.features.shape[1:]:
        message = (
            f"The training embeddings have shape {train.features.shape[1:]} and the test embeddings "
            f"{test.features.shape[1:]} ({test.names[0]}); both must come from the same model and pooling."
        )
        raise EvaluationError(message)
    if len(train.names) < LEAST_TRAINING_CASES:
        message = f"There are {len(train.names)} training cases; an evaluation needs {LEAST_TRAINING_CASES} or more."
        raise EvaluationError(message)
    dice = np.array([table.outcomes[name]["dice"] for name in test.names])
    if threshold == MEDIAN:
        split = float(np.median(table.column("dice") if mode == "paper" else dice))
    else:
        split = float(threshold)
    failed = dice <= split
    if failed.all() or not failed.any():
        side = "at or below" if failed.all() else "above"
        message = (
            f"Every test case in {table.path} has a Dice {side} {split:g}, so there is one class only; "
            "choose another threshold, such as --threshold median."
        )
        raise EvaluationError(message)
    # In distribution first, as the published code stacks them.
    order = np.argsort(failed, kind="stable")
    outcomes = {
        name: np.array([table.outcomes[test.names[row]][name] for row in order])
        for name in OUTCOMES
        if any(not math.isnan(table.outcomes[case].get(name, math.nan)) for case in test.names)
    }
    unknown: Mapping[str, float] = {}
    return Cohort(
        train_names=train.names,
        train=train.features,
        train_dice=np.array([table.outcomes.get(name, unknown).get("dice", math.nan) for name in train.names]),
        test_names=tuple(test.names[row] for row in order),
        test=test.features[order],
        outcomes=outcomes,
        failed=failed[order],
        threshold=split,
        table_means={name: float(table.column(name).mean()) for name in outcomes},
    )


def _check_names(train: Embeddings, test: Embeddings, table: Performance) -> None:
    both = sorted(set(train.names) & set(test.names))
    if both:
        message = f"The case {both[0]}{_more(both)} is among the training and the test cases; leave it out of one."
        raise EvaluationError(message)
    without = [name for name in test.names if name not in table.outcomes]
    if without:
        message = (
            f"The test case {without[0]}{_more(without)} has an embedding but no line in {table.path}; "
            "add the line, or move the embedding away."
        )
        raise EvaluationError(message)
    embedded = {*train.names, *test.names}
    missing = [name for name in table.outcomes if name not in embedded]
    if missing:
        message = (
            f"The case {missing[0]}{_more(missing)} in {table.path} has no embedding among the test or training "
            "cases; add the embedding, or leave the line out."
        )
        raise EvaluationError(message)


def _more(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _number(text: str | None, path: Path, name: str, column: str, *, is_dice: bool) -> float:
    written = (text or "").strip()
    # A surface distance of an empty mask is not defined; a Dice always is.
    if not is_dice and written.lower() in {"", "nan", "na"}:
        return math.nan
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf or (is_dice and value > 1):
        bounds = "a number from 0 to 1" if is_dice else "a number of at least 0, or nothing"
        message = f'The performance table {path} gives {column} "{written}" for the case {name}; give {bounds}.'
        raise EvaluationError(message)
    return value
