"""Fixtures that read as a sentence."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, settings

from BottleneckOODLib.assessment.assessment import Assessment, InputFacts, MapPoint, Memory, ModelFacts, ReferenceFacts
from BottleneckOODLib.assessment.checks import Check
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.model.model_folder import ModelFolder, write_model_folder
from BottleneckOODLib.model.networks import bottleneck_layer, build_network
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.scoring import Neighbour, PartScore
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.worker.client import Built, Done, Failed

pytest_plugins = [
    "dicom_slices",
    "extension_build",
    "no_network",
    "postgres_server",
    "review_stores",
    "review_desktop",
    "scene_state",
]

# How long an example takes is a matter of the machine and of what else runs there, never of what is tested. The gate
# draws the same examples each time, for it asks about a change; ``--hypothesis-profile "new examples"`` looks further.
ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("any machine", ANY_MACHINE, derandomize=True, database=None)
settings.register_profile("new examples", ANY_MACHINE, derandomize=False)
settings.load_profile("any machine")

# What takes longer than this is no busy machine any more.
PATIENCE_S = 240.0
MakeAssessment = Callable[..., Assessment]

ROOT = Path(__file__).resolve().parents[1]
P_VALUES = {"green": 0.62, "amber": 0.07, "red": 0.01, "grey": None}
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FAMILIES = {
    "unet": {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 2,
        "channels": [4, 8, 16],
        "strides": [2, 2],
        "num_res_units": 1,
    },
    "swin_unetr": {
        "in_channels": 1,
        "out_channels": 2,
        "feature_size": 12,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
    },
}
# The Swin encoder halves five times, and its normalisation needs more than one token.
PATCHES = {"unet": [32, 32, 32], "swin_unetr": [64, 32, 32]}


@pytest.fixture(scope="session", autouse=True)
def examples_of_no_other_test() -> Iterator[None]:
    """Hypothesis also draws the constants of whatever modules are imported by then, which is for other tests to say."""
    with pytest.MonkeyPatch.context() as patch:
        # Hypothesis' own, and older versions have none.
        with contextlib.suppress(ImportError):
            providers = importlib.import_module("hypothesis.internal.conjecture.providers")
            nothing = getattr(providers, "_local_constants", None)
            if settings.default.derandomize:
                patch.setattr(providers, "_get_local_constants", lambda: nothing, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def a_busy_machine_is_no_slow_drive() -> Iterator[None]:
    """A small file that a process of its own reads is not given up after the seconds that a user would wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("BottleneckOODLib.imaging.reading_process.LEAST_SECONDS", PATIENCE_S)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_data_folder() -> Path:
    folder = Path(os.environ.get("BOTTLENECK_OOD_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real scans are not there ({folder}); set BOTTLENECK_OOD_DATA")
    return folder


@pytest.fixture(scope="session")
def a_ct_file() -> Path:
    """The embedded sample that is like the training cases."""
    return resource_folder() / "samples" / "sample-usual.nii.gz"


@pytest.fixture
def a_small_ct() -> Volume:
    """A round body of soft tissue and fat in air, 4 mm voxels."""
    z, y, x = np.ogrid[:40, :60, :80]
    body = ((x - 40) / 34) ** 2 + ((y - 30) / 24) ** 2 < 1
    fat = body & (((x - 40) / 29) ** 2 + ((y - 30) / 20) ** 2 > 1)
    noise = np.random.default_rng(0).normal(0, 12, (40, 60, 80))
    voxels = np.where(body, np.where(fat, -100.0, 45.0), -1000.0) + noise + 0 * z
    geometry = Geometry((80, 60, 40), (4.0, 4.0, 4.0), (-160.0, -120.0, 0.0), IDENTITY)
    return Volume(voxels.astype(np.float32), geometry, "CT", "small")


def make_model_folder(folder: Path, network_type: str, *, seed: int = 0) -> ModelFolder:
    """A model folder with random weights of one family."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    network = build_network(network_type, FAMILIES[network_type])
    weights = folder / "weights.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in network.state_dict().items()}, weights)
    document = {
        "name": f"random-{network_type}",
        "version": "1",
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
        "modality": "CT",
        "network": {"type": network_type, "arguments": FAMILIES[network_type]},
        "preprocessing": {
            "orientation": "LPS",
            "spacing_mm": [4.0, 4.0, 4.0],
            "intensity": {"clip": [-200.0, 300.0], "scale": [0.0, 1.0]},
        },
        "inference": {"patch": PATCHES[network_type], "overlap": 0.25, "blend": "gaussian"},
        "labels": {"liver": 1},
        "bottleneck": {"layer": bottleneck_layer(network_type, network)},
        "demonstration": True,
    }
    return write_model_folder(folder, document, weights)


@pytest.fixture(scope="session")
def model_of_family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ModelFolder]:
    """The one model of each family: a fixture with parameters is made anew whenever the parameter changes."""
    return cache(lambda family: make_model_folder(tmp_path_factory.mktemp(family), family))


@pytest.fixture(params=sorted(FAMILIES), scope="session")
def a_model_of_each_family(
    request: pytest.FixtureRequest, model_of_family: Callable[[str], ModelFolder]
) -> ModelFolder:
    return model_of_family(request.param)


@pytest.fixture
def a_model(tmp_path: Path) -> ModelFolder:
    return make_model_folder(tmp_path / "model", "unet")


@pytest.fixture(scope="session")
def make_model() -> Callable[..., ModelFolder]:
    return make_model_folder


def geometry_of_size(size_ijk: tuple[int, int, int], direction: tuple[float, ...] = IDENTITY) -> Geometry:
    return Geometry(size_ijk, (3.0, 4.0, 5.0), (-17.5, 8.25, 120.0), direction)


def volume_on(geometry: Geometry) -> Volume:
    voxels = np.random.default_rng(3).normal(0, 200, geometry.shape).astype(np.float32)
    return Volume(voxels, geometry, "CT", "abdomen.nii.gz")


def block_mask_on(geometry: Geometry) -> LabelVolume:
    """A block away from the grid's edges where there is room for it."""
    labels = np.zeros(geometry.shape, np.uint8)
    labels[tuple(slice(n // 4, n // 4 + max(1, n // 2)) for n in geometry.shape)] = 1
    return LabelVolume(labels, geometry, {1: "liver"})


def make_assessment_by_hand(light: str = "amber", *, geometry: Geometry | None = None, **changes: Any) -> Assessment:
    """A complete assessment; every field can be replaced by its name."""
    where = geometry or geometry_of_size((14, 12, 10))
    p_value = P_VALUES[light]
    judged = p_value is not None
    parts = {
        "bottleneck": PartScore(12.5, 0.07, 94.0, 0.98),
        "body_layout": PartScore(3.25, 0.4, 60.0, 0.1),
    }
    fields: dict[str, Any] = {
        "case_id": "case-7",
        "created": "2026-01-02T03:04:05+00:00",
        "program_version": "0.1.0",
        "input": InputFacts("abdomen.nii.gz", "CT", where.shape, where.spacing_mm, where.orientation),
        "model": ModelFacts("demo", "2", "ab" * 32, demonstration=True),
        "reference": ReferenceFacts("demo-reference", "cd" * 32, 60),
        "light": light,
        "sentence": "A sentence; review the mask with care.",
        "detector": "mahalanobis" if judged else "none",
        "score": 0.75 if judged else None,
        "p_value": p_value,
        "percentile": 94.0 if judged else None,
        "parts": parts if judged else {},
        "checks": (
            Check("modality", "met", "The image is CT, as the model expects."),
            Check("field_of_view", "soft", "The scan covers too little."),
            Check("intensity_scale", "hard", "The values are no Hounsfield units."),
            Check("spacing", "not_assessed", "Not known."),
            *((Check("bottleneck", "soft", "Far out.", calibrated=True),) if judged else ()),
        ),
        "neighbours": (Neighbour("train-1", 4.5, 1.25, 0.93), Neighbour("train-2", 5.0, 1.5, None)) if judged else (),
        "placement": Placement(0.5, -1.25, True) if judged else None,
        "volume_ml": 1234.5,
        "n_components": 2,
        "timings_s": {"load": 0.5, "preprocess": 0.25, "inference": 2.0, "ood": 0.5, "placement": 0.0, "total": 3.25},
        "device": "cpu",
        "warnings": ("The file says nothing about its modality; it was taken for CT.",),
        "map_points": (
            MapPoint(0.0, 1.0, 0.9, "train-1", {"contrast_phase": "portal", "slice_thickness_mm": "2.5"}),
            MapPoint(2.0, -1.0, None, "train-2", {"contrast_phase": "none"}),
            MapPoint(-1.5, 0.5, 0.71, "train-3"),
        ),
        "disagreement": {"folds": 0.125, "mirroring": 0.0625},
        "peak_memory": Memory(1_530_000_000, 250_000_000),
        "segmentation": block_mask_on(where),
        "volume": volume_on(where),
    }
    together = {**fields, **changes}
    together.setdefault("n_calibrating", max(1, together["reference"].n_cases - 3))
    return Assessment(**together)


@pytest.fixture(scope="session")
def make_assessment() -> MakeAssessment:
    return make_assessment_by_hand


@pytest.fixture
def an_assessment(make_assessment: MakeAssessment) -> Assessment:
    return make_assessment()


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving without drawing, where the picture is not the question."""
    monkeypatch.setattr(
        "BottleneckOODLib.assessment.figures.write_overview", lambda _, path: path.write_bytes(b"a picture")
    )


@pytest.fixture(scope="session")
def in_a_fresh_interpreter() -> Callable[[str], set[str]]:
    """The modules that importing a module loads, in a process of its own."""

    def loaded(module: str) -> set[str]:
        code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
        return set(json.loads(told.stdout))

    return loaded


class ARunner:
    """Runs nothing: the test says what happens."""

    def __init__(self) -> None:
        self.busy = False
        self.expects_news = False
        self.asked: list[tuple[str, str, str | None, str]] = []
        self.built: list[tuple[Path, str, Path, str, str]] = []
        self.looked = 0
        self.stops = 0
        self.closed = 0
        self.coming: list[Any] = []
        self.refusal: UserError | None = None

    def assess(
        self,
        volume: Callable[[], Volume],
        case_id: str,
        *,
        model: str = "",
        reference: str | None = None,
        device: str = "",
    ) -> None:
        self._refuse()
        assert volume().voxels.size
        self.asked.append((case_id, model, reference, device))
        self.busy = self.expects_news = True

    def build_reference(self, cases: Path, name: str, output: Path, *, model: str = "", device: str = "") -> None:
        self._refuse()
        self.built.append((cases, name, output, model, device))
        self.busy = self.expects_news = True

    def list_devices(self) -> None:
        self._refuse()
        self.looked += 1
        self.expects_news = True

    def stop(self) -> None:
        self.stops += 1

    def poll(self) -> list[Any]:
        events, self.coming = self.coming, []
        if any(isinstance(event, Done | Built | Failed) for event in events):
            self.busy = False
        self.expects_news = self.busy
        return events

    def close(self) -> None:
        self.closed += 1
        self.busy = self.expects_news = False

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def a_runner() -> ARunner:
    """Stands for the worker's client."""
    return ARunner()
