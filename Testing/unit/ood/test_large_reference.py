from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.large_reference import LargeNearestNeighbours


@pytest.mark.parametrize("statistic", ["mean", "kth"])
@pytest.mark.parametrize("k", [1, 7, 5000])
def test_scores_are_those_of_the_matrix_product(statistic: str, k: int) -> None:
    rng = np.random.default_rng(0)
    # A common offset, which would take most digits of float32.
    train, new = rng.normal(size=(900, 24)) + 1e4, rng.normal(size=(130, 24)) * 2 + 1e4
    ours = LargeNearestNeighbours(k, statistic).fit(train)
    np.testing.assert_allclose(
        ours.ood_score(new), KNearestNeighbours(k, statistic).fit(train).ood_score(new), rtol=2e-3
    )
    np.testing.assert_allclose([ours.ood_score(case)[0] for case in new[:5]], ours.ood_score(new)[:5], rtol=1e-3)


def test_blocks_are_the_same_as_all_at_once() -> None:
    train = np.random.default_rng(0).normal(size=(500, 8))
    blocks = LargeNearestNeighbours(3).fit(part for part in (train[:500], train[500:]))
    np.testing.assert_allclose(blocks.ood_score(train[:9]), LargeNearestNeighbours(3).fit(train).ood_score(train[:9]))
    assert blocks.settings() == {"k": 3, "statistic": "mean"}


def test_nothing_and_other_features_are_refused() -> None:
    with pytest.raises(ValueError, match="no reference case"):
        LargeNearestNeighbours().fit(iter(()))
    with pytest.raises(ValueError, match="features a case"):
        LargeNearestNeighbours().fit(iter([np.zeros((3, 4)), np.zeros((3, 5))]))
