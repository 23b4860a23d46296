"""What each step of our pass gains over MONAI's SlidingWindowInferer, in one run: seconds, and how equal the result is.

The volume is a real CT, interpolated along z to 300 slices; the model is the demo model. Variants take turns, and a
gain is the median of the ratios of each turn. On a CPU the seconds are those of the processor, in one thread.

Usage: python Testing/benchmarks/bench_inference.py CT [--slices 300] [--repeats 5] [--device cpu]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from monai.inferers import SlidingWindowInferer

from BottleneckOODLib.imaging.body import body_mask
from BottleneckOODLib.imaging.mask_features import marked_parts
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Geometry, Volume, image_on, resampled, to_sitk
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.preprocessing import Preprocessing
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.model.window_inference import Steps, window_slices
from BottleneckOODLib.ood.metrics import dice
from BottleneckOODLib.ood.pooling import pool_tokens

Result = tuple[np.ndarray, np.ndarray | None]


def with_slices(volume: Volume, slices: int) -> Volume:
    """The volume interpolated along z to so many slices over the same length."""
    old = volume.geometry
    i, j, k = old.size_ijk
    spacing = old.spacing_mm[2] * (k - 1) / (slices - 1)
    new = Geometry((i, j, slices), (*old.spacing_mm[:2], spacing), old.origin_lps_mm, old.direction)
    return Volume(image_on(to_sitk(volume.voxels, old), new), new, volume.modality, volume.name)


def table_of_steps(model: ModelFolder, volume: Volume, device: torch.device, repeats: int) -> None:
    """Each step of the pass, side by side with MONAI's inferer."""
    clock, settings = clock_of(device), model.inference
    tensor, _ = Preprocessing.of_model(model).apply(volume)
    lowest = Preprocessing.of_model(model).air
    body = np.nonzero(body_mask(np.ascontiguousarray(tensor[::2, ::2, ::2])))
    box = tuple(slice(2 * int(a.min()), min(n, 2 * int(a.max()) + 2)) for a, n in zip(body, tensor.shape, strict=True))

    def monai(at_once: int) -> Callable[[], Result]:
        inferer = SlidingWindowInferer(settings.patch, at_once, settings.overlap, settings.blend, cval=lowest)
        network = Segmenter(model, device)._network.to(device)

        def run() -> Result:
            with torch.inference_mode():
                return inferer(torch.from_numpy(tensor)[None, None].to(device), network)[0].cpu().numpy(), None

        return run

    def ours(steps: Steps, part: tuple[slice, ...] = (slice(None),) * 3) -> Callable[[], Result]:
        segmenter = Segmenter(model, device, steps=steps)
        cropped = np.ascontiguousarray(tensor[part])

        def run() -> Result:
            output = segmenter.run(cropped)
            logits = np.stack([np.full(tensor.shape, value, np.float32) for value in (1, 0)])
            logits[(slice(None), *part)] = output.logits
            return logits, pool_tokens(output.bottleneck.tokens, output.bottleneck.occupied)

        return run

    half = torch.bfloat16 if device.type == "cpu" else torch.float16
    variants = {
        "MONAI, one window at a time (its default)": monai(1),
        "MONAI, four at a time": monai(4),
        "ours, one at a time, each computed": ours(Steps(air_once=False, several=False, on_device=False)),
        "+ four at a time": ours(Steps(air_once=False, on_device=False)),
        "+ air once": ours(Steps(on_device=False)),
        "+ blended on the device (= what runs)": ours(Steps()),
        "not used: half precision": ours(Steps(half=half)),
        "not used: cropped to the body": ours(Steps(), box),
    }
    results: dict[str, Result] = {}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, run in variants.items():
            started = clock()
            results[name] = run()
            seconds[name].append(clock() - started)

    n_windows = len(window_slices(tensor.shape, settings.patch, settings.overlap))
    print(f"{volume}, on the model's grid {tensor.shape}, {n_windows} windows of {settings.patch}, device {device}")
    print("| variant | s, median | x MONAI's default | x MONAI, four | Dice | logits differ by | features differ by |")
    print("|---|---|---|---|---|---|---|")
    by_one, by_four, what_runs = (list(variants)[n] for n in (0, 1, 5))
    plain, features = results[by_one][0], results[what_runs][1]
    assert features is not None
    for name, (logits, own) in results.items():
        gains = [
            statistics.median(a / b for a, b in zip(seconds[other], seconds[name], strict=True))
            for other in (by_one, by_four)
        ]
        same = dice(logits.argmax(axis=0) > 0, plain.argmax(axis=0) > 0)
        # Outside of a crop nothing was computed.
        where = box if "cropped" in name else (slice(None),) * 3
        off = float(np.abs(logits - plain)[(slice(None), *where)].max())
        moved = "-" if own is None else f"{np.linalg.norm(own - features) / np.linalg.norm(features):.1e}"
        cells = f"{statistics.median(seconds[name]):.2f} | {gains[0]:.2f} | {gains[1]:.2f} | {same:.5f} | {off:.1e}"
        print(f"| {name} | {cells} | {moved} |")


def table_of_windows(model: ModelFolder, volume: Volume) -> None:
    """How many windows hold nothing but air, and how many there would be over the body alone."""
    lowest = Preprocessing.of_model(model).air
    print("| windows of | overlap | in all | air alone | after a crop to the body |\n|---|---|---|---|---|")
    fine = {"spacing_mm": (1.5, 1.5, 1.5)}
    small, _ = Preprocessing(type(model.preprocessing)(**{**vars(model.preprocessing), **fine})).apply(volume)
    found = np.nonzero(body_mask(np.ascontiguousarray(small[::4, ::4, ::4])))
    size = tuple(4 * int(np.ptp(axis) + 1) for axis in found)
    for edge in (64, 96, 128):
        for overlap in (0.25, 0.5):
            windows = window_slices(small.shape, (edge,) * 3, overlap)
            air = sum(bool((small[window] == lowest).all()) for window in windows)
            cropped = len(window_slices(size, (edge,) * 3, overlap))
            print(f"| {edge}^3 at 1.5 mm | {overlap} | {len(windows)} | {air} | {cropped} |")


def table_of_the_way_back(model: ModelFolder, volume: Volume, device: torch.device) -> None:
    """The way back to the volume's grid, of the largest part, against every class at its full size."""
    clock = clock_of(device)
    print("| volume | inference, s | every class at full size, s | ours, s | ours, of inference | same mask |")
    print("|---|---|---|---|---|---|")
    for slices in (len(volume.voxels), 800):
        # Mirrored copies along z: a longer patient, with more of everything.
        old = volume.geometry
        voxels = np.pad(volume.voxels, [(0, slices - len(volume.voxels)), (0, 0), (0, 0)], mode="symmetric")
        geometry = Geometry((*old.size_ijk[:2], slices), old.spacing_mm, old.origin_lps_mm, old.direction)
        tensor, grid = Preprocessing.of_model(model).apply(Volume(voxels, geometry, volume.modality, volume.name))
        segmenter = Segmenter(model, device)
        started = clock()
        logits = segmenter.run(tensor).logits
        times = [clock() - started]
        marked = logits.argmax(axis=0) > 0
        left_out = marked & ~marked_parts(marked, grid.voxel_volume_ml).largest
        started = clock()
        kept = [np.where(left_out, logits.max(axis=0) + 1, logits[0]), *logits[1:]]
        winner = np.stack([resampled(one, grid.in_cells(1), geometry) for one in kept]).argmax(axis=0)
        times.append(clock() - started)
        started = clock()
        mask = grid.restore(logits, model.labels, left_out).labels
        times.append(clock() - started)
        cells = " | ".join(f"{value:.2f}" for value in times)
        share, same = times[2] / times[0], np.array_equal(mask, winner)
        print(f"| 512 x 512 x {slices} | {cells} | {share:.0%} | {same} |", flush=True)


def clock_of(device: torch.device) -> Callable[[], float]:
    return time.process_time if device.type == "cpu" else time.perf_counter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct", type=Path)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--parts", nargs="+", default=["steps", "windows", "back"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    device, model = torch.device(arguments.device), BottleneckOODLogic().model
    volume = with_slices(read_volume(arguments.ct), arguments.slices)
    if "steps" in arguments.parts:
        table_of_steps(model, volume, device, arguments.repeats)
    if "windows" in arguments.parts:
        table_of_windows(model, volume)
    if "back" in arguments.parts:
        table_of_the_way_back(model, volume, device)


if __name__ == "__main__":
    main()
