"""Small cohorts in files, with a part of the test cases that failed because they are unusual."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.evaluation.running import Inputs, evaluate
from BottleneckOODLib.evaluation.settings import Settings
from BottleneckOODLib.evaluation.tables import RESULT_COLUMNS, RESULTS, SCORE_COLUMNS, SCORES, read_table
from BottleneckOODLib.model.tensor_reading import read_tensor

SHAPE = (6, 2, 3, 3)


@dataclass
class Files:
    """A cohort in a folder."""

    root: Path
    train: np.ndarray
    test: np.ndarray
    train_names: list[str]
    names: list[str]
    dice: np.ndarray
    hd: np.ndarray
    inputs: Inputs = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = Inputs(self.root / "train", self.root / "test", self.root / "performance.csv")
        for folder, names, cases in (
            (self.inputs.train, self.train_names, self.train),
            (self.inputs.test, self.names, self.test),
        ):
            folder.mkdir(parents=True)
            for name, case in zip(names, cases, strict=True):
                np.save(folder / f"{name}.npy", case)
        self.write_table([(f"{n}.nii.gz", d, h, h / 9) for n, d, h in zip(self.names, self.dice, self.hd, strict=True)])

    def write_table(self, rows: Sequence[Sequence[object]], head: Sequence[str] = ()) -> None:
        with self.inputs.performance.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(head or ("filename", "DICE_Score", "HD", "SD"))
            writer.writerows(rows)

    def run(self, output: Path, **changes: object) -> tuple[str, ...]:
        """Evaluate with the quick reducers."""
        keywords = {
            name: changes.pop(name) for name in ("resume", "overwrite", "progress", "cancel") if name in changes
        }
        settings = Settings(**{"reducers": ("none", "avgpool", "pca"), "n_bootstrap": 20, **changes})  # type: ignore[arg-type]
        return evaluate(self.inputs, output, settings, read_tensor, **keywords)  # type: ignore[arg-type]


def make_files(root: Path, n_train: int = 24, n_test: int = 21, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> Files:
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    latent = rng.normal(size=(4, size))
    failed = np.arange(n_test) % 5 < 2

    def cases(n: int, strange: np.ndarray) -> np.ndarray:
        inside = rng.normal(size=(n, 4)) @ latent
        return (
            (inside + (1 + 0.5 * strange[:, None]) * rng.normal(size=(n, size))).reshape(n, *shape).astype(np.float32)
        )

    return Files(
        root,
        cases(n_train, np.zeros(n_train)),
        cases(n_test, failed),
        [f"train.{i:03}" for i in range(n_train)],
        # As DICOM UIDs are: all of them begin alike, with dots.
        [f"1.2.840.{i:03}" for i in range(n_test)],
        np.where(failed, rng.uniform(0.3, 0.9, n_test), rng.uniform(0.955, 0.99, n_test)),
        rng.uniform(1, 30, n_test),
    )


@pytest.fixture(scope="session")
def make_cohort_files() -> Callable[..., Files]:
    return make_files


@pytest.fixture
def a_cohort(tmp_path: Path) -> Files:
    return make_files(tmp_path / "cohort")


def rows_of(output: Path) -> list[dict[str, str]]:
    return read_table(output / RESULTS, RESULT_COLUMNS)


@pytest.fixture(scope="session")
def results() -> Callable[[Path], list[dict[str, str]]]:
    return rows_of


@pytest.fixture(scope="session")
def scores() -> Callable[[Path], dict[str, dict[str, float]]]:
    """Scores of each case, by the configuration's label."""

    def read(output: Path) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for row in read_table(output / SCORES, SCORE_COLUMNS):
            found.setdefault(row["configuration"], {})[row["case"]] = float(row["score"])
        return found

    return read
