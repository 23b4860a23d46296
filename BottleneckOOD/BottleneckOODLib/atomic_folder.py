"""Writing a folder whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from BottleneckOODLib.errors import OutputError

NO_TEMPORARY_FOLDER = (
    "The temporary folder cannot be written; free space on its disk, or let TMPDIR (on Windows TEMP) name another one."
)


@contextmanager
def written_whole(folder: Path, *, overwrite: bool, known: Collection[str]) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of ``folder`` when the block ends without an error.

    An existing folder goes only after the new one stands. Whatever goes wrong, nothing half-written is left.

    Args:
        folder: The folder to make.
        overwrite: Replace an existing one.
        known: Names of the files of such a result, and ``NAME/`` of a folder of numbered pictures; a folder with
            anything else in it is never replaced.

    Raises:
        OutputError: ``folder`` exists and may not be replaced, or it cannot be written.
    """
    temporary: Path | None = None
    try:
        check_replaceable(folder, overwrite=overwrite, known=known)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
        # mkdtemp makes it private; results are to be read like any other file of the user's.
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_dir():
                continue
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


def check_replaceable(folder: Path, *, overwrite: bool, known: Collection[str]) -> None:
    """Refuse to replace what is no earlier result, or holds more than one.

    Raises:
        OutputError: ``folder`` exists and ``overwrite`` is not set, or something else than ``known`` lies in it.
    """
    if not folder.exists():
        return
    if not overwrite:
        message = f"The folder {folder} exists already and was kept; choose another place, or allow overwriting."
        raise OutputError(message)
    foreign = (
        sorted(path.name for path in folder.iterdir() if not _is_known(path, known)) if folder.is_dir() else ["a file"]
    )
    if foreign:
        message = f"The folder {folder} holds more than an earlier result ({foreign[0]}) and was kept; move that away."
        raise OutputError(message)


def _is_known(path: Path, known: Collection[str]) -> bool:
    if not path.is_dir():
        return path.name in known
    pictures = all(one.is_file() and one.stem.isdecimal() and one.suffix == ".png" for one in path.iterdir())
    return f"{path.name}/" in known and pictures


def check_writable(folder: Path) -> None:
    """Refuse an output folder that cannot be written, before any work is done.

    Raises:
        OutputError: It is a file, or not writable.
    """
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        message = f"The output {existing} is a file; choose a folder."
        raise OutputError(message)
    if not os.access(existing, os.W_OK):
        message = f"The output folder {folder} cannot be written; choose another folder, or change its permissions."
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
