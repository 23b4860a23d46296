"""Counts of a long run, printed and kept in one form, so that every page of figures reads alike."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path


class Tally:
    """What a run counted.

    Args:
        what: What was done, in words.
        bad: Names of the counts that have to be 0; they are printed also when nothing was counted.
    """

    def __init__(self, what: str, bad: tuple[str, ...] = ("lost", "torn")) -> None:
        self.what, self.bad = what, bad
        self.times = 0
        self.counts: Counter[str] = Counter(dict.fromkeys(bad, 0))
        self.notes: list[str] = []
        self._since = time.monotonic()

    def found(self, name: str, note: str) -> None:
        """Count something that must not be, and keep a line that tells what it was."""
        self.counts[name] += 1
        self.notes.append(f"{name}: {note}")

    @property
    def sound(self) -> bool:
        """Whether nothing that must not be was counted."""
        return not any(self.counts[name] for name in self.bad)

    def as_document(self) -> Mapping[str, object]:
        """The counts as plain data."""
        seconds = round(time.monotonic() - self._since, 1)
        return {"what": self.what, "times": self.times, **self.counts, "seconds": seconds, "notes": self.notes}

    def print(self, output: Path | None = None) -> int:
        """Print the counts as one line, each bad one with its note, and keep them as a line of JSON where asked.

        Returns:
            The exit code: 0 where the run is sound.
        """
        document = dict(self.as_document())
        counted = ", ".join(f"{document[name]} {name}" for name in self.counts)
        print(f"{self.what}: {self.times} times, {counted}, {document['seconds']} s", flush=True)
        for note in self.notes:
            print(f"  {note}", file=sys.stderr)
        if output is not None:
            with output.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(document) + "\n")
        return 0 if self.sound else 1
