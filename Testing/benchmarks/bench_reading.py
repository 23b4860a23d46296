"""How much longer an image takes that another process reads: ``python Testing/benchmarks/bench_reading.py``.

Each kind of reading takes its turn, so that other work on the machine hits all alike.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.reading_process import ReadingProcess
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.resources import resource_folder

TURNS = 9


def seconds(read: Callable[[Any], object], path: Path) -> float:
    """How long one reading takes."""
    begin = time.monotonic()
    read(path)
    return time.monotonic() - begin


def main() -> None:
    """Print the median of each."""
    with tempfile.TemporaryDirectory() as text, ReadingProcess() as by_pipe, ReadingProcess(by_file=True) as by_file:
        folder = Path(text)
        coarse = np.random.default_rng(0).normal(40, 100, (20, 64, 64))
        voxels = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2).astype(np.int16)
        voxels[:, :60] = -1000
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / "large.nii.gz"))
        sitk.WriteImage(sitk.GetImageFromArray((voxels > 50).astype(np.uint8)), str(folder / "mask.seg.nrrd"), True)
        sample = resource_folder() / "samples" / "sample-usual.nii.gz"
        kinds = (read_volume, by_pipe.read, by_file.read)
        for name, path, readers in (
            ("sample", sample, kinds),
            ("512 x 512 x 160", folder / "large.nii.gz", kinds),
            ("its mask", folder / "mask.seg.nrrd", (read_label_volume, by_pipe.read_labels, by_file.read_labels)),
        ):
            turns = [[seconds(read, path) for read in readers] for _ in range(TURNS)]
            here, pipe, file = (statistics.median(column) for column in zip(*turns[1:], strict=True))
            print(f"{name}: {here:.2f} s here; {pipe:.2f} s through a pipe, {file:.2f} s through a file")


if __name__ == "__main__":
    main()
