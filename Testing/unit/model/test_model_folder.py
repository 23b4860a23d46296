"""A model folder is refused, with one sentence, when anything in it is not as it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.model_folder import ModelFolder, fingerprint_of, read_model_folder

MakeModel = Callable[..., ModelFolder]


def test_what_was_written_is_read(a_model: ModelFolder) -> None:
    again = read_model_folder(a_model.folder)
    assert again == a_model
    assert again.preprocessing.spacing_mm == (4.0, 4.0, 4.0)
    assert again.labels == {"liver": 1}
    assert len(again.fingerprint) == 64


def edit(model: ModelFolder, change: Callable[[dict[str, Any]], None]) -> None:
    path = model.folder / "model.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(schema_version=2), "newer version"),
        (lambda d: d.pop("schema_version"), "damaged"),
        (lambda d: d.pop("network"), "damaged"),
        (lambda d: d["preprocessing"].update(spacing_mm=[4, 4, 0]), "spacing"),
        (lambda d: d["preprocessing"].update(spacing_mm=[4, 4]), "damaged"),
        (lambda d: d["preprocessing"].update(spacing_mm=[4, 4, float("nan")]), "damaged"),
        (lambda d: d["preprocessing"].update(orientation="LLS"), "orientation"),
        (lambda d: d["preprocessing"].update(spacing_mm=[3, 3, 3]), "changed since"),
        (lambda d: d["inference"].update(overlap=1.0), "overlap"),
        (lambda d: d["inference"].update(overlap=True), "damaged"),
        (lambda d: d["weights"].update(file="../weights.safetensors"), "weights"),
        (lambda d: d["weights"].update(sha256="0" * 64), "changed since"),
        (lambda d: d["bottleneck"].update(layer="other"), "changed since"),
        (lambda d: d.update(labels={}), "labels"),
        (lambda d: d.update(modality="PET"), "modality"),
        (lambda d: d["preprocessing"].update(resampling="spline"), "resampling"),
        (lambda d: d["preprocessing"].update(resampling="first_voxel"), "changed since"),
        (lambda d: d["preprocessing"].update(intensity={"steps": [{"kind": "n4"}]}), "air"),
        (lambda d: d["inference"].update(padding="black"), "damaged"),
        (lambda d: d.update(output=[]), "damaged"),
        (lambda d: d.update(output={"interpolated": "labels"}), "interpolated"),
        (lambda d: d.update(output={}), "changed since"),
    ],
)
def test_a_changed_model_file_is_refused(
    a_model: ModelFolder, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    edit(a_model, change)
    with pytest.raises(ModelError, match=sentence):
        read_model_folder(a_model.folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_model_file_that_is_no_json_object_is_refused(a_model: ModelFolder, content: bytes) -> None:
    (a_model.folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot be read|damaged"):
        read_model_folder(a_model.folder)


def test_a_folder_without_model_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model folder"):
        read_model_folder(tmp_path)


def test_missing_weights_are_refused(a_model: ModelFolder) -> None:
    a_model.weights_path.unlink()
    with pytest.raises(ModelError, match="missing"):
        read_model_folder(a_model.folder)


@pytest.mark.parametrize("position", [0, 7, 100, -1])
def test_one_flipped_byte_in_the_weights_is_refused(a_model: ModelFolder, position: int) -> None:
    raw = bytearray(a_model.weights_path.read_bytes())
    raw[position] ^= 0x10
    a_model.weights_path.write_bytes(raw)
    with pytest.raises(ModelError, match=r"damaged|changed"):
        read_model_folder(a_model.folder)


def test_truncated_weights_are_refused(a_model: ModelFolder) -> None:
    raw = a_model.weights_path.read_bytes()
    a_model.weights_path.write_bytes(raw[:-10])
    with pytest.raises(ModelError, match="truncated"):
        read_model_folder(a_model.folder)


def test_a_pickle_named_safetensors_is_refused(a_model: ModelFolder) -> None:
    a_model.weights_path.write_bytes(b"\x80\x04\x95" + b"\x00" * 100)
    with pytest.raises(ModelError, match="damaged"):
        read_model_folder(a_model.folder)


def test_folders_made_before_organs_could_be_chosen_keep_their_fingerprint(a_model: ModelFolder) -> None:
    document = json.loads((a_model.folder / "model.json").read_text())
    shaping = {key: document[key] for key in ("modality", "network", "preprocessing", "inference", "bottleneck")}
    plain = json.dumps([a_model.weights_sha256, shaping], sort_keys=True, separators=(",", ":"))
    assert a_model.fingerprint == hashlib.sha256(plain.encode()).hexdigest()


def test_another_organ_of_the_same_network_is_another_model(a_model: ModelFolder) -> None:
    document = json.loads((a_model.folder / "model.json").read_text())
    document["output"] = {"interpolated": "logits", "merged": {}}
    liver = fingerprint_of(document, a_model.weights_sha256)
    document["labels"] = {"spleen": 2}
    spleen = fingerprint_of(document, a_model.weights_sha256)
    document["output"]["merged"] = {"kidney": 3}
    assert len({a_model.fingerprint, liver, spleen, fingerprint_of(document, a_model.weights_sha256)}) == 4


def test_the_fingerprint_follows_the_weights(make_model: MakeModel, tmp_path: Path) -> None:
    assert (
        make_model(tmp_path / "a", "unet", seed=0).fingerprint != make_model(tmp_path / "b", "unet", seed=1).fingerprint
    )
