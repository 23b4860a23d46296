"""Further vectors of the same cases (histograms, mask shapes, other stages), and the classes of training cases."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.evaluation.cohort import NAME_COLUMN, Cohort, read_table
from BottleneckOODLib.evaluation.embeddings import (
    LEAST_TRAINING_CASES,
    Array,
    Embeddings,
    ReadTensor,
    case_name,
    read_embeddings,
)

CLASS_COLUMN = "class"


@dataclass(frozen=True)
class FeatureFolders:
    """Where one set of vectors lies.

    Attributes:
        name: What it is called in the results.
        train: Folder of the training cases' vectors.
        test: Folder of the test cases' vectors.
    """

    name: str
    train: Path
    test: Path


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """One vector a case, in the cohort's order.

    Attributes:
        name: What it is called in the results.
        train: Shape (n_train, d).
        test: Shape (n_test, d).
    """

    name: str
    train: Array
    test: Array


def read_feature_set(folders: FeatureFolders, cohort: Cohort, read_tensor: ReadTensor) -> FeatureSet:
    """Read one set and bring it into the cohort's order.

    Raises:
        EvaluationError: A case lacks a vector or has one too many, or what is there is no vector of one length.
    """
    train, test = (read_embeddings(folder, "none", read_tensor) for folder in (folders.train, folders.test))
    for found, folder in ((train, folders.train), (test, folders.test)):
        if found.features.ndim != 2:  # noqa: PLR2004 - cases and features
            message = (
                f"The features in {folder} have shape {found.features.shape[1:]} a case; "
                f"--features {folders.name} takes one vector a case, of shape (d,)."
            )
            raise EvaluationError(message)
    if train.features.shape[1] != test.features.shape[1]:
        message = (
            f"The features {folders.name} have {train.features.shape[1]} numbers in {folders.train} and "
            f"{test.features.shape[1]} in {folders.test}; measure all cases in the same way."
        )
        raise EvaluationError(message)
    return FeatureSet(
        folders.name,
        _in_order(train, cohort.train_names, folders.train, "training"),
        _in_order(test, cohort.test_names, folders.test, "test"),
    )


def _in_order(found: Embeddings, names: tuple[str, ...], folder: Path, kind: str) -> Array:
    rows = {name: row for row, name in enumerate(found.names)}
    check_same_names(set(rows), names, folder, kind, "features")
    return found.features[[rows[name] for name in names]]


def check_same_names(found: set[str], wanted: tuple[str, ...], folder: Path, kind: str, what: str) -> None:
    """Every case of a side has something in a folder, and nothing else has.

    Raises:
        EvaluationError: A case lacks it, or somebody has one too many.
    """
    missing = [name for name in wanted if name not in found]
    if missing:
        message = f"The {kind} case {missing[0]}{_more(missing)} has no {what} in {folder}; add them."
        raise EvaluationError(message)
    others = sorted(found - set(wanted))
    if others:
        message = (
            f"The folder {folder} has {what} of {others[0]}{_more(others)}, which is no {kind} case; move them away."
        )
        raise EvaluationError(message)


def read_classes(path: Path, train_names: tuple[str, ...]) -> tuple[str, ...]:
    """Class of each training case, from a table with the columns ``filename`` and ``class``; others may be in it.

    Raises:
        EvaluationError: It cannot be read, lacks a training case or names one twice, or a class is too small.
    """
    _, rows = read_table(path, "table of classes", (NAME_COLUMN, CLASS_COLUMN))
    classes: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        name, kind = case_name(row[NAME_COLUMN] or ""), (row[CLASS_COLUMN] or "").strip()
        if not name or not kind:
            message = f"The table of classes {path} lacks a filename or a class in line {line}; complete the line."
            raise EvaluationError(message)
        if classes.setdefault(name, kind) != kind:
            message = f"The table of classes {path} gives the case {name} two classes (line {line}); keep one."
            raise EvaluationError(message)
    missing = [name for name in train_names if name not in classes]
    if missing:
        message = f"The training case {missing[0]}{_more(missing)} has no class in {path}; add the line."
        raise EvaluationError(message)
    counts = Counter(classes[name] for name in train_names)
    smallest = min(counts, key=lambda kind: counts[kind])
    if len(counts) < 2 or counts[smallest] < LEAST_TRAINING_CASES:  # noqa: PLR2004 - relative to what
        message = (
            f"The class {smallest} in {path} has {counts[smallest]} of {len(train_names)} training cases; "
            f"give two classes or more, of {LEAST_TRAINING_CASES} cases or more."
        )
        raise EvaluationError(message)
    return tuple(classes[name] for name in train_names)


def fingerprint(sets: tuple[FeatureSet, ...]) -> list[bytes]:
    """What decides the results of the sets, for a digest."""
    return [
        part
        for one in sets
        for part in (one.name.encode(), *(np.ascontiguousarray(a).tobytes() for a in (one.train, one.test)))
    ]


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
