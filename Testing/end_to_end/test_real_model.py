"""The page that leads to a real model, rehearsed: its commands as they stand there, on files of the same shapes."""

from __future__ import annotations

import copy
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunet_cases import Upstream
from nnunet_models import make_dataset, make_plans, train

from BottleneckOODLib.catalogue import HOME_VARIABLE
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.reference.reference_folder import Reference

PAGE = Path(__file__).parents[2] / "docs" / "real-model.md"
ARCHIVE = "Dataset297_TotalSegmentator_total_3mm_1559subj"
MR_ARCHIVE = "Dataset852_TotalSegMRI_total_3mm_1088subj"
CT = (-1000.0, 30.0, 160.0)
MR = (20.0, 60.0, 300.0)
CASES = 20
"""As few as a reference can be of."""

Values = tuple[float, float, float]


def commands(section: str) -> list[list[str]]:
    """What a section of the page tells to type, without what fetches and installs."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {section}")[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("bottleneck-ood ")]


def run(command: list[str]) -> None:
    extra = ["--device", "cpu"] if command[:2] == ["reference", "build"] or command[0] == "assess" else []
    assert main([*command, *extra]) == 0


def write_case(
    image: Path, label: Path | None, seed: int, values: Values = CT, classes: tuple[int, int] = (1, 2)
) -> None:
    """A body with a liver, and a tumour in it, that the tiny network knows by its brightness.

    Args:
        image: Where the image goes.
        label: Where the label map goes.
        seed: Of place, size and noise.
        values: Of air, body and liver.
        classes: Of liver and tumour in the label map.
    """
    random = np.random.default_rng(seed)
    z, y, x = np.ogrid[:25, :36, :48]
    body = ((x - 24) / random.uniform(20, 22)) ** 2 + ((y - 18) / random.uniform(14, 16)) ** 2 + 0 * z < 1
    at = random.uniform(-2, 2, 3)
    organ = ((z - 12 - at[0]) / 8) ** 2 + ((y - 17 - at[1]) / 9) ** 2 + ((x - 18 - at[2]) / 10) ** 2 < 1
    tumour = organ & (((x - 16) / 4) ** 2 + ((y - 16) / 4) ** 2 + ((z - 12) / 3) ** 2 < 1)
    air, tissue, liver = values
    voxels = np.where(organ, liver, np.where(body, tissue, air)) + random.normal(0, 6, organ.shape)
    spacing = tuple(float(s) for s in random.uniform((4.9, 4.9, 5.8), (5.1, 5.1, 6.2)))
    labels = np.where(tumour, classes[1], classes[0] * organ)
    _write(voxels.astype(np.float32), image, spacing)
    if label is not None:
        _write(labels.astype(np.uint8), label, spacing)


def _write(array: np.ndarray, path: Path, spacing: tuple[float, ...]) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def upstream_liver(upstream: Upstream, path: Path) -> tuple[np.ndarray, float]:
    """The liver as nnU-Net's own predictor finds it in the image turned to RAS, as TotalSegmentator turns it; ml."""
    image = sitk.ReadImage(str(path))
    # It lies in LPS.
    turned = np.ascontiguousarray(sitk.GetArrayFromImage(image)[:, ::-1, ::-1]).astype(np.float32)
    found = upstream.predict(turned, image.GetSpacing())[:, ::-1, ::-1] == 5
    return found, float(np.prod(image.GetSpacing())) / 1000


def _pack(trained: Path, archive: Path) -> None:
    path = trained / "plans.json"
    plans = json.loads(path.read_text())
    # One window for each image is enough here; nnU-Net's networks take any size that their strides divide.
    plans["configurations"]["3d_fullres"]["patch_size"] = [32, 48, 64]
    path.write_text(json.dumps(plans))
    shutil.make_archive(str(archive), "zip", trained.parents[1])


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies in the folder after the downloads, in small."""
    folder = tmp_path_factory.mktemp("downloads")
    plans = make_plans(dataset_name=ARCHIVE)
    trained = train(folder / "ct", plans, make_dataset(), trainer="nnUNetTrainer_4000epochs_NoMirroring", steps=60)
    _pack(trained, folder / ARCHIVE)
    scaled = copy.deepcopy(make_plans(dataset_name=MR_ARCHIVE))
    scaled["configurations"]["3d_fullres"]["normalization_schemes"] = ["ZScoreNormalization"]
    known = make_dataset(channel_names={"0": "MR"})
    trained = train(folder / "mr", scaled, known, trainer="nnUNetTrainer_2000epochs_NoMirroring", steps=60)
    _pack(trained, folder / MR_ARCHIVE)
    for number in range(CASES):
        name = f"amos_{600 - number}.nii.gz"
        write_case(folder / "amos-mr" / "images" / name, folder / "amos-mr" / "labels" / name, 50 + number, MR, (6, 6))
    write_case(folder / "t1w.nii.gz", None, 98, MR)
    for number in range(CASES):
        write_case(
            folder / "Task03_Liver" / "imagesTr" / f"liver_{number}.nii.gz",
            folder / "Task03_Liver" / "labelsTr" / f"liver_{number}.nii.gz",
            number,
        )
    (folder / "Task03_Liver" / "imagesTr" / "._liver_0.nii.gz").write_bytes(b"what the archive's maker left in it")
    write_case(folder / "ct.nii.gz", None, 99)
    return folder


def test_the_recipe_for_ct_runs_as_it_stands_on_the_page(
    downloads: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(downloads / "home"))
    monkeypatch.chdir(downloads)
    for section in ("2. The model", "3. The reference", "4. Your own images"):
        for command in commands(section):
            run(command)
    told = capsys.readouterr().out
    assert "liver = 5" in told
    assert "nnUNetTrainer_4000epochs_NoMirroring" in told
    reference = Reference.load(downloads / "liver-reference")
    assert len(reference.cases) == CASES
    upstream = Upstream(next((downloads / "ct" / "results").rglob("plans.json")).parent)
    case = next(case for case in reference.cases if case.case_id == "liver_3")
    truth = sitk.GetArrayFromImage(sitk.ReadImage("Task03_Liver/labelsTr/liver_3.nii.gz"))
    assert set(np.unique(truth)) == {0, 1, 2}
    mask, _ = upstream_liver(upstream, Path("Task03_Liver/imagesTr/liver_3.nii.gz"))
    expected_dice = 2 * (mask & (truth > 0)).sum() / (mask.sum() + (truth > 0).sum())
    assert 0 < expected_dice < 1
    # A voxel between two classes may fall to either; the tumour alone is a few hundredths.
    assert case.dice == pytest.approx(expected_dice, abs=3e-3), "liver and tumour together are the organ"
    assert all(case.dice is not None for case in reference.cases)
    record = json.loads((downloads / "results" / "ct" / "assessment.json").read_text(encoding="utf-8"))
    assert record["ood"]["light"] in {"green", "amber", "red"}
    assert record["model"]["name"] == "totalseg-3mm"
    assert record["reference"]["n_cases"] == CASES

    expected, voxel_ml = upstream_liver(upstream, Path("ct.nii.gz"))
    assert record["segmentation"]["volume_ml"] == pytest.approx(expected.sum() * voxel_ml, rel=5e-3)


def test_the_recipe_for_mr_runs_as_it_stands_on_the_page(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(downloads / "home"))
    monkeypatch.chdir(downloads)
    typed = commands("The same for MR")
    assert [command[0] for command in typed] == ["model", "reference", "assess"]
    for command in typed:
        run(command)
    reference = Reference.load(downloads / "mr-reference")
    assert len(reference.cases) == CASES
    record = json.loads((downloads / "results-mr" / "t1w" / "assessment.json").read_text(encoding="utf-8"))
    assert record["input"]["modality"] != "CT"
    assert record["ood"]["p_value"] is not None
    assert record["segmentation"]["volume_ml"] > 0


def test_every_command_of_the_page_is_rehearsed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    typed = [line for line in text.splitlines() if line.startswith("bottleneck-ood ")]
    sections = ("2. The model", "3. The reference", "4. Your own images", "The same for MR")
    assert len(typed) == sum(len(commands(section)) for section in sections) == 8
