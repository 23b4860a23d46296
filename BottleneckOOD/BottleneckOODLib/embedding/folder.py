"""The folder of an embedding: one array a case in each of its folders, a record a case, and the table of outcomes."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.atomic_folder import file_written_whole
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.temporaries import clear_abandoned

EMBEDDING_FILE, PERFORMANCE, CASES = "embedding.json", "performance.csv", "cases"
SCHEMA_VERSION = 1
OUTPUTS, FLIPS = "outputs", "flips"
_COLUMNS = ("filename", "DICE_Score", "HD", "SD")
_OUTCOMES = ("dice", "hd", "sd")


@dataclass(frozen=True)
class CaseRecord:
    """What is known of a case that is done.

    Attributes:
        case_id: Its name.
        parts: What was saved of it: names of the folders.
        outcomes: ``dice``, and ``hd`` and ``sd`` in mm where both masks have a surface; None without labels.
        empty: Whether the model marked nothing.
    """

    case_id: str
    parts: tuple[str, ...]
    outcomes: Mapping[str, float | None] | None
    empty: bool


class EmbeddingFolder:
    """A folder that grows case by case; a case's record is written last, and so says that all of it is there.

    Args:
        path: The folder.
        facts: What shapes the features: all cases of a folder have the same.

    Raises:
        OutputError: It holds something else, or embeddings of other facts, or cannot be written.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self._begin({"schema_version": SCHEMA_VERSION, **facts})
        self._records = self._read_records()

    def has(self, case_id: str, parts: tuple[str, ...], *, labelled: bool = False) -> bool:
        """Whether these parts of a case are there, and the outcome of one that has labels."""
        record = self._records.get(case_id)
        if record is None or (labelled and record.outcomes is None):
            return False
        return set(parts) <= set(record.parts)

    def write(self, case_id: str, folder: str, array: npt.NDArray[Any], member: str | None = None) -> None:
        """Save an array of a case, or one of several under the case's name.

        Raises:
            OutputError: It cannot be written.
        """
        place = self.path / folder if member is None else self.path / folder / case_id
        self._write(place / f"{member or case_id}.npy", lambda stream: np.save(stream, array, allow_pickle=False))

    def finish(self, record: CaseRecord) -> None:
        """Write the record of a case of which everything else is there, and the table of outcomes.

        Raises:
            OutputError: It cannot be written.
        """
        before = self._records.get(record.case_id)
        parts = sorted({*record.parts, *(before.parts if before else ())})
        # A list without labels adds parts; the outcomes that an earlier one gave still hold.
        outcomes = before.outcomes if record.outcomes is None and before else record.outcomes
        document = {
            "case_id": record.case_id,
            "parts": parts,
            "outcomes": None if outcomes is None else dict(outcomes),
            "empty": record.empty,
        }
        self._write_text(self.path / CASES / f"{record.case_id}.json", _as_json(document))
        self._records[record.case_id] = CaseRecord(record.case_id, tuple(parts), outcomes, record.empty)
        self.write_performance()

    def write_performance(self) -> None:
        """Write the table of every case with labels.

        Raises:
            OutputError: It cannot be written.
        """
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for case_id in sorted(self._records):
            outcomes = self._records[case_id].outcomes
            if outcomes is not None:
                values = [outcomes.get(name) for name in _OUTCOMES]
                writer.writerow([case_id, *("" if value is None else repr(value) for value in values)])
        self._write_text(self.path / PERFORMANCE, stream.getvalue())

    def drop(self, case_id: str, parts: tuple[str, ...]) -> None:
        """Remove what was saved of a case that has no record."""
        if case_id in self._records:
            return
        for part in parts:
            (self.path / part / f"{case_id}.npy").unlink(missing_ok=True)
            shutil.rmtree(self.path / part / case_id, ignore_errors=True)

    @property
    def labelled(self) -> int:
        """How many cases of the folder have outcomes."""
        return sum(record.outcomes is not None for record in self._records.values())

    def _begin(self, document: dict[str, Any]) -> None:
        path = self.path / EMBEDDING_FILE
        clear_abandoned(self.path)
        if path.is_file():
            if _read_json(path) != document:
                message = (
                    f"The folder {self.path} holds embeddings of another model or version; choose another folder."
                )
                raise OutputError(message)
            return
        if self.path.is_dir() and any(self.path.iterdir()):
            message = f"The folder {self.path} holds something else than embeddings; choose another folder."
            raise OutputError(message)
        self._write_text(path, _as_json(document))

    def _read_records(self) -> dict[str, CaseRecord]:
        records: dict[str, CaseRecord] = {}
        for path in sorted((self.path / CASES).glob("*.json")):
            try:
                document = _read_json(path)
                record = CaseRecord(
                    str(document["case_id"]), tuple(document["parts"]), document["outcomes"], bool(document["empty"])
                )
            except (KeyError, TypeError):
                # As if it were not there: the case is made again.
                continue
            records[record.case_id] = record
        return records

    def _write_text(self, path: Path, text: str) -> None:
        self._write(path, lambda stream: stream.write(text.encode("utf-8")))

    def _write(self, path: Path, fill: Callable[[IO[bytes]], object]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"The folder {path.parent} cannot be made ({error.strerror}); check permissions and free space."
            raise OutputError(message) from None
        with file_written_whole(path) as temporary, temporary.open("wb") as stream:
            fill(stream)


def _as_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
