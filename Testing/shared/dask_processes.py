"""Dask schedulers that a test starts as processes of their own."""

from __future__ import annotations

import json
import time
from pathlib import Path

PATIENCE_S = 300.0


def wait_for_scheduler(told_in: Path) -> None:
    """Wait until a scheduler has told where it is: Dask waits no more than a tenth of a second for the file's end.

    Args:
        told_in: Its ``--scheduler-file``.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            json.loads(told_in.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            assert time.monotonic() < end, "the scheduler does not start"
            time.sleep(0.01)
        else:
            return
