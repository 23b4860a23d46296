"""The panel's keys, which share one window with Slicer's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from host_calls import APPLICATION_KEYS


def test_no_key_of_the_application_s_own_is_taken(a_panel: Any) -> None:
    taken = {key for keys in APPLICATION_KEYS.values() for key in keys.split()}
    assert not taken & set(a_panel.panel._actions())


def test_the_page_tells_every_key(a_panel: Any, repository: Path) -> None:
    page = (repository / "docs" / "module.md").read_text(encoding="utf-8")
    table = page.partition("<!-- shortcuts -->")[2].partition("<!-- end of shortcuts -->")[0]
    told = set(re.findall(r"^\| (Ctrl\S+) \|", table, re.MULTILINE))
    ratings = set("12345")
    assert told == set(a_panel.panel._actions()) - ratings
    assert "| 1 to 5 |" in table
