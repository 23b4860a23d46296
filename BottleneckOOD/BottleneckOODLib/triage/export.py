"""Tables of a store, for other programs: CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from BottleneckOODLib.assessment.decision import RATING_WORDS, overrules
from BottleneckOODLib.assessment.decision_record import DecisionLog
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


def decision_rows(logs: Iterable[tuple[str, DecisionLog]]) -> list[Row]:
    """One row a decision, withdrawn ones too: all that measuring agreement, overruling and seconds a case needs."""
    rows: list[Row] = []
    for case_id, log in logs:
        standing = {row.decision_id for row in log.standing}
        for row in log.decisions:
            rows.append(
                {
                    "case_id": case_id,
                    "decision_id": row.decision_id,
                    "reader": row.reader,
                    "rating": row.rating,
                    "stands": row.decision_id in standing,
                    "withdraws": row.withdraws,
                    "reasons": "|".join(row.reasons),
                    "note": row.note,
                    "decided": row.decided,
                    "seconds": row.seconds,
                    "blind_first": row.blind_first,
                    "shown_light": "" if row.shown is None else row.shown.light,
                    "shown_percentile": None if row.shown is None else row.shown.percentile,
                    "shown_sentence": "" if row.shown is None else row.shown.sentence,
                    "light": row.light,
                    "overrules": row.rating in RATING_WORDS and overrules(row.rating, row.shown),
                    "program": row.versions.program,
                    "assessment_created": row.versions.assessment_created,
                    "model": row.versions.model_name,
                    "model_fingerprint": row.versions.model_fingerprint,
                    "reference": row.versions.reference_name,
                    "reference_fingerprint": row.versions.reference_fingerprint,
                }
            )
    return rows


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
    if path.exists() and not overwrite:
        message = f"The file {path} exists already and was kept; choose another, or add --overwrite."
        raise OutputError(message)
    content = {".csv": _csv, ".json": _json, ".parquet": _parquet}[suffix](rows)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.absolute().parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        why = error.strerror or "unknown reason"
        message = f"The file {path} cannot be written ({why}); check the folder, its permissions and free space."
        raise OutputError(message) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


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
