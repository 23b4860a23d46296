"""Tables of a store, for other programs: CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from BottleneckOODLib.assessment.decision import RATING_WORDS, overrules
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.reader_names import reader_key, reader_name
from BottleneckOODLib.assessment.versions import edited_versions
from BottleneckOODLib.atomic_folder import check_free, write_file
from BottleneckOODLib.errors import DependencyError, OutputError
from BottleneckOODLib.triage.store import Found

FORMATS = (".csv", ".json", ".parquet")
# A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

Row = Mapping[str, Any]


def case_rows(results: Iterable[Found]) -> list[Row]:
    """One row a case: its newest result."""
    return [
        {
            "case_id": found.case_id,
            "light": found.light,
            "p_value": found.p_value,
            "percentile": found.percentile,
            "score": found.score,
            "sentence": found.sentence,
            "created": found.created,
            "folder": found.folder,
            "seconds": round(found.seconds, 3),
        }
        for found in results
    ]


def decision_rows(
    logs: Iterable[tuple[str, DecisionLog]], folders: Callable[[str], Iterable[str]] = lambda _case_id: ()
) -> list[Row]:
    """One row a decision, withdrawn ones too: all that measuring agreement, overruling and seconds a case needs.

    A reader is spelled in one way throughout, as the name was typed first; the store's own rows keep what was typed.

    Args:
        logs: The decisions of each case.
        folders: Gives the folders of a case's results: the masks that the reader edited are named from there. A folder
            that cannot be reached from here names none.
    """
    rows: list[Row] = []
    names: dict[str, str] = {}
    for case_id, log in logs:
        standing = {row.decision_id for row in log.standing}
        edited = _edited_masks(folders(case_id) if log.decisions else ())
        for row in log.decisions:
            rows.append(
                {
                    "case_id": case_id,
                    "decision_id": row.decision_id,
                    "reader": names.setdefault(reader_key(row.reader), reader_name(row.reader)),
                    "rating": row.rating,
                    "stands": row.decision_id in standing,
                    "withdraws": row.withdraws,
                    "reasons": "|".join(row.reasons),
                    "note": row.note,
                    "decided": row.decided,
                    # What is not known is empty, and not none.
                    "seconds": row.seconds or None,
                    "blind_first": row.blind_first,
                    "shown_light": "" if row.shown is None else row.shown.light,
                    "shown_percentile": None if row.shown is None else row.shown.percentile,
                    "shown_sentence": "" if row.shown is None else row.shown.sentence,
                    "light": row.light,
                    "overrules": row.rating in RATING_WORDS and overrules(row.rating, row.shown),
                    "edited_masks": "|".join(
                        edited.get((row.versions.assessment_created, reader_key(row.reader)), ())
                    ),
                    "program": row.versions.program,
                    "assessment_created": row.versions.assessment_created,
                    "model": row.versions.model_name,
                    "model_fingerprint": row.versions.model_fingerprint,
                    "reference": row.versions.reference_name,
                    "reference_fingerprint": row.versions.reference_fingerprint,
                }
            )
    return rows


def _edited_masks(folders: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """Names of the files that were saved, by the assessment and the reader's key."""
    names: dict[tuple[str, str], list[str]] = {}
    for folder in folders:
        for version in edited_versions(Path(folder)):
            names.setdefault((version.assessment_created, reader_key(version.reader)), []).append(version.file)
    return names


def write_table(rows: list[Row], path: Path, *, overwrite: bool = False) -> None:
    """Write rows to a file, whole or not at all; the name's ending says in which form.

    In CSV a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Args:
        rows: The rows, each with the same columns.
        path: Ends in one of ``FORMATS``.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The ending is another, the file exists, or it cannot be written.
        DependencyError: Parquet is asked for and pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        message = f"The table {path.name} ends in no known form; use one of {', '.join(FORMATS)}."
        raise OutputError(message)
    check_free(path, overwrite=overwrite)
    write_file(path, {".csv": _csv, ".json": _json, ".parquet": _parquet}[suffix](rows), overwrite=overwrite)


def _csv(rows: list[Row]) -> bytes:
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_SIGNS) else value


def _json(rows: list[Row]) -> bytes:
    return (json.dumps([dict(row) for row in rows], indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _parquet(rows: list[Row]) -> bytes:
    try:
        import pyarrow  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        message = "Parquet needs pyarrow; install it with: pip install pyarrow, or export .csv or .json."
        raise DependencyError(message) from None
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), sink)
    return bytes(sink.getvalue())
