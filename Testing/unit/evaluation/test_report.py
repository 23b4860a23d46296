"""The page is made from the tables alone, stands on its own, and lets no name become markup."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.evaluation.report import report_page
from BottleneckOODLib.evaluation.report_curve import risk_coverage_svg


class Balanced(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def both_modes(tmp_path: Path, make_cohort_files: Callable[..., object]) -> Path:
    files = make_cohort_files(tmp_path / "cohort")
    for mode in ("deployable", "paper"):
        files.run(tmp_path / "out", mode=mode)
    return tmp_path / "out"


def parsed(page: str) -> Balanced:
    reader = Balanced()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_each_outcome_of_the_table_has_what_rejecting_gains_and_no_other(
    tmp_path: Path, make_cohort_files: Callable[..., object]
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    rows = [[name, dice, 30 * (1 - dice)] for name, dice in zip(files.names, files.dice, strict=True)]
    files.write_table(rows, ("filename", "DICE_Score", "HD"))
    files.run(tmp_path / "out", mode="paper", reducers=("none",))
    told = parsed((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).text
    assert told.count("Dice gained") == told.count("HD gained, mm") == 2
    assert "SD gained" not in told
    with (tmp_path / "out" / "results.csv").open(newline="") as stream:
        picked = next(row for row in csv.DictReader(stream) if row["picked"])
    assert re.search(rf"{picked['n_id']} / {picked['n_ood']}\d\.\d\d \[", told), "the counts stand before the figures"
    shown = {name: f"{round(float(picked[name]), 2):.2f}" for name in ("dice_gained", "hd_gained")}
    # Here 30 mm are lost with each Dice: both figures stand in the line of the configuration, in this order.
    assert float(picked["hd_gained"]) == pytest.approx(-30 * float(picked["dice_gained"]))
    assert re.search(rf"{shown['dice_gained']} \[[^\]]*\]{shown['hd_gained']} \[", told)


def test_the_page_holds_both_modes_and_needs_nothing_else(both_modes: Path, tmp_path: Path) -> None:
    page = (both_modes / "report.html").read_text(encoding="utf-8")
    told = parsed(page)
    assert not re.search(r"(?:src|href)=|https?://|@import|<script", page)
    assert "svg" in told.seen
    for text in ("paper: AUROC (best on the test cases)", "deployable: AUROC (picked on training cases)",
                 "fewer than 20", "are to be reviewed", "mixtures of two"):  # fmt: skip
        assert text in told.text, text
    assert not re.search(r"\b(?:OK|pass|safe|correct|normal)\b", told.text)
    # Made again from the tables alone, wherever they lie.
    copied = shutil.copytree(both_modes, tmp_path / "copied")
    (copied / "report.html").unlink()
    assert report_page(copied) == page


def test_figures_on_the_page_are_those_of_the_table(
    both_modes: Path, results: Callable[[Path], list[dict[str, str]]]
) -> None:
    page = (both_modes / "report.html").read_text(encoding="utf-8")
    row = next(r for r in results(both_modes) if r["mode"] == "deployable" and r["picked"])
    figure = f"{float(row['auroc']):.2f}"
    low, high = (f"{float(row[name]):.2f}" for name in ("auroc_low", "auroc_high"))
    assert f'<td>{figure} <span class="range">[{low}, {high}]</span></td>' in page


def test_no_name_becomes_markup(both_modes: Path) -> None:
    evil = "<script>alert(1)</script>&"
    for name in ("results.csv", "scores.csv", "evaluation.json"):
        path = both_modes / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("avgpool", evil).replace("There are only", evil), encoding="utf-8")
    told = parsed(report_page(both_modes))
    assert "script" not in told.seen
    assert evil in told.text


def test_every_picture_of_a_table_can_be_scrolled_and_has_headings_for_rows_and_columns(both_modes: Path) -> None:
    page = (both_modes / "report.html").read_text(encoding="utf-8")
    assert page.count("<table>") == page.count('<div class="wide"><table>') == 4
    for table in re.findall(r"<table>(.*?)</table>", page, flags=re.DOTALL):
        n_columns = table.count('scope="col"')
        for line in re.findall(r"<tr>(.*?)</tr>", table.split("<tbody>")[1], flags=re.DOTALL):
            assert line.startswith('<th scope="row">')
            assert line.count("<td>") == n_columns - 1
    assert 'name="viewport"' in page
    assert "@media print" in page


def test_what_is_to_be_known_of_both_modes_is_told_once(both_modes: Path) -> None:
    told = parsed((both_modes / "report.html").read_text(encoding="utf-8")).text
    notes = [note for run in json.loads((both_modes / "evaluation.json").read_text()).values() for note in run["notes"]]
    assert len(set(notes)) < len(notes)
    for note in set(notes):
        assert told.count(note) == 1
        both = notes.count(note) == 2
        assert (f"deployable and paper: {note}" in told) == both


def test_names_are_words_and_families_tell_what_is_scored(both_modes: Path) -> None:
    path = both_modes / "results.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    changed = [
        {"parameters": '{"region": "organ", "temperature": 1.0}', "detector": "msp", "k": ""},
        {"parameters": '{"features": "histogram"}', "detector": "md", "k": ""},
        {"parameters": '{"dim": "2D", "kernel": 2, "stride": 1}', "reducer": "avgpool", "detector": "knn", "k": "4"},
        {"parameters": "{}", "detector": "md_placed", "reducer": "umap", "k": ""},
    ]
    for row, change in zip(rows, changed, strict=False):
        row |= {"reducer": "none", **change}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    cells = re.findall(r'<th scope="row">(.*?)</th>', report_page(both_modes))
    for name in ("outputs, msp, region organ, temperature 1", "features histogram, md",
                 "avgpool, knn, dim 2D, kernel 2, stride 1, k 4", "umap, md_placed"):  # fmt: skip
        assert name in cells
    for family in ("outputs, msp", "features histogram, md", "avgpool, knn", "umap, md"):
        assert family in cells


def test_a_zero_has_no_sign(both_modes: Path) -> None:
    path = both_modes / "results.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    for row in rows:
        row |= {"dice_gained": "-0.001", "dice_gained_low": "-0.004", "dice_gained_high": "0.001"}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    page = report_page(both_modes)
    assert '0.00 <span class="range">[0.00, 0.00]</span>' in page
    assert "-0.00" not in page


@pytest.mark.parametrize("name", ["results.csv", "scores.csv", "evaluation.json"])
def test_a_damaged_table_is_one_sentence(name: str, both_modes: Path) -> None:
    (both_modes / name).write_text("not,this\n1,2\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match=rf"{name} is"):
        report_page(both_modes)


def test_the_curve_ends_at_the_mean_risk_of_all_cases() -> None:
    dice = np.array([0.9, 0.5, 0.7, 0.8])
    picture = risk_coverage_svg({"a <name>": (np.array([1.0, 4.0, 3.0, 2.0]), dice)})
    assert "a &lt;name&gt;" in picture
    lines = re.findall(r'points="([^"]+)"', picture)
    assert len(lines) == 2
    assert lines[0].split()[-1] == lines[1].split()[-1]
    parsed(picture)
