"""The page is made from the tables alone, stands on its own, and lets no name become markup."""

from __future__ import annotations

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
