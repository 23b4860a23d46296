"""What the network makes of each small part of the image: tokens of a shallow stage, taken in the same pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from BottleneckOODLib.imaging.body import body_mask

Float32Array = npt.NDArray[np.float32]

CELL_VOXELS = 8
"""A token covers so many voxels of the model's grid along each axis."""
_COARSE = 2


def local_tokens(features: torch.Tensor, patch: tuple[int, int, int]) -> torch.Tensor:
    """Mean and standard deviation of a stage's channels in each cell of a window.

    Args:
        features: Output of the stage, shape (n_windows, C, z, y, x).
        patch: Voxels of a window along z, y, x.

    Returns:
        Shape (n_windows, 2 C, cells along z, y, x), float32.
    """
    cells = cells_of(patch)
    values = features.to(torch.float32)
    mean = F.adaptive_avg_pool3d(values, cells)
    variance = F.adaptive_avg_pool3d(values * values, cells) - mean * mean
    return torch.cat([mean, variance.clamp_min(0).sqrt()], dim=1)


def cells_of(patch: tuple[int, int, int]) -> tuple[int, int, int]:
    """Cells of a window along z, y, x; a patch that is no multiple of a cell has somewhat larger ones."""
    z, y, x = (max(1, n // CELL_VOXELS) for n in patch)
    return z, y, x


class BodyShares:
    """How much of each token's cell lies in the patient's body.

    Args:
        tensor: The network's input, shape (Z, Y, X). Not modified.
        patch: Voxels of a window along z, y, x; the image is padded to at least one.
    """

    def __init__(self, tensor: Float32Array, patch: tuple[int, int, int]) -> None:
        coarse = body_mask(np.ascontiguousarray(tensor[::_COARSE, ::_COARSE, ::_COARSE]))
        body = coarse.repeat(_COARSE, 0).repeat(_COARSE, 1).repeat(_COARSE, 2)
        body = body[tuple(slice(0, n) for n in tensor.shape)]
        missing = [max(p - n, 0) for n, p in zip(tensor.shape, patch, strict=True)]
        self.padding = np.array([m // 2 for m in missing], dtype=np.int64)
        """Voxels that were added before the image along z, y, x."""
        self._body = np.pad(body, [(m // 2, m - m // 2) for m in missing]).astype(np.float32)
        self._patch = patch

    def of(self, window_starts: list[list[int]]) -> Float32Array:
        """Shares 0 to 1 for windows that begin at these voxels of the padded image, (n_windows, z, y, x) cells."""
        windows = [
            self._body[tuple(slice(s, s + n) for s, n in zip(start, self._patch, strict=True))]
            for start in window_starts
        ]
        stacked = torch.from_numpy(np.stack(windows))[:, None]
        return np.asarray(F.adaptive_avg_pool3d(stacked, cells_of(self._patch))[:, 0].numpy(), dtype=np.float32)
