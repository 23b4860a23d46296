from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from BottleneckOODLib.reference.cases_file import ReferenceCase, extent_range, read_cases, write_cases

CASES = (
    ReferenceCase("a", 0.9123, {"kernel": "B30f"}, 1.25, 7.5, "CT", (0.78, 0.78, 5.0), (399.36, 399.36, 215.0)),
    ReferenceCase("b, with a comma", None, {"site": 'the "north"'}, modality="unknown"),
    ReferenceCase("c", 0.0),
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_cases(CASES, tmp_path / "cases.csv")
    assert read_cases(tmp_path / "cases.csv") == CASES


def test_columns_that_no_case_fills_are_left_out(tmp_path: Path) -> None:
    write_cases([ReferenceCase("a"), ReferenceCase("b", facts={"kvp": "120"})], tmp_path / "cases.csv")
    assert (tmp_path / "cases.csv").read_text().splitlines() == ["case_id,dice,kvp", "a,,", "b,,120"]


def test_a_table_of_an_earlier_version_opens(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("case_id,dice,spacing_mm,kvp\na,0.5000,about 3,120\n")
    assert read_cases(tmp_path / "cases.csv") == (ReferenceCase("a", 0.5, {"kvp": "120"}),)


@pytest.mark.parametrize("text", ["case,dice\na,1\n", "case_id\na\n", "case_id,dice\na,much\n"])
def test_a_table_of_something_else_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises((KeyError, ValueError)):
        read_cases(tmp_path / "cases.csv")


def test_the_range_is_that_of_the_cases_it_is_known_of() -> None:
    known = [ReferenceCase(str(n), extent_mm=extent) for n, extent in enumerate([(300, 200, 9), (250, 260, 400)])]
    shown = extent_range([*known, ReferenceCase("unknown")])
    assert shown is not None
    assert (shown.least_mm, shown.greatest_mm) == ((250, 200, 9), (300, 260, 400))
    assert extent_range([ReferenceCase("unknown")]) is None


def test_generated_bodies_of_earlier_references_tell_their_height() -> None:
    shown = extent_range([ReferenceCase("a", facts={"slices": "4.0", "slice_thickness_mm": "2.5"})])
    assert shown is not None
    assert (shown.least_mm[2], shown.greatest_mm[2]) == (10.0, 10.0)
    assert shown.least_mm[:2] == (float("inf"), float("inf"))
    assert shown.greatest_mm[:2] == (0.0, 0.0)


def test_a_length_below_a_millimetre_is_a_length() -> None:
    shown = extent_range([ReferenceCase("thin", extent_mm=(300, 200, 0.5))])
    assert shown is not None
    assert (shown.least_mm[2], shown.greatest_mm[2]) == (0.5, 0.5)


@pytest.mark.parametrize(
    "text", ["1 x 2", "1 x 2 x 3 x 4", "1 x 2 x 0", "1 x 2 x -0.5", "inf x 2 x 3", "1 x nan x 3", "1 x 2 x -inf"]
)
def test_lengths_that_are_none_are_as_good_as_missing(tmp_path: Path, text: str) -> None:
    (tmp_path / "cases.csv").write_text(f"case_id,dice,extent_mm\na,0.5,{text}\n")
    assert read_cases(tmp_path / "cases.csv") == (ReferenceCase("a", 0.5),)


def test_a_table_without_cases_keeps_its_columns(tmp_path: Path) -> None:
    write_cases([], tmp_path / "cases.csv")
    assert (tmp_path / "cases.csv").read_text().split() == ["case_id,dice"]


def test_letters_and_lines_come_back_whatever_the_system_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io, "text_encoding", lambda encoding, _stacklevel=2: encoding or "ascii")
    case = ReferenceCase("Bäuche", 0.5, {"note": "two\r\nlines\nand one"})
    write_cases([case], tmp_path / "cases.csv")
    assert read_cases(tmp_path / "cases.csv") == (case,)
    assert "Bäuche".encode() in (tmp_path / "cases.csv").read_bytes()


def test_a_table_of_fifty_megabytes_is_the_largest_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("case_id,dice\n")
    os.truncate(path, 50_000_001)
    with pytest.raises(ValueError, match="too large"):
        read_cases(path)
    # Nothing but zero bytes in one field, which is no table either.
    os.truncate(path, 50_000_000)
    with pytest.raises(ValueError, match=r"^(?!the table of cases is too large)"):
        read_cases(path)
