"""What two passes of a network agree in: all but last digits, which vary with the processor and the windows at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LAST_DIGITS = 1e-4
"""As a share of the largest value: many times what rounding leaves, and far less than any mistake."""
FEW_VOXELS = 2e-4
"""As a share of all: where two classes are as likely, the last digits decide between them."""


def assert_same_numbers(found: npt.ArrayLike, expected: npt.ArrayLike) -> None:
    """Assert that two outputs of a network, of any shape, differ in their last digits only."""
    wanted = np.asarray(expected)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=LAST_DIGITS * float(np.abs(wanted).max()))


def assert_same_classes(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Assert that logits, shape (classes, Z, Y, X), choose the same class wherever the last digits do not decide."""
    assert found.shape == expected.shape
    second, largest = np.partition(expected, -2, axis=0)[-2:]
    decided = largest - second > 2 * LAST_DIGITS * float(np.abs(expected).max())
    assert decided.mean() > 0.99
    np.testing.assert_array_equal(found.argmax(axis=0)[decided], expected.argmax(axis=0)[decided])


def assert_same_mask(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Assert that two masks, shape (Z, Y, X), are the same but for a few voxels that lie between two classes."""
    assert found.shape == expected.shape
    assert expected.any()
    differ = int(np.count_nonzero(found != expected))
    assert differ <= FEW_VOXELS * expected.size, f"{differ} of {expected.size} voxels differ"
