"""``model add`` as it is typed: a folder that can be used, or one sentence and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from bundles import NETWORK, a_network, inference_configuration, metadata, write_bundle

from BottleneckOODLib.catalogue import HOME_VARIABLE, find_model
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.model.model_folder import read_model_folder

SETTINGS = ["--modality", "CT", "--orientation", "LAS", "--spacing", "2x3x4", "--intensity", "range:-150,250:0,1",
            "--patch", "32,24,16", "--label", "liver=1"]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in a_network().state_dict().items()}}, path)
    return path


@pytest.fixture
def arguments(tmp_path: Path) -> str:
    path = tmp_path / "network.json"
    path.write_text(json.dumps({key: value for key, value in NETWORK.items() if key != "_target_"}))
    return str(path)


def add(checkpoint: Path, arguments: str, *more: str, settings: Sequence[str] = SETTINGS) -> int:
    typed = ["model", "add", "mine", "--network", "unet", "--weights", str(checkpoint), "--arguments", arguments]
    return main([*typed, *settings, *more])


def test_a_network_becomes_a_model_that_is_found_by_its_name(
    checkpoint: Path, arguments: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(checkpoint, arguments, "--label", "tumour=2", "--merge", "Tumour", "--licence", "MIT") == 0
    model = read_model_folder(find_model("mine"))
    assert model.folder == home / "models" / "mine"
    assert sorted(path.name for path in model.folder.iterdir()) == ["model.json", "weights.safetensors"]
    # What the network calls its first axis is the first of our arrays, k.
    assert model.preprocessing.orientation == "SAL"
    assert model.preprocessing.spacing_mm == (4.0, 3.0, 2.0)
    assert model.inference.patch == (32, 24, 16)
    assert (dict(model.labels), dict(model.merged)) == ({"liver": 1}, {"tumour": 2})
    assert model.bottleneck_layer == "model.1.submodule.1.submodule"
    capsys.readouterr()
    assert main(["model", "show", "mine"]) == 0
    card = capsys.readouterr().out
    for line in ("LAS, the first axis first", "-150 to 250 mapped to 0 to 1", "tumour = 2", "MIT"):
        assert line in card


def test_a_bundle_becomes_a_model_with_its_card(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    assert main(["model", "add", "tiny", "--bundle", str(bundle), "--label", "LIVER"]) == 0
    model = read_model_folder(home / "models" / "tiny")
    assert (dict(model.labels), model.modality, model.version) == ({"liver": 1}, "CT", "0.2.1")
    assert model.inference.padding == 0
    capsys.readouterr()
    assert main(["model", "show", "tiny"]) == 0
    card = capsys.readouterr().out
    for line in ("Tests alone.", "generated volumes", "tumour = 2"):
        assert line in card


def test_arguments_may_be_given_one_by_one(checkpoint: Path, home: Path) -> None:
    one_by_one = [f"{key}={json.dumps(value)}" for key, value in NETWORK.items() if key != "_target_"]
    typed = [part for argument in one_by_one for part in ("--argument", argument)]
    assert main(["model", "add", "a", "--network", "unet", "--weights", str(checkpoint), *typed, *SETTINGS]) == 0
    assert read_model_folder(home / "models" / "a").network_arguments["norm"] == "batch"


def changed(*pairs: str) -> list[str]:
    settings = list(SETTINGS)
    for option, value in zip(pairs[::2], pairs[1::2], strict=True):
        settings[settings.index(option) + 1] = value
    return settings


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (SETTINGS[:-2], "A network needs --label too"),
        (changed("--label", "liver"), "give NAME=CLASS"),
        (changed("--label", "liver=0"), "is class 0, but the network has the classes 0 (background) to 2"),
        (changed("--label", "liver=3"), "is class 3"),
        (changed("--label", "=1"), "--label is =1"),
        ([*SETTINGS, "--merge", "vessel"], 'no label called "vessel"; it has liver'),
        (changed("--patch", "30,24,16"), "does not run on a window of 30 x 24 x 16"),
        (changed("--patch", "0"), "--patch is 0"),
        (changed("--patch", "16.5"), "--patch is 16.5"),
        (changed("--spacing", "1,2"), "--spacing is 1,2"),
        (changed("--spacing", "inf"), "--spacing is inf"),
        (changed("--orientation", "XYZ"), "--orientation is XYZ"),
        (changed("--intensity", "window:1,2"), "--intensity is window:1,2"),
        (changed("--intensity", "n4"), "end with a range, percentiles or a z-score"),
        (changed("--intensity", "range:250,-150:0,1"), "steps of the intensity cannot be used"),
        ([*SETTINGS, "--overlap", "1"], "--overlap is 1"),
        ([*SETTINGS, "--argument", "color=1"], "no argument called color"),
        ([*SETTINGS, "--argument", "in_channels=4"], "takes 4 channels"),
        ([*SETTINGS, "--argument", "out_channels=1"], "gives one channel"),
        ([*SETTINGS, "--argument", "channels=[4,8,32]"], "has the shape"),
        ([*SETTINGS, "--argument", "strides=[2]"], "cannot be made"),
        ([*SETTINGS, "--argument", "norm"], "--argument is norm"),
        ([*SETTINGS, "--arguments", "[1]"], "no JSON object"),
        ([*SETTINGS, "--ema"], "keeps no moving average"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(
    checkpoint: Path,
    arguments: str,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    settings: list[str],
    sentence: str,
) -> None:
    assert add(checkpoint, arguments, settings=settings) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not home.exists()


def test_weights_of_another_architecture_are_refused(
    checkpoint: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["model", "add", "x", "--network", "seg_resnet", "--weights", str(checkpoint)]
    assert main([*typed, "--arguments", '{"in_channels": 1, "out_channels": 3}', *SETTINGS]) == 2
    said = capsys.readouterr().err
    assert "do not fit the network seg_resnet" in said
    assert " more are missing and " in said
    assert not home.exists()


def test_a_network_that_is_not_in_the_list_is_refused(
    checkpoint: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["model", "add", "x", "--network", "os.system", "--weights", str(checkpoint), *SETTINGS]
    assert main([*typed, "--arguments", '{"in_channels": 1, "out_channels": 3}']) == 2
    assert "'os.system' is unknown; known are swin_unetr" in capsys.readouterr().err
    assert not home.exists()


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "a" * 65])
def test_a_name_that_is_no_folder_s_is_refused(
    checkpoint: Path, arguments: str, home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    typed = ["model", "add", name, "--network", "unet", "--weights", str(checkpoint), "--arguments", arguments]
    assert main([*typed, *SETTINGS]) == 2
    assert "cannot be a model's name" in capsys.readouterr().err
    assert not home.exists()


def test_a_name_that_is_taken_is_refused_and_the_first_model_stays(
    checkpoint: Path, arguments: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(checkpoint, arguments) == 0
    before = read_model_folder(home / "models" / "mine")
    assert add(checkpoint, arguments, "--licence", "other") == 2
    assert 'There is a model called "mine" already' in capsys.readouterr().err
    assert read_model_folder(home / "models" / "mine") == before
    assert main(["model", "add", "demo", "--bundle", "nowhere"]) == 2
    assert 'There is a model called "demo" already' in capsys.readouterr().err


def without(entry: str) -> dict[str, Any]:
    facts = metadata()
    facts["network_data_format"][entry] = {}
    return facts


@pytest.mark.parametrize(
    ("facts", "more", "sentence"),
    [
        (None, [], "has the labels liver, tumour; choose the organ"),
        (None, ["--label", "spleen"], 'no label called "spleen"; it has liver, tumour'),
        (None, ["--label", "liver", "--modality", "MR"], "is for CT images, not for MR"),
        (without("inputs"), ["--label", "liver"], "names no modality; give what the model was trained with"),
        (without("outputs"), ["--label", "liver"], "does not say which labels it has"),
    ],
)
def test_what_a_bundle_lacks_is_asked_for(
    tmp_path: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    facts: dict[str, Any] | None,
    more: list[str],
    sentence: str,
) -> None:
    bundle = write_bundle(tmp_path / "bundle", facts=facts)
    assert main(["model", "add", "tiny", "--bundle", str(bundle), *more]) == 2
    assert sentence in capsys.readouterr().err
    assert not home.exists()


def test_what_a_bundle_does_not_say_can_be_given(tmp_path: Path, home: Path) -> None:
    configuration = inference_configuration()
    configuration["preprocessing"]["transforms"] = configuration["preprocessing"]["transforms"][:2]
    facts = metadata()
    del facts["network_data_format"]
    bundle = write_bundle(tmp_path / "bundle", configuration, facts)
    given = ["--modality", "MR", "--orientation", "RAS", "--spacing", "2", "--label", "liver=1"]
    given += ["--intensity", "n4", "--intensity", "z-score:foreground", "--overlap", "0.3", "--blend", "gaussian"]
    assert main(["model", "add", "tiny", "--bundle", str(bundle), *given]) == 0
    model = read_model_folder(home / "models" / "tiny")
    assert (model.modality, model.inference.overlap, model.inference.blend) == ("MR", 0.3, "gaussian")
    assert model.preprocessing.intensity.words() == "N4 bias field correction, then z-score of the foreground"
