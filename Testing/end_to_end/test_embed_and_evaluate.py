"""From images and labels to tables: ``embed`` twice, then ``evaluate`` on its folders as they are."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.evaluation.tables import RESULTS
from BottleneckOODLib.imaging.volume import Geometry, to_sitk
from BottleneckOODLib.model.model_folder import ModelFolder

Captured = pytest.CaptureFixture[str]
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def write_cohort(folder: Path, names: list[str], seed: int, *, labelled: bool = True) -> Path:
    """Round bodies with noise, and a block that differs in place and size as the organ."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    geometry = Geometry((48, 40, 36), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), IDENTITY)
    z, y, x = np.ogrid[:36, :40, :48]
    rows = []
    for name in names:
        radius = random.uniform(0.8, 1.1)
        body = ((x - 24) / 20) ** 2 + ((y - 20) / 16) ** 2 + 0 * z < radius
        voxels = np.where(body, 40.0, -1000.0) + random.normal(0, random.uniform(5, 40), body.shape)
        labels = np.zeros(body.shape, np.uint8)
        start = random.integers(4, 14, 3)
        labels[tuple(slice(s, s + 14) for s in start)] = 1
        sitk.WriteImage(to_sitk(voxels.astype(np.float32), geometry), str(folder / f"{name}.nii.gz"))
        sitk.WriteImage(to_sitk(labels, geometry), str(folder / f"{name}-label.nrrd"))
        rows.append({"image": f"{name}.nii.gz", "label": f"{name}-label.nrrd" if labelled else ""})
    table = folder / "cases.csv"
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ("image", "label"))
        writer.writeheader()
        writer.writerows(rows)
    return table


@pytest.fixture(scope="module")
def a_model_folder(make_model: Callable[..., ModelFolder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), "unet").folder


@pytest.fixture(scope="module")
def embedded(a_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train`` and ``test``, with everything that can be saved of the test cases."""
    folder = tmp_path_factory.mktemp("cohort")
    train = write_cohort(folder / "train-images", [f"train.{n}" for n in range(7)], 1, labelled=False)
    test = write_cohort(folder / "test-images", [f"1.2.840.{n}" for n in range(6)], 2)
    common = ["--model", str(a_model_folder), "--device", "cpu", "--stages"]
    assert main(["embed", "--cases", str(train), "--output", str(folder / "train"), *common]) == 0
    more = ["--flips", "--logits"]
    assert main(["embed", "--cases", str(test), "--output", str(folder / "test"), *common, *more]) == 0
    return folder


@pytest.mark.parametrize("part", ["bottleneck_pooled", "stage_2_in_mask", "intensity_histogram", "mask_shape"])
def test_evaluate_takes_the_folders_as_they_are(embedded: Path, part: str, tmp_path: Path) -> None:
    arguments = ["evaluate", "--train", str(embedded / "train" / part), "--test", str(embedded / "test" / part)]
    arguments += ["--performance", str(embedded / "test" / "performance.csv"), "--output", str(tmp_path / "results")]
    assert main([*arguments, "--threshold", "median", "--reducers", "none", "--bootstrap", "10"]) == 0
    with (tmp_path / "results" / RESULTS).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["detector"] for row in rows} == {"knn", "md"}
    assert all((row["n_id"], row["n_ood"]) == ("3", "3") for row in rows)


def test_whole_bottlenecks_are_pooled_by_evaluate_in_both_modes(embedded: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "--train", str(embedded / "train" / "bottleneck")]
    arguments += ["--test", str(embedded / "test" / "bottleneck"), "--windows", "mean", "--threshold", "median"]
    arguments += ["--performance", str(embedded / "test" / "performance.csv"), "--output", str(tmp_path / "results")]
    for mode in ("deployable", "paper"):
        assert main([*arguments, "--reducers", "none", "--k", "2", "--bootstrap", "10", "--mode", mode]) == 0
    with (tmp_path / "results" / RESULTS).open(newline="") as stream:
        found = {(row["mode"], row["n_ood"]) for row in csv.DictReader(stream) if row["detector"] == "knn"}
    assert found == {("deployable", "3"), ("paper", "3")}


def test_every_part_has_every_case(embedded: Path) -> None:
    for side, names in (("train", {f"train.{n}" for n in range(7)}), ("test", {f"1.2.840.{n}" for n in range(6)})):
        for part in (embedded / side).iterdir():
            if part.is_dir() and part.name != "flips":
                assert {path.stem for path in part.iterdir()} == names, part.name
    assert {path.name for path in (embedded / "test" / "flips").iterdir()} == {f"1.2.840.{n}" for n in range(6)}


def test_the_training_cases_have_no_outcomes_and_the_test_cases_all(embedded: Path) -> None:
    lines = {side: (embedded / side / "performance.csv").read_text().splitlines() for side in ("train", "test")}
    assert lines["train"] == ["filename,DICE_Score,HD,SD"]
    assert len(lines["test"]) == 7
    assert lines["test"][1].startswith("1.2.840.0,0.")


def test_the_images_are_as_they_were(a_model_folder: Path, tmp_path: Path) -> None:
    table = write_cohort(tmp_path / "images", ["one"], 3)
    before = {path.name: path.read_bytes() for path in table.parent.iterdir()}
    arguments = ["embed", "--cases", str(table), "--output", str(tmp_path / "out"), "--model", str(a_model_folder)]
    assert main([*arguments, "--device", "cpu"]) == 0
    assert {path.name: path.read_bytes() for path in table.parent.iterdir()} == before
