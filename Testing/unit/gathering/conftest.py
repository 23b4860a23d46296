"""Small bodies in files, and a random model that looks at them in a moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.gathering.case import GatheringPlan
from BottleneckOODLib.logic import BottleneckOODLogic, _loaded_segmenter
from BottleneckOODLib.model.model_folder import ModelFolder

N_SCANS = 24


def a_body(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Soft tissue and fat in air, and a block inside it for labels."""
    rng = np.random.default_rng(number)
    z, y, x = np.ogrid[:16, :36, :48]
    radius = ((x - 24) / rng.uniform(16, 22)) ** 2 + ((y - 18) / rng.uniform(11, 15)) ** 2 + 0 * z
    voxels = np.where(radius < 1, np.where(radius < 0.7, rng.uniform(30, 60), -100.0), -1000.0)
    return (voxels + rng.normal(0, 8, voxels.shape)).astype(np.int16), (radius < 0.3).astype(np.uint8)


def write(array: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((6.0, 6.0, 6.0))
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def write_image() -> Callable[[np.ndarray, Path], Path]:
    return write


@pytest.fixture(scope="session")
def the_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``images`` and ``labels``: a value for the organ's left half and one for its right."""
    folder = tmp_path_factory.mktemp("gathering")
    for number in range(N_SCANS):
        voxels, organ = a_body(number)
        organ[:, :, 24:] *= 2
        write(voxels, folder / "images" / f"case-{number:02d}.nii.gz")
        write(organ, folder / "labels" / f"case-{number:02d}.nii.gz")
    return folder


@pytest.fixture
def scans(the_scans: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(the_scans, tmp_path / "scans"))


@pytest.fixture(scope="session")
def a_quick_model(make_model: Callable[..., ModelFolder], tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return make_model(tmp_path_factory.mktemp("quick") / "model", "unet")


@pytest.fixture(scope="session")
def a_quick_logic(a_quick_model: ModelFolder) -> BottleneckOODLogic:
    return BottleneckOODLogic(a_quick_model.folder, device="cpu")


@pytest.fixture
def plan(a_quick_logic: BottleneckOODLogic) -> Callable[..., GatheringPlan]:
    """A plan for the quick model; every field can be given."""
    load = partial(_loaded_segmenter, a_quick_logic.model.folder, "cpu")

    def make(**changes: object) -> GatheringPlan:
        fields = {"load_segmenter": load, "fingerprint": a_quick_logic.model.fingerprint, "pooling": "mean"}
        return GatheringPlan(**{**fields, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def count_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the volumes that the model ran on, in this process."""
    from BottleneckOODLib.gathering import case

    ran: list[str] = []
    measure = case.measured_case

    def counting(volume, *arguments, **options):  # type: ignore[no-untyped-def]
        ran.append(volume.name)
        return measure(volume, *arguments, **options)

    monkeypatch.setattr(case, "measured_case", counting)
    return ran
