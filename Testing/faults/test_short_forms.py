"""The long runs on faults, a few times each: kills, full disks, a batch beside a reader, many who decide at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# How long all of it takes is the machine's matter, and its disk's.
PATIENCE_S = 3000

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="processes are forked"),
    pytest.mark.timeout(PATIENCE_S + 60),
]


def counted(repository: Path, tmp_path: Path, *words: str) -> list[dict[str, Any]]:
    """The counts of a run, made in a process of its own: it forks, and nothing may have been computed before."""
    folders = [repository / "BottleneckOOD", repository / "Testing" / "soak", repository / "Testing" / "shared"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, folders))}
    script, found = repository / "Testing" / "soak" / "short_forms.py", tmp_path / "counts.json"
    done = subprocess.run(
        [sys.executable, str(script), "--json", str(found), *words],
        capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]


def test_nothing_is_lost_torn_or_doubled_by_kills_full_disks_and_company(repository: Path, tmp_path: Path) -> None:
    counts = {row["what"]: row for row in counted(repository, tmp_path)}
    bad = {"lost", "torn", "doubled", "left over", "not finished", "another result", "no plain sentence", "refused"}
    for row in counts.values():
        assert {name: row[name] for name in bad & set(row) if row[name]} == {}, row["notes"]
        assert row["times"] > 0
    assert sum(row["times"] for what, row in counts.items() if what.endswith("killed")) == 10
    assert counts["4 processes decide, sqlite"]["times"] == 40
    assert counts["two batches on one store"]["times"] == 2
    beside = counts["triage killed while a reader decides"]
    assert (beside["times"], beside["cases"], beside["assessments"], beside["decisions"]) == (2, 4, 4, 4)
    # A reader that was killed between a decision and its note was not told of it.
    unnoted = beside["decisions"] - beside["decisions acknowledged"]
    assert 0 <= unnoted <= beside["reader killed"]


def test_many_decide_on_a_server(repository: Path, tmp_path: Path, a_postgres_url: str) -> None:
    (row,) = counted(repository, tmp_path, "--store", a_postgres_url)
    assert (row["what"], row["times"]) == ("4 processes decide, postgresql", 40)
    assert (row["lost"], row["doubled"], row["refused"]) == (0, 0, 0)
