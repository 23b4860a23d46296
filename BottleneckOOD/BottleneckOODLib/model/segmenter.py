"""One sliding-window pass: the logits of the whole volume and the bottleneck of every window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.model.bottleneck import BottleneckReached, BottleneckTap, occupied_share
from BottleneckOODLib.model.fast_attention import use_fast_attention
from BottleneckOODLib.model.local_view import local_tokens
from BottleneckOODLib.model.memory_steps import Attempt, attempts, first_output_that_fits
from BottleneckOODLib.model.model_folder import ModelFolder, check_still_the_same
from BottleneckOODLib.model.networks import build_network, encoder_stages, local_layer
from BottleneckOODLib.model.preprocessing import Grid, Preprocessing
from BottleneckOODLib.model.stages import StageFeatures, StagePool
from BottleneckOODLib.model.window_inference import (
    Steps,
    batches,
    blended_logits,
    padded,
    window_slices,
    windows_at_once,
)

Float32Array = npt.NDArray[np.float32]
WindowCallback = Callable[[int, int], None]
LocalView = Callable[[Float32Array, list[list[int]]], Float32Array]
"""Given tokens (n_windows, C, z, y, x) and the windows' first voxels, what to keep of them; the rows are joined."""


@dataclass(frozen=True)
class Bottleneck:
    """The deepest encoder output of every window.

    Attributes:
        tokens: Shape (n_windows, C, z, y, x), float32.
        occupied: Share of each token's region that holds more than air, shape (n_windows, z, y, x).
        window_starts: First voxel (z, y, x) of each window on the grid padded to at least a patch, (n_windows, 3).
    """

    tokens: Float32Array
    occupied: Float32Array
    window_starts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SegmenterOutput:
    """What one pass gives.

    Attributes:
        logits: Shape (n_classes, Z, Y, X), float32, on the model's grid.
        bottleneck: Features of every window, from the same pass.
        device: The device that computed, in words.
        warnings: What a user should know, such as a fallback to the CPU.
        local: What the local view kept, in the order of the windows; None without one.
        stages: The encoder's stages, pooled in each window, from shallow to deep; empty unless asked for.
        disagreement: 1 - mean Dice of the organ's masks over pairs of members of the pass: ``"mirroring"`` where the
            model mirrors its windows, ``"folds"`` where it has several. Higher is more unusual.
    """

    logits: Float32Array
    bottleneck: Bottleneck
    device: str
    warnings: tuple[str, ...]
    local: Float32Array | None = None
    stages: tuple[StageFeatures, ...] = ()
    disagreement: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_finite(self) -> bool:
        """Whether all that is judged are numbers; the local tokens have a say in the map of regions only."""
        judged = (*self.logits, self.bottleneck.tokens, self.bottleneck.occupied)
        return all(bool(np.isfinite(part).all()) for part in judged) and all(s.is_finite for s in self.stages)


class Segmenter:
    """A model, loaded and ready.

    Args:
        model: The model folder; its weights are read now.
        device: Where to compute.
        notes: What a user should know about that choice; comes with every output.
        steps: What makes a pass faster.

    Raises:
        ModelError: The weights do not fit the network, or were replaced since they were checked.
    """

    def __init__(
        self, model: ModelFolder, device: torch.device, notes: tuple[str, ...] = (), steps: Steps | None = None
    ) -> None:
        self.model = model
        self.device = device
        self._notes = notes
        self._air = Preprocessing.of_model(model).air
        self._padding = self._air if model.inference.padding is None else model.inference.padding
        self._steps = steps or Steps()
        self._network = _load_network(model)
        use_fast_attention(self._network)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the encoder's stages, from shallow to deep, the bottleneck last."""
        return encoder_stages(self.model.network_type, self._network)

    def prepare(self, volume: Volume) -> tuple[Float32Array, Grid]:
        """The network's input, shape (Z, Y, X), float32, and its grid.

        Args:
            volume: The volume. Not modified.
        """
        return Preprocessing.of_model(self.model).apply(volume)

    def window_count(self, shape: tuple[int, ...]) -> int:
        """Number of windows that ``run`` takes for an input of ``shape`` (Z, Y, X)."""
        return len(window_slices(shape, self.model.inference.patch, self.model.inference.overlap))

    def run(
        self,
        tensor: Float32Array,
        on_window: WindowCallback | None = None,
        local_view: LocalView | None = None,
        *,
        stages: bool = False,
    ) -> SegmenterOutput:
        """Segment, and keep the bottleneck of every window of the same pass.

        When the device's memory does not suffice the pass is repeated with one window at a time, then with the windows
        blended on the CPU, and then on the CPU altogether.

        Args:
            tensor: Network input, shape (Z, Y, X), float32. Not modified.
            on_window: Called with (windows done, windows in all) before each batch; what it raises ends the pass.
            local_view: Called with the local tokens of each batch, of the same pass; what it gives back is kept instead
                of them, so that memory stays bounded.
            stages: Also pool every encoder stage of the same pass.

        Raises:
            ModelError: The memory of the computer does not suffice, the network failed, or its values are not finite.
        """
        patch, steps = self.model.inference.patch, self._steps
        tries = attempts(
            self.device,
            lambda device: windows_at_once(device, patch) if steps.several else 1,
            on_device=steps.on_device,
        )
        return first_output_that_fits(
            tries,
            self.model.name,
            self._notes,
            lambda attempt: self._pass(tensor, attempt, on_window, local_view, stages),
        )

    def sweep(self, tensor: Float32Array, on_window: WindowCallback | None = None) -> Bottleneck | None:
        """The bottleneck alone, from windows without overlap, the decoder never run: for a preliminary light.

        Args:
            tensor: Network input, shape (Z, Y, X), float32. Not modified.
            on_window: As for ``run``.

        Returns:
            The bottleneck, or None where the network failed: the pass that follows says why, or finds another way.
        """
        try:
            return self._swept(tensor, on_window)
        except (RuntimeError, ValueError, MemoryError):
            return None

    def _swept(self, tensor: Float32Array, on_window: WindowCallback | None) -> Bottleneck:
        patch = self.model.inference.patch
        network = self._network.to(self.device)
        collected = _Collected()
        slices = window_slices(tensor.shape, patch, 0.0)
        whole = padded(tensor, patch, self._padding)
        with torch.inference_mode(), BottleneckTap(network, self.model.bottleneck_layer, stop=True) as tap:
            for group in batches(slices, windows_at_once(self.device, patch)):
                if on_window is not None:
                    on_window(collected.count, len(slices))
                windows = torch.from_numpy(np.stack([whole[window] for window in group])[:, None]).to(self.device)
                try:
                    network(windows)
                except BottleneckReached:
                    collected.add(tap.take(), windows, self._air, [[s.start for s in window] for window in group])
        return collected.bottleneck()

    def _pass(
        self,
        tensor: Float32Array,
        attempt: Attempt,
        on_window: WindowCallback | None,
        local_view: LocalView | None,
        stages: bool,
    ) -> SegmenterOutput:
        settings, steps, device = self.model.inference, self._steps, attempt.device
        network = self._network.to(device)
        collected = _Collected()
        total = self.window_count(tensor.shape)
        with torch.inference_mode(), ExitStack() as taps:
            tap = taps.enter_context(BottleneckTap(network, self.model.bottleneck_layer))
            local_tap = None if local_view is None else taps.enter_context(self._local_tap(network))
            pool = taps.enter_context(self._stage_pool(network)) if stages else None

            def predict(windows: torch.Tensor, starts: list[list[int]]) -> torch.Tensor:
                if on_window is not None:
                    on_window(collected.count, total)
                with nullcontext() if steps.half is None else torch.autocast(device.type, steps.half):
                    logits = _single_output(network(windows))
                collected.add(tap.take(), windows, self._air, starts)
                if local_view is not None and local_tap is not None:
                    collected.add_local(local_view(_for_each(local_tap.take(), starts).numpy(), starts))
                if pool is not None:
                    pool.add(windows, logits, len(starts))
                return logits

            logits = blended_logits(tensor, settings, self._padding, self._air, predict, attempt, steps)
        if on_window is not None:
            on_window(total, total)
        pooled = () if pool is None else pool.features()
        return SegmenterOutput(logits, collected.bottleneck(), "", (), collected.local(), pooled)

    def _local_tap(self, network: torch.nn.Module) -> BottleneckTap:
        patch = self.model.inference.patch
        layer = local_layer(self.model.network_type, network)
        return BottleneckTap(network, layer, reduce=lambda features: local_tokens(features, patch))

    def _stage_pool(self, network: torch.nn.Module) -> StagePool:
        return StagePool(network, self.stage_names, self._air, self.model.organ_classes)


class _Collected:
    """The features of the windows as they come."""

    def __init__(self) -> None:
        self._tokens: list[torch.Tensor] = []
        self._occupied: list[torch.Tensor] = []
        self._starts: list[list[int]] = []
        self._local: list[Float32Array] = []

    @property
    def count(self) -> int:
        return len(self._starts)

    def add(self, tokens: torch.Tensor, windows: torch.Tensor, air: float, starts: list[list[int]]) -> None:
        self._tokens.append(_for_each(tokens, starts))
        self._occupied.append(_for_each(occupied_share(windows, tokens.shape[2:], air), starts))
        self._starts.extend(starts)

    def add_local(self, kept: Float32Array) -> None:
        self._local.append(kept)

    def local(self) -> Float32Array | None:
        return np.concatenate(self._local) if self._local else None

    def bottleneck(self) -> Bottleneck:
        return Bottleneck(
            torch.cat(self._tokens).numpy(),
            torch.cat(self._occupied).numpy(),
            np.asarray(self._starts, dtype=np.int64),
        )


def _load_network(model: ModelFolder) -> torch.nn.Module:
    network = build_network(model.network_type, model.network_arguments)
    state = safetensors.torch.load_file(model.weights_path)
    expected = network.state_dict()
    fits = state.keys() == expected.keys() and all(state[name].shape == expected[name].shape for name in state)
    if not fits:
        message = (
            f"The weights {model.weights_file} in {model.folder} do not fit the network that {model.name} names; "
            "restore the model folder."
        )
        raise ModelError(message)
    network.load_state_dict(state)
    check_still_the_same(model)
    network.requires_grad_(False)
    return network.eval()


def _single_output(output: Any) -> torch.Tensor:
    # Networks with deep supervision return the full-resolution output first.
    tensor = output[0] if isinstance(output, tuple | list) else output
    if not isinstance(tensor, torch.Tensor):
        message = "The model's network gives no segmentation; restore the model folder."
        raise ModelError(message)
    return tensor


def _for_each(rows: torch.Tensor, starts: list[list[int]]) -> torch.Tensor:
    """A row for every window: one row alone, that of air, stands for all of them."""
    return rows if len(rows) == len(starts) else rows.expand(len(starts), *rows.shape[1:])
