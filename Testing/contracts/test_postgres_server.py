"""The server that the store's tests ask for: real, apart for each test, and gone afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import postgres_server
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool


def said(url: str, *statements: str) -> object:
    """What a database answers to the last of some statements."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        answer = [connection.execute(text(statement)) for statement in statements][-1].scalar()
    return answer


def test_it_is_a_real_server_that_listens_to_no_network(a_postgres_url: str) -> None:
    assert str(said(a_postgres_url, "SELECT version()")).startswith("PostgreSQL")
    assert said(a_postgres_url, "SHOW listen_addresses") == ""


def test_what_one_database_holds_no_other_sees(make_postgres_database: Callable[[], str]) -> None:
    first, second = make_postgres_database(), make_postgres_database()
    assert said(first, "CREATE TABLE kept (n integer)", "INSERT INTO kept VALUES (7)", "SELECT n FROM kept") == 7
    assert inspect(create_engine(second, poolclass=NullPool)).get_table_names() == []


@pytest.mark.skipif(sys.platform == "win32", reason="nobody is root there")
def test_the_server_does_not_run_as_root(postgres_server: str) -> None:
    folder = Path(str(make_url(postgres_server).query["host"]))
    process = int((folder / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    running = Path(f"/proc/{process}")
    if running.is_dir():
        # Small containers have no ps.
        assert running.stat().st_uid != 0
        return
    told = subprocess.run(["ps", "-o", "uid=", "-p", str(process)], capture_output=True, text=True, check=True)
    assert int(told.stdout) != 0


def test_without_a_server_it_is_a_skip_here_and_a_failure_in_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no server"):
        postgres_server.absent("no server")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no server"):
        postgres_server.absent("no server")


def test_the_newest_of_the_installed_servers_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("14", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    monkeypatch.setattr(postgres_server.shutil, "which", lambda _name: None)
    monkeypatch.setattr(postgres_server, "FOLDERS", ((str(tmp_path), "*/bin"),))
    assert postgres_server.server_programs() == tmp_path / "15" / "bin"
    monkeypatch.setattr(postgres_server, "FOLDERS", ((str(tmp_path / "none"), "*/bin"),))
    assert postgres_server.server_programs() is None
