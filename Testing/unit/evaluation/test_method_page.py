"""docs/method.md names everything that an evaluation can be asked for and writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from BottleneckOODLib.evaluation.settings import DETECTORS, MODES, REDUCERS
from BottleneckOODLib.evaluation.tables import RESULT_COLUMNS


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "method.md").read_text(encoding="utf-8")


def test_every_reducer_detector_and_column_is_explained(page: str) -> None:
    columns = {name for name in RESULT_COLUMNS if not name.endswith(("_low", "_high"))}
    # Those that name a configuration, and the mark of the picked one, say themselves what they are.
    columns -= {"mode", "reducer", "parameters", "detector", "k", "seed", "picked"}
    for name in (*REDUCERS, *DETECTORS, *columns):
        assert f"`{name}`" in page or f"`{name} " in page, name
    assert all(f"--mode {mode}" in page for mode in MODES)


def test_what_it_links_to_is_there(page: str, repository: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert (repository / "docs" / target).is_file(), target
    headings = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", page, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings
