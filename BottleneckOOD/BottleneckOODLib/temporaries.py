"""Temporary files and folders beside what they will become, and how those of a killed run go.

Who writes a temporary holds a lock on it (``flock``), and the system ends the lock with the process, however that ends.
So what nobody holds was left by a run that was killed; the next run that writes into the same folder removes it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WRITING, REPLACED = ".writing-", ".replaced-"
_OURS = re.compile(r"\.(writing|replaced)-[A-Za-z0-9_]{8}(\..*)?")
# Where there is no lock (Windows, some network drives) only age tells; no save takes a day.
_OLD_SECONDS = 24 * 3600.0
_cleared: set[str] = set()
_asking = threading.Lock()


@contextmanager
def temporary_folder(parent: Path, prefix: str = WRITING) -> Iterator[Path]:
    """A folder that is gone when the block ends, unless it was moved away; after a kill the next run removes it.

    What was moved into one of ``REPLACED`` goes back to its place in ``parent`` if that is free when the block ends;
    where the system refuses, it stays for the next run.

    Raises:
        OSError: It cannot be made.
    """
    clear_abandoned(parent)
    path, lock = _made_and_held(lambda: Path(tempfile.mkdtemp(prefix=prefix, dir=parent)))
    try:
        # mkdtemp makes it private; results are to be read like any other file of the user's.
        path.chmod(0o777 & ~umask())
        yield path
    finally:
        with suppress(OSError):
            _remove(path, parent)
        _let_go(lock)


@contextmanager
def temporary_file(parent: Path, suffix: str = "") -> Iterator[Path]:
    """An empty file that is gone when the block ends, unless it was moved away; after a kill the next run removes it.

    Raises:
        OSError: It cannot be made.
    """
    clear_abandoned(parent)
    path, lock = _made_and_held(lambda: _new_file(parent, suffix))
    try:
        path.chmod(0o666 & ~umask())
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        _let_go(lock)


def clear_abandoned(parent: Path) -> None:
    """Remove what killed runs left in a folder, once in the life of this process; a result that one of them was just
    replacing goes back to its place.
    """
    where = str(parent.absolute())
    if where in _cleared:
        return
    _cleared.add(where)
    with suppress(OSError):
        for path in [path for path in parent.iterdir() if _OURS.fullmatch(path.name)]:
            _clear(path, parent)


def synced(folder: Path) -> None:
    """Write a folder's list of names through to the disk, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _clear(path: Path, parent: Path) -> None:
    lock = _lock(path, wait=False)
    try:
        if lock is None and not _is_old(path):
            return
        _remove(path, parent)
    finally:
        _let_go(lock)


def _remove(path: Path, parent: Path) -> None:
    # A link is nothing that this program leaves, and what it leads to is somebody's own.
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if path.name.startswith(REPLACED):
        for result in path.iterdir():
            if not (parent / result.name).exists():
                result.rename(parent / result.name)
    shutil.rmtree(path, ignore_errors=True)


def _made_and_held(make: Callable[[], Path]) -> tuple[Path, int | None]:
    while True:
        path = make()
        lock = _lock(path, wait=True)
        # Before it was locked, a run that was just starting may have taken it for abandoned.
        if path.exists():
            return path, lock
        _let_go(lock)


def _new_file(parent: Path, suffix: str) -> Path:
    handle, name = tempfile.mkstemp(prefix=WRITING, suffix=suffix, dir=parent)
    os.close(handle)
    return Path(name)


def _lock(path: Path, *, wait: bool) -> int | None:
    """Hold a lock on a file or folder; None where somebody else does, or where there are no locks."""
    if sys.platform == "win32":
        return None
    import fcntl  # noqa: PLC0415 - not on Windows

    handle = None
    try:
        # A pipe of such a name would wait for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        _let_go(handle)
        return None
    return handle


def _let_go(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _is_old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > _OLD_SECONDS


def umask() -> int:
    """Which permissions this process's files do not get."""
    # It can only be asked by setting it; what another thread makes just then is rather the user's alone.
    with _asking:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask
