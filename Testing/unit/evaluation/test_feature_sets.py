"""Further vectors of the same cases, classes of training cases, and PyOD's detectors in an evaluation."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.evaluation.feature_sets import FeatureFolders, read_classes
from BottleneckOODLib.evaluation.settings import FEATURE_DETECTORS
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.mahalanobis_variants import RelativeMahalanobis
from BottleneckOODLib.ood.metrics import auroc
from BottleneckOODLib.ood.robust_z import RobustZ

Rows = list[dict[str, str]]


def add_features(files: Any, name: str = "shape", d: int = 3) -> FeatureFolders:
    """Vectors that tell every failed case by their first number."""
    rng = np.random.default_rng(7)
    folders = FeatureFolders(name, files.root / name / "train", files.root / name / "test")
    for folder, names, failed in (
        (folders.train, files.train_names, np.zeros(len(files.train_names))),
        (folders.test, files.names, files.dice <= 0.95),
    ):
        folder.mkdir(parents=True)
        for case, strange in zip(names, failed, strict=True):
            np.save(folder / f"{case}.npy", rng.normal(size=d) + 20 * np.eye(d)[0] * strange)
    files.inputs = replace(files.inputs, features=(*files.inputs.features, folders))
    return folders


def of(rows: Rows, name: str) -> Rows:
    return [row for row in rows if json.loads(row["parameters"]).get("features") == name]


def test_a_set_has_rows_of_its_own_under_its_name(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows], scores: Callable[[Path], dict[str, Any]]
) -> None:
    folders = add_features(a_cohort)
    add_features(a_cohort, "stages", d=40)
    a_cohort.run(tmp_path / "out", reducers=("none",), neighbours=(3,))
    rows = results(tmp_path / "out")
    assert [row["detector"] for row in of(rows, "shape")] == list(FEATURE_DETECTORS)
    assert [row["detector"] for row in of(rows, "stages")] == list(FEATURE_DETECTORS)
    assert {row["reducer"] for row in of(rows, "shape")} == {"none"}
    assert {float(row["auroc"]) for row in of(rows, "shape") if row["detector"] != "knn"} == {1.0}
    train = np.stack([np.load(folders.train / f"{name}.npy") for name in a_cohort.train_names])
    test = np.stack([np.load(folders.test / f"{name}.npy") for name in a_cohort.names])
    kept = scores(tmp_path / "out")
    for detector, made in (("md", ShrunkMahalanobis()), ("robust_z", RobustZ())):
        own = kept[f'deployable|none|{{"features": "shape"}}|{detector}||']
        np.testing.assert_allclose([own[name] for name in a_cohort.names], made.fit(train).ood_score(test), rtol=1e-9)


def test_its_threshold_is_of_leave_one_out_scores(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    folders = add_features(a_cohort)
    a_cohort.run(tmp_path / "out", reducers=("none",))
    train = np.stack([np.load(folders.train / f"{name}.npy") for name in a_cohort.train_names])
    test = np.stack([np.load(folders.test / f"{name}.npy") for name in a_cohort.names])
    fit = RobustZ().fit(train)
    threshold = np.sort(fit.leave_one_out_scores())[-2]
    row = next(row for row in of(results(tmp_path / "out"), "shape") if row["detector"] == "robust_z")
    assert int(row["n_flagged"]) == np.count_nonzero(fit.ood_score(test) > threshold)


def test_sets_are_not_compared_by_mixtures_and_are_where_training_cases_have_failed(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    add_features(a_cohort)
    a_cohort.run(tmp_path / "without", reducers=("none",))
    rows = results(tmp_path / "without")
    assert {row["validation_auroc"] for row in of(rows, "shape")} == {""}
    assert not of([row for row in rows if row["picked"]], "shape")
    known = [(name, 0.5 if index < 6 else 0.97) for index, name in enumerate(a_cohort.train_names)]
    a_cohort.write_table([*zip(a_cohort.names, a_cohort.dice, strict=True), *known], ("filename", "DICE_Score"))
    a_cohort.run(tmp_path / "with", reducers=("none",))
    assert all(0 <= float(row["validation_auroc"]) <= 1 for row in of(results(tmp_path / "with"), "shape"))


def test_paper_mode_leaves_out_what_the_paper_has_not_and_says_so(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    add_features(a_cohort)
    detectors = ("knn", "md", "robust_z", "pyod_ECOD")
    notes = a_cohort.run(tmp_path / "out", reducers=("none",), mode="paper", detectors=detectors)
    rows = results(tmp_path / "out")
    assert {row["detector"] for row in rows} == {"knn", "md"}
    assert not of(rows, "shape")
    assert "Further features left out: the paper has none." in notes
    assert "Detectors other than knn and md left out: the paper has none." in notes
    with pytest.raises(EvaluationError, match="Paper mode has the detectors knn and md only"):
        a_cohort.run(tmp_path / "other", reducers=("none",), mode="paper", detectors=("robust_z",))


FAULTS: dict[str, tuple[Callable[[Any, FeatureFolders], object], str]] = {
    "a test case without": (lambda f, s: (s.test / f"{f.names[2]}.npy").unlink(), r"test case 1\.2\.840\.002 has no"),
    "a training case without": (lambda f, s: (s.train / "train.003.npy").unlink(), r"case train\.003 has no features"),
    "of nobody": (lambda f, s: np.save(s.test / "nobody.npy", np.zeros(3)), r"features of nobody, which is no test"),
    "no vector": (
        lambda f, s: [np.save(p, np.zeros((2, 3))) for p in s.test.iterdir()],
        r"--features shape takes one vector a case",
    ),
    "other lengths": (
        lambda f, s: [np.save(p, np.zeros(4)) for p in s.test.iterdir()],
        r"features shape have 3 numbers in .* and 4 in",
    ),
    "not finite": (lambda f, s: np.save(s.test / f"{f.names[0]}.npy", np.full(3, np.inf)), r"holds a value that is"),
    "no folder": (lambda f, s: s.train.rename(f.root / "away"), r"train is not there"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_sentence_names_what_is_wrong_and_nothing_is_written(fault: str, a_cohort: Any, tmp_path: Path) -> None:
    folders = add_features(a_cohort)
    spoil, sentence = FAULTS[fault]
    spoil(a_cohort, folders)
    with pytest.raises(EvaluationError, match=sentence) as told:
        a_cohort.run(tmp_path / "out", reducers=("none",))
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def write_classes(path: Path, classes: dict[str, str], head: tuple[str, str] = ("filename", "class")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([head, *((f"{name}.nii.gz", kind) for name, kind in classes.items())])
    return path


def test_classes_add_the_relative_distance_after_every_reducer(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows], scores: Callable[[Path], dict[str, Any]]
) -> None:
    classes = {name: "ab"[index % 2] for index, name in enumerate(a_cohort.train_names)}
    # Two protocols, of which each has its own mean.
    shift = 8 * np.random.default_rng(3).normal(size=a_cohort.train[0].shape)
    for name, kind in classes.items():
        path = a_cohort.inputs.train / f"{name}.npy"
        np.save(path, np.load(path) + (kind == "b") * shift)
    a_cohort.inputs = replace(a_cohort.inputs, classes=write_classes(tmp_path / "classes.csv", classes))
    a_cohort.run(tmp_path / "out", reducers=("none", "pca"), detectors=("md",), components=(4,))
    rows = results(tmp_path / "out")
    assert [(r["reducer"], r["detector"]) for r in rows] == [
        ("none", "md"),
        ("none", "md_relative"),
        ("pca", "md"),
        ("pca", "md_relative"),
    ]
    assert all(row["validation_auroc"] and row["n_flagged"] for row in rows)
    train, test = (
        np.stack([np.load(folder / f"{name}.npy").ravel() for name in names]).astype(float)
        for folder, names in ((a_cohort.inputs.train, a_cohort.train_names), (a_cohort.inputs.test, a_cohort.names))
    )
    expected = RelativeMahalanobis(tuple(classes.values())).fit(train).ood_score(test)
    own = scores(tmp_path / "out")["deployable|none|{}|md_relative||"]
    np.testing.assert_allclose([own[name] for name in a_cohort.names], expected, rtol=1e-6)
    assert float(rows[1]["auroc"]) == pytest.approx(auroc(expected, a_cohort.dice <= 0.95))


TRAIN = tuple(f"t{index}" for index in range(12))
GIVEN = {name: "ab"[index % 2] for index, name in enumerate(TRAIN)}


def test_classes_stand_in_the_order_of_the_cases_and_others_may_be_in_the_table(tmp_path: Path) -> None:
    path = write_classes(tmp_path / "classes.csv", {"a test case": "c", **dict(reversed(GIVEN.items()))})
    assert read_classes(path, TRAIN) == tuple(GIVEN.values())


@pytest.mark.parametrize(
    ("classes", "head", "sentence"),
    [
        ({**GIVEN, "t3": ""}, ("filename", "class"), r"lacks a filename or a class in line 5"),
        ({name: GIVEN[name] for name in TRAIN[1:]}, ("filename", "class"), r"training case t0 has no class in"),
        (GIVEN, ("filename", "kind"), r'has no column "class"'),
        (GIVEN, ("name", "class"), r'has no column "filename"'),
        (dict.fromkeys(TRAIN, "a"), ("filename", "class"), r"class a in .* has 12 of 12 training cases; give two"),
        ({**dict.fromkeys(TRAIN, "a"), "t0": "b"}, ("filename", "class"), r"class b in .* has 1 of 12 training cases"),
        ({**GIVEN, "x/t1": "a"}, ("filename", "class"), r"gives the case t1 two classes \(line 14\)"),
    ],
)
def test_a_table_of_classes_that_cannot_be_used_is_one_sentence(
    classes: dict[str, str], head: tuple[str, str], sentence: str, tmp_path: Path
) -> None:
    path = write_classes(tmp_path / "classes.csv", classes, head)
    with pytest.raises(EvaluationError, match=sentence):
        read_classes(path, TRAIN)


def test_a_table_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"classes\.csv cannot be read"):
        read_classes(tmp_path / "classes.csv", TRAIN)


class Distance:
    """A detector as PyOD has them; one that draws by chance says so in its arguments."""

    def __init__(self, random_state: int | None = None) -> None:
        assert random_state == 0, "what is drawn at random is drawn alike"

    def fit(self, features: np.ndarray[Any, Any]) -> None:
        if features.shape[1] > 50:
            message = "too many\nfeatures"
            raise ValueError(message)
        self.middle = features.mean(axis=0)

    def decision_function(self, features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(np.linalg.norm(features - self.middle, axis=1))


@pytest.fixture
def a_pyod(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyod", "pyod.models", "pyod.models.distance"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["pyod.models.distance"], "Distance", Distance, raising=False)


@pytest.mark.usefixtures("a_pyod")
def test_a_detector_of_pyod_is_a_row_of_each_reducer_and_set(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    add_features(a_cohort)
    a_cohort.run(tmp_path / "out", reducers=("pca",), detectors=("pyod_Distance",), components=(2, 4))
    rows = [row for row in results(tmp_path / "out") if row["detector"] == "pyod_Distance"]
    settings = [json.loads(row["parameters"]) for row in rows]
    assert settings == [{"n_components": 2}, {"n_components": 4}, {"features": "shape"}]
    assert float(rows[2]["auroc"]) == 1.0
    assert all(row["n_flagged"] for row in rows)


@pytest.mark.usefixtures("a_pyod")
def test_a_detector_that_cannot_be_fitted_is_one_sentence(a_cohort: Any, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"PyOD's Distance cannot be fitted to 24 cases \(too many features\)"):
        a_cohort.run(tmp_path / "out", reducers=("none",), detectors=("pyod_Distance",))
