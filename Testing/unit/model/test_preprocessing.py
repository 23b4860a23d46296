"""A structure comes back to the voxels it came from, whatever the volume's geometry."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation, Spacing
from scipy.spatial.transform import Rotation

from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.model.intensity import IntensitySettings
from BottleneckOODLib.model.model_folder import PreprocessingSettings
from BottleneckOODLib.model.preprocessing import Preprocessing

SETTINGS = PreprocessingSettings("LPS", (4.0, 4.0, 4.0), IntensitySettings((-200.0, 300.0), (0.0, 1.0)))


def a_ball_in(geometry: Geometry, radius_mm: float) -> tuple[Volume, np.ndarray]:
    """A volume of 0 HU with a ball of 250 HU at its centre, and the ball's mask."""
    i, j, k = geometry.size_ijk
    z, y, x = np.meshgrid(np.arange(k), np.arange(j), np.arange(i), indexing="ij")
    spacing = geometry.spacing_mm
    offset = [(axis - (n - 1) / 2) * s for axis, n, s in zip((x, y, z), (i, j, k), spacing, strict=True)]
    # Off centre along i and j, so that a flip or a swap cannot go unseen.
    distance = np.sqrt((offset[0] - 20) ** 2 + (offset[1] + 12) ** 2 + offset[2] ** 2)
    ball = distance <= radius_mm
    voxels = np.where(ball, 250.0, -200.0).astype(np.float32)
    return Volume(voxels=voxels, geometry=geometry, modality="CT", name="ball", acquisition={}), ball


def random_geometries() -> list[Geometry]:
    random = np.random.default_rng(7)
    geometries = []
    for number in range(12):
        rotation = Rotation.random(random_state=number).as_matrix()
        if number % 3 == 0:
            rotation = rotation @ np.diag([1, 1, -1])
        spacing = random.uniform(0.7, 5.0, 3)
        size = np.maximum(2, np.round(np.array([160, 150, 120]) / spacing)).astype(int)
        geometries.append(
            Geometry(
                size_ijk=tuple(int(n) for n in size),
                spacing_mm=tuple(float(s) for s in spacing),
                origin_lps_mm=tuple(float(o) for o in random.uniform(-300, 300, 3)),
                direction=tuple(float(d) for d in rotation.ravel()),
            )
        )
    return geometries


@pytest.mark.parametrize("geometry", random_geometries())
def test_a_ball_comes_back_to_its_own_voxels(geometry: Geometry) -> None:
    volume, ball = a_ball_in(geometry, radius_mm=30)
    tensor, grid = Preprocessing(SETTINGS).apply(volume)
    assert tensor.shape == tuple(reversed(grid.size_ijk))
    foreground = tensor - 0.45
    restored = grid.restore(np.stack([-foreground, foreground]), {"liver": 1})
    assert restored.geometry == volume.geometry
    mask = restored.labels == 1
    dice = 2 * (mask & ball).sum() / (mask.sum() + ball.sum())
    assert dice > 0.9
    # Half a voxel of the model's grid is the most that the centre may move.
    shift = (np.argwhere(mask).mean(0) - np.argwhere(ball).mean(0)) * np.array(geometry.spacing_mm[::-1])
    assert np.abs(shift).max() < 1.0


def test_the_tensor_has_the_model_s_orientation() -> None:
    flipped = Geometry((40, 40, 40), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    voxels = np.full((40, 40, 40), -1000, dtype=np.float32)
    voxels[5, 6, 7] = 1000
    tensor, _ = Preprocessing(SETTINGS).apply(
        Volume(voxels=voxels, geometry=flipped, modality="CT", name="x", acquisition={})
    )
    assert np.unravel_index(tensor.argmax(), tensor.shape) == (5, 33, 32)


def test_intensities_are_clipped_and_scaled() -> None:
    geometry = Geometry((8, 8, 8), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    voxels = np.full((8, 8, 8), 50, dtype=np.float32)
    voxels[0], voxels[-1] = -5000, 5000
    tensor, _ = Preprocessing(SETTINGS).apply(
        Volume(voxels=voxels, geometry=geometry, modality="CT", name="x", acquisition={})
    )
    assert tensor[0, 0, 0] == 0.0
    assert tensor[-1, 0, 0] == 1.0
    assert tensor[4, 4, 4] == pytest.approx(0.5)


def test_fine_noise_is_averaged_not_sampled() -> None:
    geometry = Geometry((160, 160, 80), (0.5, 0.5, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    noise = np.random.default_rng(1).normal(50, 40, (80, 160, 160)).astype(np.float32)
    tensor, _ = Preprocessing(SETTINGS).apply(
        Volume(voxels=noise, geometry=geometry, modality="CT", name="x", acquisition={})
    )
    assert tensor.std() * 500 < 8


def test_the_volume_is_not_modified() -> None:
    volume, _ = a_ball_in(random_geometries()[0], 20)
    before = volume.voxels.copy()
    Preprocessing(SETTINGS).apply(volume)
    np.testing.assert_array_equal(volume.voxels, before)


def test_the_largest_of_several_classes_wins_and_unnamed_ones_are_background() -> None:
    geometry = Geometry((8, 8, 8), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    volume = Volume(
        voxels=np.arange(512, dtype=np.float32).reshape(8, 8, 8),
        geometry=geometry,
        modality="CT",
        name="x",
        acquisition={},
    )
    _, grid = Preprocessing(SETTINGS).apply(volume)
    logits = np.zeros((4, 8, 8, 8), dtype=np.float32)
    logits[1, :2], logits[2, 2:4], logits[3, 4:6] = 1, 1, 1
    labels = grid.restore(logits, {"liver": 1, "tumour": 3}).labels
    assert [int(labels[k, 0, 0]) for k in range(8)] == [1, 1, 0, 0, 3, 3, 0, 0]


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SPL"])
@pytest.mark.parametrize("spacing", [(1.7, 2.5, 3.1), (4.0, 2.0, 3.0)])
def test_a_grid_that_shares_the_first_voxel_is_that_of_monai(axes: str, spacing: tuple[float, ...]) -> None:
    rotation = Rotation.from_euler("xyz", [8, -5, 12], degrees=True).as_matrix() @ np.diag([-1, 1, 1])
    geometry = Geometry((21, 18, 15), (2.0, 3.0, 4.0), (-31.0, 7.5, 120.0), tuple(rotation.ravel()))
    voxels = np.random.default_rng(4).normal(0, 100, geometry.shape).astype(np.float32)
    # MONAI's first axis is our tensor's first one, which is k; its world is RAS.
    settings = PreprocessingSettings(
        axes[::-1], spacing[::-1], IntensitySettings((-1e4, 1e4), (-1e4, 1e4)), "first_voxel"
    )
    tensor, grid = Preprocessing(settings).apply(Volume(voxels, geometry, "CT", "x"))
    affine = np.eye(4)
    affine[:3, :3] = geometry.axes * np.array(geometry.spacing_mm)
    affine[:3, 3] = geometry.origin_lps_mm
    upstream = MetaTensor(torch.from_numpy(voxels.T.copy())[None], affine=np.diag([-1, -1, 1, 1]) @ affine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upstream = Spacing(spacing)(Orientation(axes)(upstream))
    assert tensor.shape == upstream.shape[1:]
    np.testing.assert_allclose(tensor, upstream[0].numpy(), rtol=0, atol=2e-3)
    ends = np.array([[0, 0, 0], np.array(grid.size_ijk) - 1])
    ours = grid.in_cells(1).ijk_to_lps(ends)
    theirs = (upstream.affine.numpy() @ np.c_[ends[:, ::-1], [1, 1]].T).T[:, :3] * [-1, -1, 1]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_spacing_that_is_nearly_the_wanted_one_stays() -> None:
    geometry = Geometry((9, 9, 9), (2.0004, 2.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    voxels = np.random.default_rng(0).normal(0, 1, (9, 9, 9)).astype(np.float32)
    settings = PreprocessingSettings("LPS", (2.0, 2.0, 2.0), IntensitySettings((-9, 9), (-9, 9)), "first_voxel")
    tensor, grid = Preprocessing(settings).apply(Volume(voxels, geometry, "CT", "x"))
    assert grid.spacing_mm == (2.0004, 2.0, 2.0)
    np.testing.assert_allclose(tensor, voxels, atol=1e-5)
