"""What spoils the values of an image and leaves its voxels where they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from BottleneckOODLib.imaging.volume import Geometry

Float32Array = npt.NDArray[np.float32]

_AIR_HU, _SOFT_HU = -1000.0, 40.0
_SOFT_WINDOW_HU = (-160.0, 240.0)
_ENDS_HU = (-1024.0, 3071.0)
_WATER_PER_MM = 0.02
_STREAK_MM = 40.0
_METAL_HU = 3000.0
_METAL_RADIUS_MM = 9.0
_METAL_REACH_MM = 90.0
_METAL_HEIGHT_MM = 25.0
_METAL_RAYS = (7, 19)


def noise(voxels: Float32Array, _geometry: Geometry, sigma_hu: float, rng: np.random.Generator) -> Float32Array:
    """White Gaussian noise of ``sigma_hu``."""
    return np.asarray(voxels + sigma_hu * rng.standard_normal(voxels.shape, dtype=np.float32), dtype=np.float32)


def blur(voxels: Float32Array, geometry: Geometry, sigma_mm: float, _rng: np.random.Generator) -> Float32Array:
    """Gaussian blur of ``sigma_mm`` along each axis."""
    sigma = [sigma_mm / s for s in geometry.spacing_mm[::-1]]
    return np.asarray(scipy.ndimage.gaussian_filter(voxels, sigma, mode="nearest"), dtype=np.float32)


def low_dose(voxels: Float32Array, geometry: Geometry, sigma_hu: float, rng: np.random.Generator) -> Float32Array:
    """Noise of a scan with too few photons: streaks from left to right, stronger where the rays pass more tissue.

    Args:
        voxels: Shape (Z, Y, X), HU.
        geometry: Where they lie.
        sigma_hu: Standard deviation over the slices' densest lines.
        rng: Source of randomness.

    Source:
        Photon starvation as in Barrett and Keat, RadioGraphics 24 (2004) 1679-1691: the variance of a ray grows with
        the exponential of its attenuation, and the longest rays run across shoulders and pelvis.
    """
    across = 2 - geometry.patient_axes[0]
    step = geometry.spacing_mm[geometry.patient_axes[0]]
    density = np.clip((voxels - _AIR_HU) / -_AIR_HU, 0, 2)
    attenuation = density.sum(axis=across, keepdims=True) * step * _WATER_PER_MM
    strength = np.exp((attenuation - attenuation.max()) / 2)
    grain = rng.standard_normal(voxels.shape, dtype=np.float32)
    streaks = scipy.ndimage.gaussian_filter1d(grain, _STREAK_MM / 2 / step, axis=across)
    streaks *= sigma_hu / max(float(streaks.std()), 1e-9)
    return np.asarray(voxels + streaks * strength, dtype=np.float32)


def metal(voxels: Float32Array, geometry: Geometry, streak_hu: float, rng: np.random.Generator) -> Float32Array:
    """A metal rod from head to foot beside the middle of the body, with bright and dark rays in the slices.

    Args:
        voxels: Shape (Z, Y, X), HU.
        geometry: Where they lie.
        streak_hu: Height of the rays at the rod, in HU.
        rng: Source of randomness.
    """
    left, posterior, superior = (2 - axis for axis in geometry.patient_axes)
    spacing = geometry.spacing_mm[::-1]
    dense = np.argwhere(voxels > _SOFT_HU - 200)
    centre = dense.mean(axis=0) if len(dense) else np.array(voxels.shape) / 2
    grid = np.ogrid[tuple(slice(0, n) for n in voxels.shape)]
    mm = {axis: (grid[axis] - centre[axis]) * spacing[axis] for axis in (left, posterior, superior)}
    mm[left] = mm[left] + float(rng.uniform(20, 50)) * float(rng.choice([-1, 1]))
    distance = np.hypot(mm[left], mm[posterior])
    angle = np.arctan2(mm[posterior], mm[left]) + float(rng.uniform(0, 2 * np.pi))
    rays = sum(np.cos(angle * count) ** 3 for count in _METAL_RAYS) / len(_METAL_RAYS)
    height = np.exp(-np.abs(mm[superior]) / _METAL_HEIGHT_MM)
    streaked = voxels + streak_hu * rays * np.exp(-distance / _METAL_REACH_MM) * height
    rod = (distance < _METAL_RADIUS_MM) & (np.abs(mm[superior]) < 2 * _METAL_HEIGHT_MM)
    return np.clip(np.where(rod, _METAL_HU, streaked), *_ENDS_HU).astype(np.float32)


def flatter(voxels: Float32Array, _geometry: Geometry, factor: float, _rng: np.random.Generator) -> Float32Array:
    """The contrast of soft tissue and fat times ``factor``, around 40 HU; air and bone keep their ends."""
    low, high = (_SOFT_HU + factor * (end - _SOFT_HU) for end in _SOFT_WINDOW_HU)
    known = (_ENDS_HU[0], *_SOFT_WINDOW_HU, _ENDS_HU[1])
    return np.interp(voxels, known, (_ENDS_HU[0], low, high, _ENDS_HU[1])).astype(np.float32)


def misread_scale(voxels: Float32Array, _geometry: Geometry, mistake: float, _rng: np.random.Generator) -> Float32Array:
    """Values in another scale than the file says.

    Args:
        voxels: Shape (Z, Y, X), HU.
        mistake: 1: every value times 1.2; 2: the intercept of -1024 HU is missing; 3: windowed to 8 bit; 4: ten times.
    """
    if mistake == 1:
        return np.asarray(voxels * np.float32(1.2))
    if mistake == 2:  # noqa: PLR2004 - the mistakes are numbered
        return np.asarray(voxels - np.float32(_ENDS_HU[0]))
    if mistake == 3:  # noqa: PLR2004
        low, high = _SOFT_WINDOW_HU
        return np.asarray((np.clip((voxels - low) / (high - low), 0, 1) * 255).round(), dtype=np.float32)
    return np.asarray(voxels * np.float32(10))
