"""A store opens whole, or a sentence says why not."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.triage import opening
from BottleneckOODLib.triage.opening import file_system_of, open_engine
from BottleneckOODLib.triage.store_file import file_of_store

MOUNTS = """\
/dev/a / ext4 rw 0 0
host:/x /data nfs4 rw 0 0
/dev/b /data/local ext4 rw 0 0
host:/y /with\\040space cifs rw 0 0
"""


def pragma(store: Path, name: str) -> str:
    engine = open_engine(str(store))
    with engine.connect() as connection:
        value = str(connection.execute(text(f"PRAGMA {name}")).scalar())
    engine.dispose()
    return value


def test_a_file_writes_through_and_keeps_a_log(tmp_path: Path) -> None:
    assert pragma(tmp_path / "a.db", "journal_mode") == "wal"
    assert pragma(tmp_path / "a.db", "synchronous") == "2"
    assert pragma(tmp_path / "a.db", "foreign_keys") == "1"


def test_a_network_drive_gets_no_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "is_on_network_drive", lambda _: True)
    assert pragma(tmp_path / "a.db", "journal_mode") == "delete"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/x", "ext4"),
        ("/data/a/b", "nfs4"),
        ("/data/local/x", "ext4"),
        ("/with space/x", "cifs"),
        ("/database", "ext4"),
    ],
)
def test_the_longest_mount_holds_a_path(path: str, kind: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind


@given(st.text())
def test_any_list_of_mounts_can_be_looked_at(mounts: str) -> None:
    assert isinstance(file_system_of(Path("/a/b"), mounts), str)


def test_what_is_no_store_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is no database " * 500)
    sentences = {
        str(tmp_path / "x.db"): "cannot be opened",
        str(tmp_path / "nowhere" / "x.db"): "does not exist",
        str(tmp_path): "cannot be opened",
        "mongo://host/x": "unknown kind",
        "sqlite://": "is a file",
        "sqlite:///:memory:": "is a file",
        "postgresql://user:secret@127.0.0.1:1/x": "cannot be opened",
        "http//:://": "no database URL",
        "post gres://user:secret@server/x": "no database URL",
        "postgresql://user:secret@server:port/x": "no database URL",
    }
    for store, sentence in sentences.items():
        with pytest.raises(StoreError, match=sentence) as caught:
            open_engine(store)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "x.db").read_bytes() == b"this is no database " * 500


def test_a_url_of_a_file_names_the_path_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    for store in (f"sqlite:///{tmp_path}/a%41.db", "sqlite:///~/home.db"):
        open_engine(store).dispose()
        file = file_of_store(store)
        assert file is not None
        assert file.is_file()
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["a%41.db", "home.db"]


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs, theirs:
        theirs.execute("CREATE TABLE cases (mine TEXT)")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_engine(str(tmp_path / "theirs.db"))
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs, theirs:
        assert [row[0] for row in theirs.execute("SELECT name FROM sqlite_master")] == ["cases"]


def _open(path: str) -> None:
    open_engine(path).dispose()


def test_a_new_store_can_be_opened_by_several_programs_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(_open, [str(tmp_path / "a.db")] * 6)
    assert pragma(tmp_path / "a.db", "integrity_check") == "ok"


def test_who_opens_a_new_store_waits_for_who_is_just_making_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself waits for no other program when it is asked for a write-ahead log."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            open_engine(str(tmp_path / "a.db"), patience_s=0)
        # In a module of its own: threads that earlier tests have left may sleep too.
        clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: other.rollback())
        monkeypatch.setattr(opening, "time", clock)
        assert pragma(tmp_path / "a.db", "journal_mode") == "wal"
        assert not other.in_transaction


def test_a_store_whose_tables_are_no_text_is_damaged_and_said_so(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    open_engine(str(store)).dispose()
    whole = store.read_bytes()
    assert whole.count(b"CREATE TABLE seen") == 1
    store.write_bytes(whole.replace(b"CREATE TABLE seen", b"CREATE TABLE \xff\xfe \xff"))
    # Before Python 3.11 such an error has no words at all.
    with pytest.raises(StoreError, match=r"cannot be opened \((it is damaged|unknown reason)\)"):
        open_engine(str(store))


@pytest.mark.parametrize("scheme", ["sqlite:///", "sqlite+pysqlite:///"])
def test_asking_makes_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str], scheme: str) -> None:
    assert main(["triage", "status", "--store", f"{scheme}{tmp_path}/new.db"]) == 2
    assert f"The store {tmp_path}/new.db does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
