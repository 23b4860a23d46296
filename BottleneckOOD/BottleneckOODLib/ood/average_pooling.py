"""Average pooling of a saved bottleneck: over its space, and over the windows of the sliding window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

WINDOW_POOLINGS = ("none", "mean", "max")
DIMENSIONS = {"2D": 2, "3D": 3}
# Kernel and stride, as in the paper.
PAPER_GRID = ((2, 1), (2, 2), (3, 1), (3, 2), (4, 1))
_WINDOWED = (2, 5)
_SMALL = 256


class AveragePooling:
    """Mean over cubes (3D), or over squares of each slice (2D), of the bottleneck's space.

    Args:
        dim: ``"2D"`` pools the last two axes (y, x), ``"3D"`` the last three (z, y, x).
        kernel: Edge of the cube or square, in tokens.
        stride: Distance of neighbouring cubes, in tokens.

    Raises:
        ValueError: ``dim`` is unknown, or a number is below 1.
    """

    name = "avgpool"

    def __init__(self, dim: str = "3D", kernel: int = 2, stride: int = 1) -> None:
        if dim not in DIMENSIONS or kernel < 1 or stride < 1:
            message = f"average pooling {dim!r} with kernel {kernel} and stride {stride} is not known"
            raise ValueError(message)
        self.dim = dim
        self.kernel = kernel
        self.stride = stride

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a bottleneck of this shape (without the axis of cases) has room for the kernel."""
        axes = DIMENSIONS[self.dim]
        return len(shape) > axes and min(shape[-axes:]) >= self.kernel

    def fit(self, features: npt.NDArray[np.floating]) -> AveragePooling:
        """Nothing is learned."""
        self.shape_in_ = features.shape[1:]
        return self

    def transform(self, features: npt.NDArray[np.floating]) -> FloatArray:
        """Pool cases, shape (n, ..., C, z, y, x), and lay each out flat, shape (n, d). Not modified.

        Raises:
            ValueError: The kernel is larger than the bottleneck.

        Source:
            Woodland et al., MELBA 2024:020; no padding, and tokens that no whole kernel covers are left out.
        """
        if not self.fits(features.shape[1:]):
            message = f"a kernel of {self.kernel} does not fit into a bottleneck of shape {features.shape[1:]}"
            raise ValueError(message)
        axes = DIMENSIONS[self.dim]
        shape = features.shape[-axes:]
        pooled: npt.NDArray[np.floating]
        if np.prod(shape) <= _SMALL:
            # One product of all cubes with all places: a bottleneck is small, and cases are many.
            weights: FloatArray = np.ones((1, 1))
            for length in shape:
                weights = np.asarray(np.kron(weights, self._places(length)))
            pooled = features.reshape(-1, int(np.prod(shape))) @ weights.T.astype(features.dtype)
        else:
            # A mean over a cube is a mean along each axis in turn.
            pooled = features
            for axis in range(features.ndim - 1, features.ndim - 1 - axes, -1):
                places = self._places(features.shape[axis]).astype(features.dtype)
                pooled = np.moveaxis(np.moveaxis(pooled, axis, -1) @ places.T, -1, axis)
        return np.asarray(pooled, dtype=np.float64).reshape(len(features), -1)

    def _places(self, length: int) -> FloatArray:
        """Weight of each token of a line at each place of the kernel, shape (n_places, length)."""
        starts = range(0, length - self.kernel + 1, self.stride)
        weights = np.zeros((len(starts), length))
        for place, start in enumerate(starts):
            weights[place, start : start + self.kernel] = 1 / self.kernel
        return weights

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {"dim": self.dim, "kernel": self.kernel, "stride": self.stride}


class NoReduction:
    """The features as they are, laid out flat."""

    name = "none"

    def fit(self, features: npt.NDArray[np.floating]) -> NoReduction:
        """Nothing is learned."""
        self.shape_in_ = features.shape[1:]
        return self

    def transform(self, features: npt.NDArray[np.floating]) -> FloatArray:
        """Cases of any shape (n, ...) as (n, d). Not modified."""
        return np.array(features, dtype=np.float64).reshape(len(features), -1)

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {}


def pool_windows(embedding: npt.NDArray[np.floating], how: str) -> npt.NDArray[np.floating]:
    """Pool the sliding-window axis of one case's bottleneck.

    Args:
        embedding: Shape (windows, C, z, y, x) or (windows, d); other shapes have no windows and are given back.
        how: ``"none"``, ``"mean"`` or ``"max"``.

    Raises:
        ValueError: ``how`` is unknown.

    >>> pool_windows(np.array([[1.0, 2.0], [3.0, 2.0]]), "mean").tolist()
    [2.0, 2.0]
    """
    if how not in WINDOW_POOLINGS:
        message = f"unknown pooling of windows {how!r}; use one of {WINDOW_POOLINGS}"
        raise ValueError(message)
    if how == "none" or embedding.ndim not in _WINDOWED:
        return embedding
    pooled = embedding.mean(axis=0) if how == "mean" else embedding.max(axis=0)
    return np.asarray(pooled)
