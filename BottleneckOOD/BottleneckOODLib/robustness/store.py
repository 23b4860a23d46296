"""What was measured, a line an image, kept at once: a run that was stopped goes on after the last whole line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from BottleneckOODLib.atomic_folder import write_file
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.robustness.measuring import Measured

MEASUREMENTS_FILE = "measurements.jsonl"


class MeasurementStore:
    """The measurements of one benchmark.

    Args:
        folder: The benchmark's output; made when the first line is kept.
        identity: All that decides what is measured; another one is refused.
        resume: Go on with what lies there.
        overwrite: Begin anew whatever lies there.

    Raises:
        OutputError: There is a benchmark already and neither was asked for, or it is of another identity.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
    ) -> None:
        self._path = folder / MEASUREMENTS_FILE
        self._rows: dict[str, Measured | str] = {}
        if self._path.exists() and not overwrite:
            if not resume:
                message = f"A benchmark lies in {folder} already; add --resume to go on with it, or --overwrite."
                raise OutputError(message)
            self._read(folder, identity)
        else:
            self._begin(folder, identity)

    def get(self, key: str) -> Measured | str | None:
        """What was measured under that key, the sentence why it could not be, or None."""
        return self._rows.get(key)

    def keep(self, key: str, outcome: Measured | str) -> None:
        """Keep one image's measurements, or the sentence why there are none.

        Raises:
            OutputError: The file cannot be written.
        """
        self._rows[key] = outcome
        line = {"key": key, "refused": outcome} if isinstance(outcome, str) else {"key": key, **_as_json(outcome)}
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            message = f"The file {self._path} cannot be written ({error.strerror}); check permissions and free space."
            raise OutputError(message) from None

    def _begin(self, folder: Path, identity: Mapping[str, Any]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"The folder {folder} cannot be written ({error.strerror}); check permissions and free space."
            raise OutputError(message) from None
        write_file(self._path, (json.dumps({"identity": identity}) + "\n").encode("utf-8"), overwrite=True)

    def _read(self, folder: Path, identity: Mapping[str, Any]) -> None:
        try:
            # As bytes: a system may end lines with two of them.
            content = self._path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            first, *lines = whole.decode("utf-8").splitlines()
            same = json.loads(first)["identity"] == json.loads(json.dumps(identity))
            self._rows = {} if not same else dict(_from_json(json.loads(line)) for line in lines)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            message = f"The file {self._path} is damaged; choose another output folder, or add --overwrite."
            raise OutputError(message) from None
        if not same:
            message = (
                f"The benchmark in {folder} is of another model, reference, data folder or other settings; "
                "give the same ones, choose another output folder, or add --overwrite."
            )
            raise OutputError(message)
        if whole != content:
            # A line that a kill cut off would spoil the next one. Cut off, not written anew: what is there stays there.
            try:
                os.truncate(self._path, len(whole))
            except OSError as error:
                message = f"The file {self._path} cannot be written ({error.strerror}); check permissions."
                raise OutputError(message) from None


def _as_json(measured: Measured) -> dict[str, Any]:
    document = asdict(measured)
    # All digits: what is read again must give the same tables.
    document["features"] = {name: vector.tolist() for name, vector in measured.features.items()}
    return document


def _from_json(line: dict[str, Any]) -> tuple[str, Measured | str]:
    key = str(line.pop("key"))
    if "refused" in line:
        return key, str(line["refused"])
    line["features"] = {name: np.array(vector, dtype=np.float64) for name, vector in line["features"].items()}
    return key, Measured(**line)
