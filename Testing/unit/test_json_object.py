"""Whatever a file holds, it is an object or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from BottleneckOODLib.json_object import json_object

MOST = 300_000


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"7", b"null", b'"{}"', b"\xff\xfe{}", b"[" * 100_000, b"{}" + b" " * MOST],
    ids=["empty", "cut", "list", "number", "null", "text", "no UTF-8", "too deep", "too large"],
)
def test_what_is_no_object_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert json_object(tmp_path / "a.json", MOST) is None


def test_what_is_not_there_or_is_a_folder_is_nothing(tmp_path: Path) -> None:
    assert json_object(tmp_path / "a.json", MOST) is None
    assert json_object(tmp_path, MOST) is None


def test_an_object_as_large_as_allowed_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes('{"é": [1]}'.encode())
    assert json_object(tmp_path / "a.json", 11) == {"é": [1]}
    assert json_object(tmp_path / "a.json", 10) is None
