"""A bundle gives here what MONAI's own parser, transforms, inferer and inverse give on the same file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bundles import inference_configuration, metadata, write_bundle
from last_digits import assert_same_classes, assert_same_mask
from monai.bundle import ConfigParser
from monai.data import decollate_batch, list_data_collate
from monai.transforms import Compose
from scipy.spatial.transform import Rotation

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.model.bottleneck import BottleneckTap
from BottleneckOODLib.model.model_folder import read_model_folder
from BottleneckOODLib.model.organ import organ_mask
from BottleneckOODLib.model.preprocessing import Preprocessing
from BottleneckOODLib.model.segmenter import Segmenter


def a_file(folder: Path, *, turn: tuple[float, float, float] = (0, 0, 0), size: tuple[int, int, int]) -> Path:
    """A CT of smooth random tissue, in a NIfTI file whose axes lie as they may."""
    random = np.random.default_rng(11)
    coarse = sitk.GetImageFromArray(random.normal(30, 160, (5, 6, 7)).astype(np.float32))
    coarse.SetSpacing([20.0, 20.0, 20.0])
    image = sitk.Resample(coarse, size, sitk.Transform(), sitk.sitkBSpline, [0, 0, 0], [2.1, 1.7, 3.3])
    image = sitk.GetImageFromArray(
        np.asarray(sitk.GetArrayFromImage(image) + random.normal(0, 12, size[::-1]), dtype=np.float32)
    )
    image.SetSpacing([2.1, 1.7, 3.3])
    image.SetOrigin([-80.5, 33.25, -410.0])
    image.SetDirection(Rotation.from_euler("xyz", turn, degrees=True).as_matrix().ravel().tolist())
    path = folder / "ct.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


def upstream(bundle: Path, image: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits on the network's grid, the deepest features of every window, and the mask in the image's own geometry."""
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["device"] = "cpu"
    parser["postprocessing"]["transforms"] = [
        t for t in parser["postprocessing"]["transforms"] if t["_target_"] != "SaveImaged"
    ]
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    tokens = []
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        batch = list_data_collate([parser.get_parsed_content("preprocessing")({"image": str(image)})])
        with BottleneckTap(network, "model.1.submodule.1.submodule") as tap:

            def kept(windows: torch.Tensor) -> torch.Tensor:
                output: torch.Tensor = network(windows)
                tokens.append(tap.take())
                return output

            logits = parser.get_parsed_content("inferer")(batch["image"], kept)
        batch["pred"] = logits
        after: Compose = parser.get_parsed_content("postprocessing")
        mask = after(decollate_batch(batch)[0])["pred"]
    return np.asarray(logits[0]), np.asarray(torch.cat(tokens)), np.asarray(mask[0]).T


def ours(bundle: Path, image: Path, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert main(["model", "add", "tiny", "--bundle", str(bundle), "--label", "liver", "--output", str(folder)]) == 0
    model = read_model_folder(folder)
    volume = read_volume(image, modality=model.modality)
    tensor, grid = Preprocessing.of_model(model).apply(volume)
    output = Segmenter(model, torch.device("cpu")).run(tensor)
    mask, _ = organ_mask(output.logits, grid, model)
    return output.logits, output.bottleneck.tokens, mask.labels


@pytest.mark.parametrize(
    ("turn", "size"),
    [
        ((0, 0, 0), (60, 66, 40)),
        ((6, -9, 168), (60, 66, 40)),
        # Smaller than a window, so that the padding is seen, which is no air here.
        ((0, 0, 90), (40, 30, 12)),
    ],
)
def test_masks_and_features_are_the_same(
    tmp_path: Path, turn: tuple[float, float, float], size: tuple[int, int, int]
) -> None:
    bundle, image = write_bundle(tmp_path / "bundle"), a_file(tmp_path, turn=turn, size=size)
    their_logits, their_tokens, their_mask = upstream(bundle, image)
    our_logits, our_tokens, our_mask = ours(bundle, image, tmp_path / "model")
    assert our_logits.shape == their_logits.shape
    assert our_tokens.shape == their_tokens.shape
    np.testing.assert_allclose(our_tokens, their_tokens, rtol=0, atol=1e-5 * np.abs(their_tokens).max())
    np.testing.assert_allclose(our_logits, their_logits, rtol=0, atol=1e-5 * np.abs(their_logits).max())
    assert_same_classes(our_logits, their_logits)
    assert_same_mask(our_mask > 0, their_mask == 1)
    assert 0.02 < our_mask.mean() < 0.98


def mr_configuration() -> dict[str, Any]:
    configuration = inference_configuration()
    transforms = configuration["preprocessing"]["transforms"]
    # The z-score comes before resampling here, as many have it.
    transforms[4] = {"_target_": "ScaleIntensityd", "keys": "image", "minv": -1.0, "maxv": 1.0}
    transforms.insert(2, {"_target_": "NormalizeIntensityd", "keys": ["image"], "nonzero": True, "channel_wise": True})
    configuration["inferer"]["mode"] = "gaussian"
    configuration["postprocessing"]["transforms"].pop(0)
    return configuration


def test_a_bundle_for_mr_with_a_z_score_gives_the_same_too(tmp_path: Path) -> None:
    facts = metadata()
    facts["network_data_format"]["inputs"]["image"]["modality"] = "MRI"
    bundle = write_bundle(tmp_path / "bundle", mr_configuration(), facts)
    image = a_file(tmp_path, turn=(180, 0, 90), size=(60, 66, 40))
    their_logits, their_tokens, their_mask = upstream(bundle, image)
    our_logits, our_tokens, our_mask = ours(bundle, image, tmp_path / "model")
    np.testing.assert_allclose(our_tokens, their_tokens, rtol=0, atol=1e-5 * np.abs(their_tokens).max())
    assert_same_classes(our_logits, their_logits)
    assert_same_mask(our_mask > 0, their_mask == 1)
    model = read_model_folder(tmp_path / "model")
    assert model.modality == "MR"
    assert model.interpolated == "logits"
    assert model.preprocessing.intensity.before_resampling == 1
