"""The sliding window: which windows there are, several at a time, air once, and their outputs blended into one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices

from BottleneckOODLib.model.memory_steps import Attempt
from BottleneckOODLib.model.model_folder import InferenceSettings

Float32Array = npt.NDArray[np.float32]
Window = tuple[slice, ...]
Predict = Callable[[torch.Tensor, list[list[int]]], torch.Tensor]
"""Given windows (n, 1, z, y, x) and the first voxel of each, their logits (n, n_classes, z, y, x).

One window may come with many first voxels: it is the same, air alone, at each of them.
"""

_MOST_AT_ONCE = 4
# Several small windows at once are up to five times faster on a CPU than one, for which PyTorch takes its slow
# convolution; windows of 96 voxels are not, and their memory adds up.
_VOXELS_AT_ONCE = {"cpu": 4 * 64**3}
_VOXELS_AT_ONCE_ON_A_CARD = 4 * 128**3
_AIR_AT_ONCE = 64


@dataclass(frozen=True)
class Steps:
    """What makes the pass faster; each can be left out, so that a benchmark can tell what it gains.

    Attributes:
        air_once: A window that holds nothing but air is computed once for all of them.
        several: Several windows are computed at a time.
        on_device: Outputs are blended where they are computed; otherwise on the CPU.
        half: Convolutions in half precision, which changes mask and features: never switched on by itself.
    """

    air_once: bool = True
    several: bool = True
    on_device: bool = True
    half: torch.dtype | None = None


def windows_at_once(device: torch.device, patch: tuple[int, int, int]) -> int:
    """How many windows are computed at a time, before anything runs out of memory."""
    budget = _VOXELS_AT_ONCE.get(device.type, _VOXELS_AT_ONCE_ON_A_CARD)
    return max(1, min(_MOST_AT_ONCE, budget // math.prod(patch)))


def window_slices(shape: tuple[int, ...], patch: tuple[int, int, int], overlap: float) -> list[Window]:
    """The windows over an input of ``shape`` (Z, Y, X), padded to at least a patch: those of MONAI's inferer."""
    size = tuple(max(n, p) for n, p in zip(shape, patch, strict=True))
    interval = tuple(p if n == p else max(1, int(p * (1 - overlap))) for n, p in zip(size, patch, strict=True))
    return list(dense_patch_slices(size, patch, interval))


def padded(tensor: Float32Array, patch: tuple[int, int, int], value: float) -> Float32Array:
    """The input, padded on both sides to at least a patch; itself where nothing is missing."""
    widths = _padding(tensor.shape, patch)
    return np.pad(tensor, widths, constant_values=value) if np.any(widths) else tensor


def batches(windows: list[Window], at_once: int) -> list[list[Window]]:
    """Windows in groups of at most ``at_once``, as even as can be: a single one left over would be slow."""
    n_groups = -(-len(windows) // at_once)
    ends = [round(len(windows) * n / n_groups) for n in range(n_groups + 1)] if n_groups else []
    return [windows[start:stop] for start, stop in pairwise(ends)]


def blended_logits(
    tensor: Float32Array,
    settings: InferenceSettings,
    padding: float,
    air: float,
    predict: Predict,
    attempt: Attempt,
    steps: Steps,
) -> Float32Array:
    """Run a network over all windows and blend what it says.

    The windows, their weights and the result are those of MONAI's ``SlidingWindowInferer``; the order of the windows
    is not: those of air come last.

    Args:
        tensor: Network input, shape (Z, Y, X), float32. Not modified.
        settings: Patch, overlap and blending.
        padding: The value around an input that is smaller than a patch.
        air: The value of air; not a number where it has none.
        predict: Runs the network.
        attempt: Where and how.
        steps: What makes it faster.

    Returns:
        Logits, shape (n_classes, Z, Y, X), float32.
    """
    patch = settings.patch
    whole = torch.from_numpy(padded(tensor, patch, padding)).to(attempt.blended_on)
    windows = window_slices(tensor.shape, patch, settings.overlap)
    is_air = [steps.air_once and bool((whole[window] == air).all()) for window in windows]
    of_air = [window for window, alone in zip(windows, is_air, strict=True) if alone]
    others = [window for window, alone in zip(windows, is_air, strict=True) if not alone]
    weight = compute_importance_map(patch, settings.blend, 0.125, attempt.blended_on, torch.float32)
    blend = _Blend(whole.shape, weight)
    for batch in batches(others, attempt.at_once):
        logits = predict(_gathered(whole, batch, attempt.device), _starts(batch))
        for window, of_window in zip(batch, logits, strict=True):
            blend.add(window, of_window)
    for batch in batches(of_air, _AIR_AT_ONCE):
        (logits,) = predict(_gathered(whole, batch[:1], attempt.device), _starts(batch))
        for window in batch:
            blend.add(window, logits)
    before = [first for first, _ in _padding(tensor.shape, patch)]
    z, y, x = (slice(first, first + n) for first, n in zip(before, tensor.shape, strict=True))
    return np.ascontiguousarray(blend.result()[:, z, y, x].cpu().numpy())


class _Blend:
    """Weighted sum of the windows' outputs, and of the weights.

    Args:
        shape: Voxels along z, y, x.
        weight: Weight of each voxel of a window; where it lies, outputs are blended.
    """

    def __init__(self, shape: torch.Size, weight: torch.Tensor) -> None:
        self._weight = weight
        self._weights = torch.zeros(shape, device=weight.device)
        self._sum: torch.Tensor | None = None

    def add(self, window: Window, logits: torch.Tensor) -> None:
        """Add the output of one window, shape (n_classes, z, y, x), on any device."""
        if self._sum is None:
            self._sum = torch.zeros((len(logits), *self._weights.shape), device=self._weight.device)
        z, y, x = window
        self._sum[:, z, y, x].addcmul_(logits.to(self._weight.device, torch.float32), self._weight)
        self._weights[window] += self._weight

    def result(self) -> torch.Tensor:
        """The blended output, shape (n_classes, Z, Y, X)."""
        assert self._sum is not None
        return self._sum.div_(self._weights)


def _gathered(whole: torch.Tensor, windows: list[Window], device: torch.device) -> torch.Tensor:
    stacked = torch.stack([whole[window] for window in windows])[:, None]
    if device.type == "cuda" and whole.device.type == "cpu":
        return stacked.pin_memory().to(device, non_blocking=True)
    return stacked.to(device)


def _starts(windows: list[Window]) -> list[list[int]]:
    return [[int(s.start) for s in window] for window in windows]


def _padding(shape: tuple[int, ...], patch: tuple[int, int, int]) -> list[tuple[int, int]]:
    missing = [max(p - n, 0) for n, p in zip(shape, patch, strict=True)]
    return [(m // 2, m - m // 2) for m in missing]
