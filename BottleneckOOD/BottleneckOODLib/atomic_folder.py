"""Writing a folder, or a file, whole or not at all."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from BottleneckOODLib.errors import KeptFolderError, OutputError
from BottleneckOODLib.temporaries import REPLACED, clear_abandoned, synced, temporary_file, temporary_folder, umask

_ATTEMPTS = 3
# As Linux's headers have them: paths are relative to the working folder; the two names are exchanged.
_HERE, _RENAME_EXCHANGE = -100, 2


@contextmanager
def written_whole(folder: Path, *, overwrite: bool, known: Collection[str]) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of ``folder`` when the block ends without an error.

    An existing folder goes only after the new one stands. Whatever goes wrong, nothing half-written is left; what a
    kill leaves has a temporary name, and goes with the next run.

    Args:
        folder: The folder to make.
        overwrite: Replace an existing one.
        known: Names of the files of such a result, and ``NAME/`` of a folder of numbered pictures; a folder with
            anything else in it is never replaced.

    Raises:
        KeptFolderError: ``folder`` holds more than such a result.
        OutputError: It exists and may not be replaced, or it cannot be written.
    """
    try:
        clear_abandoned(folder.parent)
        check_replaceable(folder, overwrite=overwrite, known=known)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder.parent) as temporary:
            yield temporary
            _sync(temporary)
            check_replaceable(folder, overwrite=overwrite, known=known)
            _put(temporary, folder, known, overwrite=overwrite)
            synced(folder.parent)
    except OSError as error:
        why = error.strerror or "unknown reason"
        message = f"The folder {folder} cannot be written ({why}); check permissions and free space."
        raise OutputError(message) from None


@contextmanager
def file_written_whole(path: Path, *, suffix: str = "") -> Iterator[Path]:
    """Give an empty temporary file to fill, and put it in the place of ``path`` when the block ends without an error.

    Args:
        path: The file to make or to replace; its folder exists. A link stays, and what it names is replaced.
        suffix: What the temporary's name ends in, for writers that look at it.

    Raises:
        OutputError: It cannot be written, or is a pipe or a device; what stood there stands there still.
    """
    try:
        if path.exists() and not path.is_file():
            # An administrator's program would put a file in the place of a device that the whole system uses.
            message = f"The output {path} is no file but a folder, a pipe or a device; name a file."
            raise OutputError(message)
        target = Path(os.path.realpath(path))
        with temporary_file(target.parent, suffix) as temporary:
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
            synced(target.parent)
    except OSError as error:
        why = error.strerror or "unknown reason"
        message = f"The file {path} cannot be written ({why}); check the folder, its permissions and free space."
        raise OutputError(message) from None


def write_file(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file; an existing one goes only after the new one is on disk.

    Args:
        path: The file to make.
        content: What it holds.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists and ``overwrite`` is not set, or it cannot be written.
    """
    check_free(path, overwrite=overwrite)
    with file_written_whole(path) as temporary:
        temporary.write_bytes(content)


def taken_for_one(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two different names that Windows and macOS take for one file or folder; None where there are none.

    >>> taken_for_one(["ct1", "ct2", "CT1"])
    ('ct1', 'CT1')
    """
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            return other, name
    return None


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse to write where a file is that may not be replaced, before any work is done.

    Raises:
        OutputError: There is a folder, or a file and ``overwrite`` is not set.
    """
    if path.is_dir():
        message = f"The output {path} is a folder; name a file."
        raise OutputError(message)
    if path.exists() and not overwrite:
        message = f"The file {path} exists already and was kept; choose another, or add --overwrite."
        raise OutputError(message)


def check_replaceable(folder: Path, *, overwrite: bool, known: Collection[str]) -> None:
    """Refuse to replace what is no earlier result, or holds more than one.

    Raises:
        KeptFolderError: Something else than ``known`` lies in ``folder``.
        OutputError: It exists and ``overwrite`` is not set.
    """
    if not folder.exists():
        return
    if not overwrite:
        message = f"The folder {folder} exists already and was kept; choose another place, or move it away."
        raise OutputError(message)
    _refuse_foreign(folder, known, folder)


def _refuse_foreign(place: Path, known: Collection[str], folder: Path) -> None:
    foreign = (
        sorted(path.name for path in place.iterdir() if not _is_known(path, known)) if place.is_dir() else ["a file"]
    )
    if foreign:
        message = f"The folder {folder} holds more than an earlier result ({foreign[0]}) and was kept; move that away."
        raise KeptFolderError(message)


def _is_known(path: Path, known: Collection[str]) -> bool:
    if not path.is_dir():
        return path.name in known
    pictures = all(one.is_file() and one.stem.isdecimal() and one.suffix == ".png" for one in path.iterdir())
    return f"{path.name}/" in known and pictures


def check_writable(folder: Path) -> None:
    """Refuse an output folder that cannot be written, before any work is done.

    It is tried out, beside what lies there: rights alone do not tell of a disk that may only be read, nor of a name
    that the disk does not take.

    Raises:
        OutputError: It is a file, or cannot be made or written.
    """
    try:
        existing, missing = folder, []
        while not existing.exists() and existing != existing.parent:
            missing.append(existing.name)
            existing = existing.parent
        if not existing.is_dir():
            message = f"The output {existing} is a file; choose a folder."
            raise OutputError(message)
        with temporary_folder(existing) as tried:
            for name in missing:
                (tried / name).mkdir(exist_ok=True)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "unknown reason"
        message = (
            f"The output folder {folder} cannot be written ({why}); choose another folder, or change its permissions."
        )
        raise OutputError(message) from None


def check_file_writable(path: Path, *, overwrite: bool) -> None:
    """Refuse an output file that cannot be written, before any work is done; see ``check_writable``.

    Raises:
        OutputError: It is a folder, or exists and ``overwrite`` is not set, or cannot be written.
    """
    try:
        check_free(path, overwrite=overwrite)
        with temporary_file(path.absolute().parent, path.suffix):
            pass
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "unknown reason"
        message = f"The file {path} cannot be written ({why}); check the folder, its permissions and free space."
        raise OutputError(message) from None


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            synced(path)
            continue
        path.chmod(0o666 & ~umask())
        with path.open("rb+") as written:
            os.fsync(written.fileno())
    synced(folder)


def _put(new: Path, folder: Path, known: Collection[str], *, overwrite: bool) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            if not folder.exists():
                new.rename(folder)
                return
            # It may have come since it was looked for.
            check_replaceable(folder, overwrite=overwrite, known=known)
            if _exchanged(new, folder):
                _check_exchanged(new, folder, known)
            else:
                _replace(new, folder, known)
        except OSError:
            # Another program put its result there, or took it away, at the same moment.
            if not overwrite or attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _check_exchanged(old: Path, folder: Path, known: Collection[str]) -> None:
    try:
        # Something may have been saved there while the new one was written; from now on nothing can be.
        _refuse_foreign(old, known, folder)
    except BaseException:
        _exchanged(old, folder)
        raise


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places in one step, so that there is no moment without either; False where that cannot be.

    Source:
        renameat2(2) of Linux, with ``RENAME_EXCHANGE``; a few file systems, such as NFS, do not have it.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes  # noqa: PLC0415 - Linux only

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    rename.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _replace(new: Path, folder: Path, known: Collection[str]) -> None:
    """In two steps; whatever ends it between them, the old folder goes back, after a kill with the next run."""
    with temporary_folder(folder.parent, REPLACED) as old:
        folder.rename(old / folder.name)
        _refuse_foreign(old / folder.name, known, folder)
        new.rename(folder)
