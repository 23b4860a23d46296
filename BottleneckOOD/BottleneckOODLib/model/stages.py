"""The encoder's stages in the pass that segments: mean and deviation of every window, pooled where the network runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt
import torch

from BottleneckOODLib.model.bottleneck import BottleneckTap, holds_more_than_air, share_of_tokens
from BottleneckOODLib.ood.pooling import LEAST_WEIGHT

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class WindowMoments:
    """Tokens of every window as their weighted mean and standard deviation.

    Attributes:
        mean: Shape (n_windows, C), float32.
        deviation: Population standard deviation, shape (n_windows, C), float32.
        weight: Sum of the tokens' weights, in tokens, shape (n_windows,), float32. Where it is 0, mean and deviation
            are those of all tokens alike.
    """

    mean: Float32Array
    deviation: Float32Array
    weight: Float32Array

    @property
    def is_finite(self) -> bool:
        """Whether every number is."""
        return all(bool(np.isfinite(part).all()) for part in (self.mean, self.deviation, self.weight))


@dataclass(frozen=True, eq=False)
class StageFeatures:
    """One encoder stage, pooled in each window.

    Attributes:
        name: Dotted name of the module.
        occupied: Each token weighs as much as its region holds more than air; those that see almost nothing else have
            no weight, as in ``ood.pooling.pool_tokens``.
        in_mask: Each token weighs as much of the organ as the window itself predicts in the token's region, before
            windows are blended. Without an organ in the window its weight is 0.
    """

    name: str
    occupied: WindowMoments
    in_mask: WindowMoments

    @property
    def is_finite(self) -> bool:
        """Whether every number is."""
        return self.occupied.is_finite and self.in_mask.is_finite


class StagePool:
    """Taps on encoder stages, whose outputs are pooled batch by batch and then let go.

    Args:
        network: The network.
        layers: Dotted names of the stages' modules.
        air: The value that air and padding have in the network's input.
        organ_classes: The network's classes that are the organ.

    Raises:
        ModelError: The network has no such layer.
    """

    def __init__(
        self, network: torch.nn.Module, layers: Sequence[str], air: float, organ_classes: Sequence[int] = (1,)
    ) -> None:
        self._network = network
        self._layers = tuple(layers)
        self._air = air
        self._organ_classes = tuple(organ_classes)
        self._taps: list[BottleneckTap] = []
        self._hooks = ExitStack()
        self._pooled: dict[str, list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = {name: [] for name in layers}

    def __enter__(self) -> StagePool:
        with ExitStack() as hooks:
            self._taps = [hooks.enter_context(BottleneckTap(self._network, layer)) for layer in self._layers]
            self._hooks = hooks.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()

    def add(self, windows: torch.Tensor, logits: torch.Tensor, count: int | None = None) -> None:
        """Pool what the last forward pass left in the taps.

        Args:
            windows: Network input, shape (n_windows, 1, Z, Y, X).
            logits: What the network made of it, shape (n_windows, n_classes, Z, Y, X).
            count: For how many windows it stands, where one window (of air) stands for several.

        Raises:
            ModelError: A stage did not run, or gives no feature map.
        """
        seen = holds_more_than_air(windows, self._air)
        organ = self._organ(logits)
        for layer, tap in zip(self._layers, self._taps, strict=True):
            tokens = tap.take_on_device()
            occupied = share_of_tokens(seen, tokens.shape[2:])
            occupied = torch.where(occupied > LEAST_WEIGHT, occupied, 0)
            weights = torch.stack([occupied, share_of_tokens(organ, tokens.shape[2:])], dim=-1)
            moments = _moments(tokens, weights.flatten(2, 3))
            rows = -1 if count is None else count
            mean, deviation, weight = (moment.cpu().expand(rows, *moment.shape[1:]) for moment in moments)
            self._pooled[layer].append((mean, deviation, weight))

    def _organ(self, logits: torch.Tensor) -> torch.Tensor:
        """Where the largest class is the organ's, the first of equals; argmax takes many times as long on a CPU."""
        largest = logits[:, :1]
        organ = torch.full_like(largest, 0 in self._organ_classes, dtype=torch.bool)
        for index in range(1, logits.shape[1]):
            values = logits[:, index : index + 1]
            larger = values > largest
            organ = organ | larger if index in self._organ_classes else organ & ~larger
            largest = torch.maximum(largest, values)
        return organ

    def features(self) -> tuple[StageFeatures, ...]:
        """Every stage, in the order of ``layers``, the windows in the order of the pass."""
        stages: list[StageFeatures] = []
        for layer in self._layers:
            mean, deviation, weight = (torch.cat(parts).numpy() for parts in zip(*self._pooled[layer], strict=True))
            by_weight = [WindowMoments(mean[..., i], deviation[..., i], weight[..., i]) for i in range(2)]
            stages.append(StageFeatures(layer, by_weight[0], by_weight[1]))
        return tuple(stages)


def _moments(tokens: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weighted moments of each window: mean and deviation (n_windows, C, n_weights), sum of weights (n, n_weights).

    Args:
        tokens: Shape (n_windows, C, z, y, x).
        weights: Shape (n_windows, z, y * x, n_weights).
    """
    total = weights.sum(dim=2).sum(dim=1)
    shares = torch.where(total[:, None, None] > 0, weights, 1)
    shares = shares / shares.sum(dim=2, keepdim=True).sum(dim=1, keepdim=True)
    means, deviations = [], []
    # Window by window: the copy that the deviation needs is as large as the stage itself.
    for window, share in zip(tokens, shares, strict=True):
        values = window.flatten(2).to(torch.float32, copy=True)
        # About the middle of the window, a square loses no digits to a large mean.
        middle = values.mean(dim=(1, 2))[:, None]
        values -= middle[:, None]
        # Slice by slice first: one long sum in single precision would lose digits.
        slices = values.transpose(0, 1)
        off = (slices @ share).sum(dim=0)
        squared = (values.square_().transpose(0, 1) @ share).sum(dim=0)
        means.append(middle + off)
        deviations.append((squared - off.square()).clamp_min(0).sqrt())
    return torch.stack(means), torch.stack(deviations), total
