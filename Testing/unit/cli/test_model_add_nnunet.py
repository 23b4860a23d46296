"""A trained nnU-Net comes in by one command, and what cannot come in is one line on the standard error."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from nnunet_models import make_dataset, make_plans, train

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.model.model_folder import read_model_folder
from BottleneckOODLib.tensor_file import sha256_of


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nnunet")
    train(root, make_plans(), make_dataset(), trainer="nnUNetTrainerNoMirroring", steps=1)
    return root / "results"


def test_the_liver_is_found_by_its_name_and_the_archive_s_checksum_is_printed(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOTTLENECK_OOD_HOME", str(tmp_path / "home"))
    archive = Path(shutil.make_archive(str(tmp_path / "weights"), "zip", results))
    assert main(["model", "add", "total", "--nnunet", str(archive), "--label", "liver", "--licence", "Apache-2.0"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "its organ is liver = 5, of Dataset291_TotalSegmentator" in told.out
    assert sha256_of(archive) in told.out
    assert "reference build --model total" in told.out
    assert read_model_folder(tmp_path / "home" / "models" / "total").licence == "Apache-2.0"
    assert main(["model", "show", "total"]) == 0
    card = capsys.readouterr().out
    for words in ("PlainConvUNet", "RAS, 4 x 4 x 5 mm", "-958 to 271", "nnUNetTrainerNoMirroring", "liver = 5"):
        assert words in card
    assert main(["model", "list"]) == 0
    assert "total" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--label", "tumour"], 'no label called "tumour"'),
        (["--label", "liver=5"], "dataset.json has the classes"),
        (["--label", "liver", "--patch", "96"], "--patch has no use with --nnunet"),
        (["--label", "liver", "--folds", "4"], "no fold_4"),
        (["--label", "liver", "--folds", "one"], "--folds is one"),
        ([], "choose the organ"),
    ],
)
def test_what_cannot_be_added_is_one_sentence(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    command = ["model", "add", "total", "--nnunet", str(results), "--output", str(tmp_path / "model"), *options]
    try:
        code = main(command)
    except SystemExit as exit_:
        code = exit_.code
    told = capsys.readouterr()
    assert code == 2
    assert sentence in told.err
    assert "Traceback" not in told.err
    assert not [path for path in tmp_path.iterdir() if path.name != "own"], "nothing is left"
