"""What a killed run leaves goes with the next run, and what a living run holds stays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from BottleneckOODLib import atomic_folder, temporaries
from BottleneckOODLib.atomic_folder import file_written_whole, write_file, written_whole
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.temporaries import clear_abandoned, temporary_file, temporary_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")

KILLED_WHILE_WRITING = """
import os, sys
from pathlib import Path
from BottleneckOODLib.temporaries import temporary_file, temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder, temporary_file(Path(sys.argv[1]), ".nrrd") as file:
    (folder / "half").write_text("half")
    file.write_text("half")
    os.kill(os.getpid(), 9)
"""
KILLED_WHILE_REPLACING = """
import os, sys
from pathlib import Path
from BottleneckOODLib import atomic_folder
atomic_folder._exchanged = lambda one, other: False
renamed = Path.rename
def rename(path, to):
    if len(sys.argv) > 2 and path.name.startswith(".writing-"):
        os.kill(os.getpid(), 9)
    return renamed(path, to)
Path.rename = rename
with atomic_folder.written_whole(Path(sys.argv[1]) / "case", overwrite=True, known=("record.json",)) as temporary:
    (temporary / "record.json").write_text("new")
"""


@pytest.fixture(autouse=True)
def as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporaries, "_cleared", set())


def in_a_process(code: str, *words: object) -> None:
    subprocess.run([sys.executable, "-c", code, *map(str, words)], check=False, timeout=500)


def test_what_a_killed_run_left_goes_with_the_next_one(tmp_path: Path) -> None:
    in_a_process(KILLED_WHILE_WRITING, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    write_file(tmp_path / "table.csv", b"rows")
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_what_a_living_run_holds_stays(tmp_path: Path) -> None:
    code = "from pathlib import Path; from BottleneckOODLib.temporaries import clear_abandoned as c; import sys; "
    with temporary_folder(tmp_path) as folder, temporary_file(tmp_path) as file:
        in_a_process(code + "c(Path(sys.argv[1]))", tmp_path)
        assert folder.is_dir()
        assert file.is_file()
    assert list(tmp_path.iterdir()) == []


def test_what_a_user_hides_there_is_nobody_s_temporary(tmp_path: Path) -> None:
    names = [".writing-", ".writing-notes", ".replaced", ".writing-abcdefgh9", ".git", "writing-abcdefgh"]
    for name in names:
        (tmp_path / name).write_text("mine")
    clear_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_result_that_was_just_being_replaced_is_put_back(tmp_path: Path) -> None:
    in_a_process(KILLED_WHILE_REPLACING.replace("new", "old"), tmp_path)
    assert (tmp_path / "case" / "record.json").read_text() == "old"
    in_a_process(KILLED_WHILE_REPLACING, tmp_path, "kill")
    assert not (tmp_path / "case").exists()
    clear_abandoned(tmp_path)
    assert (tmp_path / "case" / "record.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges two names in one step")
def test_two_folders_change_places_at_once(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    assert atomic_folder._exchanged(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "file").read_text() == "other"
    assert not atomic_folder._exchanged(tmp_path / "one", tmp_path / "nobody")


def test_without_locks_only_what_is_old_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporaries, "_lock", lambda path, *, wait: None)
    old, young = tmp_path / ".writing-aaaaaaaa", tmp_path / ".writing-bbbbbbbb"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    clear_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [young]


@pytest.mark.parametrize("name", [".replaced-aaaaaaaa", ".writing-aaaaaaaa"])
def test_what_a_link_leads_to_stays_where_it_is(tmp_path: Path, name: str) -> None:
    """In a folder that others write, too, such a link may lead into the user's own."""
    own, output = tmp_path / "own", tmp_path / "output"
    for folder in (own, output):
        folder.mkdir()
    (own / "letter.txt").write_text("mine")
    (output / name).symlink_to(own)
    os.utime(output / name, (time.time() - 2 * 24 * 3600,) * 2, follow_symlinks=False)
    clear_abandoned(output)
    assert (own / "letter.txt").read_text() == "mine"
    assert list(output.iterdir()) == []


def test_a_pipe_of_such_a_name_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".writing-aaaaaaaa")
    clear_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_appears_meanwhile_is_replaced_only_where_that_was_asked(tmp_path: Path) -> None:
    def write(*, overwrite: bool) -> None:
        with written_whole(tmp_path / "case", overwrite=overwrite, known=("record.json",)) as temporary:
            (temporary / "record.json").write_text("mine")
            (tmp_path / "case").mkdir()
            (tmp_path / "case" / "record.json").write_text("another program's")

    with pytest.raises(OutputError, match="was kept"):
        write(overwrite=False)
    assert (tmp_path / "case" / "record.json").read_text() == "another program's"
    (tmp_path / "case" / "record.json").unlink()
    (tmp_path / "case").rmdir()
    write(overwrite=True)
    assert (tmp_path / "case" / "record.json").read_text() == "mine"


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("old")

    def fail() -> None:
        with file_written_whole(tmp_path / "table.csv") as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"table\.csv cannot be written \(No space left on device\)"):
        fail()
    assert (tmp_path / "table.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_arrays_on_a_full_disk_are_the_system_s_error(tmp_path: Path) -> None:
    import resource

    import numpy as np

    from BottleneckOODLib.tensor_file import write_arrays

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_arrays({"a": np.zeros(1000)}, tmp_path / "arrays")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == 27


def test_a_temporary_that_is_taken_for_abandoned_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a run into the same folder that is just starting."""
    lock, taken = temporaries._lock, []

    def late(path: Path, *, wait: bool) -> int | None:
        if not taken:
            taken.append(path)
            path.rmdir()
        return lock(path, wait=wait)

    monkeypatch.setattr(temporaries, "_lock", late)
    with temporary_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert folder != taken[0]


def test_a_result_that_came_at_the_last_moment_is_kept_where_nothing_may_be_replaced(tmp_path: Path) -> None:
    with_two(tmp_path)
    with pytest.raises(OutputError, match="was kept"):
        atomic_folder._put(tmp_path / "new", tmp_path / "case", ("record.json",), overwrite=False)
    assert (tmp_path / "case" / "record.json").read_text() == "another program's"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(13, "Permission denied")])
def test_what_ends_a_replacement_between_its_two_steps_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    renamed = Path.rename

    def rename(path: Path, to: Path) -> Path:
        if path.name == "new":
            raise stop
        return renamed(path, to)

    with_two(tmp_path)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(type(stop)):
        atomic_folder._replace(tmp_path / "new", tmp_path / "case", ("record.json",))
    assert (tmp_path / "case" / "record.json").read_text() == "another program's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case", "new"]


def test_what_cannot_go_back_to_its_place_at_once_goes_back_with_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, while another program reads in it."""
    renamed = Path.rename

    def rename(path: Path, to: Path) -> Path:
        if to == tmp_path / "case":
            raise PermissionError(13, "Permission denied")
        return renamed(path, to)

    with_two(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        with pytest.raises(PermissionError):
            atomic_folder._replace(tmp_path / "new", tmp_path / "case", ("record.json",))
    assert not (tmp_path / "case").exists()
    monkeypatch.setattr(temporaries, "_cleared", set())
    clear_abandoned(tmp_path)
    assert (tmp_path / "case" / "record.json").read_text() == "another program's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case", "new"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges two names in one step")
def test_a_folder_that_cannot_be_looked_through_once_it_was_exchanged_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_through = atomic_folder._refuse_foreign

    def refuse(place: Path, known: tuple[str, ...], folder: Path) -> None:
        if place != folder:
            raise PermissionError(13, "Permission denied")
        looked_through(place, known, folder)

    with_two(tmp_path)
    monkeypatch.setattr(atomic_folder, "_refuse_foreign", refuse)
    with pytest.raises(PermissionError):
        atomic_folder._put(tmp_path / "new", tmp_path / "case", ("record.json",), overwrite=True)
    assert (tmp_path / "case" / "record.json").read_text() == "another program's"
    assert (tmp_path / "new" / "record.json").read_text() == "mine"


def test_two_threads_that_ask_for_the_permissions_at_once_do_not_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one sets for the moment of asking must not be the other's answer, nor stay."""
    set_it, others = os.umask, []

    def umask(mask: int) -> int:
        before = set_it(mask)
        if not others:
            others.append(threading.Thread(target=lambda: others.append(temporaries.umask())))
            others[0].start()
            others[0].join(0.5)
        return before

    before = set_it(0o027)
    try:
        monkeypatch.setattr(os, "umask", umask)
        assert temporaries.umask() == 0o027
        others[0].join()
        assert others[1] == 0o027
        assert set_it(0o027) == 0o027
    finally:
        set_it(before)


def with_two(folder: Path) -> None:
    for name, text in (("new", "mine"), ("case", "another program's")):
        (folder / name).mkdir()
        (folder / name / "record.json").write_text(text)
