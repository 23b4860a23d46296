"""Writing a folder whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from BottleneckOODLib.errors import OutputError


@contextmanager
def written_whole(folder: Path, *, overwrite: bool, marker: str) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of ``folder`` when the block ends without an error.

    An existing folder goes only after the new one stands. Whatever goes wrong, nothing half-written is left.

    Args:
        folder: The folder to make.
        overwrite: Replace an existing one.
        marker: File that tells an earlier result; a folder with anything else in it is never replaced.

    Raises:
        OutputError: ``folder`` exists and may not be replaced, or it cannot be written.
    """
    temporary: Path | None = None
    try:
        _check_replaceable(folder, overwrite=overwrite, marker=marker)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
        # mkdtemp makes it private; results are to be read like any other file of the user's.
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        for path in temporary.iterdir():
            path.chmod(0o666 & ~_umask())
            with path.open("rb+") as written:
                os.fsync(written.fileno())
        _replace(temporary, folder)
    except OSError as error:
        why = error.strerror or "unknown reason"
        message = f"The folder {folder} cannot be written ({why}); check permissions and free space."
        raise OutputError(message) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _check_replaceable(folder: Path, *, overwrite: bool, marker: str) -> None:
    if not folder.exists():
        return
    if not overwrite:
        message = f"The folder {folder} exists already and was kept; choose another place, or allow overwriting."
        raise OutputError(message)
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / marker).is_file()):
        message = f"{folder} holds something else than an earlier result and was kept; choose another place."
        raise OutputError(message)


def _replace(new: Path, folder: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=".replaced-", dir=folder.parent))
    folder.rename(old / folder.name)
    try:
        new.rename(folder)
    except OSError:
        (old / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
