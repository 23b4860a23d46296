"""``reference build`` as a user runs it: labels, outcomes, pictures, and going on after it was killed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.reference import building
from BottleneckOODLib.reference.reference_folder import Reference

Captured = pytest.CaptureFixture[str]
N = 22
# What is to be killed never comes to its end by itself, however late the kill comes.
ENDLESS = """
import sys, time
from BottleneckOODLib.reference import building
from BottleneckOODLib.cli.main import main
building.fit_map = lambda features: time.sleep(600)
main(sys.argv[1:])
"""


def write(array: np.ndarray, path: Path) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((6.0, 6.0, 6.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection as they come: nnU-Net's names for images, labels without the channel, one file that is none."""
    folder = tmp_path_factory.mktemp("collection")
    for number in range(N):
        rng = np.random.default_rng(number)
        z, y, x = np.ogrid[:16, :36, :48]
        radius = ((x - 24) / rng.uniform(16, 22)) ** 2 + ((y - 18) / rng.uniform(11, 15)) ** 2 + 0 * z
        voxels = np.where(radius < 1, np.where(radius < 0.7, rng.uniform(30, 60), -100.0), -1000.0)
        write(
            (voxels + rng.normal(0, 8, voxels.shape)).astype(np.int16), folder / "imagesTr" / f"s{number}_0000.nii.gz"
        )
        organ = (radius < 0.3).astype(np.uint8)
        organ[8:] *= 2
        if number < N - 1:
            write(organ, folder / "labelsTr" / f"s{number}.nii.gz")
    (folder / "imagesTr" / "._s0_0000.nii.gz").write_bytes(b"what an archive from a Mac brings along")
    (folder / "imagesTr" / "broken_0000.nii.gz").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def model(make_model: Callable[..., ModelFolder], tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_model(tmp_path_factory.mktemp("model") / "random", "unet").folder)


def command(model: str, scans: Path, output: Path, *more: str) -> list[str]:
    return [
        *("reference", "build", "--model", model, "--cases", str(scans / "imagesTr"), "--output", str(output)),
        *("--device", "cpu", "--labels", str(scans / "labelsTr"), "--label", "liver=1,tumour=2", *more),
    ]


def assert_same(one: Path, other: Path) -> None:
    a, b = Reference.load(one), Reference.load(other)
    assert [case.case_id for case in a.cases] == [case.case_id for case in b.cases]
    assert [case.dice for case in a.cases] == pytest.approx([case.dice for case in b.cases], abs=1e-3)
    assert {**a.settings, "built": ""} == {**b.settings, "built": ""}
    assert a.map_xy.shape == b.map_xy.shape
    for name, space in a.spaces.items():
        # A network's last bits differ from one run to the next, with the memory it is given; where they decide, a voxel
        # of the mask is another, which all that is measured of the mask shows in its fourth digit.
        np.testing.assert_allclose(space.features, b.spaces[name].features, rtol=2e-3, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(space.leave_one_out, b.spaces[name].leave_one_out, rtol=2e-2, err_msg=name)
    assert a.bank is not None
    assert b.bank is not None
    np.testing.assert_array_equal(a.bank.case_index, b.bank.case_index)
    np.testing.assert_allclose(a.bank.tokens, b.bank.tokens, rtol=2e-3, atol=1e-3)


@pytest.fixture(scope="module")
def built(model: str, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("built") / "whole"
    assert main(command(model, scans, output, "--name", "named", "--thumbnails")) == 0
    return output


def test_a_collection_with_labels_becomes_a_reference_with_outcomes(built: Path) -> None:
    reference = Reference.load(built)
    assert len(reference.cases) == N
    assert sum(case.dice is not None for case in reference.cases) == N - 1
    rows = list(csv.DictReader((built / "cases.csv").read_text(encoding="utf-8").splitlines()))
    assert {"surface_mm", "hausdorff95_mm", "modality", "spacing_mm", "extent_mm"} <= set(rows[0])
    assert rows[0]["spacing_mm"] == "6 x 6 x 6"
    assert rows[0]["extent_mm"] == "288 x 216 x 96"
    assert not built.with_name("whole.partial").exists()
    (left_out,) = reference.settings["left_out"]
    assert left_out.startswith("broken_0000: ")


def test_two_processes_build_what_one_builds(
    built: Path, model: str, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(_self: object) -> NoReturn:
        message = "the model was loaded in the first process"
        raise AssertionError(message)

    # Only the processes that measure load the model; they begin afresh and do not see this.
    monkeypatch.setattr(BottleneckOODLogic, "segmenter", property(here))
    # The map does not depend on who measured, and takes longer than all the rest.
    monkeypatch.setattr(building, "fit_map", lambda features: np.array(features[:, :2]))
    output = tmp_path / "made"
    assert main(command(model, scans, output, "--name", "named", "--thumbnails", "--workers", "2")) == 0
    assert_same(built, output)
    kept, pictures = (sorted((one / "thumbnails").iterdir()) for one in (built, output))
    assert [path.name for path in kept] == [path.name for path in pictures]
    for path, other in zip(kept, pictures, strict=True):
        one, two = (sitk.GetArrayFromImage(sitk.ReadImage(str(picture))).astype(float) for picture in (path, other))
        # The contour of a mask that has a voxel more is another at that place.
        assert np.mean(np.abs(one - two) > 8) < 0.005
    assert not (tmp_path / "made.partial").exists()


def test_pictures_come_by_number_and_without_names(built: Path) -> None:
    pictures = sorted((built / "thumbnails").iterdir())
    assert [path.name for path in pictures] == [f"{number:04d}.png" for number in range(1, N + 1)]
    shape = sitk.ReadImage(str(pictures[0])).GetSize()
    assert shape == (192, 192)
    assert b"s0" not in pictures[0].read_bytes()[:60]


def test_a_reference_with_pictures_can_be_replaced_and_one_with_more_in_it_cannot(
    built: Path, tmp_path: Path, capsys: Captured
) -> None:
    copy = Path(shutil.copytree(built, tmp_path / "copy"))
    Reference.load(built).save(copy, overwrite=True)
    assert not (copy / "thumbnails").exists()
    shutil.copytree(built / "thumbnails", copy / "thumbnails")
    (copy / "thumbnails" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="more than an earlier result"):
        Reference.load(built).save(copy, overwrite=True)
    assert (copy / "thumbnails" / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_build_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    built: Path, model: str, scans: Path, tmp_path: Path
) -> None:
    output = tmp_path / "whole"
    arguments = command(model, scans, output, "--name", "named", "--thumbnails")
    program = [sys.executable, "-c", ENDLESS, *arguments]
    running = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "whole.partial"
    end = time.monotonic() + 400
    while time.monotonic() < end and len(list(partial.glob("*.safetensors"))) < 3:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    assert running.wait(timeout=60) == -signal.SIGKILL
    kept = len(list(partial.glob("*.safetensors")))
    assert 3 <= kept <= N
    assert not output.exists()
    (partial / "mine.txt").write_text("mine")
    assert main(arguments) == 0
    assert_same(output, built)
    # What somebody else put there is no row, and is not removed with them.
    assert [path.name for path in partial.iterdir()] == ["mine.txt"]


def test_given_outcomes_stand_where_none_are_measured(
    model: str, scans: Path, tmp_path: Path, capsys: Captured
) -> None:
    table = tmp_path / "performance.csv"
    table.write_text("filename,DICE_Score\ns0_0000.nii.gz,0.123\n" + f"s{N - 1}_0000,0.456\n")
    assert main(command(model, scans, tmp_path / "out", "--performance", str(table), "--failure-dice", "0.5")) == 0
    dice = {case.case_id: case.dice for case in Reference.load(tmp_path / "out").cases}
    assert dice[f"s{N - 1}_0000"] == 0.456
    assert dice["s0_0000"] != 0.123
    assert not (tmp_path / "out" / "thumbnails").exists()
    told = capsys.readouterr()
    assert f"note: {N - 1} of {N + 1} cases have labels." in told.err
    assert "Left out: broken_0000" in told.err
    assert "No expected Dice: the Dice of 22 cases is known" in told.out
    document = json.loads((tmp_path / "out" / "reference.json").read_text())
    assert document["outcomes"]["expected_dice"] is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--label", "liver"], 'The label "liver" has no value'),
        (["--labels", "{scans}/imagesTr/nothing"], "does not exist"),
        (["--labels", "{empty}"], "has no labels of any case, such as broken_0000"),
        (["--performance", "{other}"], "names no case of the reference"),
        (["--performance", "{empty}/gone.csv"], "cannot be read"),
        (["--failure-dice", "80"], "--failure-dice is 80"),
        (["--failure-dice", "nan"], "--failure-dice is nan"),
        (["--workers", "0"], "--workers is 0"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(
    more: list[str], said: str, model: str, scans: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.csv").write_text("filename,DICE_Score\nsomebody,0.9\n")
    filled = [m.format(scans=scans, empty=tmp_path / "empty", other=tmp_path / "other.csv") for m in more]
    assert main([*command(model, scans, tmp_path / "out"), *filled]) == 2
    told = capsys.readouterr()
    (line,) = [line for line in told.err.splitlines() if line.startswith("bottleneck-ood: ")]
    assert said in line
    assert line.endswith(".")
    assert told.out == ""
    assert not (tmp_path / "out.partial").exists()
