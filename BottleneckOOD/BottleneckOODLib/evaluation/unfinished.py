"""What is done of an evaluation that is not finished, kept so that it can go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from BottleneckOODLib.errors import EvaluationError, OutputError
from BottleneckOODLib.evaluation.tables import write_all
from BottleneckOODLib.temporaries import clear_abandoned

Part = dict[str, list[dict[str, str]]]


class Unfinished:
    """A folder of finished tasks and of finished cases of the task in work.

    Args:
        folder: Where they are kept.
        identity: Of the cases and settings.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity

    def begin(self, *, resume: bool, overwrite: bool) -> dict[int, Part]:
        """Make the folder, or read what an earlier run has done.

        Raises:
            EvaluationError: There is something, and it is not of these cases and settings, or was not asked for.
        """
        marker = self._folder / "identity.json"
        if self._folder.exists() and not self._is_empty(marker):
            if resume and self._same(marker):
                return {int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in self._parts()}
            if resume and not overwrite:
                message = (
                    f"The unfinished evaluation in {self._folder} is of other cases or settings; "
                    "give the same ones, or add --overwrite to begin anew."
                )
                raise EvaluationError(message)
            if not overwrite:
                message = f"An unfinished evaluation lies in {self._folder}; add --resume to go on, or --overwrite."
                raise OutputError(message)
        # Without the marker, what lies there is nobody's.
        self.remove()
        write_all(self._folder, {marker.name: json.dumps(self._identity)})
        return {}

    def _is_empty(self, marker: Path) -> bool:
        """Whether a kill left the folder before anything was kept, or while what is finished was being removed."""
        clear_abandoned(self._folder)
        return not marker.exists() and all(path.suffix == ".json" for path in self._folder.iterdir())

    def _same(self, marker: Path) -> bool:
        try:
            return bool(json.loads(marker.read_text(encoding="utf-8")) == self._identity)
        except (OSError, ValueError):
            return False

    def _parts(self) -> list[Path]:
        return [path for path in self._folder.glob("*.json") if path.stem.isdecimal()]

    def keep(self, task: int, part: Part) -> None:
        """Keep one task's rows, whole or not at all."""
        write_all(self._folder, {f"{task}.json": json.dumps(part)})

    def keep_case(self, name: str, record: dict[str, Any]) -> None:
        """Keep what was found of one case's outputs, whole or not at all."""
        write_all(self._folder, {f"case-{name}.json": json.dumps(record)})

    def kept_case(self, name: str) -> dict[str, Any] | None:
        """What was kept of one case, or None."""
        try:
            record = json.loads((self._folder / f"case-{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def remove(self) -> None:
        """Nothing is unfinished any more."""
        shutil.rmtree(self._folder, ignore_errors=True)
