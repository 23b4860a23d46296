"""What must hold whatever the embeddings are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from BottleneckOODLib.evaluation.scoring import score_task
from BottleneckOODLib.evaluation.settings import DETECTORS, Settings, Task

KS, COMPONENTS = (2, 5), (2, 4)
TASKS = (Task("none"), Task("avgpool", {"dim": "3D", "kernel": 2, "stride": 1}), Task("pca"))
SHAPE = (5, 2, 2, 3)


def cohort(seed: int, n: int = 14) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(60, 60))
    train, test = rng.normal(size=(n, 60)) @ mixing, rng.normal(size=(6, 60)) @ mixing * 1.5
    return train.reshape(n, *SHAPE), test.reshape(6, *SHAPE)


def all_scores(task: Task, train: np.ndarray, test: np.ndarray, mode: str = "deployable") -> dict[str, np.ndarray]:
    chosen = Settings(mode=mode, detectors=DETECTORS if mode == "deployable" else ("knn",))
    return {s.configuration.label(): s.scores for s in score_task(task, chosen, train, test, KS, COMPONENTS)}


def the_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], rtol: float = 1e-6) -> None:
    assert one.keys() == other.keys()
    for label, values in one.items():
        np.testing.assert_allclose(other[label], values, rtol=rtol, atol=1e-9, err_msg=label)


pytestmark = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.reducer)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_channels_changes_no_score(task: Task, seed: int) -> None:
    train, test = cohort(seed)
    order = np.random.default_rng(seed).permutation(SHAPE[0])
    the_same(all_scores(task, train, test), all_scores(task, train[:, order], test[:, order]))


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_one_case_at_a_time_is_the_same_as_all_together(task: Task, seed: int) -> None:
    train, test = cohort(seed)
    together = all_scores(task, train, test)
    alone = [all_scores(task, train, case[None]) for case in test]
    the_same(together, {label: np.concatenate([scores[label] for scores in alone]) for label in together}, rtol=1e-8)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_of_a_reference_that_holds_each_case_twice_the_kth_neighbour_is_the_2kth(task: Task, seed: int) -> None:
    """Standardising and components stay as they were, so that every distance is there twice."""
    train, test = cohort(seed)
    once = all_scores(task, train, test)
    twice_settings = Settings(detectors=("knn", "md_pinv"))
    doubled = np.concatenate([train, train])
    twice = score_task(task, twice_settings, doubled, test, [2 * k for k in KS], COMPONENTS)
    for s in twice:
        if s.configuration.k is not None:
            label = s.configuration.label().replace(f"|knn|{s.configuration.k}|", f"|knn|{s.configuration.k // 2}|")
            np.testing.assert_allclose(s.scores, once[label], rtol=1e-6)
        else:
            # The covariance over n - 1: (2n - 1) / (2n - 2) as large an inverse.
            factor = np.sqrt((2 * len(train) - 1) / (2 * (len(train) - 1)))
            np.testing.assert_allclose(s.scores, once[s.configuration.label()] * factor, rtol=1e-5)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
def test_the_unit_of_the_features_changes_no_ranking(task: Task, seed: int, scale: float) -> None:
    train, test = cohort(seed)
    once, scaled = all_scores(task, train, test), all_scores(task, train * scale, test * scale)
    for label, values in once.items():
        free = task.reducer == "pca" or any(word in label for word in ("md", "cosine", "robust_z"))
        np.testing.assert_allclose(scaled[label], values * (1 if free else scale), rtol=1e-5, err_msg=label)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_paper_and_deployable_neighbours_differ_by_one_place(task: Task, seed: int) -> None:
    train, test = cohort(seed)
    paper = all_scores(task, train, test, "paper")
    chosen = Settings(detectors=("knn",))
    for s in score_task(task, chosen, train, test, [k + 1 for k in KS], COMPONENTS):
        label = s.configuration.label().replace("deployable", "paper")
        own = paper[label.replace(f"|knn|{s.configuration.k}|", f"|knn|{(s.configuration.k or 0) - 1}|")]
        np.testing.assert_allclose(own, s.scores, rtol=1e-9)
    if task.reducer == "none":
        naive = [sorted(row)[2] for row in cdist(test.reshape(6, -1), train.reshape(len(train), -1))]
        np.testing.assert_allclose(paper["paper|none|{}|knn|2|"], naive, rtol=1e-9)
