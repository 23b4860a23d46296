"""Whether a process grows: what it holds after a quarter of a long run, and at its end."""

from __future__ import annotations

import gc
import os
from collections import defaultdict
from pathlib import Path
from statistics import median

from tally import Tally

MOST_GROWTH = 0.05
"""Of memory; of whatever is counted, none."""
WINDOW = 20


def resident_mb(process: int | str = "self") -> float:
    """Memory that a process holds."""
    if process == "self":
        gc.collect()
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files(process: int | str = "self") -> int:
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


class Growth:
    """Measurements of a run, one each round."""

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = defaultdict(list)

    def add(self, **measured: float) -> None:
        """Keep what was measured; names that end in ``_mb`` are memory."""
        for name, value in measured.items():
            self._seen[name].append(value)

    def judge(self, tally: Tally) -> None:
        """Print each measurement after a quarter and at the end, and count what has grown."""
        for name, values in self._seen.items():
            quarter = max(len(values) // 4, 1)
            early, late = (median(part) for part in (values[quarter : quarter + WINDOW], values[-WINDOW:]))
            line = f"{name}: {early:.0f} after {quarter} rounds, {late:.0f} at the end"
            print(f"{line} ({late / early - 1:+.1%})" if early else line)
            if late > early * (1 + (MOST_GROWTH if name.endswith("_mb") else 0.0)):
                tally.found("grown", line)
