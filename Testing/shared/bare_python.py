"""A Python that finds what was installed and third-party packages, and nothing of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Third-party packages come last: one of them is named like a module of the standard library, and must not hide it.
_START = """
import runpy, sys
third_party, how, what, *arguments = sys.argv[1:]
sys.path += third_party.split({separator!r})
sys.argv = [what, *arguments]
if how == "-m":
    runpy.run_module(what, run_name="__main__", alter_sys=True)
else:
    exec(compile(what, "<asked>", "exec"), {{"__name__": "__main__"}})
"""


def bare_python(installed: Path, cwd: Path, how: str, what: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module or code with what lies in a folder and the dependencies, and nothing of the checkout.

    ``-S`` leaves out ``.pth`` files, and with them an editable installation.

    Args:
        installed: The folder that is first on the path.
        cwd: Where it runs; what a user keeps for themselves lies in ``own`` there.
        how: ``-m`` for a module, ``-c`` for code.
        what: The module's name, or the code.
        arguments: What the module or the code is given.

    Returns:
        How it ended, and what it said.
    """
    third_party = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BOTTLENECK_OOD_"))}
    environment = {
        **kept,
        "PYTHONPATH": str(installed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "BOTTLENECK_OOD_HOME": str(cwd / "own"),
    }
    start = _START.format(separator=os.pathsep)
    return subprocess.run(
        [sys.executable, "-S", "-c", start, os.pathsep.join(third_party), how, what, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8", check=False, timeout=300,
    )  # fmt: skip
