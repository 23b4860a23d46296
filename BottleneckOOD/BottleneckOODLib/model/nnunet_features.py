"""What is kept of an nnU-Net's windows while nnU-Net runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import torch

from BottleneckOODLib.model.bottleneck import BottleneckTap, share_of_tokens
from BottleneckOODLib.model.local_view import local_tokens
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.segmenter import Bottleneck, LocalView
from BottleneckOODLib.model.stages import StageFeatures, StagePool

Float32Array = npt.NDArray[np.float32]


def box_of(start: Sequence[int], patch: tuple[int, int, int]) -> tuple[slice, ...]:
    """The voxels of the window that begins at ``start``."""
    return tuple(slice(s, s + n) for s, n in zip(start, patch, strict=True))


class NnunetWindows:
    """The features of the windows as they come."""

    def __init__(self, occupied: npt.NDArray[np.bool_], patch: tuple[int, int, int]) -> None:
        self._everywhere, self._patch = occupied, patch
        self._tokens: list[torch.Tensor] = []
        self._occupied: list[torch.Tensor] = []
        self._starts: list[list[int]] = []
        self._local: list[Float32Array] = []

    def occupied(self, start: Sequence[int]) -> torch.Tensor:
        """Where a window holds more than air, shape (1, 1, Z, Y, X)."""
        return torch.from_numpy(np.ascontiguousarray(self._everywhere[box_of(start, self._patch)]))[None, None]

    def add(self, tokens: torch.Tensor, start: list[int]) -> None:
        """Keep a window's bottleneck, shape (1, C, z, y, x)."""
        self._tokens.append(tokens)
        self._occupied.append(share_of_tokens(self.occupied(start), tokens.shape[2:]))
        self._starts.append(start)

    def add_local(self, kept: Float32Array) -> None:
        """Keep what the local view kept of a window."""
        self._local.append(kept)

    def local(self) -> Float32Array | None:
        """What the local view kept of all windows."""
        return np.concatenate(self._local) if self._local else None

    def bottleneck(self) -> Bottleneck:
        """The bottleneck of all windows."""
        tokens, occupied = torch.cat(self._tokens).numpy(), torch.cat(self._occupied).numpy()
        return Bottleneck(tokens, occupied, np.asarray(self._starts, dtype=np.int64))


class NnunetFeatures:
    """The taps on the first fold's network, read once for each window, before it is mirrored."""

    def __init__(
        self,
        taps: ExitStack,
        network: torch.nn.Module,
        model: ModelFolder,
        stage_names: Sequence[str],
        occupied: npt.NDArray[np.bool_],
        local_view: LocalView | None,
        stages: bool,
    ) -> None:
        patch, names = model.inference.patch, tuple(stage_names)
        self.windows = NnunetWindows(occupied, patch)
        self._view = local_view
        self._tap = taps.enter_context(BottleneckTap(network, model.bottleneck_layer))
        self._local_tap: BottleneckTap | None = None
        if local_view is not None:
            layer = names[min(1, len(names) - 1)]
            self._local_tap = taps.enter_context(
                BottleneckTap(network, layer, reduce=lambda features: local_tokens(features, patch))
            )
        self._pool: StagePool | None = None
        if stages:
            # What is air is told by the windows that are handed over, 1 where there is more than air.
            self._pool = taps.enter_context(StagePool(network, names, 0.5, model.organ_classes))

    def add(self, _window: torch.Tensor, logits: torch.Tensor, start: list[int]) -> None:
        """Read the taps for the window that begins at ``start``."""
        self.windows.add(self._tap.take(), start)
        if self._view is not None and self._local_tap is not None:
            self.windows.add_local(self._view(self._local_tap.take().numpy(), [start]))
        if self._pool is not None:
            self._pool.add(self.windows.occupied(start).to(logits.device, torch.float32), logits)

    def stages(self) -> tuple[StageFeatures, ...]:
        """The encoder's stages, when they were asked for."""
        return () if self._pool is None else self._pool.features()
