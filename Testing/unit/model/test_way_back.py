"""Whatever grid a volume has, a mask comes back to the voxels it came from, and its volume in ml is right."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.model.intensity import IntensitySettings
from BottleneckOODLib.model.model_folder import PreprocessingSettings
from BottleneckOODLib.model.preprocessing import Preprocessing

SETTINGS = PreprocessingSettings("LPS", (4.0, 4.0, 4.0), IntensitySettings((-200.0, 300.0), (0.0, 1.0)))
# About 900 ml, as a small liver has: resampling draws a curved surface inwards, the more the smaller the structure is.
RADIUS_MM, CENTRE_MM = 60.0, (20.0, -12.0, 5.0)
EXTENT_MM = np.array([210.0, 190.0, 160.0])
SURFACE_HU, HU_PER_MM = 25.0, 15.0


def a_grid(turned_by: tuple[float, ...], left_handed: bool, spacing: tuple[float, ...], place: float) -> Geometry:
    axes = Rotation.from_euler("xyz", turned_by, degrees=True).as_matrix() @ np.diag([1, 1, -1 if left_handed else 1])
    size = tuple(int(n) for n in np.round(EXTENT_MM / spacing))
    return Geometry(size, spacing, (place, -place, 2 * place), tuple(float(a) for a in axes.ravel()))


grids = st.builds(
    a_grid,
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.booleans(),
    st.tuples(*[st.floats(1.5, 5.0)] * 3),
    st.floats(-800, 800),
)


def distance_from_the_centre(geometry: Geometry) -> np.ndarray:
    """In mm along the volume's own axes, shape (Z, Y, X)."""
    along = [
        (np.arange(n) - (n - 1) / 2) * s - c
        for n, s, c in zip(geometry.size_ijk, geometry.spacing_mm, CENTRE_MM, strict=True)
    ]
    x, y, z = along
    return np.sqrt(x**2 + (y**2)[:, None] + (z**2)[:, None, None])


@settings(max_examples=25, deadline=None)
@given(grids)
def test_a_mask_returns_to_its_voxels_and_keeps_its_volume(geometry: Geometry) -> None:
    distance = distance_from_the_centre(geometry)
    voxels = np.clip(SURFACE_HU + (RADIUS_MM - distance) * HU_PER_MM, -200, 250).astype(np.float32)
    tensor, grid = Preprocessing(SETTINGS).apply(Volume(voxels, geometry, "CT", "ball"))
    above = tensor - (SURFACE_HU + 200) / 500
    restored = grid.restore(np.stack([-above, above]), {"liver": 1})
    assert restored.geometry == geometry
    mask, ball = restored.labels == 1, distance <= RADIUS_MM
    moved = np.argwhere(mask).mean(axis=0) - np.argwhere(ball).mean(axis=0)
    assert np.abs(moved).max() < 0.5, "in voxels"
    assert abs(restored.volume_ml(1) / (4 / 3 * np.pi * RADIUS_MM**3 / 1000) - 1) < 0.01
    wrong = np.argwhere(mask != ball)
    # Where they differ at all, it is at the surface.
    assert np.all(np.abs(distance[tuple(wrong.T)] - RADIUS_MM) < max(geometry.spacing_mm))
