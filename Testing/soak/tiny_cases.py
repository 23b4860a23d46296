"""A random model, a reference and volumes so small that a case takes a fraction of a second."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import safetensors.torch
import SimpleITK as sitk
import torch
from forked import command
from small_model import NETWORK

from BottleneckOODLib.imaging.volume import Geometry, Volume, to_sitk
from BottleneckOODLib.model.model_folder import ModelFolder, write_model_folder
from BottleneckOODLib.model.networks import bottleneck_layer, build_network

SPACING_MM = 12.0


def make_model(folder: Path, seed: int = 0) -> ModelFolder:
    """A model folder with random weights; other seeds give other weights."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    network = build_network("unet", NETWORK)
    weights = folder / "weights.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in network.state_dict().items()}, weights)
    document = {
        "name": "tiny",
        "version": "1",
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
        "modality": "CT",
        "network": {"type": "unet", "arguments": NETWORK},
        "preprocessing": {
            "orientation": "LPS",
            "spacing_mm": [SPACING_MM] * 3,
            "intensity": {"clip": [-200.0, 300.0], "scale": [0.0, 1.0]},
        },
        "inference": {"patch": [16, 16, 16], "overlap": 0.25, "blend": "gaussian"},
        "labels": {"liver": 1},
        "bottleneck": {"layer": bottleneck_layer("unet", network)},
        "demonstration": True,
    }
    return write_model_folder(folder, document, weights)


def a_body(number: int) -> Volume:
    """Soft tissue, fat and a spine in air; size, place and intensities vary with the number."""
    rng = np.random.default_rng(number)
    shape = (int(rng.integers(14, 18)), 22, 30)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    radius = ((x - 15) / rng.uniform(11, 13)) ** 2 + ((y - 11) / rng.uniform(7, 9)) ** 2 + 0 * z
    spine = ((x - 15) ** 2 + (y - 16) ** 2 + 0 * z) < rng.uniform(2, 5)
    voxels = np.where(radius < 1, np.where(radius < rng.uniform(0.6, 0.8), rng.uniform(35, 60), -100.0), -1000.0)
    voxels = np.where(spine, rng.uniform(250, 500), voxels) + rng.normal(0, rng.uniform(5, 15), shape)
    spacing = (SPACING_MM,) * 3
    geometry = Geometry((shape[2], shape[1], shape[0]), spacing, (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Volume(voxels.astype(np.float32), geometry, "CT", f"body-{number}")


def write_bodies(folder: Path, n: int, first: int = 0, *, labels: bool = False) -> list[Path]:
    """Volumes as NRRD files; with labels, ``labels/`` beside them holds their soft tissue."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(first, first + n):
        body = a_body(number)
        paths.append(folder / f"body{number:04d}.nrrd")
        sitk.WriteImage(to_sitk(body.voxels, body.geometry), str(paths[-1]))
        if labels:
            (folder / "labels").mkdir(exist_ok=True)
            tissue = ((body.voxels > 0) & (body.voxels < 100)).astype(np.uint8)
            sitk.WriteImage(to_sitk(tissue, body.geometry), str(folder / "labels" / paths[-1].name))
    return paths


def write_list(paths: list[Path], table: Path) -> Path:
    """A CSV of cases."""
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image"])
        writer.writerows([str(path)] for path in paths)
    return table


def make_reference(model: Path, folder: Path, scans: Path, n: int = 20) -> Path:
    """A reference of the first bodies, saved.

    Made in a child: fitting the map uses OpenMP, and a process that has used it cannot be forked any more.
    """
    import umap  # noqa: F401 - slow to import, and each child that builds needs it

    table = write_list(write_bodies(scans, n), scans / "cases.csv")
    named = ["--cases", str(table), "--output", str(folder), "--model", str(model), "--device", "cpu"]
    made = command(["reference", "build", *named])
    assert made.code == 0, made.said
    return folder


def facts_of(record: str) -> dict[str, object]:
    """What two runs on one case have to agree on: everything but the moment and the seconds."""
    document = json.loads(record)
    return {key: value for key, value in document.items() if key not in ("created", "timings_s", "peak_memory")}
