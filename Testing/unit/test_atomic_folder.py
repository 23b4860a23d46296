from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from BottleneckOODLib.atomic_folder import file_written_whole, write_file, written_whole
from BottleneckOODLib.errors import OutputError

MARKER = "record.json"


def write(folder: Path, text: str, *, overwrite: bool) -> None:
    with written_whole(folder, overwrite=overwrite, known=(MARKER,)) as temporary:
        (temporary / MARKER).write_text(text)


def test_an_earlier_result_is_replaced_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "case", "old", overwrite=False)
    with pytest.raises(OutputError, match="was kept"):
        write(tmp_path / "case", "new", overwrite=False)
    write(tmp_path / "case", "new", overwrite=True)
    assert (tmp_path / "case" / MARKER).read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["case"]


def test_a_folder_that_is_no_earlier_result_is_never_replaced(tmp_path: Path) -> None:
    scans = tmp_path / "patient"
    scans.mkdir()
    (scans / "slice-1.dcm").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"slice-1\.dcm"):
        write(scans, "new", overwrite=True)
    assert (scans / "slice-1.dcm").read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == ["patient"]


def test_a_file_in_its_place_is_kept(tmp_path: Path) -> None:
    (tmp_path / "case").write_text("a file")
    with pytest.raises(OutputError):
        write(tmp_path / "case", "new", overwrite=True)
    assert (tmp_path / "case").read_text() == "a file"


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    write(tmp_path / "case", "new", overwrite=True)
    assert (tmp_path / "case" / MARKER).read_text() == "new"


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "case", "old", overwrite=False)

    def fail() -> None:
        with written_whole(tmp_path / "case", overwrite=True, known=(MARKER,)) as temporary:
            (temporary / MARKER).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "case" / MARKER).read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["case"]


def test_a_file_that_the_user_put_beside_a_result_is_never_lost(tmp_path: Path) -> None:
    write(tmp_path / "case", "old", overwrite=False)
    (tmp_path / "case" / "edited.seg.nrrd").write_text("an afternoon's work")
    with pytest.raises(OutputError, match=r"edited\.seg\.nrrd"):
        write(tmp_path / "case", "new", overwrite=True)
    assert (tmp_path / "case" / "edited.seg.nrrd").read_text() == "an afternoon's work"
    assert (tmp_path / "case" / MARKER).read_text() == "old"


def test_a_file_is_replaced_only_when_asked_and_never_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_file(path, b"old")
    with pytest.raises(OutputError, match="exists already and was kept"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    write_file(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_file(tmp_path / "folder", b"new", overwrite=True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "page.html"]


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    write_file(tmp_path / "page.html", b"old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\)"):
        write_file(tmp_path / "page.html", b"new", overwrite=True)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("page.html", b"old")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_pipe_or_a_device_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "page.html"
    os.mkfifo(pipe)
    (tmp_path / "link.html").symlink_to(pipe)
    for path in (pipe, tmp_path / "link.html"):
        with pytest.raises(OutputError, match="a pipe or a device; name a file"):
            write_file(path, b"new", overwrite=True)
    assert pipe.is_fifo()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link.html", "page.html"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_names_is_written(there: bool, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    if there:
        (tmp_path / "shared" / "page.html").write_bytes(b"old")
    link = tmp_path / "page.html"
    link.symlink_to(Path("shared") / "page.html")
    write_file(link, b"new", overwrite=True)
    assert link.is_symlink()
    assert (tmp_path / "shared" / "page.html").read_bytes() == b"new"
    assert [one.name for one in (tmp_path / "shared").iterdir()] == ["page.html"]


def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), file_written_whole(tmp_path / ("x" * 300)):
        pass
    assert list(tmp_path.iterdir()) == []
