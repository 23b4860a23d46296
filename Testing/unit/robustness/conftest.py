"""A tiny network, a reference that it made, and a data folder, so that a whole benchmark takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume, to_sitk
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.reference import building
from BottleneckOODLib.robustness import base_cases, calibration_cases, measuring, running
from BottleneckOODLib.robustness.base_cases import BaseCase
from BottleneckOODLib.robustness.corruptions import CATALOGUE
from BottleneckOODLib.robustness.displacements import LabelledVolume

N_CASES = 24


def a_patient(number: int) -> LabelledVolume:
    """A round body with a bright organ; each number another size, place and noise."""
    rng = np.random.default_rng((11, number))
    z, y, x = np.ogrid[:16, :20, :20]
    a, b = rng.uniform(8, 9.5), rng.uniform(7, 9)
    body = ((x - 10) / a) ** 2 + ((y - 10) / b) ** 2 < 1
    centre = rng.uniform(-1, 1, 3) + np.array([8, 9, 8])
    organ = ((z - centre[0]) / 5) ** 2 + ((y - centre[1]) / 4) ** 2 + ((x - centre[2]) / 4) ** 2 < 1
    voxels = np.where(organ, 110.0, np.where(body, 30.0, -1000.0)) + rng.normal(0, 8, (16, 20, 20))
    geometry = Geometry((20, 20, 16), (6.0, 6.0, 6.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    volume = Volume(voxels.astype(np.float32), geometry, "CT", f"patient-{number}")
    return volume, LabelVolume(organ.astype(np.uint8), geometry, {1: "liver"})


@pytest.fixture
def a_reference_volume() -> Volume:
    """The image of one of the cases that ``tiny_reference`` is made of."""
    return a_patient(18)[0]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., ModelFolder]) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    make_model(folder, "unet")
    return folder


@pytest.fixture(scope="session")
def tiny_reference(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Made of the patients 0 to 23, named as the demo's cases are."""
    cases = [CaseForReference(f"body-{n:03d}", lambda n=n: a_patient(n)) for n in range(N_CASES)]
    with pytest.MonkeyPatch.context() as patch:
        # The map is no part of a benchmark, and fitting it takes longer than all the rest.
        patch.setattr(building, "fit_map", lambda features: np.array(features[:, :2]))
        reference = BottleneckOODLogic(tiny_model, device="cpu").build_reference("tiny", iter(cases), n_cases=N_CASES)
    assert len(reference.cases) >= 20
    folder = tmp_path_factory.mktemp("tiny") / "reference"
    reference.save(folder)
    return folder


@pytest.fixture
def tiny_logic(tiny_model: Path, tiny_reference: Path) -> BottleneckOODLogic:
    return BottleneckOODLogic(tiny_model, tiny_reference, "cpu")


def write(path: Path, volume: Volume, labels: LabelVolume | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_sitk(volume.voxels, volume.geometry), str(path))
    if labels is not None:
        stem = path.name.removesuffix(".nii.gz")
        sitk.WriteImage(to_sitk(labels.labels, labels.geometry), str(path.with_name(f"{stem}_labels.nii.gz")))


@pytest.fixture
def a_data_folder(tmp_path: Path) -> Path:
    """A labelled CT, an image in another scale with labels, one without labels, and one that cannot be read."""
    folder = tmp_path / "data"
    volume, truth = a_patient(100)
    write(folder / "one" / "ct.nii.gz", volume, truth)
    write(folder / "one" / "mr.nii.gz", replace(volume, voxels=volume.voxels + np.float32(2000)), truth)
    write(folder / "two" / "ct.nii.gz", a_patient(101)[0])
    (folder / "two" / "torn.nii.gz").write_bytes(b"no image")
    return folder


@pytest.fixture
def few_damages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three kinds of damage and one flip, so that a benchmark has few passes."""
    monkeypatch.setattr(measuring, "_FLIPPED_AXES", (2,))
    for name in set(CATALOGUE) - {"noise", "wrong orientation", "cropped"}:
        monkeypatch.delitem(CATALOGUE, name)  # type: ignore[arg-type]


@pytest.fixture
def tiny_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny patients stand for the generated bodies and for the reference's cases."""

    def bodies(n: int, seed: int = 0) -> list[BaseCase]:
        return [
            BaseCase(base_cases.VALIDATION, f"drawn-{i:02d}", labelled=True, load=lambda i=i: a_patient(200 + i))
            for i in range(n)
        ]

    def cases(_data: Path) -> list[CaseForReference]:
        return [CaseForReference(f"body-{n:03d}", lambda n=n: a_patient(n)) for n in range(N_CASES)]

    monkeypatch.setattr(running, "generated_bodies", bodies)
    monkeypatch.setattr(calibration_cases, "_generated", lambda data: iter(cases(data)))
