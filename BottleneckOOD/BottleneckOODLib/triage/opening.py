"""Opening a store: SQLite in a file, or PostgreSQL for a team; made where there is none, migrated where it is old."""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from BottleneckOODLib.errors import DependencyError, StoreError
from BottleneckOODLib.triage.store_file import file_of_store

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60
_LOOK_SECONDS = 0.01
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "fuse.sshfs", "9p", "ceph", "lustre"}
_REMOTE_DRIVE = 4
_LOCK_NUMBER = 7_205_831
# Python's sqlite3 cannot even raise an error whose words quote what is no text.
DATABASE_FAILURES = (SQLAlchemyError, UnicodeDecodeError)


def open_engine(store: str, patience_s: float | None = None) -> Engine:
    """Open a store, and make or migrate its tables.

    Args:
        store: A file's path (SQLite), or a database URL such as ``sqlite:///triage.db`` or
            ``postgresql+psycopg://user@host/name``.
        patience_s: How long to wait for a server, and for others who write; None waits as long as a batch may.

    Returns:
        The engine. SQLite writes through (``synchronous=FULL``), waits for others, and keeps a write-ahead log except
        on a network drive, where such a log is not to be relied on (https://www.sqlite.org/wal.html).

    Raises:
        StoreError: The store cannot be opened, is no store, or is of a newer version.
        DependencyError: The database's driver is not installed.
    """
    url = _url_of(store)
    try:
        engine = create_engine(url, **_options(url, patience_s))
    except (ArgumentError, NoSuchModuleError):
        message = f"The store {_shown(url)} is of an unknown kind; give a file, or a postgresql+psycopg:// URL."
        raise StoreError(message) from None
    except ModuleNotFoundError:
        message = "The driver for this database is missing; install it with: pip install bottleneck-ood[scale]"
        raise DependencyError(message) from None
    if url.get_backend_name() == "sqlite":
        _set_up_sqlite(engine, url, patience_s)
    try:
        _migrate(engine)
    except DATABASE_FAILURES as error:
        engine.dispose()
        raise StoreError(opening_failed(_shown(url), error)) from None
    except StoreError:
        engine.dispose()
        raise
    return engine


def what_failed(error: Exception) -> str:
    """The database's own words for one of ``DATABASE_FAILURES``."""
    if isinstance(error, UnicodeDecodeError):
        return "it is damaged"
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else "unknown reason"


def opening_failed(store: str, error: Exception) -> str:
    """The sentence for a store that cannot be opened."""
    why = what_failed(error)
    if why == "file is not a database":
        made = "name a file that bottleneck-ood triage has made"
        return f"The store {store} cannot be opened, because it is none; {made}."
    return f"The store {store} cannot be opened ({why}); check the path, the free space, the server and your rights."


def is_on_network_drive(path: Path) -> bool:
    """Whether a file lies, or would lie, on a network drive, as far as the system tells."""
    existing = path.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - Windows only

        drive = existing.anchor
        return drive.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(drive) == _REMOTE_DRIVE
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return file_system_of(existing.resolve(), mounts) in _NETWORK_FILE_SYSTEMS


def file_system_of(path: Path, mounts: str) -> str:
    r"""Type of the file system that holds a path, by the text of ``/proc/mounts``.

    >>> file_system_of(Path("/data/x"), "/dev/a / ext4 rw 0 0\nhost:/d /data nfs4 rw 0 0\n")
    'nfs4'
    """
    found, longest = "", -1
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2:  # noqa: PLR2004 - device, place, type
            place = Path(fields[1].replace("\\040", " "))
            if (path == place or place in path.parents) and len(place.parts) > longest:
                found, longest = fields[2], len(place.parts)
    return found


def _url_of(store: str) -> URL:
    # Before SQLAlchemy's own reading of ``sqlite:///PATH``, which takes a % in a path for the code of another letter.
    file = file_of_store(store)
    if file is not None:
        return URL.create("sqlite", database=str(file))
    try:
        url = make_url(store)
    except (ArgumentError, ValueError):
        # Not quoted: a password may stand in it. A port that is no number is a ValueError.
        message = "The store is no database URL; give a file, or a postgresql+psycopg://user@server/name URL."
        raise StoreError(message) from None
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def _shown(url: URL) -> str:
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _options(url: URL, patience_s: float | None) -> dict[str, Any]:
    if url.get_backend_name() != "sqlite":
        return {"pool_pre_ping": True, **({} if patience_s is None else _server_patience(patience_s))}
    if not url.database or url.database == ":memory:":
        message = "A store is a file, so that nothing is lost; give its path."
        raise StoreError(message)
    folder = Path(url.database).absolute().parent
    if not folder.is_dir():
        message = f"The folder {folder} of the store does not exist; make it, or give another path."
        raise StoreError(message)
    return {"connect_args": {"timeout": _BUSY_SECONDS if patience_s is None else patience_s}}


def _server_patience(seconds: float) -> dict[str, Any]:
    """Source: https://www.postgresql.org/docs/current/runtime-config-client.html (lock_timeout, statement_timeout)."""
    waits = f"-c lock_timeout={seconds * 1000:.0f} -c statement_timeout={2 * seconds * 1000:.0f}"
    # libpq takes whole seconds, and two at least.
    return {"connect_args": {"connect_timeout": max(2, round(seconds)), "options": waits}, "pool_timeout": seconds}


def _set_journal(cursor: Any, log: str, patience_s: float) -> None:
    """Two who open a new store at once: SQLite refuses one of them this change at once, whatever its time limit."""
    until = time.monotonic() + patience_s
    while True:
        try:
            cursor.execute(f"PRAGMA journal_mode={log}")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _set_up_sqlite(engine: Engine, url: URL, patience_s: float | None) -> None:
    on_network = is_on_network_drive(Path(str(url.database)))
    log = "DELETE" if on_network else "WAL"
    file = _OpenedFile(Path(str(url.database)), by_number=not on_network)

    @event.listens_for(engine, "do_connect")
    def look(_dialect: Any, _record: Any, _words: Any, _options: Any) -> None:
        # Before SQLite would make an empty file in its place.
        file.check()

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin too late to keep a read and the write that follows it together.
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            _set_journal(cursor, log, _BUSY_SECONDS if patience_s is None else patience_s)
            for pragma in ("synchronous=FULL", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
        except Exception:
            # The pool does not know it yet, and nobody else would let go of the file.
            connection.close()
            raise
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("reading", False)
        file.check()
        connection.exec_driver_sql("BEGIN" if mode else "BEGIN IMMEDIATE")

    @event.listens_for(engine, "commit")
    def commit(_connection: Any) -> None:
        file.check()


class _OpenedFile:
    """Whether a store's file is still the one that was opened: SQLite would go on writing to one that was deleted.

    Args:
        path: The file; it may not be there before the first look.
        by_number: Whether the file system numbers its files for good; many network drives do not.
    """

    def __init__(self, path: Path, *, by_number: bool) -> None:
        self._path, self._by_number = path, by_number
        self._opened: tuple[int, int] | None = None

    def check(self) -> None:
        """Refuse to go on with a file that is gone, or another one.

        Raises:
            StoreError: It was removed or replaced since it was opened.
        """
        try:
            facts = self._path.stat()
            found: tuple[int, int] | None = (facts.st_dev, facts.st_ino) if self._by_number else (0, 0)
        except OSError:
            found = None
        if self._opened is None:
            self._opened = found
        elif found != self._opened:
            message = (
                f"The store {self._path} was removed or replaced, or its drive went away, while it was open; what is "
                "done now is not kept: put it back and try again."
            )
            raise StoreError(message)


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect().execution_options(reading=True) as connection:
        if _revision(connection) == newest:
            return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Two programs that open a new store at once: one makes it, the other waits and finds it made.
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
        if _revision(connection) == newest:
            return
        config.attributes["connection"] = connection
        try:
            alembic.command.upgrade(config, "head")
        except CommandError:
            message = "The store was made by a newer version of BottleneckOOD; update BottleneckOOD."
            raise StoreError(message) from None


def _revision(connection: Any) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
