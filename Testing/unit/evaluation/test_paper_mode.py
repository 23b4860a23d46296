"""The published procedure, stated again naively: distances and sorting, an inverse, a fit a configuration and seed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn import decomposition, manifold, metrics, preprocessing
from threadpoolctl import threadpool_limits

from BottleneckOODLib.evaluation.paper_mode import published_digits, published_threshold
from BottleneckOODLib.ood.failure_metrics import failure_metrics

Rows = Callable[[Path], list[dict[str, str]]]


def linear_quantile(values: np.ndarray, q: float) -> float:
    """As pandas has it: between the two neighbours in rank, in proportion."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[min(math.floor(place) + 1, len(ordered) - 1)]
    return float(low + (high - low) * (place - math.floor(place)))


def published_metrics(inside: np.ndarray, outside: np.ndarray) -> tuple[float, float, float]:
    truth = [0] * len(inside) + [1] * len(outside)
    pred = np.concatenate([inside, outside])
    pred = (pred - pred.min()) / (pred.max() - pred.min())
    fpr, tpr, _ = metrics.roc_curve(truth, pred)
    q = linear_quantile(outside, 1 - 0.90)
    fp, tn = sum(inside >= q), sum(inside < q)
    return (
        round(float(metrics.auc(fpr, tpr)), 2),
        round(float(metrics.average_precision_score(truth, pred)), 2),
        round(float(fp / (fp + tn)), 2),
    )


def reduced(row: dict[str, str], train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    settings_of = json.loads(row["parameters"])
    flat_train, flat_test = (x.reshape(len(x), -1).astype(np.float64) for x in (train, test))
    if row["reducer"] == "avgpool":
        layer = {"2D": torch.nn.AvgPool2d, "3D": torch.nn.AvgPool3d}[settings_of["dim"]]
        pool = layer(kernel_size=settings_of["kernel"], stride=settings_of["stride"])
        both = (torch.from_numpy(cases.astype(np.float64)) for cases in (train, test))
        pooled, new = ([pool(case).numpy().ravel() for case in cases] for cases in both)
        return np.array(pooled), np.array(new)
    if row["reducer"] == "pca":
        scaler = preprocessing.StandardScaler().fit(flat_train)
        pca = decomposition.PCA(settings_of["n_components"], svd_solver="full").fit(scaler.transform(flat_train))
        return pca.transform(scaler.transform(flat_train)), pca.transform(scaler.transform(flat_test))
    if row["reducer"] == "tsne":
        np.random.seed(int(row["seed"]))  # noqa: NPY002 - what the published code does
        # In the precision in which the embeddings are saved.
        as_saved = np.vstack([cases.reshape(len(cases), -1) for cases in (train, test)])
        together = manifold.TSNE(2).fit_transform(as_saved)
        return together[: len(train)], together[len(train) :]
    return flat_train, flat_test


def distances(row: dict[str, str], train: np.ndarray, test: np.ndarray) -> np.ndarray:
    if row["detector"] == "knn":
        return np.array([sorted(line)[int(row["k"])] for line in cdist(test, train)])
    inverse = scipy.linalg.inv(np.cov(train.T))
    offsets = test - train.mean(axis=0)
    return np.array([np.sqrt(np.abs(np.matmul(np.matmul(offset, inverse), offset))) for offset in offsets])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("n_train", "n_test"), [(24, 21), (130, 40)])
def test_every_figure_is_the_naive_procedure_s(
    seed: int, n_train: int, n_test: int, tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort", n_train, n_test, seed=seed)
    files.run(tmp_path / "out", mode="paper", reducers=("none", "avgpool", "pca"))
    failed = files.dice <= 0.95
    inside, outside = np.flatnonzero(~failed), np.flatnonzero(failed)
    order = np.concatenate([inside, outside])
    rows = results(tmp_path / "out")
    compared = 0
    for row in rows:
        if row["seed"] != "0":
            continue
        train, test = reduced(row, files.train, files.test)
        if row["detector"] == "md" and train.shape[1] >= n_train - 1:
            continue  # rounding noise is nobody's to reproduce
        own = distances(row, train, test)
        expected = published_metrics(own[inside], own[outside])
        assert (float(row["auroc"]), float(row["auprc"]), float(row["fpr90"])) == expected, row
        correlation = scipy.stats.pearsonr(own[order], files.dice[order]).statistic
        assert float(row["pearson"]) == pytest.approx(correlation, abs=1e-6)
        threshold = linear_quantile(own[outside], 0.10)
        kept = own <= threshold
        assert float(row["dice_gained"]) == pytest.approx(files.dice[kept].mean() - files.dice.mean(), abs=1e-9)
        assert float(row["hd_gained"]) == pytest.approx(files.hd[kept].mean() - files.hd.mean(), abs=1e-9)
        assert row["n_flagged"] == str(int(np.count_nonzero(own > threshold)))
        assert (int(row["n_id"]), int(row["n_ood"])) == (len(inside), len(outside))
        compared += 1
    assert compared > 30
    # Five repeats of each, which differ in nothing but their number where nothing is random.
    for row in rows:
        twins = [r for r in rows if all(r[c] == row[c] for c in ("reducer", "parameters", "detector", "k"))]
        assert sorted(r["seed"] for r in twins) == list("01234")
        assert len({r["auroc"] for r in twins}) == 1


def test_t_sne_is_fitted_on_training_and_test_cases_together(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort", 24, 21)
    # Several threads add in an order of their own, from which t-SNE goes elsewhere.
    with threadpool_limits(1):
        files.run(tmp_path / "out", mode="paper", reducers=("tsne",), detectors=("knn",), neighbours=(4,))
    order = np.argsort(files.dice <= 0.95, kind="stable")
    n_id = int(np.count_nonzero(files.dice > 0.95))
    rows = results(tmp_path / "out")
    assert [row["seed"] for row in rows] == list("01234")
    for row in rows[:2]:
        with threadpool_limits(1):
            own = distances(row, *reduced(row, files.train, files.test[order]))
        told = (float(row["auroc"]), float(row["auprc"]), float(row["fpr90"]))
        assert told == published_metrics(own[:n_id], own[n_id:])


@settings(deadline=None, max_examples=150)
@given(st.integers(2, 24), st.integers(2, 24), st.integers(0, 10_000), st.integers(2, 60))
def test_rounding_is_the_published_one_also_between_two_digits(n_id: int, n_ood: int, seed: int, levels: int) -> None:
    """20 and 20 cases give areas in 800ths, an eighth of which lie between two digits, where the last bit decides."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, n_id + n_ood) / 7
    if not np.ptp(scores):
        return
    failed = np.arange(n_id + n_ood) >= n_id
    ours = published_digits(scores, failed, failure_metrics(scores, 1 - scores, failed))
    assert tuple(ours.values()) == published_metrics(scores[~failed], scores[failed])


@pytest.mark.parametrize(("n_id", "n_ood"), [(21, 3), (20, 20)])
def test_scores_that_are_all_alike_tell_nothing_also_between_two_digits(n_id: int, n_ood: int) -> None:
    """Passes with dropout that was never switched on are equal: nothing is scaled by a range of zero."""
    scores, failed = np.zeros(n_id + n_ood), np.arange(n_id + n_ood) >= n_id
    ours = published_digits(scores, failed, failure_metrics(scores, 1 - 0.1 * failed, failed))
    assert ours["auroc"] == 0.5
    assert ours["auprc"] == pytest.approx(n_ood / (n_id + n_ood), abs=0.0051)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40))
def test_the_threshold_is_the_linear_quantile_of_the_failed(values: list[float]) -> None:
    scores = np.array([*values, 5.0])
    failed = np.arange(len(scores)) < len(values)
    assert published_threshold(scores, failed) == pytest.approx(linear_quantile(np.array(values), 0.10), abs=1e-9)


def test_the_best_is_picked_on_the_test_set(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    files.run(tmp_path / "out", mode="paper")
    rows = results(tmp_path / "out")
    best = max(float(row["auroc"]) for row in rows)
    picked = [row for row in rows if row["picked"]]
    assert len(picked) == 5
    assert {float(row["auroc"]) for row in picked} == {best}
