"""What may be known before the first test case: nothing of the test cases decides anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from BottleneckOODLib.evaluation.cohort import make_cohort, read_performance
from BottleneckOODLib.evaluation.deployable_mode import LABELLED, MIXED, calibration_scores, how_validated, mixtures
from BottleneckOODLib.evaluation.embeddings import Embeddings
from BottleneckOODLib.evaluation.grid import make_grid
from BottleneckOODLib.evaluation.scoring import score_task
from BottleneckOODLib.evaluation.settings import DETECTORS, Settings
from BottleneckOODLib.evaluation.spaces import principal_coordinates
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.standardising import StandardisedComponents

Rows = Callable[[Path], list[dict[str, str]]]
Scores = Callable[[Path], dict[str, dict[str, float]]]
QUICK = ("none", "avgpool", "pca")


def test_scores_are_those_of_detectors_fitted_on_the_training_cases(
    tmp_path: Path, make_cohort_files: Callable[..., object], scores: Scores
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    files.run(tmp_path / "out", reducers=QUICK)
    found = scores(tmp_path / "out")
    train, test = (x.reshape(len(x), -1).astype(float) for x in (files.train, files.test))
    reducer = StandardisedComponents(8).fit(train)
    expected = {
        "deployable|none|{}|knn|4|": KNearestNeighbours(4, "kth").fit(train).ood_score(test),
        "deployable|none|{}|md||": ShrunkMahalanobis().fit(train).ood_score(test),
        'deployable|pca|{"n_components": 8}|knn|2|': KNearestNeighbours(2, "kth")
        .fit(reducer.transform(train))
        .ood_score(reducer.transform(test)),
        'deployable|pca|{"n_components": 8}|md||': ShrunkMahalanobis()
        .fit(reducer.transform(train))
        .ood_score(reducer.transform(test)),
    }
    for label, values in expected.items():
        np.testing.assert_allclose([found[label][name] for name in files.names], values, rtol=1e-6, err_msg=label)


def test_what_a_case_scores_does_not_depend_on_who_else_is_tested(
    tmp_path: Path, make_cohort_files: Callable[..., object], scores: Scores
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    files.run(tmp_path / "all", reducers=(*QUICK, "umap"), components=(2,), detectors=("knn", "md"))
    for name in files.names[6:]:
        (files.inputs.test / f"{name}.npy").unlink()
    files.write_table(
        [(n, d) for n, d in zip(files.names[:6], files.dice[:6], strict=True)], ("filename", "DICE_Score")
    )
    files.run(tmp_path / "few", reducers=(*QUICK, "umap"), components=(2,), detectors=("knn", "md"))
    whole, few = scores(tmp_path / "all"), scores(tmp_path / "few")
    assert whole.keys() == few.keys()
    assert any("umap" in label and "knn_placed" in label for label in few)
    for label, of_case in few.items():
        for name in files.names[:6]:
            assert of_case[name] == pytest.approx(whole[label][name], rel=1e-6), label


def test_the_pick_and_the_thresholds_do_not_change_with_the_outcomes_of_the_test_cases(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    files.run(tmp_path / "out")
    files.write_table([(n, 1.3 - d) for n, d in zip(files.names, files.dice, strict=True)], ("filename", "DICE_Score"))
    files.run(tmp_path / "swapped", threshold=0.6)
    before, after = results(tmp_path / "out"), results(tmp_path / "swapped")
    assert [row["auroc"] for row in before] != [row["auroc"] for row in after]
    for column in ("picked", "validation_auroc", "n_flagged", "detector", "parameters", "k"):
        assert [row[column] for row in before] == [row[column] for row in after], column
    assert sum(row["picked"] == "yes" for row in before) == 1


def test_with_failed_training_cases_the_pick_is_the_best_on_those(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    rng = np.random.default_rng(5)
    train_dice = np.where(np.arange(24) % 3 == 0, 0.5, 0.97) + rng.uniform(0, 0.01, 24)
    rows = [*zip(files.names, files.dice, strict=True), *zip(files.train_names, train_dice, strict=True)]
    files.write_table(rows, ("filename", "DICE_Score"))
    files.run(tmp_path / "out", reducers=("none",), detectors=("knn",))
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))["deployable"]
    assert told["picked_by"] == LABELLED
    flat = files.train.reshape(24, -1).astype(float)
    for row in results(tmp_path / "out"):
        left_out = KNearestNeighbours(int(row["k"]), "kth").fit(flat).leave_one_out_scores()
        assert float(row["validation_auroc"]) == pytest.approx(roc_auc_score(train_dice <= 0.95, left_out))
    best = max(results(tmp_path / "out"), key=lambda row: float(row["validation_auroc"]))
    assert best["picked"] == "yes"


def test_calibration_scores_are_fits_without_the_case(make_cohort_files: Callable[..., object], tmp_path: Path) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    settings = Settings(reducers=QUICK, detectors=DETECTORS, neighbours=(3, 0.5))
    cohort = make_cohort(
        Embeddings(tuple(files.train_names), files.train),
        Embeddings(tuple(files.names), files.test),
        read_performance(files.inputs.performance),
        0.95,
        "deployable",
    )
    assert how_validated(cohort) == MIXED
    assert how_validated(replace(cohort, train_dice=np.linspace(0.9, 1, 24))) == LABELLED
    grid = make_grid(settings, cohort)
    assert grid.ks == (3, 12)
    for task in grid.tasks:
        calibration = calibration_scores(task, settings, cohort, grid)
        scored = list(score_task(task, settings, cohort.train, cohort.test, grid.ks, grid.components))
        assert calibration.keys() == {s.configuration.label() for s in scored}
        assert all(np.isfinite(values).all() for values in calibration.values())
        for s in scored:
            if s.configuration.detector == "md" and s.configuration.reducer != "pca":
                # Scores of the fitted cases themselves, with more features than cases, would be far below.
                fitted = score_task(task, settings, cohort.train, cohort.train, grid.ks, grid.components)
                own = next(f for f in fitted if f.configuration == s.configuration)
                assert np.median(own.scores) < np.median(calibration[s.configuration.label()])


def test_new_cases_of_the_same_kind_are_flagged_about_as_often_as_promised(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort", 80, 200)
    # All test cases are like the training cases; what failed is decided by a coin.
    rng = np.random.default_rng(8)
    latent = rng.normal(size=(4, 108))
    for folder, names in ((files.inputs.train, files.train_names), (files.inputs.test, files.names)):
        for name in names:
            case = rng.normal(size=4) @ latent + rng.normal(size=108)
            np.save(folder / f"{name}.npy", case.reshape(6, 2, 3, 3))
    files.run(
        tmp_path / "out", reducers=("none", "pca"), detectors=("knn", "md"), neighbours=(4, 40), components=(4, 32)
    )
    shares = {row["detector"] + row["parameters"]: int(row["n_flagged"]) / 200 for row in results(tmp_path / "out")}
    assert len(shares) == 6
    assert all(0.01 < share < 0.24 for share in shares.values()), shares
    assert 0.04 < np.mean(list(shares.values())) < 0.17


def test_mixtures_have_half_of_their_channels_from_another_case() -> None:
    cases = np.arange(5 * 6).reshape(5, 6, 1) * np.ones((1, 1, 4))
    mixed = mixtures(cases[..., 0])
    for row in range(5):
        own = mixed[row] == cases[row, :, 0]
        assert own.sum() == 3
        others = {int(value) // 6 for value in mixed[row][~own]}
        assert len(others) == 1
    # With windows the channels are the second axis of a case.
    windowed = mixtures(np.moveaxis(cases, 1, 2))
    assert ((windowed == np.moveaxis(cases, 1, 2)).sum(axis=2) == 3).all()


@pytest.mark.parametrize("shape", [(20, 90), (60, 12), (20, 40)], ids=str)
def test_one_decomposition_serves_every_number_of_components(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    train, new = rng.normal(size=shape) * 3 + 1, rng.normal(size=(5, shape[1]))
    together = principal_coordinates(train, new, 10)
    for n in (2, 5, 10):
        alone = StandardisedComponents(n).fit(train)
        np.testing.assert_allclose(np.abs(together[0][:, :n]), np.abs(alone.transform(train)), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(np.abs(together[1][:, :n]), np.abs(alone.transform(new)), rtol=1e-6, atol=1e-9)
    flat = np.repeat(train[:, :1], shape[1], axis=1)
    train_along, new_along = principal_coordinates(flat, new, 4)
    assert np.abs(train_along[:, 1:]).max() == 0
    assert np.isfinite(new_along).all()
