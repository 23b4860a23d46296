"""Adding a trained nnU-Net: what is supported becomes a folder of plain data, all else one sentence."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from nnunet_models import make_dataset, make_plans, train

from BottleneckOODLib.errors import DependencyError, ModelError, OutputError, UserError
from BottleneckOODLib.model import nnunet_archive, saved_by_torch
from BottleneckOODLib.model.nnunet_checkpoint import read_nnunet_checkpoint
from BottleneckOODLib.model.nnunet_import import CHECKPOINT, NnunetChoice, add_nnunet
from BottleneckOODLib.tensor_file import sha256_of

LIVER = NnunetChoice(label="liver")
TOTALSEGMENTATOR = "nnUNetTrainer_4000epochs_NoMirroring"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As TotalSegmentator's download lies: a dataset's folder, in it one of trainer, plans and configuration."""
    root = tmp_path_factory.mktemp("nnunet")
    train(root, make_plans(), make_dataset(), folds=(0, 1), trainer=TOTALSEGMENTATOR, steps=1)
    return root / "results"


@pytest.fixture
def a_trained_model(results: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil: the folder with the plans."""
    shutil.copytree(results, tmp_path / "results")
    return next((tmp_path / "results").rglob("plans.json")).parent


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """Where the model goes; whatever happens, nothing else is left beside it."""
    folder = tmp_path / "models" / "liver"
    yield folder
    assert {path.name for path in folder.parent.glob("*")} <= {"liver"}


def change_json(path: Path, change: Change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def settings(plans: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = plans["configurations"]["3d_fullres"]
    return found


def change_checkpoint(folder: Path, change: Change, fold: int = 0) -> None:
    path = folder / f"fold_{fold}" / CHECKPOINT
    loaded = torch.load(path, weights_only=False)
    change(loaded)
    torch.save(loaded, path)


def refused(source: Path, output: Path, choice: NnunetChoice = LIVER) -> str:
    with pytest.raises(UserError) as caught:
        add_nnunet("liver", source, choice, output)
    assert not output.exists()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_the_folder_holds_nothing_but_data_and_the_weights_as_they_were(results: Path, output: Path) -> None:
    model = add_nnunet("liver", results, LIVER, output)
    names = {path.name for path in output.iterdir()}
    assert names == {"model.json", "plans.json", "dataset.json", "fold_0.safetensors", "fold_1.safetensors"}
    for fold in (0, 1):
        kept = safetensors.torch.load_file(output / f"fold_{fold}.safetensors")
        theirs = torch.load(next(results.rglob(f"fold_{fold}/{CHECKPOINT}")), weights_only=False)["network_weights"]
        assert all(torch.equal(kept[name], theirs[name]) for name in kept)
        # nnU-Net has several names for the memory of one weight; here it is kept once.
        assert {value.data_ptr() for value in theirs.values()} == {theirs[name].data_ptr() for name in kept}
        assert len(kept) == len({value.data_ptr() for value in theirs.values()})
    assert model.labels == {"liver": 5}
    assert model.preprocessing.orientation == "RAS", "TotalSegmentator turns its images so"
    assert model.preprocessing.spacing_mm == (4.0, 4.0, 5.0)
    assert model.inference.patch == (16, 24, 32)
    assert model.modality == "CT"
    assert model.card["trainer"] == TOTALSEGMENTATOR
    assert model.framework_settings["files"]["fold_1.safetensors"] == sha256_of(output / "fold_1.safetensors")


def test_every_fold_shapes_the_fingerprint(results: Path, tmp_path: Path) -> None:
    made = [
        add_nnunet("m", results, dataclasses.replace(LIVER, folds=folds), tmp_path / "-".join(folds)).fingerprint
        for folds in (("0",), ("1",), ("0", "1"))
    ]
    again = add_nnunet("other-name", results, dataclasses.replace(LIVER, folds=("0",)), tmp_path / "again")
    assert len(set(made)) == 3
    assert again.fingerprint == made[0]


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_the_trained_folder_is_found_below_what_was_given(results: Path, output: Path, levels: int) -> None:
    source = next(results.rglob("plans.json")).parent
    for _ in range(levels):
        source = source.parent
    assert add_nnunet("liver", source, LIVER, output).labels == {"liver": 5}


def zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(folder.rglob("*")):
            opened.write(path, path.relative_to(folder))
    return archive


def test_a_zip_file_gives_the_same_model_and_its_checksum_is_kept(results: Path, output: Path, tmp_path: Path) -> None:
    archive = zipped(results, tmp_path / "weights.zip")
    digest = sha256_of(archive)
    packed = add_nnunet("liver", archive, LIVER, output)
    plain = add_nnunet("liver", results, LIVER, tmp_path / "plain")
    assert packed.fingerprint == plain.fingerprint
    assert packed.card["archive_sha256"] == digest == sha256_of(archive)


@pytest.mark.parametrize("name", ["../escaped.txt", "/tmp/escaped.txt", "a/../../escaped.txt", "..\\escaped.txt"])
def test_an_entry_that_leads_elsewhere_is_refused(output: Path, tmp_path: Path, name: str) -> None:
    archive = tmp_path / "weights.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(name, "x")
    assert "leads outside" in refused(archive, output)
    assert not list(tmp_path.rglob("escaped.txt"))


def test_a_link_in_a_zip_file_is_refused(output: Path, tmp_path: Path) -> None:
    archive = tmp_path / "weights.zip"
    entry = zipfile.ZipInfo("plans.json")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(entry, "/etc/hostname")
    assert "leads outside" in refused(archive, output)


def test_a_bomb_is_not_unpacked(output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "weights.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("plans.json", b"0" * 20_000_000)
    assert "would unpack to" in refused(archive, output)
    monkeypatch.setattr(nnunet_archive, "MAX_RATIO", 1e9)
    monkeypatch.setattr(nnunet_archive, "MAX_BYTES", 1_000_000)
    assert "would unpack to" in refused(archive, output)
    monkeypatch.setattr(nnunet_archive, "MAX_FILES", 0)
    assert "more than a trained model has" in refused(archive, output)


def test_a_zip_file_that_lies_about_its_sizes_is_refused(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "weights.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("plans.json", b"0" * 3_000_000)
    monkeypatch.setattr(nnunet_archive, "_check", lambda *_: None)
    monkeypatch.setattr(nnunet_archive, "MAX_BYTES", 1_000_000)
    assert "more than it says" in refused(archive, output)


def test_a_truncated_zip_file_is_refused(results: Path, output: Path, tmp_path: Path) -> None:
    archive = zipped(results, tmp_path / "weights.zip")
    archive.write_bytes(archive.read_bytes()[:-2000])
    assert "cannot be unpacked" in refused(archive, output)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: settings(p)["architecture"].update(network_class_name="os.system"), "the network os.system"),
        (
            lambda p: settings(p)["architecture"].update(
                network_class_name="dynamic_network_architectures.architectures.primus.Primus"
            ),
            "Primus",
        ),
        (lambda p: settings(p)["architecture"]["arch_kwargs"].update(conv_op="os.system"), "os.system in its network"),
        (lambda p: settings(p)["architecture"]["_kw_requires_import"].append("n_stages"), "in its network"),
        (lambda p: settings(p).update(preprocessor_name="MyPreprocessor"), "preprocessed by MyPreprocessor"),
        (lambda p: settings(p).update(resampling_fn_data="evil"), "resampled by evil"),
        (lambda p: settings(p).update(normalization_schemes=["RGBTo01Normalization"]), "RGBTo01Normalization"),
        (lambda p: settings(p).update(previous_stage="3d_lowres"), "second stage of a cascade"),
        (lambda p: settings(p).update(inherits_from="3d_fullres"), "inherit from each other"),
        (lambda p: settings(p).update(spacing=[1.0, float("nan"), 1.0]), "damaged or incomplete"),
        (lambda p: p.update(label_manager="MyManager"), "label manager MyManager"),
        (lambda p: p.update(image_reader_writer="NaturalImage2DIO"), "NaturalImage2DIO"),
        (lambda p: p.update(transpose_forward=[0, 0, 1]), "damaged or incomplete"),
        (lambda p: p.pop("configurations"), "damaged or incomplete"),
    ],
)
def test_plans_that_ask_for_something_else_are_refused_by_name(
    a_trained_model: Path, output: Path, change: Change, words: str
) -> None:
    change_json(a_trained_model / "plans.json", change)
    assert words in refused(a_trained_model, output)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(channel_names={"0": "CT", "1": "PET"}), "takes 2 channels (CT, PET)"),
        (lambda d: d["labels"].pop("liver"), 'no label called "liver"; it has spleen'),
        (lambda d: d["labels"].update(liver=[5, 6]), "trained with regions"),
        (lambda d: d["labels"].update(liver=9), "damaged or incomplete"),
        (lambda d: d.pop("labels"), "damaged or incomplete"),
        (lambda d: d["labels"].update(bone=6), "does not fit the network"),
    ],
)
def test_a_dataset_that_does_not_suit_is_refused_by_name(
    a_trained_model: Path, output: Path, change: Change, words: str
) -> None:
    change_json(a_trained_model / "dataset.json", change)
    assert words in refused(a_trained_model, output)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["init_args"].update(configuration="2d"), "configuration 2d"),
        (lambda c: c["init_args"].update(configuration="3d_cascade_fullres"), "configuration 3d_cascade_fullres"),
        (lambda c: c["network_weights"].pop("encoder.stages.0.0.convs.0.conv.weight"), "encoder.stages.0.0.convs.0"),
        (lambda c: c["network_weights"].update(extra=torch.zeros(1)), "extra"),
        (
            lambda c: c["network_weights"].update(
                {"decoder.encoder.stages.0.0.convs.0.conv.bias": torch.ones(4) * 9}
            ),
            "two different values for one weight",
        ),
        (lambda c: c["network_weights"]["encoder.stages.0.0.convs.0.conv.weight"].fill_(np.nan), "not numbers"),
        (lambda c: c.pop("network_weights"), "no checkpoint of nnU-Net"),
        (lambda c: c.update(inference_allowed_mirroring_axes=(0, 7)), "no checkpoint of nnU-Net"),
    ],
)
def test_a_checkpoint_that_does_not_suit_is_refused(
    a_trained_model: Path, output: Path, change: Change, words: str
) -> None:
    change_checkpoint(a_trained_model, change)
    assert words in refused(a_trained_model, output)


def test_a_fold_of_another_training_is_refused(a_trained_model: Path, output: Path) -> None:
    change_checkpoint(a_trained_model, lambda c: c.update(inference_allowed_mirroring_axes=(0,)), fold=1)
    assert "another training" in refused(a_trained_model, output)


def test_a_truncated_checkpoint_is_refused(a_trained_model: Path, output: Path) -> None:
    path = a_trained_model / "fold_1" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-500])
    assert "cut off" in refused(a_trained_model, output)


class Canary:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_run(a_trained_model: Path, output: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    change_checkpoint(a_trained_model, lambda c: c.update(_best_ema=Canary(canary)))
    assert "perhaps code" in refused(a_trained_model, output)
    (a_trained_model / "fold_0" / CHECKPOINT).write_bytes(pickle.dumps(Canary(canary)))
    assert "not loaded" in refused(a_trained_model, output)
    assert not canary.exists()


def test_numbers_of_numpy_are_forgotten_and_no_function_of_numpy_is_called(a_trained_model: Path) -> None:
    path = a_trained_model / "fold_0" / CHECKPOINT
    with pytest.raises(pickle.UnpicklingError, match="numpy"):
        torch.load(path, weights_only=True)
    loaded: list[Any] = []
    plain = torch.load
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch, "load", lambda *a, **k: loaded.append(plain(*a, **k)) or loaded[0])
        checkpoint = read_nnunet_checkpoint(path)
    assert type(loaded[0]["_best_ema"]).__name__ == "_Forgotten"
    assert checkpoint.trainer == TOTALSEGMENTATOR
    assert checkpoint.mirroring == ()
    allowed = torch.serialization.get_safe_globals()
    assert not any("_Forgotten" in str(each) for each in allowed), "what was allowed is allowed no longer"


def test_an_older_torch_is_refused(results: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_by_torch, "torch_version", lambda: (2, 9))
    with pytest.raises(DependencyError, match=r"2\.10"):
        add_nnunet("liver", results, LIVER, output)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (NnunetChoice(), "choose the organ"),
        (NnunetChoice(label="tumour"), 'no label called "tumour"'),
        (NnunetChoice(label="liver", merge=["tumour"]), 'no label called "tumour"'),
        (NnunetChoice(label="liver", folds=["3"]), "has no fold_3; it has fold_0, fold_1"),
        (NnunetChoice(label="liver", modality="MR"), "for CT images, not for MR"),
    ],
)
def test_a_choice_that_is_not_there_is_refused(results: Path, output: Path, choice: NnunetChoice, words: str) -> None:
    assert words in refused(results, output, choice)


def test_what_is_no_trained_model_is_refused(tmp_path: Path, output: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no trained nnU-Net v2 model" in refused(tmp_path / "empty", output)
    assert "was not found" in refused(tmp_path / "absent", output)
    (tmp_path / "note.zip").write_text("hello")
    assert "cannot be unpacked" in refused(tmp_path / "note.zip", output)


def test_an_unfinished_training_is_refused(a_trained_model: Path, output: Path) -> None:
    for path in a_trained_model.rglob(CHECKPOINT):
        path.rename(path.with_name("checkpoint_latest.pth"))
    assert "training was finished" in refused(a_trained_model, output)


def test_several_trained_models_are_not_guessed_among(a_trained_model: Path, output: Path) -> None:
    shutil.copytree(a_trained_model, a_trained_model.with_name("nnUNetTrainer__nnUNetPlans__3d_lowres"))
    assert "several trained models" in refused(a_trained_model.parent, output)


def test_a_model_that_is_there_is_kept(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "liver"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OutputError):
        add_nnunet("liver", results, LIVER, folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_fold_all_alone_is_taken(a_trained_model: Path, output: Path) -> None:
    shutil.rmtree(a_trained_model / "fold_1")
    (a_trained_model / "fold_0").rename(a_trained_model / "fold_all")
    assert add_nnunet("liver", a_trained_model, LIVER, output).framework_settings["folds"] == ["fold_all.safetensors"]


def test_configurations_inherit_and_the_lower_resolution_is_taken(a_trained_model: Path, output: Path) -> None:
    def lower(plans: dict[str, Any]) -> None:
        low = copy.deepcopy(settings(plans))
        plans["configurations"]["3d_base"] = low
        plans["configurations"]["3d_lowres"] = {"inherits_from": "3d_base", "spacing": [6.0, 6.0, 6.0]}

    change_json(a_trained_model / "plans.json", lower)
    for fold in (0, 1):
        change_checkpoint(a_trained_model, lambda c: c["init_args"].update(configuration="3d_lowres"), fold)
    assert add_nnunet("liver", a_trained_model, LIVER, output).preprocessing.spacing_mm == (6.0, 6.0, 6.0)


def test_a_name_that_leads_elsewhere_is_refused(results: Path, output: Path) -> None:
    with pytest.raises(ModelError, match="cannot be a model's"):
        add_nnunet("../liver", results, LIVER, output)
