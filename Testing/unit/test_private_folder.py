"""A folder that two processes hand files over in."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from BottleneckOODLib.errors import DependencyError, OutputError, UserError
from BottleneckOODLib.private_folder import private_folder, remove_in_use


def test_it_is_empty_and_nobody_else_can_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = private_folder(OutputError)
    assert folder.parent == tmp_path
    assert not list(folder.iterdir())
    assert sys.platform == "win32" or folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("error", [OutputError, DependencyError])
def test_where_it_cannot_be_made_the_sentence_says_what_to_do(
    error: type[UserError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(error, match="The temporary folder cannot be written; free space"):
        private_folder(error)


def test_nothing_stays_of_what_another_goes_on_writing(tmp_path: Path) -> None:
    """Removed plainly, a folder stays where a file comes into it after it was listed."""
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        begun = threading.Event()
        writer = threading.Thread(target=_write_until_gone, args=(folder, begun))
        writer.start()
        begun.wait()
        remove_in_use(folder)
        writer.join()
        assert not list(tmp_path.iterdir())


def _write_until_gone(folder: Path, begun: threading.Event) -> None:
    with suppress(OSError):
        for number in range(100_000):
            (folder / f"{number}.npy").write_bytes(b"0")
            if number == 50:
                begun.set()


def test_what_is_gone_already_is_no_error(tmp_path: Path) -> None:
    remove_in_use(tmp_path / "gone")
    assert not list(tmp_path.iterdir())
