"""The module's own self-test, which Slicer runs too, and what Slicer's start-up imports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

HEAVY = ("torch", "monai", "einops", "safetensors", "sklearn", "umap", "numba", "faiss", "matplotlib", "pandas")
PATH = ("Testing/panel", "Testing/shared", "BottleneckOOD")


def test_the_self_test_does_the_whole_job(a_module_widget: Any, the_application: Any) -> None:
    slicer.selfTests["BottleneckOOD"](msec=1)
    assert the_application.errors == []


def test_opening_the_module_imports_nothing_that_slicer_does_not_have(repository: Path) -> None:
    """Neither when Slicer starts nor when the panel is opened; an assessment runs elsewhere."""
    code = (
        "import sys, json, pathlib\n"
        f"sys.path[:0] = {[str(repository / part) for part in PATH]!r}\n"
        "from qt_harness.host import start_host\n"
        "host = start_host()\n"
        "before = set(sys.modules)\n"
        f"host.open_module(pathlib.Path({str(repository / 'BottleneckOOD' / 'BottleneckOOD.py')!r}))\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
        "host.close_module('BottleneckOOD')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    loaded = json.loads(ran.stdout.splitlines()[-1])
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []
    assert "BottleneckOODLib.widgets.panel" in loaded


def test_the_module_starts_from_where_slicer_installs_it(
    install_tree: Path, module_folder: Path, open_module: Callable[[Path], Any]
) -> None:
    widget = open_module(module_folder / "BottleneckOOD.py")
    assert "demo" in widget.ui.modelSelector.itemText(0)
    assert "159" in widget.ui.referenceSelector.itemText(0)
    library = Path(sys.modules["BottleneckOODLib"].__file__ or "")
    assert install_tree in library.parents
