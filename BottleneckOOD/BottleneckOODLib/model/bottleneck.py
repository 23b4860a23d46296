"""The tap on an encoder output, the deepest above all."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from BottleneckOODLib.errors import ModelError

_SPATIAL_TENSOR_AXES = 5


class BottleneckReached(Exception):
    """Raised by a tap with ``stop=True`` once the bottleneck is known, so that the decoder never runs."""


class BottleneckTap:
    """Keeps the output of one layer, by a forward hook, while the network runs as usual.

    Args:
        network: The network.
        layer: Dotted name of the module whose output is the deepest encoder output.
        stop: End each forward pass with ``BottleneckReached`` once the output is kept.
        reduce: What to keep of the output, computed where the network runs; None keeps it whole.

    Raises:
        ModelError: The network has no such layer.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        layer: str,
        *,
        stop: bool = False,
        reduce: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        modules = dict(network.named_modules())
        if layer not in modules:
            message = (
                f'The model\'s network has no layer "{layer}" to take the bottleneck from; restore the model folder.'
            )
            raise ModelError(message)
        self._stop = stop
        self._reduce = reduce
        self._tokens: torch.Tensor | None = None
        self._handle = modules[layer].register_forward_hook(self._keep)

    def __enter__(self) -> BottleneckTap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.remove()

    def take(self) -> torch.Tensor:
        """The output of the last forward pass, shape (n_windows, C, z, y, x), float32, on the CPU.

        Raises:
            ModelError: The layer did not run, or gives no such tensor.
        """
        return self.take_on_device().detach().to("cpu", torch.float32, copy=True)

    def take_on_device(self) -> torch.Tensor:
        """The output of the last forward pass where and as the network left it, shape (n_windows, C, z, y, x).

        Raises:
            ModelError: The layer did not run, or gives no such tensor.
        """
        tokens, self._tokens = self._tokens, None
        if tokens is None or tokens.ndim != _SPATIAL_TENSOR_AXES:
            message = "The model's bottleneck layer gives no feature map; restore the model folder."
            raise ModelError(message)
        return tokens

    def _keep(self, _module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        tensor = output[0] if isinstance(output, tuple | list) else output
        self._tokens = tensor if self._reduce is None else self._reduce(tensor)
        if self._stop:
            raise BottleneckReached


def holds_more_than_air(windows: torch.Tensor, air: float) -> torch.Tensor:
    """Where the network's input is no air; tissue may be darker than air, where values are z-scores.

    Args:
        windows: Network input, any shape.
        air: The value that air and padding have in it.

    Returns:
        Boolean, shape as given.
    """
    return windows != air


def occupied_share(windows: torch.Tensor, token_shape: torch.Size, air: float) -> torch.Tensor:
    """Share of each token's region that holds more than air.

    Args:
        windows: Network input, shape (n_windows, 1, Z, Y, X).
        token_shape: Spatial shape of the bottleneck, (z, y, x).
        air: The value that air and padding have in ``windows``.

    Returns:
        Shares 0 to 1, shape (n_windows, z, y, x), float32, on the CPU.
    """
    return share_of_tokens(holds_more_than_air(windows, air), token_shape).to("cpu")


def share_of_tokens(marked: torch.Tensor, token_shape: torch.Size) -> torch.Tensor:
    """Share of each token's region that is marked.

    Args:
        marked: Boolean, shape (n_windows, 1, Z, Y, X).
        token_shape: Spatial shape of the tokens, (z, y, x).

    Returns:
        Shares 0 to 1, shape (n_windows, z, y, x), float32, on the device of ``marked``.
    """
    return F.adaptive_avg_pool3d(marked.to(torch.float32), (token_shape[0], token_shape[1], token_shape[2]))[:, 0]


def share_in_windows(
    marked: npt.NDArray[np.bool_],
    window_starts: npt.NDArray[np.int64],
    patch: tuple[int, int, int],
    token_shape: tuple[int, ...],
) -> npt.NDArray[np.float32]:
    """Share of each token's region that is marked, for windows of a pass that is over.

    Args:
        marked: On the model's grid, shape (Z, Y, X). Not modified.
        window_starts: First voxel (z, y, x) of each window on the grid padded to at least a patch, (n_windows, 3).
        patch: Voxels of a window along z, y, x.
        token_shape: Spatial shape of the tokens, (z, y, x).

    Returns:
        Shares 0 to 1, shape (n_windows, z, y, x). What was padded is not marked.
    """
    missing = [max(p - n, 0) for n, p in zip(marked.shape, patch, strict=True)]
    padded = np.pad(marked, [(m // 2, m - m // 2) for m in missing])
    shares = []
    # Window by window, because they overlap: together they are several times the image.
    for start in window_starts:
        window = padded[tuple(slice(s, s + n) for s, n in zip(start, patch, strict=True))]
        stacked = torch.from_numpy(np.ascontiguousarray(window))[None, None]
        shares.append(share_of_tokens(stacked, torch.Size(token_shape))[0])
    return np.asarray(torch.stack(shares).numpy(), dtype=np.float32)
