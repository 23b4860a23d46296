"""A bundle is data: what is needed is understood or refused by name, what is not needed does not matter."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import inference_configuration, metadata, write_bundle

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.bundle import NETWORKS, Bundle, read_bundle
from BottleneckOODLib.model.bundle_config import BundleConfig
from BottleneckOODLib.model.networks import NETWORK_TYPES

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def a_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def rewritten(a_bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    """The bundle with its configurations changed."""

    def rewrite(inference: Change | None = None, facts: Change | None = None) -> Path:
        folder = tmp_path / "changed"
        (folder / "configs").mkdir(parents=True)
        (folder / "models").symlink_to(a_bundle / "models")
        for name, content, change in (
            ("inference.json", inference_configuration(), inference),
            ("metadata.json", metadata(), facts),
        ):
            changed = copy.deepcopy(content)
            if change is not None:
                change(changed)
            (folder / "configs" / name).write_text(json.dumps(changed))
        return folder

    return rewrite


def transforms(configuration: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = configuration["preprocessing"]["transforms"]
    return found


def test_what_a_published_bundle_says_is_read(a_bundle: Path) -> None:
    read = read_bundle(a_bundle)
    assert isinstance(read, Bundle)
    assert (read.network_type, read.network_arguments["channels"]) == ("unet", [4, 8, 16])
    assert (read.patch, read.overlap, read.blend, read.padding) == ((32, 24, 16), 0.5, "constant", 0.0)
    assert (read.image.orientation, read.image.spacing_mm) == ("RAS", (3.0, 3.5, 4.0))
    assert read.image.steps == [{"kind": "range", "from": [-150.0, 250.0], "to": [-1.0, 1.0], "clip": True}]
    assert (read.modality, dict(read.labels)) == ("CT", {"liver": 1, "tumour": 2})
    assert (read.version, read.licence, read.intended_use) == ("0.2.1", "Nobody's.", "Tests alone.")
    assert read.output.interpolated == "probabilities"
    assert read.card["bundle_data_source"] == "generated volumes"


def test_every_network_that_a_bundle_may_name_is_one_of_ours() -> None:
    assert set(NETWORKS.values()) == set(NETWORK_TYPES)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(patch_size=[32, 24, 16]),
        lambda c: c["inferer"].update(roi_size="$@patch_size"),
        lambda c: c["inferer"].update(roi_size="$[32, 24, 16]"),
        lambda c: c.update(steps=transforms(c), preprocessing={"_target_": "Compose", "transforms": "@steps"}),
        lambda c: c["network_def"].update(_target_="monai.networks.nets.UNet"),
        lambda c: c["network_def"].update(_target_="monai.networks.nets.unet.UNet"),
        lambda c: c.update(network=c.pop("network_def")),
        lambda c: c.update(spacing=[3.0, 3.5, 4.0]) or transforms(c)[3].update(pixdim="@spacing"),
        lambda c: transforms(c)[3].update(pixdim="@other::0", mode=["bilinear"]) or c.update(other=[[3.0, 3.5, 4.0]]),
        lambda c: transforms(c)[3].update(_target_="SpacingD"),
        lambda c: transforms(c).insert(3, {"_target_": "RandFlipd", "keys": "image", "_disabled_": True}),
        lambda c: transforms(c).insert(3, {"_target_": "RandFlipd", "keys": "label"}),
        lambda c: c.update(evaluator="$__import__('os').system('false')", anything={"_target_": "os.system"}),
    ],
)  # fmt: skip
def test_the_same_said_in_other_ways_is_the_same(
    a_bundle: Path, rewritten: Callable[..., Path], change: Change
) -> None:
    read, plain = read_bundle(rewritten(change)), read_bundle(a_bundle)
    assert read.image == plain.image
    assert (read.patch, read.network_type, read.network_arguments) == (
        plain.patch,
        plain.network_type,
        plain.network_arguments,
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["network_def"].update(out_channels="$len(@x) + 1"), r"network_def::out_channels .* expression"),
        (lambda c: c["network_def"].update(_target_="my_package.UNet"), "my_package.UNet; the networks"),
        (lambda c: c["network_def"].update(_target_="os.system"), "os.system; the networks"),
        (lambda c: c.update(network_def="$__import__('os').system('touch canary')"), "nothing in a bundle is run"),
        (lambda c: c.update(network_def="$torch.jit.load('model.ts')"), "nothing in a bundle is run"),
        (lambda c: c.pop("network_def"), '"network_def", which is not there'),
        (lambda c: c.update(network_def="@network_def"), "refers to itself"),
        (lambda c: c.update(patch_size="@patch_size"), "refers to itself"),
        (lambda c: c.update(patch_size="%other.json::patch"), "macro"),
        (lambda c: c.update(patch_size=[32, 24, 0]), "roi_size"),
        (lambda c: c.update(patch_size=[32, 24]), "roi_size"),
        (lambda c: c["inferer"].update(overlap="$1 / 2"), "expression"),
        (lambda c: c["inferer"].update(overlap=1), "overlap"),
        (lambda c: c["inferer"].update(mode="cosine"), "mode"),
        (lambda c: c["inferer"].update(padding_mode="reflect"), "padding_mode"),
        (lambda c: c["inferer"].update(mode="gaussian", sigma_scale=0.25), "sigma_scale"),
        (lambda c: c.update(inferer={"_target_": "SimpleInferer"}), "only SlidingWindowInferer"),
        (lambda c: c.pop("inferer"), 'no entry called "inferer"'),
        (lambda c: c.pop("preprocessing"), 'no entry called "preprocessing"'),
        (lambda c: transforms(c).insert(4, {"_target_": "CropForegroundd", "keys": "image"}), "--ignore CropFor"),
        (lambda c: transforms(c).append({"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x"}), "Lambdad"),
        (lambda c: transforms(c).append({"keys": "image"}), "no transform that is named"),
        (lambda c: transforms(c).append(7), "is no transform"),
        (lambda c: transforms(c).insert(2, transforms(c).pop(3)), "write Orientationd before Spacingd"),
        (lambda c: transforms(c)[2].update(axcodes="RRS"), "axes 'RRS'"),
        (lambda c: transforms(c)[3].update(mode="nearest"), "mode to 'nearest'"),
        (lambda c: transforms(c)[3].update(diagonal=True), "diagonal to True"),
        (lambda c: transforms(c)[3].update(max_pixdim=4), "max_pixdim"),
        (lambda c: transforms(c)[3].update(pixdim=[1, 1, -1]), "spacing"),
        (lambda c: transforms(c)[4].update(b_min=None, b_max=None), "b_min and b_max"),
        (lambda c: transforms(c)[4].update(a_min="$-float('inf')"), "expression"),
        (lambda c: c["postprocessing"]["transforms"][0].update(softmax=False, sigmoid=True), "sigmoid"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_name(
    rewritten: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=sentence) as refusal:
        read_bundle(rewritten(change))
    assert str(refusal.value).count("\n") == 0
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m["network_data_format"]["inputs"]["image"].update(modality="PET"), "for PET images"),
        (lambda m: m["network_data_format"]["inputs"]["image"].update(num_channels=4), "4 channels"),
    ],
)
def test_a_bundle_for_other_images_is_refused(
    rewritten: Callable[..., Path], change: Change, sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        read_bundle(rewritten(None, change))


def test_a_transform_is_left_out_when_the_user_says_so(a_bundle: Path, rewritten: Callable[..., Path]) -> None:
    def crop(configuration: dict[str, Any]) -> None:
        transforms(configuration).insert(4, {"_target_": "CropForegroundd", "keys": "image", "select_fn": "$f"})

    read = read_bundle(rewritten(crop), ignore=["CropForegroundd"])
    assert read.image.steps == read_bundle(a_bundle).image.steps
    assert read.card["bundle_left_out"] == "CropForegroundd"


@pytest.mark.parametrize("name", ["inference.json", "metadata.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 200_000])
def test_a_configuration_that_is_no_json_object_is_refused(
    rewritten: Callable[..., Path], name: str, content: bytes
) -> None:
    folder = rewritten()
    (folder / "configs" / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"JSON"):
        read_bundle(folder)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no MONAI bundle"):
        read_bundle(tmp_path)
    (tmp_path / "configs").mkdir()
    with pytest.raises(ModelError, match=r"no configs/inference\.json"):
        read_bundle(tmp_path)


def test_a_bundle_without_weights_is_refused_unless_they_are_named(a_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(a_bundle / "configs")
    with pytest.raises(ModelError, match="no weights in models"):
        read_bundle(tmp_path)
    assert read_bundle(tmp_path, weights=Path("mine.pt")).weights == Path("mine.pt")


def test_literals_become_plain_data_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"a": "$(1, [2.5, None], {'k': True})", "b": "$b'bytes'", "c": "text $ @ text"}))
    config = BundleConfig(path)
    assert config.resolved("@a", "a") == [1, [2.5, None], {"k": True}]
    assert config.resolved("@c", "c") == "text $ @ text"
    with pytest.raises(ModelError, match="expression"):
        config.resolved("@b", "b")


def test_references_that_multiply_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    doubling: dict[str, object] = {f"a{n}": [f"@a{n + 1}"] * 2 for n in range(19)}
    path.write_text(json.dumps({**doubling, "a19": 1}))
    with pytest.raises(ModelError, match="more than 100000 values"):
        BundleConfig(path).resolved("@a0", "a0")
    assert len(BundleConfig(path).resolved("@a9", "a9")) == 2
