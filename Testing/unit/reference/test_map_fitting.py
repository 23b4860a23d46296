from __future__ import annotations

import sys

import numpy as np
import pytest

from BottleneckOODLib.errors import DependencyError
from BottleneckOODLib.reference.map_fitting import fit_map


def test_the_same_cases_give_the_same_map() -> None:
    rows = np.random.default_rng(0).normal(size=(25, 6))
    np.testing.assert_array_equal(fit_map(rows), fit_map(rows))


def test_two_groups_stay_apart() -> None:
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.normal(size=(20, 6)), rng.normal(size=(20, 6)) + 12])
    placed = fit_map(rows)
    first, second = placed[:20], placed[20:]
    within = max(np.linalg.norm(g - g.mean(axis=0), axis=1).mean() for g in (first, second))
    assert np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) > 2 * within


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(DependencyError, match="pip install umap-learn"):
        fit_map(np.zeros((25, 3)))
