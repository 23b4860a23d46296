"""How often the most unusual place of the map lies in what was planted into an image, as a table in Markdown.

Blocks of 40 to 80 mm are planted into generated bodies that no reference holds and, with DATA, into real scans. A hit:
the centre of the map's largest cell lies in the block, or within half a cell of it. Beside it stand what chance would
give (the share of the body's cells that would be hits), how often the map of the untouched image points there already,
and which share of the body's cells has a smaller value than the block's largest.

Usage: python Testing/benchmarks/pointing_game.py [DATA] [--bodies N] [--repeat N] [--seed N] [--model M]
       [--reference R]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from BottleneckOODLib import BottleneckOODLogic, Volume, read_volume
from BottleneckOODLib.assessment.regions import RegionMap
from BottleneckOODLib.imaging.body import body_mask
from BottleneckOODLib.synthesis.samples import reference_cases

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
SMALLEST_MM, LARGEST_MM = 40.0, 80.0
MARGIN_MM = 15.0
LEAST_HEIGHT_MM = 100.0
SCANS = ("abdomen_ct/ct.nii.gz", "abdomen_ct_full/ct.nii.gz")


@dataclass(frozen=True)
class Block:
    """A cube along the image's axes: centre in LPS and its edge, in mm, and its voxels inside the body."""

    centre: npt.NDArray[np.float64]
    edge_mm: float
    mask: Mask


@dataclass(frozen=True)
class Trial:
    hit: bool
    hit_before: bool
    chance: float
    rank: float


def metal(voxels: Array, mask: Mask, rng: np.random.Generator) -> Array:
    return np.where(mask, 1800 + rng.normal(0, 80, mask.shape), voxels)


def gas(voxels: Array, mask: Mask, rng: np.random.Generator) -> Array:
    return np.where(mask, -1000 + rng.normal(0, 8, mask.shape), voxels)


def noise(voxels: Array, mask: Mask, rng: np.random.Generator) -> Array:
    return np.where(mask, rng.uniform(-200, 300, mask.shape), voxels)


def one_value(voxels: Array, mask: Mask, _rng: np.random.Generator) -> Array:
    return np.where(mask, 60.0, voxels)


def checkered(voxels: Array, mask: Mask, _rng: np.random.Generator) -> Array:
    _, y, x = np.indices(mask.shape)
    return np.where(mask, np.where(((x // 3) + (y // 3)) % 2, 160.0, -80.0), voxels)


def from_elsewhere(voxels: Array, mask: Mask, rng: np.random.Generator) -> Array:
    """Tissue of another place, upside down and turned."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    size = [part.stop - part.start for part in box]
    start = [int(rng.integers(0, n - s + 1)) for n, s in zip(voxels.shape, size, strict=True)]
    taken = voxels[tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))][::-1, ::-1, ::-1]
    planted = voxels.copy()
    planted[box] = np.where(mask[box], taken, planted[box])
    return planted


KINDS: dict[str, Callable[[Array, Mask, np.random.Generator], Array]] = {
    "metal, 1800 HU": metal,
    "gas": gas,
    "noise, -200 to 300 HU": noise,
    "one value, 60 HU": one_value,
    "checkered": checkered,
    "tissue from elsewhere": from_elsewhere,
}


def a_block_in(volume: Volume, body: Mask, rng: np.random.Generator) -> Block | None:
    spacing = np.array(volume.geometry.spacing_mm[::-1])
    depth = max(1, int(MARGIN_MM / spacing[1]))
    inner = np.argwhere(ndimage.binary_erosion(body, structure=np.ones((1, 3, 3)), iterations=depth))
    if len(inner) == 0:
        return None
    centre, edge = inner[rng.integers(len(inner))], float(rng.uniform(SMALLEST_MM, LARGEST_MM))
    grid = np.ogrid[tuple(slice(0, n) for n in body.shape)]
    mask = body.copy()
    for axis in range(3):
        mask = mask & (np.abs((grid[axis] - centre[axis]) * spacing[axis]) <= edge / 2)
    return Block(volume.geometry.ijk_to_lps(centre[None, ::-1].astype(float))[0], edge, mask)


def distances_to(block: Block, regions: RegionMap, volume: Volume) -> npt.NDArray[np.float64]:
    """Distance of the centre of each of the map's cells to the block, in mm, shape of the map."""
    k, j, i = np.indices(regions.values.shape)
    centres = regions.geometry.ijk_to_lps(np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1).astype(float))
    beside = np.maximum(np.abs((centres - block.centre) @ volume.geometry.axes) - block.edge_mm / 2, 0)
    return np.asarray(np.linalg.norm(beside, axis=1).reshape(regions.values.shape))


def play(
    logic: BottleneckOODLogic, volume: Volume, repeat: int, rng: np.random.Generator
) -> Iterator[tuple[str, Trial]]:
    before = logic.assess(volume).regions
    body = body_mask(volume.voxels)
    for kind, plant in KINDS.items():
        for _ in range(repeat):
            block = a_block_in(volume, body, rng)
            if block is None or before is None:
                return
            voxels = plant(volume.voxels, block.mask, rng).astype(np.float32)
            after = logic.assess(Volume(voxels, volume.geometry, volume.modality, "planted")).regions
            assert after is not None
            apart = distances_to(block, after, volume)
            near = apart <= after.geometry.spacing_mm[0] / 2
            inside = after.values > 0
            largest = after.values[near].max() if near.any() else 0.0
            yield kind, Trial(
                hit=bool(near.flat[after.values.argmax()]),
                hit_before=bool(near.flat[before.values.argmax()]),
                chance=float((near & inside).sum() / max(1, inside.sum())),
                rank=float((after.values[inside] < largest).mean()),
            )


def table(trials: dict[tuple[str, str], list[Trial]]) -> str:
    sources = list(dict.fromkeys(source for source, _ in trials))
    heads = ["planted", *sources, "all", "untouched", "chance", "rank"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for kind in [*KINDS, "all"]:
        rows = [[trial for (s, k), some in trials.items() for trial in some if s == source and kind in (k, "all")]
                for source in sources]  # fmt: skip
        every = [trial for row in rows for trial in row]
        cells = [kind, *(f"{sum(trial.hit for trial in row)} of {len(row)}" for row in rows)]
        cells += [f"{np.mean([trial.hit for trial in every]):.0%}", f"{np.mean([t.hit_before for t in every]):.0%}"]
        cells += [f"{np.mean([t.chance for t in every]):.1%}", f"{np.median([t.rank for t in every]):.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--bodies", type=int, default=12)
    parser.add_argument("--repeat", type=int, default=4, help="blocks of each kind in each real scan")
    parser.add_argument("--seed", type=int, default=991)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--reference")
    arguments = parser.parse_args()
    logic = BottleneckOODLogic(arguments.model, arguments.reference, device="cpu")
    rng = np.random.default_rng(arguments.seed)
    trials: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    started = time.perf_counter()
    for case in reference_cases(arguments.bodies, arguments.seed):
        if case.volume.geometry.extent_mm[2] >= LEAST_HEIGHT_MM:
            for kind, trial in play(logic, case.volume, 1, rng):
                trials["drawn bodies", kind].append(trial)
    for scan in SCANS if arguments.data is not None else ():
        for kind, trial in play(logic, read_volume(arguments.data / scan), arguments.repeat, rng):
            trials[scan.split("/", maxsplit=1)[0], kind].append(trial)
    print(table(trials))
    print(f"\n{sum(len(rows) for rows in trials.values())} trials, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
