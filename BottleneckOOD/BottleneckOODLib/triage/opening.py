"""Opening a store: SQLite in a file, or PostgreSQL for a team; made where there is none, migrated where it is old."""

from __future__ import annotations

import sys
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

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "fuse.sshfs", "9p", "ceph", "lustre"}
_REMOTE_DRIVE = 4
_LOCK_NUMBER = 7_205_831


def open_engine(store: str) -> Engine:
    """Open a store, and make or migrate its tables.

    Args:
        store: A file's path (SQLite), or a database URL such as ``sqlite:///triage.db`` or
            ``postgresql+psycopg://user@host/name``.

    Returns:
        The engine. SQLite writes through (``synchronous=FULL``), waits for others, and keeps a write-ahead log except
        on a network drive, where such a log is not to be relied on (https://www.sqlite.org/wal.html).

    Raises:
        StoreError: The store cannot be opened, is no store, or is of a newer version.
        DependencyError: The database's driver is not installed.
    """
    url = _url_of(store)
    try:
        engine = create_engine(url, **_options(url))
    except (ArgumentError, NoSuchModuleError):
        message = f"The store {_shown(url)} is of an unknown kind; give a file, or a postgresql+psycopg:// URL."
        raise StoreError(message) from None
    except ModuleNotFoundError:
        message = "The driver for this database is missing; install it with: pip install bottleneck-ood[scale]"
        raise DependencyError(message) from None
    if url.get_backend_name() == "sqlite":
        _set_up_sqlite(engine, url)
    try:
        _migrate(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreError(opening_failed(_shown(url), error)) from None
    except StoreError:
        engine.dispose()
        raise
    return engine


def opening_failed(store: str, error: SQLAlchemyError) -> str:
    """The sentence for a store that cannot be opened."""
    why = str(getattr(error, "orig", error)).strip().splitlines()[0:1]
    reason = why[0] if why else "unknown reason"
    return f"The store {store} cannot be opened ({reason}); check the path, the server and your rights."


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
    if "://" not in store:
        return URL.create("sqlite", database=str(Path(store).expanduser()))
    try:
        url = make_url(store)
    except ArgumentError:
        message = f"The store {store!r} is no database URL; give a file, or a postgresql+psycopg:// URL."
        raise StoreError(message) from None
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def _shown(url: URL) -> str:
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() != "sqlite":
        return {"pool_pre_ping": True}
    if not url.database or url.database == ":memory:":
        message = "A store is a file, so that nothing is lost; give its path."
        raise StoreError(message)
    folder = Path(url.database).absolute().parent
    if not folder.is_dir():
        message = f"The folder {folder} of the store does not exist; make it, or give another path."
        raise StoreError(message)
    return {"connect_args": {"timeout": _BUSY_SECONDS}}


def _set_up_sqlite(engine: Engine, url: URL) -> None:
    log = "DELETE" if is_on_network_drive(Path(str(url.database))) else "WAL"

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin too late to keep a read and the write that follows it together.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (f"journal_mode={log}", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if mode else "BEGIN IMMEDIATE")


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
