"""Small scans in a folder, and a store in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.triage.store import Store

WriteScan = Callable[..., Path]


@pytest.fixture
def write_scan(tmp_path: Path) -> WriteScan:
    """Writes a small scan below the folder of the test; the same seed gives the same bytes."""

    def write(name: str, seed: int = 0) -> Path:
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).normal(0, 100, (4, 5, 6)).astype(np.float32)
        sitk.WriteImage(sitk.GetImageFromArray(noise), str(path))
        return path

    return write


@pytest.fixture
def a_store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(tmp_path / "triage.db")) as store:
        yield store
