"""A hint names what is there, and none is given where nothing is close."""

from __future__ import annotations

from pathlib import Path

import pytest

from BottleneckOODLib.likely_meant import missing_path, nearest_name, other_separator


@pytest.mark.parametrize(
    ("word", "meant"), [("staus", "status"), ("reprot", "report"), ("scans", None), ("", None), ("status2", "status")]
)
def test_a_mistyped_word_is_known_again(word: str, meant: str | None) -> None:
    assert nearest_name(word, ("status", "report", "export", "drift")) == meant


def test_a_missing_path_is_told_by_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    assert missing_path(tmp_path / "scan") == f"did you mean {tmp_path / 'scans'}?"
    assert missing_path(tmp_path / "scans" / "ct.nii").endswith('nothing in it is called "ct.nii".')
    # The first folder that is missing is the one to look for, not the last.
    assert missing_path(tmp_path / "scnas" / "a" / "b") == f"did you mean {tmp_path / 'scans'}?"


@pytest.mark.parametrize("name", ["\0", "x" * 5000])
def test_a_path_that_no_disk_takes_has_a_hint_too(tmp_path: Path, name: str) -> None:
    assert missing_path(tmp_path / name)[-1] in ".?"


@pytest.mark.parametrize(
    ("columns", "named"),
    [(["image;label"], "semicolons"), (["image\tlabel"], "tabs"), (["image"], ""), (["a;b", "c"], ""), (None, "")],
)
def test_a_table_with_another_separator_is_known(columns: list[str] | None, named: str) -> None:
    told = other_separator(columns)
    assert (named in told) if named else not told
