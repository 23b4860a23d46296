"""What the OOD work costs over MONAI's SlidingWindowInferer alone: same network, volume and device, in one run.

The work on the bottleneck (hook, pooling, scoring, placing) is one ratio, that with the map of unusual regions another;
a pass that pools every encoder stage, whole and in the mask, over one that does not is a third; the questions to image
and mask, which need no network, stand in a row of their own.

Usage: python Testing/benchmarks/bench_overhead.py [VOLUME] [--repeats 15] [--processor]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from monai.inferers import SlidingWindowInferer

from BottleneckOODLib.imaging.body import body_layout, body_mask, intensity_histogram, thinned
from BottleneckOODLib.imaging.mask_features import marked_parts, mask_features
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.local_regions import RegionJudge
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.resources import resource_folder

CLOCK = [time.perf_counter]


def seconds(action: Callable[[], object]) -> float:
    started = CLOCK[0]()
    action()
    return CLOCK[0]() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("volume", nargs="?", default=str(resource_folder() / "samples" / "sample-usual.nii.gz"))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--processor", action="store_true", help="seconds of the processor, in one thread")
    arguments = parser.parse_args()
    if arguments.processor:
        torch.set_num_threads(1)
        CLOCK[0] = time.process_time

    logic = BottleneckOODLogic()
    segmenter, reference = logic.segmenter, logic.reference
    volume = read_volume(arguments.volume)
    tensor, grid = segmenter.prepare(volume)
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

    def with_regions() -> object:
        assert reference.bank is not None
        judge = RegionJudge(
            reference.bank, tensor, grid, settings.patch, segmenter.window_count(tensor.shape)
        )
        output = segmenter.run(tensor, None, judge.view)
        features = logic.pooled(output.bottleneck)
        placed = reference.neighbours(features), reference.place(features)
        return reference.score({"bottleneck": features}), placed, judge.region_map(output)

    def pass_alone() -> object:
        return segmenter.run(tensor)

    def pass_with_stages() -> object:
        return segmenter.run(tensor, stages=True)

    output = segmenter.run(tensor)
    mask = grid.restore(output.logits, logic.model.labels)

    def measured() -> object:
        thin, _ = thinned(volume)
        body = body_mask(thin)
        parts = marked_parts(output.logits.argmax(axis=0) > 0, grid.voxel_volume_ml)
        return intensity_histogram(thin, body), body_layout(thin, body), mask_features(mask, volume, body, parts)

    plain(), with_ood(), with_regions(), pass_with_stages()
    alone, ours, ratios, checks = [], [], [], []
    regions: list[float] = []
    stages: list[float] = []
    for _ in range(arguments.repeats):
        alone.append(seconds(plain))
        ours.append(seconds(with_ood))
        ratios.append(ours[-1] / alone[-1])
        regions.append(seconds(with_regions) / alone[-1])
        without = seconds(pass_alone)
        stages.append(seconds(pass_with_stages) / without)
        checks.append(seconds(measured))
    print(
        f"volume {volume.name}, {segmenter.window_count(tensor.shape)} windows, "
        f"{arguments.repeats} pairs, device {segmenter.device}"
    )
    rows = {"inferer alone, s": alone, "with OOD, s": ours, "ratio": ratios, "ratio with regions": regions}
    rows["ratio with stages"] = stages
    rows["image and mask, s"] = checks
    for name, values in rows.items():
        print(f"{name:18s} min {min(values):.3f}  median {statistics.median(values):.3f}  max {max(values):.3f}")


if __name__ == "__main__":
    main()
