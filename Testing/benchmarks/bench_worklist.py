"""How the worklist feels: from *Next* to the case in the scene, and the longest stall of the window meanwhile.

``python Testing/benchmarks/bench_worklist.py [CT]``: without a file the cases are enlarged copies of the sample. They
are made and assessed once with the demo model, in a temporary folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_panel import ROOT, Heartbeat, enlarged
from PySide6 import QtCore
from qt_harness.host import Host, start_host
from qt_harness.pythonqt import method_style

from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.writing import write_volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.triage.finding import Candidate, find_volumes
from BottleneckOODLib.triage.store import Store

N_CASES = 6


def make_store(folder: Path) -> str:
    """A store of cases of one size; the voxels differ by noise, so that each is a case of its own."""
    sample = read_volume(resource_folder() / "samples" / "sample-usual.nii.gz")
    volume = read_volume(Path(sys.argv[1])) if len(sys.argv) > 1 else enlarged(sample, 3)
    assessment = BottleneckOODLogic().assess(volume, modality="CT")
    scans, url = folder / "scans", str(folder / "triage.db")
    scans.mkdir()
    for number in range(N_CASES):
        voxels = volume.voxels.copy()
        voxels[0, 0, number] += 1
        write_volume(replace(volume, voxels=voxels), scans / f"case-{number}.nii.gz")
    with Store(url) as store:
        for found in find_volumes(scans):
            if isinstance(found, Candidate):
                case = store.note_case(found.content(), found.name, found.place())
                own = replace(assessment, case_id=case)
                store.add_assessment(case, "judge", own, own.save(folder / "results").as_posix(), 1.0)
    size = " x ".join(str(n) for n in volume.geometry.size_ijk)
    megabytes = sum(path.stat().st_size for path in scans.iterdir()) / N_CASES / 1e6
    print(f"{N_CASES} cases of {size} voxels, {megabytes:.0f} MB each as .nii.gz")
    return url


def settle(host: Host, model: Any) -> None:
    """Until every question is answered."""
    host.spin_until(lambda: model._awaited.is_idle, patience_s=120)


def main() -> None:
    """Print the table."""
    host = start_host()
    method_style(__name__)
    host.clear()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        url = make_store(Path(name))
        QtCore.QSettings().setValue("BottleneckOOD/Reader", "bench")
        widget = host.open_module(ROOT / "BottleneckOOD" / "BottleneckOOD.py")
        section = widget.panel.worklist
        beat = Heartbeat()
        widget.ui.storeEdit.currentPath = url
        for step in ("openStoreButton", "closeStoreButton", "openStoreButton", *["nextCaseButton"] * (N_CASES - 1)):
            # The next one is read ahead while the reader looks at this one, but for every second case here.
            ahead = step == "nextCaseButton" and len(section.model._visited._cases) % 2 == 1
            if ahead:
                host.spin_until(section.model._cases.at_work.done, patience_s=120)
            elif step == "nextCaseButton":
                section.model._cases.ahead(None, "")
            beat.reset()
            began = time.perf_counter()
            getattr(widget.ui, step).click()
            pressed = time.perf_counter() - began
            settle(host, section.model)
            how = "read ahead" if ahead else ""
            print(
                f"{step:16s} {time.perf_counter() - began:6.2f} s   pressing {1000 * pressed:6.1f} ms   "
                f"longest stall {beat.longest_ms:6.1f} ms   {how}"
            )
        for what in ("unedited", "saved"):
            if what == "saved":
                node = host.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
                segmentation = node.GetSegmentation()
                segmentation.GetNthSegment(0).SetName("edited")
            beat.reset()
            began = time.perf_counter()
            widget.ui.saveVersionButton.click()
            pressed = time.perf_counter() - began
            settle(host, section.model)
            print(f"{what:16s} {time.perf_counter() - began:6.2f} s   pressing {1000 * pressed:6.1f} ms")
        host.close_module("BottleneckOOD")


if __name__ == "__main__":
    main()
