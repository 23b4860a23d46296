"""What the OOD work costs over MONAI's SlidingWindowInferer alone: same network, volume and device, in one run.

Usage: python Testing/benchmarks/bench_overhead.py [VOLUME] [--repeats 15]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from monai.inferers import SlidingWindowInferer

from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.preprocessing import Preprocessing
from BottleneckOODLib.resources import resource_folder


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("volume", nargs="?", default=str(resource_folder() / "samples" / "sample-usual.nii.gz"))
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()

    logic = BottleneckOODLogic()
    segmenter, reference = logic.segmenter, logic.reference
    volume = read_volume(arguments.volume)
    tensor, _ = Preprocessing.of_model(logic.model).apply(volume)
    settings = logic.model.inference
    inferer = SlidingWindowInferer(settings.patch, 4, settings.overlap, settings.blend, cval=segmenter._air)
    batch = torch.from_numpy(tensor)[None, None]

    def plain() -> object:
        with torch.inference_mode():
            return inferer(batch, segmenter._network)

    def with_ood() -> object:
        features = logic.pooled(segmenter.run(tensor).bottleneck)
        spaces = {"bottleneck": features}
        return reference.score(spaces), reference.neighbours(features), reference.place(features)

    plain(), with_ood()
    alone, ours, ratios = [], [], []
    for _ in range(arguments.repeats):
        alone.append(seconds(plain))
        ours.append(seconds(with_ood))
        ratios.append(ours[-1] / alone[-1])
    print(
        f"volume {volume.name}, {segmenter.window_count(tensor.shape)} windows, "
        f"{arguments.repeats} pairs, device {segmenter.device}"
    )
    for name, values in (("inferer alone, s", alone), ("with OOD, s", ours), ("ratio", ratios)):
        print(f"{name:18s} min {min(values):.3f}  median {statistics.median(values):.3f}  max {max(values):.3f}")


if __name__ == "__main__":
    main()
