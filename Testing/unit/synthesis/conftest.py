"""Fixtures that read as a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.synthesis.anatomy import Anatomy, draw_anatomy
from BottleneckOODLib.synthesis.tissues import Tissue

COARSE = (8.0, 8.0, 8.0)


@pytest.fixture(scope="session")
def a_drawn_body() -> Anatomy:
    """A whole trunk on a coarse grid."""
    return draw_anatomy(3, spacing_mm=COARSE)


@pytest.fixture(scope="session")
def a_scanned_body() -> Anatomy:
    """A small block of liver in fat with 'real' intensities in its lower half only."""
    labels = np.full((20, 24, 28), Tissue.INNER_FAT, np.uint8)
    labels[4:16, 6:18, 4:14] = Tissue.LIVER
    labels[:, 20:, :] = Tissue.OUTSIDE
    intensities = np.where(labels == Tissue.LIVER, 55, np.where(labels == Tissue.OUTSIDE, -1000, -100)).astype(
        np.float32
    )
    known = np.zeros(labels.shape, bool)
    known[:10] = True
    return Anatomy(labels, (4.0, 4.0, 4.0), intensities, known, "block")
