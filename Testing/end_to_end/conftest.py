"""A random model with a reference of its own, small enough for every test."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.reference.reference_folder import Reference

N_CASES = 60


def a_round_body(number: int) -> Volume:
    """Soft tissue, fat and a spine in air; size, place and intensities vary with the number."""
    rng = np.random.default_rng(number)
    shape = (int(rng.integers(18, 30)), 40, 56)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    radius = ((x - 28) / rng.uniform(20, 25)) ** 2 + ((y - 20) / rng.uniform(13, 17)) ** 2 + 0 * z
    spine = ((x - 28) ** 2 + (y - 28) ** 2 + 0 * z) < rng.uniform(6, 14)
    voxels = np.where(radius < 1, np.where(radius < rng.uniform(0.6, 0.8), rng.uniform(35, 60), -100.0), -1000.0)
    voxels = np.where(spine, rng.uniform(250, 500), voxels) + rng.normal(0, rng.uniform(5, 15), shape)
    geometry = Geometry((shape[2], shape[1], shape[0]), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Volume(voxels.astype(np.float32), geometry, "CT", f"round-{number}")


def cases(n: int = N_CASES) -> list[CaseForReference]:
    def loader(number: int) -> Callable[[], tuple[Volume, LabelVolume | None]]:
        return lambda: (a_round_body(number), None)

    return [CaseForReference(f"round-{number:02d}", loader(number)) for number in range(n)]


@pytest.fixture(scope="session")
def reference_of_family(
    model_of_family: Callable[[str], ModelFolder], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The one reference of each family's model, built when it is first asked for."""

    def build(family: str) -> Path:
        folder = tmp_path_factory.mktemp("reference") / "round"
        n = N_CASES if family == "unet" else 20
        logic = BottleneckOODLogic(model_of_family(family).folder, device="cpu")
        logic.build_reference("round", cases(n), n_cases=n).save(folder)
        return folder

    return cache(build)


@pytest.fixture(scope="session")
def a_model_with_its_reference(
    a_model_of_each_family: ModelFolder, reference_of_family: Callable[[str], Path]
) -> tuple[ModelFolder, Path]:
    return a_model_of_each_family, reference_of_family(a_model_of_each_family.network_type)


@pytest.fixture
def a_logic(a_model_with_its_reference: tuple[ModelFolder, Path]) -> BottleneckOODLogic:
    """The small model's logic, of each family."""
    model, reference = a_model_with_its_reference
    return BottleneckOODLogic(model.folder, reference, device="cpu")


@pytest.fixture
def a_case() -> Volume:
    return a_round_body(1000)


@pytest.fixture
def the_reference(a_logic: BottleneckOODLogic) -> Reference:
    return a_logic.reference


@pytest.fixture(scope="session")
def make_a_body() -> Callable[[int], Volume]:
    """Like the reference's cases; another one for each number."""
    return a_round_body
