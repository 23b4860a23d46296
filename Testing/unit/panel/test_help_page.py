"""The page that explains the light says what the program does, in HTML that Slicer's text browser shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from BottleneckOODLib.assessment.figures import LIGHT_COLOURS
from BottleneckOODLib.assessment.wording import (
    BEYOND_MAP,
    MAP_NOTE,
    NOT_FOR_CLINICAL_USE,
    STATE_SHAPES,
    STATE_WORDS,
    light_sentence,
)
from BottleneckOODLib.ood.calibration import AMBER_LEVEL, RED_LEVEL

LIGHTS = ("green", "amber", "red", "grey")
# A part of what Qt's rich text knows: https://doc.qt.io/qt-5/richtext-html-subset.html
KNOWN_TO_QT = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "table", "tr", "th", "td"}
KNOWN_TO_QT |= {"b", "i", "font", "small"}
BLOCKS = {"h1", "h2", "p", "li", "td", "th"}
WITHOUT_END = {"meta"}


class Reader(HTMLParser):
    """Takes a page apart, and notices what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.colours: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attributes
        if tag in BLOCKS:
            self.words.append(" ")
        if tag not in WITHOUT_END:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.colours += [value or "" for name, value in attributes if name == "bgcolor"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open or "title" in self.open:
            return
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def page(repository: Path) -> Path:
    return repository / "BottleneckOOD" / "Resources" / "Help" / "what-does-this-mean.html"


@pytest.fixture(scope="module")
def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def row_of(read: Reader) -> dict[str, list[str]]:
    """Each light's row of the table."""
    rows = [[" ".join(cell.split()) for cell in row] for row in read.rows[1:]]
    assert len(rows) == len(LIGHTS)
    return {row[0].split()[0]: row for row in rows}


@pytest.mark.parametrize("light", LIGHTS)
def test_each_light_has_its_shape_its_word_and_its_call(row_of: dict[str, list[str]], light: str) -> None:
    shape, word, _, call = row_of[light]
    assert shape == f"{light} {STATE_SHAPES[light]}"
    assert word == STATE_WORDS[light]
    sentence = light_sentence(light, percentile=None, p_value=None, farthest_part=None, reason=None)
    assert sentence == f"{word}; {call}."


def test_the_lights_have_the_colours_of_the_picture(read: Reader) -> None:
    assert read.colours == [LIGHT_COLOURS[light] for light in LIGHTS]


def test_the_levels_are_the_program_s(read: Reader, row_of: dict[str, list[str]]) -> None:
    assert f"above {AMBER_LEVEL:.2f}" in row_of["green"][2]
    assert f"at or below {AMBER_LEVEL:.2f}" in row_of["amber"][2]
    assert f"at or below {RED_LEVEL:.2f}" in row_of["red"][2]
    assert f"1 in {round(1 / AMBER_LEVEL)} is amber or red" in read.text
    assert f"1 in {round(1 / RED_LEVEL)} is red" in read.text
    levels = set(re.findall(r"\b0\.\d+", read.text))
    assert levels == {f"{AMBER_LEVEL:.2f}", f"{RED_LEVEL:.2f}"}


def test_it_says_what_the_map_is_not_in_the_program_s_words(read: Reader) -> None:
    assert MAP_NOTE in read.text
    assert BEYOND_MAP in read.text


@pytest.mark.parametrize("phrase", ["tumour map", "error map", "probability that the mask is wrong", "1/(n+1)"])
def test_it_says_what_the_numbers_and_the_overlay_are_not(read: Reader, phrase: str) -> None:
    assert phrase in read.text


def test_it_says_no_clinical_use_first_and_last(read: Reader) -> None:
    first, last = read.text.find(NOT_FOR_CLINICAL_USE), read.text.rfind(NOT_FOR_CLINICAL_USE)
    assert 0 < first < len(read.text) // 4
    assert last > len(read.text) - 60


def test_it_promises_nothing(read: Reader) -> None:
    assert not re.search(r"\b(ok|okay|pass|passe[sd]|safe(ly)?|correct(ly)?|normal(ly)?)\b", read.text, re.IGNORECASE)


def test_it_is_short_and_stands_alone(page: Path, read: Reader) -> None:
    assert len(read.text.split()) < 700
    assert read.tags <= KNOWN_TO_QT
    assert not {"src", "href", "onclick"} & {name for name, _ in read.attributes}
    assert "://" not in page.read_text(encoding="utf-8")


def test_slicer_s_kind_of_text_browser_shows_all_of_it(page: Path, read: Reader, tmp_path: Path) -> None:
    pytest.importorskip("PySide6")
    code = (
        "import sys; from pathlib import Path\n"
        "from PySide6.QtGui import QGuiApplication, QTextDocument\n"
        "application = QGuiApplication([]); document = QTextDocument()\n"
        "document.setHtml(Path(sys.argv[1]).read_text(encoding='utf-8'))\n"
        "Path(sys.argv[2]).write_text(document.toPlainText(), encoding='utf-8')\n"
    )
    shown = tmp_path / "shown.txt"
    # A process of its own: only one Qt application can live in one.
    subprocess.run(
        [sys.executable, "-c", code, str(page), str(shown)],
        check=True,
        capture_output=True,
        timeout=600,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert shown.read_text(encoding="utf-8").split() == read.text.split()
