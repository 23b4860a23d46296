"""How the panel feels: opening it, the longest stall of the window while a case runs, the second case and the first.

``python Testing/benchmarks/bench_panel.py [CT]``: without a file the large case is an enlarged copy of the sample.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing" / "panel"), str(ROOT / "Testing" / "shared"), str(ROOT / "BottleneckOOD")]

import numpy as np
from PySide6 import QtCore
from qt_harness.host import Host, start_host
from qt_harness.pythonqt import method_style

from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.resources import resource_folder

BEAT_MS = 2


class Heartbeat:
    """The longest time between two beats of the event loop."""

    def __init__(self) -> None:
        self._timer = QtCore.QTimer()
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self.reset()

    def reset(self) -> None:
        self._last, self.longest_ms, self.when = time.perf_counter(), 0.0, ""
        self._timer.start()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest_ms = max(self.longest_ms, 1000 * (now - self._last))
        self._last = now


def enlarged(volume: Volume, factor: int) -> Volume:
    """The same body on a finer grid, to see what size costs."""
    voxels = np.repeat(np.repeat(volume.voxels, factor, axis=1), factor, axis=2)
    i, j, k = volume.geometry.size_ijk
    si, sj, sk = volume.geometry.spacing_mm
    x, y, z = volume.geometry.origin_lps_mm
    geometry = Geometry(
        (i * factor, j * factor, k), (si / factor, sj / factor, sk), (x, y, z), volume.geometry.direction
    )
    return Volume(np.ascontiguousarray(voxels), geometry, volume.modality, f"{volume.name} x {factor}")


def run_case(host: Host, widget: Any, volume: Volume, name: str, beat: Heartbeat) -> float:
    """One press of the button, and what it cost; gives its seconds."""
    from BottleneckOODLib.scene.volume_node import add_volume_node

    node = add_volume_node(host.scene, volume, name)
    widget.ui.volumeSelector.setCurrentNode(node)
    widget.ui.modalitySelector.setCurrentIndex(widget.ui.modalitySelector.findData("CT"))
    beat.reset()
    started = time.perf_counter()
    widget.ui.assessButton.click()
    pressed = time.perf_counter() - started
    host.spin_until(lambda: not widget.logic.runner.busy, patience_s=600)
    total = time.perf_counter() - started
    size = " x ".join(str(n) for n in volume.geometry.size_ijk)
    stall = f"pressing {1000 * pressed:6.1f} ms   longest stall {beat.longest_ms:6.1f} ms"
    print(f"{name:14s} {size:18s} {total:7.2f} s   {stall}   {widget.ui.wordLabel.text()}")
    if widget.ui.messageLabel.text():
        print(f"    {widget.ui.messageLabel.text()}")
    return total


def main() -> None:
    """Print the table."""
    host = start_host()
    method_style(__name__)
    host.clear()
    started = time.perf_counter()
    widget = host.open_module(ROOT / "BottleneckOOD" / "BottleneckOOD.py")
    print(f"opening the module: {time.perf_counter() - started:.2f} s")
    host.close_module("BottleneckOOD")
    started = time.perf_counter()
    widget = host.open_module(ROOT / "BottleneckOOD" / "BottleneckOOD.py")
    print(f"opening it again: {time.perf_counter() - started:.2f} s")
    beat = Heartbeat()
    sample = read_volume(resource_folder() / "samples" / "sample-usual.nii.gz")
    first = run_case(host, widget, sample, "first case", beat)
    later = [run_case(host, widget, sample, f"case {number}", beat) for number in range(2, 6)]
    print(f"a later case takes {statistics.median(later) / first:.2f} of the first one's time (median of {len(later)})")
    large = read_volume(Path(sys.argv[1])) if len(sys.argv) > 1 else enlarged(sample, 3)
    run_case(host, widget, large, "a large one", beat)
    host.close_module("BottleneckOOD")


if __name__ == "__main__":
    main()
