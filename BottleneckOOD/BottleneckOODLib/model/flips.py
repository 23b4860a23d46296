"""Test-time flips: what the model makes of the mirrored image, mirrored back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.model.adapter import Adapter

Float32Array = npt.NDArray[np.float32]
FlipCallback = Callable[[str, int, int], None]

FLIPS: dict[str, tuple[int, ...]] = {"z": (0,), "y": (1,), "x": (2,), "zyx": (0, 1, 2)}
"""Axes of the model's grid that are mirrored, by name; with the image as it is they are five outputs a case."""


def flipped_logits(
    segmenter: Adapter, tensor: Float32Array, on_window: FlipCallback | None = None
) -> Iterator[tuple[str, Float32Array]]:
    """Segment each mirrored image, one after the other, so that only one output is held.

    A model that was not trained on mirrored images can be far off on them, and is for left and right, because a liver
    lies on one side; how much its outputs differ is then no sign of a failure. Compare with its own training cases.

    Args:
        segmenter: The model, loaded.
        tensor: The network's input, shape (Z, Y, X). Not modified.
        on_window: Called with (flip, windows done, windows in all); what it raises ends the pass.

    Yields:
        Name of the flip, and logits in the place of the image as it is, shape (n_classes, Z, Y, X).

    Raises:
        ModelError: The network failed.
    """
    for name, axes in FLIPS.items():
        tell = None if on_window is None else _named(on_window, name)
        mirrored = np.ascontiguousarray(np.flip(tensor, axes))
        logits = segmenter.run(mirrored, tell).logits
        yield name, np.flip(logits, tuple(axis + 1 for axis in axes))


def _named(on_window: FlipCallback, name: str) -> Callable[[int, int], None]:
    return lambda done, total: on_window(name, done, total)
