"""A folder that two processes of one user hand files over in, from its making to its end."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from BottleneckOODLib.errors import UserError

NO_TEMPORARY_FOLDER = (
    "The temporary folder cannot be written; free space on its disk, or let TMPDIR (on Windows TEMP) name another one."
)
_ATTEMPTS = 3


def private_folder(error: type[UserError]) -> Path:
    """Make an empty folder among the system's temporary files, which nobody else can read.

    Args:
        error: What to raise where it cannot be made.

    Raises:
        UserError: Of the kind ``error``: the temporary folder cannot be used.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="bottleneck-ood-"))
    except OSError:
        raise error(NO_TEMPORARY_FOLDER) from None


def remove_in_use(folder: Path) -> None:
    """Remove a folder with all that is in it, and with what another thread or process is just writing there."""
    # Under another name nothing more comes into it, so it can be emptied; a path that is gone ends the writer.
    closed = folder.with_name(f"{folder.name}-ended")
    with contextlib.suppress(OSError):
        folder.rename(closed)
    for left in (closed, folder):
        # Who had just found the folder may still make one file in it.
        for _ in range(_ATTEMPTS):
            if left.exists():
                shutil.rmtree(left, ignore_errors=True)
