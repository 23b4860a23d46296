"""The frame of a page lets no text become markup, ends no data early, and tells the browser to load nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from BottleneckOODLib.html_page import data_block, escaped, page, table

HOSTILE = ["</script><script>x()</script>", "<!--<script>", '"onload="x()', "&lt;b&gt;", "\u2028", "]]>", "'"]


class Read(HTMLParser):
    """What a reader of HTML finds: tags in order, and the text of each script."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.scripts: list[str] = []
        self.text = ""
        self._in_script = False
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.text += data


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\r\x00")))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    read = Read(f'<p title="{escaped(text)}">{escaped(text)}</p>')
    assert (read.tags, read.text, read.attributes) == (["p"], text, {"title": text})


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_its_data_block(text: str) -> None:
    read = Read(data_block("d", {text: [text]}) + "<p>")
    assert read.tags == ["script", "p"]
    assert json.loads(read.scripts[0]) == {text: [text]}
    assert not re.search("[<>&]", read.scripts[0])


def test_data_hold_no_number_that_json_lacks() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        data_block("d", [float("nan")])


def test_the_page_allows_its_own_scripts_and_nothing_else() -> None:
    sources = ["let a = 1;\n", "let b = '</script>';"]
    made = page("<title>", "<p>body</p>", scripts=sources)
    read = Read(made)
    policy = re.search(r'content="(default-src[^"]*)"', made)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert rules["default-src"] == "'none'"
    allowed = rules["script-src"].split()
    assert len(read.scripts) == len(sources)
    assert allowed == [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in read.scripts
    ]
    assert "script-src" not in page("t", "b")


def test_a_table_names_its_columns_as_text_and_its_lines_by_their_first_cell() -> None:
    read = Read(table(["<b>", "x"], [["<i>one</i>", "1"]]))
    assert read.tags == ["div", "table", "thead", "tr", "th", "th", "tbody", "tr", "th", "i", "td"]
    assert read.text.split() == ["<b>x", "one1"]
