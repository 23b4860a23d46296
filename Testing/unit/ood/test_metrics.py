from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from BottleneckOODLib.ood.metrics import auroc, dice


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auroc_is_scikit_learn_s_with_ties(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([float(r[0]) for r in rows]), np.array([r[1] for r in rows])
    if positive.all() or not positive.any():
        assert np.isnan(auroc(scores, positive))
    else:
        assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_dice_is_the_f1_score_of_the_voxels(rows: list[tuple[bool, bool]]) -> None:
    a, b = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assert dice(a, b) == pytest.approx(f1_score(a, b, zero_division=1.0))
