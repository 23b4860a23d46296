"""Trains the embedded demo model from generated bodies, on a CPU, resumable at any time."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from monai.losses.dice import DiceCELoss
from safetensors.torch import save_file

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.networks import bottleneck_layer, build_network
from BottleneckOODLib.model.saved_by_torch import HoldsCodeError, UnreadableError, load_without_code
from BottleneckOODLib.progress import CancelToken, Progress, ProgressCallback
from BottleneckOODLib.synthesis.patches import AnatomyBank, PatchSettings, draw_patch
from BottleneckOODLib.synthesis.real_anatomy import read_real_anatomies

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"
SETTINGS = "settings.json"

DEMO_NETWORKS: Mapping[str, Mapping[str, object]] = {
    "unet": {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [16, 32, 64, 128, 192],
        "strides": [2, 2, 2, 2], "num_res_units": 2, "norm": "INSTANCE",
    },
    "swin_unetr": {"in_channels": 1, "out_channels": 2, "feature_size": 12, "window_size": 4, "spatial_dims": 3},
}  # fmt: skip
"""Arguments of the networks that ``train_demo_model`` knows."""

_PEAK_RATE = 2e-3
_WARM_UP = 0.03
_EMA_DECAY = 0.998
_BATCH = 2
_SAVE_EVERY_S = 150.0
_LONGEST_STEP_S = 20.0
_HELD_OUT_SEED = 1_000_000


def train_demo_model(
    output: Path,
    *,
    data: Path | None = None,
    minutes: float | None = 60.0,
    steps: int | None = None,
    seed: int = 0,
    network: str = "unet",
    resume: bool = True,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> Path:
    """Train a liver segmenter on generated patches.

    The learning rate follows a cosine over the wall-clock minutes (or the steps), and an exponential mean of the
    weights is written every few minutes, so that a stop at any time leaves a usable model.

    Args:
        output: Folder for the weights, their settings, the log and the checkpoint; made if missing.
        data: Folder with labelled scans whose anatomy is mixed in, or None for drawn bodies only.
        minutes: Training time on this machine; ignored when ``steps`` is given.
        steps: Number of optimiser steps, for a run that is the same on every machine.
        seed: The same seed and steps give the same patches.
        network: A key of ``DEMO_NETWORKS``.
        resume: Go on from the checkpoint in ``output`` if there is one.
        progress: Receives reports.
        cancel: Stops the run after the current step; what was learned so far is saved.

    Returns:
        The weights file.

    Raises:
        ModelError: The network is unknown, or the checkpoint belongs to other settings.
        InputError: ``data`` holds no labelled scan.
    """
    if network not in DEMO_NETWORKS:
        message = f"The demo model can be trained as {', '.join(DEMO_NETWORKS)}, not as {network!r}."
        raise ModelError(message)
    output.mkdir(parents=True, exist_ok=True)
    run = _Run(output, data, seed, network)
    if resume:
        run.load()
    saved = time.monotonic()
    while True:
        share = run.step / steps if steps is not None else run.seconds / 60 / (minutes or 60.0)
        if share >= 1 or (cancel is not None and cancel.cancelled):
            break
        run.train_step(share)
        if time.monotonic() - saved > _SAVE_EVERY_S:
            run.save()
            saved = time.monotonic()
        if progress is not None:
            left = None if share < 0.01 else run.seconds * (1 - share) / share  # noqa: PLR2004
            progress(Progress("Training", min(share, 1.0), left, f"step {run.step}, loss {run.loss:.3f}"))
    run.save()
    return output / WEIGHTS


class _Run:
    """Everything that changes during a training."""

    def __init__(self, output: Path, data: Path | None, seed: int, network: str) -> None:
        torch.manual_seed(seed)
        self.output = output
        self.seed = seed
        self.network_type = network
        self.arguments = dict(DEMO_NETWORKS[network])
        self.patch = PatchSettings()
        # Channels last trains a third faster on a CPU, with the same arithmetic.
        self.network = build_network(network, self.arguments)
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.mean = copy.deepcopy(self.network).eval().requires_grad_(requires_grad=False)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=_PEAK_RATE, weight_decay=1e-2)
        self.bank = AnatomyBank(read_real_anatomies(data) if data is not None else (), seed=seed * 10_000)
        self.objective = DiceCELoss(include_background=False, softmax=True, to_onehot_y=True, batch=True)
        self.step = 0
        self.seconds = 0.0
        self.loss = 1.0
        self.real_data = data is not None

    def train_step(self, share: float) -> None:
        """One optimiser step; ``share`` (0 to 1) is how much of the training is done."""
        began = time.monotonic()
        rate = _PEAK_RATE * min(1.0, share / _WARM_UP + 0.02) * (0.5 + 0.5 * math.cos(math.pi * share) + 0.005)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        # New bodies join while it learns: the first step need not wait for all of them.
        available = min(1.0, self.step / 900)
        pairs = [
            draw_patch(self.bank, np.random.default_rng((self.seed, self.step, i)), self.patch, progress=available)
            for i in range(_BATCH)
        ]
        images = torch.from_numpy(np.stack([image for image, _ in pairs])[:, None])
        images = images.contiguous(memory_format=torch.channels_last_3d)
        masks = torch.from_numpy(np.stack([mask for _, mask in pairs])[:, None].astype(np.int64))
        self.network.train()
        loss = self.objective(self.network(images), masks)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 3.0)
        self.optimiser.step()
        self.step += 1
        decay = min(_EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, new in zip(self.mean.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
            for buffer, fresh in zip(self.mean.buffers(), self.network.buffers(), strict=True):
                buffer.copy_(fresh)
        self.loss += max(0.02, 1 / self.step) * (float(loss.detach()) - self.loss)
        # A computer that slept, or a paused run, has not trained.
        self.seconds += min(time.monotonic() - began, _LONGEST_STEP_S)

    def save(self) -> None:
        """Write weights, settings, a log line and the checkpoint, each in one move."""
        state = {
            "network": self.network.state_dict(), "mean": self.mean.state_dict(), "step": self.step,
            "optimiser": self.optimiser.state_dict(), "seconds": self.seconds, "loss": self.loss,
            "seed": self.seed, "network_type": self.network_type, "arguments": json.dumps(self.arguments),
        }  # fmt: skip
        partial = self.output / (CHECKPOINT + ".part")
        torch.save(state, partial)
        partial.replace(self.output / CHECKPOINT)
        partial = self.output / (WEIGHTS + ".part")
        save_file({k: v.contiguous() for k, v in self.mean.state_dict().items()}, partial)
        partial.replace(self.output / WEIGHTS)
        partial = self.output / (SETTINGS + ".part")
        partial.write_text(json.dumps(self.settings(), indent=2) + "\n", encoding="utf-8")
        partial.replace(self.output / SETTINGS)
        with (self.output / "log.csv").open("a", encoding="utf-8") as log:
            log.write(f"{self.step},{self.seconds:.0f},{self.loss:.4f}\n")

    def settings(self) -> dict[str, object]:
        """What a model folder must say about these weights."""
        return {
            "network": {"type": self.network_type, "arguments": self.arguments},
            "bottleneck_layer": bottleneck_layer(self.network_type, self.network),
            "orientation": "LPS",
            "spacing_mm": [self.patch.spacing_mm] * 3,
            "patch": list(self.patch.size),
            "intensity": {"clip": list(self.patch.clip_hu), "scale": list(self.patch.scale)},
            "pad_value": self.patch.scale[0],
            "labels": {"1": "liver"},
            "training": {
                "seed": self.seed,
                "steps": self.step,
                "seconds": round(self.seconds),
                "real_data": self.real_data,
            },
        }

    def load(self) -> None:
        """Go on from the checkpoint, if there is one.

        Raises:
            ModelError: It was made with another network or seed, or is damaged.
            DependencyError: The installed PyTorch is too old to read it safely.
        """
        path = self.output / CHECKPOINT
        if not path.is_file():
            return
        try:
            state = load_without_code(path)
        except (HoldsCodeError, UnreadableError):
            message = f"The checkpoint in {self.output.name} is damaged; delete it and start again."
            raise ModelError(message) from None
        if state["arguments"] != json.dumps(self.arguments) or state["seed"] != self.seed:
            message = f"The checkpoint in {self.output.name} was made with other settings; choose an empty folder."
            raise ModelError(message)
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.loss = int(state["step"]), float(state["seconds"]), float(state["loss"])
