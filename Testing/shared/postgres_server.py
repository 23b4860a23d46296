"""A PostgreSQL server of the tests' own: in a temporary folder, reached through a socket there, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

ROLE = "tests"
PATIENCE_S = 180
# Nothing is kept beyond the tests, so nothing need reach the disk.
SETTINGS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=16MB"
# Where packages put the server without putting it on the PATH.
FOLDERS = (
    ("/usr/lib/postgresql", "*/bin"),
    ("/usr/pgsql", "*/bin"),
    ("/opt/homebrew/opt", "postgresql*/bin"),
    ("/usr/local/opt", "postgresql*/bin"),
)


def server_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; None where there is no server."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = [program.parent for root, below in FOLDERS for program in Path(root).glob(f"{below}/initdb")]
    return max(found, key=lambda folder: folder.parts, default=None)


def absent(reason: str) -> None:
    """Skip; in the gate, which installs a server on Linux, fail."""
    if os.environ.get("CI") == "true" and sys.platform == "linux":
        pytest.fail(f"{reason}; the gate needs it")
    pytest.skip(reason)


def unprivileged() -> dict[str, Any]:
    """Options of ``subprocess`` for another user where the tests run as root: the server refuses to."""
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    absent("PostgreSQL does not run as root, and there is no other user")
    return {}


def run(command: list[object], options: dict[str, Any]) -> None:
    """Run one of the server's programs; what it says goes to a file, because the server keeps its output open."""
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [*map(str, command)],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, timeout=2 * PATIENCE_S, cwd="/", **options,
        )  # fmt: skip
        said.seek(0)
        assert done.returncode == 0, said.read().decode(errors="replace")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server that runs until the tests end; it listens to no network."""
    if sys.platform == "win32":
        absent("a server of one's own needs a socket in a folder")
    programs = server_programs()
    if programs is None:
        absent("no PostgreSQL server is installed (initdb is neither on the PATH nor where packages put it)")
    assert programs is not None
    options = unprivileged()
    # A socket's path may have 107 bytes, and pytest's own folders are closed to the other user.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    data = folder / "data"
    try:
        if options:
            os.chown(folder, options["user"], options["group"])
        run([programs / "initdb", "-D", data, "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"], options)
        served = f"-k {folder} -c listen_addresses= {SETTINGS}"
        # By itself it waits for a minute, in which a busy machine may not have a server running.
        waiting = [programs / "pg_ctl", "-D", data, "-w", "-t", PATIENCE_S]
        run([*waiting, "-l", folder / "log", "-o", served, "start"], options)
        try:
            yield f"postgresql+psycopg://{ROLE}@/postgres?host={folder}"
        finally:
            run([*waiting, "-m", "immediate", "stop"], options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_postgres_database(postgres_server: str) -> Callable[[], str]:
    """Makes an empty database, and gives its URL."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    def make() -> str:
        name = f"test_{uuid4().hex}"
        engine = create_engine(postgres_server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return postgres_server.replace("/postgres?", f"/{name}?")

    return make


@pytest.fixture
def a_postgres_url(make_postgres_database: Callable[[], str]) -> str:
    """An empty database of this test alone."""
    return make_postgres_database()
