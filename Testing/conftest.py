"""Fixtures that read as a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.resources import resource_folder

ROOT = Path(__file__).resolve().parents[1]
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_data_folder() -> Path:
    folder = Path(os.environ.get("BOTTLENECK_OOD_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real scans are not there ({folder}); set BOTTLENECK_OOD_DATA")
    return folder


@pytest.fixture(scope="session")
def a_ct_file() -> Path:
    """The embedded sample that is like the training cases."""
    return resource_folder() / "samples" / "sample-usual.nii.gz"


@pytest.fixture
def a_small_ct() -> Volume:
    """A round body of soft tissue and fat in air, 4 mm voxels."""
    z, y, x = np.ogrid[:40, :60, :80]
    body = ((x - 40) / 34) ** 2 + ((y - 30) / 24) ** 2 < 1
    fat = body & (((x - 40) / 29) ** 2 + ((y - 30) / 20) ** 2 > 1)
    noise = np.random.default_rng(0).normal(0, 12, (40, 60, 80))
    voxels = np.where(body, np.where(fat, -100.0, 45.0), -1000.0) + noise + 0 * z
    geometry = Geometry((80, 60, 40), (4.0, 4.0, 4.0), (-160.0, -120.0, 0.0), IDENTITY)
    return Volume(voxels.astype(np.float32), geometry, "CT", "small")
