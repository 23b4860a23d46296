"""Peak memory and seconds of assessing a volume of 512 x 512 x 800 voxels, from the file to the saved folder.

The volume is a real CT, repeated along z, every second copy upside down so that tissue meets itself. The command runs
in a process of its own; its peak is what the operating system counted for it.

Usage: python Testing/benchmarks/bench_memory.py CT [--slices 800] [--limit-gb 8]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

GB = 1e9


def repeated(source: Path, target: Path, slices: int) -> None:
    image = sitk.ReadImage(str(source))
    array = sitk.GetArrayFromImage(image)
    copies = [array if number % 2 == 0 else array[::-1] for number in range(-(-slices // len(array)))]
    long = sitk.GetImageFromArray(np.concatenate(copies)[:slices].astype(np.int16))
    long.SetSpacing((image.GetSpacing()[0], image.GetSpacing()[1], 1.5))
    sitk.WriteImage(long, str(target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct", type=Path)
    parser.add_argument("--slices", type=int, default=800)
    parser.add_argument("--limit-gb", type=float, default=8.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        volume = Path(folder) / "long.nrrd"
        # In a process of its own too: only what assesses is to be counted.
        paths = [str(arguments.ct), str(volume)]
        making = f"import bench_memory as b, pathlib; b.repeated(*map(pathlib.Path, {paths}), {arguments.slices})"
        subprocess.run([sys.executable, "-c", making], check=True, cwd=Path(__file__).parent)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / GB
        command = [
            sys.executable,
            "-m",
            "BottleneckOODLib.cli.main",
            "assess",
            str(volume),
            "--output",
            folder,
            "--json",
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / GB
        record = json.loads(told.stdout)
        print(f"input {record['input']['shape']}, {record['ood']['light']}, {record['segmentation']['volume_ml']} ml")
        print(f"seconds {record['timings_s']}")
        print(f"peak memory {peak:.2f} GB (making the volume took {before:.2f} GB, in another process)")
        if peak > arguments.limit_gb:
            print(f"more than {arguments.limit_gb} GB")
            sys.exit(1)


if __name__ == "__main__":
    main()
