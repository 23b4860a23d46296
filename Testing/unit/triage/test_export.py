"""A table holds every row in every form, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import decide, shown_of, withdraw
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.assessment.versions import save_version
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.triage.export import case_rows, decision_rows, write_table
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Store

MakeAssessment = Callable[..., Assessment]


@pytest.fixture
def rows(an_assessment: Assessment) -> list[dict[str, object]]:
    first = decide(an_assessment, "minor_edit", reader="Zoë", note="=cmd|' /C calc'!A0", shown=shown_of(an_assessment))
    second = decide(an_assessment, "reject", reader="B", note="a, b\nc", shown=None, blind_first=True)
    log = DecisionLog((first, second, withdraw(second, reader="B")))
    return [dict(row) for row in decision_rows([("case-7", log)])]


def test_every_decision_is_a_row_that_says_whether_it_stands(rows: list[dict[str, object]]) -> None:
    assert [(r["rating"], r["stands"]) for r in rows] == [("minor_edit", True), ("reject", False), ("withdrawn", False)]
    assert rows[2]["withdraws"] == rows[1]["decision_id"]
    assert [r["shown_light"] for r in rows] == ["amber", "", ""]


def test_json_and_parquet_give_the_rows_back(rows: list[dict[str, object]], tmp_path: Path) -> None:
    from pyarrow import parquet

    write_table(list(rows), tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8")) == rows
    write_table(list(rows), tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist() == rows


def test_csv_opens_in_a_spreadsheet_and_starts_no_formula(rows: list[dict[str, object]], tmp_path: Path) -> None:
    write_table(list(rows), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [r["reader"] for r in read] == ["Zoë", "B", "B"]
    assert read[0]["note"] == "'=cmd|' /C calc'!A0"
    assert read[1]["note"] == "a, b\nc"


def test_a_case_is_a_row(a_store: Store, make_assessment: MakeAssessment) -> None:
    for name, light in (("a", "green"), ("b", "grey")):
        case_id = a_store.note_case(name * 64, name, Place(name, "", "1"))
        a_store.add_assessment(case_id, "j", replace(make_assessment(light), case_id=case_id), f"out/{name}", 2.0)
    table = case_rows(a_store.results())
    assert [(r["case_id"], r["light"], r["folder"]) for r in table] == [("a", "green", "out/a"), ("b", "grey", "out/b")]
    assert [r["p_value"] for r in table] == [0.62, None]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_what_stands_there_is_kept_and_an_empty_table_is_a_table(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"t{suffix}"
    write_table([], target)
    before = target.read_bytes()
    with pytest.raises(OutputError, match="was kept"):
        write_table([{"a": 1}], target)
    assert target.read_bytes() == before
    write_table([{"a": 1}], target, overwrite=True)
    assert target.read_bytes() != before


def test_a_folder_that_is_not_there_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_table([{"a": 1}], tmp_path / "nowhere" / "t.csv")
    with pytest.raises(OutputError, match="no known form"):
        write_table([{"a": 1}], tmp_path / "t.txt")
    assert list(tmp_path.iterdir()) == []


def test_the_masks_that_a_reader_edited_are_named(tmp_path: Path, make_assessment: MakeAssessment) -> None:
    seen, other = make_assessment("red"), make_assessment("red", created="2027-01-01T00:00:00+00:00")
    folder = seen.save(tmp_path / "one", picture=False)
    mask, parent = seen.segmentation, SEGMENTATION_FILE
    assert mask is not None
    for reader in ("Zoë", "B", " Zoë "):
        parent = save_version(mask, folder, reader=reader, parent=parent, assessment_created=seen.created).file
    log = DecisionLog(
        tuple(
            decide(one, "reject", reader=reader)
            for one, reader in ((seen, "Zoë"), (seen, "B"), (seen, "C"), (other, "Zoë"))
        )
    )
    folders = (str(folder), str(tmp_path / "gone"))
    named = [row["edited_masks"] for row in decision_rows([(seen.case_id, log)], lambda _: folders)]
    assert named == ["segmentation.v2.seg.nrrd|segmentation.v4.seg.nrrd", "segmentation.v3.seg.nrrd", "", ""]
