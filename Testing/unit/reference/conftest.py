from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib.reference.building import build_reference
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.reference_folder import Reference

N = 40


def features(n: int = N, seed: int = 0) -> dict[str, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return {"bottleneck": rng.normal(size=(n, 12)), "body_layout": rng.normal(size=(n, 5)) + 2}


@pytest.fixture(scope="session")
def a_reference() -> Reference:
    cases = [ReferenceCase(f"case-{i:02d}", round(0.9 - i / 100, 4), {"kernel": "soft"}) for i in range(N)]
    return build_reference("small", "f" * 64, features(), cases, {"pooling": "mean", "measurements": 1})


@pytest.fixture
def a_new_case() -> dict[str, npt.NDArray[np.float64] | None]:
    return {name: rows[0] for name, rows in features(1, seed=9).items()}
