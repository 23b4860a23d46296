"""Grids as scanners and programs make them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from BottleneckOODLib.imaging.volume import Geometry, Volume


def oblique_axes(degrees: tuple[float, float, float]) -> np.ndarray:
    """A rotation about x, then y, then z; columns are unit vectors."""
    a, b, c = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def geometry_with(axes: np.ndarray, spacing_mm: tuple[float, float, float] = (0.7421875, 0.9, 3.3)) -> Geometry:
    return Geometry((7, 6, 5), spacing_mm, (-123.456789, 87.654321, -1011.5), tuple(float(a) for a in axes.ravel()))


GRIDS: dict[str, Geometry] = {
    "upright": geometry_with(np.eye(3), (1.0, 1.0, 1.0)),
    "anisotropic": geometry_with(np.eye(3)),
    "flipped in x and y": geometry_with(np.diag([-1.0, -1.0, 1.0])),
    "left-handed": geometry_with(np.diag([1.0, 1.0, -1.0])),
    "coronal": geometry_with(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])),
    "oblique": geometry_with(oblique_axes((11.0, -7.0, 23.0))),
    "oblique and left-handed": geometry_with(oblique_axes((-5.0, 17.0, 9.0)) @ np.diag([1.0, -1.0, 1.0])),
}


@pytest.fixture(params=sorted(GRIDS), ids=lambda name: name.replace(" ", "_"))
def any_grid(request: pytest.FixtureRequest) -> Geometry:
    return GRIDS[request.param]


@pytest.fixture
def an_oblique_grid() -> Geometry:
    return GRIDS["oblique"]


@pytest.fixture
def noise_on() -> Callable[[Geometry], Volume]:
    """A volume of noise, no voxel like another."""

    def make(geometry: Geometry) -> Volume:
        voxels = np.random.default_rng(3).normal(0, 300, geometry.shape).astype(np.float32)
        return Volume(voxels, geometry, "unknown", "noise")

    return make
