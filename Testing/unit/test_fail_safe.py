"""A fault in any function on the way to a light ends in no green light and in no traceback: some of all faults, drawn.

The long form is ``Testing/soak/fail_safe.py``; what it counted stands in ``docs/reliability.md``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRAWN = 48
# How long all of it takes is the machine's matter.
PATIENCE_S = 3000


@pytest.mark.timeout(PATIENCE_S + 60)
def test_no_fault_on_the_way_to_a_light_comes_out_green(repository: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "found.json")
    told = subprocess.run(
        [sys.executable, "Testing/soak/fail_safe.py", "--output", output, "--at-most", str(DRAWN)],
        capture_output=True, text=True, cwd=repository, timeout=PATIENCE_S, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (tmp_path / "found.json").is_file(), told.stdout[-2000:] + told.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text())
    wrong = {group: found[group] for group in ("green", "traceback", "other", "unreached")}
    assert wrong == {"green": [], "traceback": [], "other": [], "unreached": []}
    # A case that was green without a fault is judged, and most of the library on the way is within reach.
    assert found["counts"]["planted"] >= 0.9 * DRAWN
    assert found["before"] > 250
