"""The tables of an evaluation: a row a configuration, a row a score, a row a case."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from BottleneckOODLib.atomic_folder import file_written_whole
from BottleneckOODLib.errors import EvaluationError, OutputError

RESULTS, SCORES, CASES, RUNS, REPORT = "results.csv", "scores.csv", "cases.csv", "evaluation.json", "report.html"
NAMING = ("mode", "reducer", "parameters", "detector", "k", "seed")
MEASURED = ("auroc", "auprc", "fpr90", "pearson", "aurc")
GAINED = ("dice_gained", "hd_gained", "sd_gained")
INTERVALS = (*MEASURED, "excess_aurc", *GAINED)
RESULT_COLUMNS = (
    *NAMING,
    *MEASURED,
    "n_id",
    "n_ood",
    "seconds",
    *(f"{name}{side}" for name in MEASURED for side in ("_low", "_high")),
    *(f"{name}{side}" for name in ("excess_aurc", *GAINED) for side in ("", "_low", "_high")),
    "n_flagged",
    "validation_auroc",
    "picked",
)
SCORE_COLUMNS = ("case", "configuration", "score")
CASE_COLUMNS = ("mode", "case", "dice", "hd", "sd", "failed")
Row = Mapping[str, str]


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table that an evaluation wrote; none if it is not there.

    Raises:
        EvaluationError: It is no such table.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error):
        rows, reader = [], csv.DictReader(io.StringIO(""))
    if tuple(reader.fieldnames or ()) != tuple(columns):
        message = f"The table {path} is none of an evaluation; choose another output folder, or move it away."
        raise EvaluationError(message)
    return rows


def read_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """What each mode was run with; nothing if there is none.

    Raises:
        EvaluationError: The file is damaged.
    """
    path = folder / RUNS
    if not path.exists():
        return {}
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        runs = None
    if not isinstance(runs, dict) or not all(isinstance(run, dict) for run in runs.values()):
        message = f"The file {path} is damaged; choose another output folder, or move it away."
        raise EvaluationError(message)
    return runs


def as_csv(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """A table as text; what a row lacks is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def write_all(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files so that each is there whole, and none before all of them could be written.

    Raises:
        OutputError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or "unknown reason"
        message = f"The folder {folder} cannot be written ({why}); check permissions and free space."
        raise OutputError(message) from None
    with ExitStack() as written:
        # Each gets its name when the stack is unwound, which is when all could be written.
        for name, text in texts.items():
            temporary = written.enter_context(file_written_whole(folder / name))
            temporary.write_text(text, encoding="utf-8", newline="\n")


def number(value: float) -> str:
    """A number as it stands in the tables: all its digits, or nothing where it is not defined."""
    return "" if value != value else repr(float(value))  # noqa: PLR0124 - NaN is what differs from itself
