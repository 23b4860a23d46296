from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from BottleneckOODLib.catalogue import HOME_VARIABLE
from BottleneckOODLib.errors import ModelError, OutputError
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.panel.choices import (
    ModelChoice,
    add_model,
    model_choices,
    own_reference,
    reference_choices,
)
from BottleneckOODLib.resources import resource_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's own."""
    folder = tmp_path / "Benutzer mit Umläuten"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


def named(name: str) -> ModelChoice:
    return next(choice for choice in model_choices() if choice.name == name)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")


def test_the_embedded_model_is_described_as_its_folder_says(home: Path) -> None:
    demo = named("demo")
    model = BottleneckOODLogic("demo").model
    assert (demo.version, demo.modality, demo.intended_use) == (model.version, model.modality, model.intended_use)
    assert (demo.fingerprint, demo.labels, demo.demonstration) == (model.fingerprint, tuple(model.labels), True)
    assert demo.problem == ""
    assert not home.exists()


def test_the_model_s_own_reference_is_chosen_by_itself_as_the_logic_does(home: Path) -> None:
    demo = named("demo")
    own = own_reference(reference_choices(demo))
    assert own is not None
    reference = BottleneckOODLogic("demo").reference
    assert (own.name, own.n_cases, own.problem) == ("demo", len(reference.cases), "")
    assert json.loads((own.folder / "reference.json").read_text())["fingerprint"] == reference.fingerprint


def test_references_that_suit_the_model_come_first_and_the_others_say_why_not(home: Path, a_model: ModelFolder) -> None:
    references = home / "references"
    for name in ("a other", "b damaged", "c empty", "d newer", "e old", "z same"):
        shutil.copytree(resource_folder() / "references" / "demo", references / name)
    change(references / "a other" / "reference.json", model_fingerprint="ab" * 32)
    (references / "b damaged" / "reference.json").write_text("{")
    change(references / "c empty" / "reference.json", settings=[])
    change(references / "d newer" / "reference.json", schema_version=99)
    document = json.loads((references / "e old" / "reference.json").read_text())
    change(references / "e old" / "reference.json", settings={**document["settings"], "measurements": 0})
    choices = reference_choices(named("demo"))
    assert [choice.name for choice in choices if choice.matches] == ["demo", "z same"]
    assert [choice.matches for choice in choices] == [True, True, False, False, False, False, False]
    said = {choice.name: choice.problem for choice in choices}
    for name, words in (
        ("a other", "another model"),
        ("b damaged", "cannot be read"),
        ("c empty", "damaged"),
        ("d newer", "newer version"),
        ("e old", "another version"),
    ):
        assert words in said[name]
        assert "\n" not in said[name]
    assert own_reference(reference_choices(add_model(a_model.folder))) is None


def test_an_added_model_is_a_copy_that_works_and_leaves_its_source_alone(home: Path, a_model: ModelFolder) -> None:
    (a_model.folder / "LICENSE").write_text("Yours.")
    (a_model.folder / "training-data.csv").write_text("names")
    before = everything_in(a_model.folder)
    choice = add_model(a_model.folder)
    assert choice == named(a_model.name)
    assert choice.folder == home / "models" / a_model.name
    assert set(everything_in(choice.folder)) == {"model.json", "weights.safetensors", "LICENSE"}
    assert everything_in(a_model.folder) == before
    assert BottleneckOODLogic(choice.name, device="cpu").model.fingerprint == a_model.fingerprint
    assert [path.name for path in (home / "models").iterdir()] == [a_model.name]


def test_adding_the_same_again_copies_nothing(home: Path, a_model: ModelFolder) -> None:
    first = add_model(a_model.folder)
    written = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert add_model(a_model.folder) == first
    assert add_model(first.folder) == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == written
    assert add_model(resource_folder() / "models" / "demo").folder == resource_folder() / "models" / "demo"
    assert [path.name for path in (home / "models").iterdir()] == [a_model.name]


def test_another_model_of_the_same_name_is_kept(
    home: Path, a_model: ModelFolder, make_model: Callable[..., ModelFolder], tmp_path: Path
) -> None:
    kept = everything_in(add_model(a_model.folder).folder)
    other = make_model(tmp_path / "other", "unet", seed=5)
    with pytest.raises(OutputError, match="is there already and was kept"):
        add_model(other.folder)
    assert everything_in(home / "models" / a_model.name) == kept
    assert [path.name for path in (home / "models").iterdir()] == [a_model.name]


@pytest.mark.parametrize("damage", ["nothing", "weights", "settings", "empty"])
def test_a_damaged_folder_is_a_sentence_and_nothing_is_copied(home: Path, a_model: ModelFolder, damage: str) -> None:
    if damage == "nothing":
        shutil.rmtree(a_model.folder)
        a_model.folder.mkdir()
    elif damage == "weights":
        content = bytearray(a_model.weights_path.read_bytes())
        content[-1] ^= 1
        a_model.weights_path.write_bytes(content)
    elif damage == "settings":
        change(a_model.folder / "model.json", modality="MR")
    else:
        a_model.weights_path.unlink()
    with pytest.raises(ModelError, match=r"\.$"):
        add_model(a_model.folder)
    assert not home.exists()


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions differ")
def test_a_home_that_cannot_be_written_is_a_sentence(home: Path, a_model: ModelFolder) -> None:
    home.mkdir()
    home.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        add_model(a_model.folder)


def test_a_copy_that_fails_half_way_leaves_nothing(
    home: Path, a_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def full(source: Path, target: Path) -> None:
        if target.name == "weights.safetensors":
            raise OSError(28, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match="No space left"):
        add_model(a_model.folder)
    assert everything_in(home) == {}
    assert [choice.name for choice in model_choices()] == ["demo"]


def test_a_model_that_cannot_be_read_is_listed_with_its_problem(home: Path, a_model: ModelFolder) -> None:
    choice = add_model(a_model.folder)
    (choice.folder / "model.json").write_text("[]")
    listed = named(choice.name)
    assert "cannot be read" in listed.problem
    assert listed.fingerprint == ""
    assert not [c for c in reference_choices(listed) if c.matches]


def test_looking_at_the_choices_needs_nothing_heavy(in_a_fresh_interpreter: Callable[[str], set[str]]) -> None:
    loaded = in_a_fresh_interpreter("BottleneckOODLib.panel.choices")
    assert not {"torch", "monai", "umap", "sklearn", "SimpleITK", "matplotlib", "qt", "slicer"} & loaded
