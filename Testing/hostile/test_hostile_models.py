"""Nothing in a model, a reference or an embedding is ever run, whatever it is called and however it is packed."""

from __future__ import annotations

import builtins
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile_pickles import CONTAINERS, payloads, unpickled_elsewhere

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.evaluation.embeddings import read_npy
from BottleneckOODLib.model.checkpoints import read_checkpoint
from BottleneckOODLib.model.model_folder import ModelFolder, fingerprint_of, read_model_folder
from BottleneckOODLib.model.nnunet_checkpoint import read_nnunet_checkpoint
from BottleneckOODLib.model.tensor_reading import read_tensor
from BottleneckOODLib.reference import reference_folder
from BottleneckOODLib.reference.reference_folder import ARRAYS_FILE, REFERENCE_FILE, TOKENS_FILE, Reference
from BottleneckOODLib.tensor_file import sha256_of

FORMATS = Path(__file__).resolve().parents[1] / "formats" / "v1"
PAYLOADS = sorted(payloads(Path("canary")))
ENTRIES: dict[str, Callable[[Path], object]] = {
    "a checkpoint": lambda path: read_checkpoint(path.rename(path.with_suffix(".pt"))),
    "its moving average": lambda path: read_checkpoint(path.rename(path.with_suffix(".ckpt")), ema=True),
    "renamed to safetensors": lambda path: read_checkpoint(path.rename(path.with_suffix(".safetensors"))),
    "an nnU-Net's fold": read_nnunet_checkpoint,
    "an embedding": lambda path: read_tensor(path.rename(path.with_suffix(".pt"))),
    "an array": lambda path: read_npy(path.rename(path.with_suffix(".npy"))),
}


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("a question was asked")

    monkeypatch.setattr(builtins, "input", asked)


@pytest.mark.skipif(sys.platform == "win32", reason="the payloads are commands of a POSIX shell")
@pytest.mark.parametrize("name", PAYLOADS)
def test_every_poison_works_where_it_is_trusted(tmp_path: Path, name: str) -> None:
    unpickled_elsewhere(payloads(tmp_path / "canary")[name])
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", PAYLOADS)
def test_no_poison_works_here(tmp_path: Path, name: str, container: str) -> None:
    content = CONTAINERS[container](payloads(tmp_path / "canary")[name])
    for entry, read in ENTRIES.items():
        path = tmp_path / "weights.bin"
        path.write_bytes(content)
        # Of two entries of one name the harmless one may be read; then what it holds is data.
        try:
            read(path)
        except UserError as error:
            sentence = str(error)
        else:
            assert container == "two pickles", entry
            continue
        assert sentence.endswith("."), entry
        assert "\n" not in sentence, entry
        assert "anyway" not in sentence, entry
    assert not (tmp_path / "canary").exists()


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    made = io.BytesIO()
    np.save(made, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    poison = payloads(tmp_path / "canary")["a shell"]
    (tmp_path / "case.npy").write_bytes(made.getvalue().partition(b"\n")[0] + b"\n" + poison)
    with pytest.raises(UserError):
        read_npy(tmp_path / "case.npy")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_model_with_poison_for_weights_is_refused(a_model: ModelFolder, tmp_path: Path, container: str) -> None:
    """With the sum and the fingerprint put right, as whoever makes such a folder would."""
    content = CONTAINERS[container](payloads(tmp_path / "canary")["a shell"])
    a_model.weights_path.write_bytes(content)
    path = a_model.folder / "model.json"
    document = json.loads(path.read_text())
    document["weights"]["sha256"] = sha256_of(a_model.weights_path)
    document["fingerprint"] = fingerprint_of(document, document["weights"]["sha256"])
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match="damaged"):
        read_model_folder(a_model.folder)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("file", [ARRAYS_FILE, TOKENS_FILE])
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_reference_with_poison_for_arrays_is_refused(tmp_path: Path, container: str, file: str) -> None:
    folder = tmp_path / "reference"
    shutil.copytree(FORMATS / "reference", folder)
    (folder / file).write_bytes(CONTAINERS[container](payloads(tmp_path / "canary")["a shell"]))
    document = json.loads((folder / REFERENCE_FILE).read_text())
    document["tokens"] = {"spread": 1.0}
    (folder / TOKENS_FILE).touch()
    document["fingerprint"] = reference_folder._fingerprint(document, folder)
    (folder / REFERENCE_FILE).write_text(json.dumps(document))
    with pytest.raises(UserError, match="damaged"):
        Reference.load(folder)
    assert not (tmp_path / "canary").exists()


def test_the_command_asks_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    poison = CONTAINERS["zip"](payloads(tmp_path / "canary")["a shell"])
    (tmp_path / "weights.pt").write_bytes(poison)
    options = "--modality CT --orientation RAS --spacing 2 --intensity range:-175,250:0,1 --patch 32 --label liver=1"
    network = "--argument spatial_dims=3 --argument in_channels=1 --argument out_channels=2 --argument channels=[4,8]"
    arguments = ["model", "add", "poisoned", "--network", "unet", "--weights", str(tmp_path / "weights.pt")]
    arguments += [*options.split(), *network.split(), "--argument", "strides=[2]"]
    yes = io.StringIO("y\nyes\n" * 50)
    monkeypatch.setattr(sys, "stdin", yes)
    assert main([*arguments, "--output", str(tmp_path / "model")]) == 2
    told = capfd.readouterr().err
    assert "holds more than tensors" in told
    assert "anyway" not in told
    assert yes.tell() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weights.pt"]
