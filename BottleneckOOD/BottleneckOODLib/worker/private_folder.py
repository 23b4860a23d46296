"""The end of a folder that another thread may still write to."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

_ATTEMPTS = 3


def remove_in_use(folder: Path) -> None:
    """Remove a folder with all that is in it, and with what is just being written there."""
    # Under another name nothing more comes into it, so it can be emptied; a path that is gone ends the writer.
    closed = folder.with_name(f"{folder.name}-ended")
    with contextlib.suppress(OSError):
        folder.rename(closed)
    for left in (closed, folder):
        # Who had just found the folder may still make one file in it.
        for _ in range(_ATTEMPTS):
            if left.exists():
                shutil.rmtree(left, ignore_errors=True)
