"""A case shown in a scene with all that the module makes of it, and the scene closed, again and again.

    OMP_NUM_THREADS=1 PYTHONPATH=BottleneckOOD:Testing/soak:Testing/shared python Testing/soak/closed_scenes.py

Needs Slicer's core (the package ``slicer-core``). VTK's own report of leaks is not compiled into it: objects are
watched by weak references instead, and the memory of the process is compared.
"""

from __future__ import annotations

import argparse
import os
import threading
from pathlib import Path

import slicer
from everything_shown import alive, close_scene, node_ids, records_kept, show_everything
from growth import Growth, open_files, resident_mb
from slice_view import SliceView
from tally import Tally

from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.scene.corner_light import CornerLight


def main() -> int:
    """Assess the embedded sample once, and show and close it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    if not os.environ.get("DISPLAY"):
        os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkEGLRenderWindow"
    tally = Tally("the scene closed", ("grown", "alive", "nodes left", "records kept"))
    sample = resource_folder() / "samples" / "sample-usual.nii.gz"
    assessment = BottleneckOODLogic("demo", device="cpu").assess(sample)
    scene, segmentations = slicer.vtkMRMLScene(), slicer.vtkSlicerSegmentationsModuleLogic()
    segmentations.SetMRMLScene(scene)
    view = SliceView(scene)
    corner = CornerLight(view.renderer)
    close_scene(view, corner)
    empty = node_ids(scene)
    growth = Growth()
    watched: list[list[object]] = []
    for _ in range(options.times):
        watched.append(show_everything(view, corner, assessment))
        close_scene(view, corner)
        for name in alive(*watched[-2:]):
            tally.found("alive", name)
        for node in node_ids(scene) - empty:
            tally.found("nodes left", node)
        if records_kept():
            tally.found("records kept", str(records_kept()))
        growth.add(memory_mb=resident_mb(), open_files=open_files(), threads=threading.active_count())
        tally.times += 1
    tally.counts["watched"] = sum(map(len, watched))
    growth.judge(tally)
    code = tally.print(options.json)
    view.close()
    segmentations.SetMRMLScene(None)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
