"""Scenes without an application, and assessments made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from BottleneckOODLib.assessment.assessment import Assessment, InputFacts, MapPoint, ModelFacts, ReferenceFacts
from BottleneckOODLib.assessment.checks import Check
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.scoring import Neighbour, PartScore

MakeAssessment = Callable[..., Assessment]

# Oblique in the axial plane, i and k running backwards: nothing that is mixed up stays unseen.
OBLIQUE = (-0.8, 0.6, 0.0, -0.6, -0.8, 0.0, 0.0, 0.0, -1.0)
P_VALUES = {"green": 0.62, "amber": 0.07, "red": 0.01, "grey": None}


def make_assessment_by_hand(light: str = "amber", **changes: Any) -> Assessment:
    """A complete assessment; every field can be replaced by its name."""
    geometry = Geometry((9, 8, 7), (3.0, 2.0, 5.0), (-17.5, 8.25, 120.0), OBLIQUE)
    labels = np.zeros(geometry.shape, np.uint8)
    labels[2:5, 3:6, 1:7] = 1
    p_value = P_VALUES[light]
    judged = p_value is not None
    fields: dict[str, Any] = {
        "case_id": "case-7",
        "created": "2026-01-02T03:04:05+00:00",
        "program_version": "0.1.0",
        "input": InputFacts("abdomen.nii.gz", "CT", geometry.shape, geometry.spacing_mm, geometry.orientation),
        "model": ModelFacts("demo", "2", "ab" * 32, demonstration=True),
        "reference": ReferenceFacts("demo-reference", "cd" * 32, 60),
        "light": light,
        "sentence": f"A sentence for {light}; review the mask with care.",
        "detector": "mahalanobis" if judged else "none",
        "score": 0.75 if judged else None,
        "p_value": p_value,
        "percentile": 94.0 if judged else None,
        "parts": {"bottleneck": PartScore(12.5, 0.07, 94.0, 0.98)} if judged else {},
        "checks": (Check("modality", "met", "The image is CT, as the model expects."),),
        "neighbours": (Neighbour("train-1", 4.5, 1.25, 0.93),) if judged else (),
        "placement": Placement(0.5, -1.25, False) if judged else None,
        "volume_ml": 1.62,
        "n_components": 1,
        "timings_s": {"load": 0.5, "preprocess": 0.25, "inference": 2.0, "ood": 0.5, "placement": 0.0, "total": 3.25},
        "device": "cpu",
        "map_points": (MapPoint(0.0, 1.0, 0.9), MapPoint(2.0, -1.0, None), MapPoint(-1.5, 0.5, 0.71)),
        "segmentation": LabelVolume(labels, geometry, {1: "liver"}),
        "volume": Volume(
            np.random.default_rng(3).normal(0, 200, geometry.shape).astype(np.float32), geometry, "CT", "abdomen"
        ),
    }
    return Assessment(**{**fields, **changes})


@pytest.fixture(scope="session")
def make_assessment() -> MakeAssessment:
    return make_assessment_by_hand


@pytest.fixture
def an_assessment() -> Assessment:
    return make_assessment_by_hand()


@pytest.fixture
def new_scene() -> Iterator[Callable[[], Any]]:
    """Makes empty scenes that know segmentations and can read bundles; emptied after the test."""
    kept: list[tuple[Any, ...]] = []

    def make() -> Any:
        scene = slicer.vtkMRMLScene()
        segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
        segmentations.SetMRMLScene(scene)
        cache, data = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
        data.SetCacheManager(cache)
        scene.SetCacheManager(cache)
        scene.SetDataIOManager(data)
        kept.append((scene, segmentations, cache, data))
        return scene

    yield make
    for scene, segmentations, *_ in kept:
        segmentations.SetMRMLScene(None)
        scene.Clear(1)


@pytest.fixture
def a_scene(new_scene: Callable[[], Any]) -> Any:
    return new_scene()


@pytest.fixture
def read_bundle(new_scene: Callable[[], Any]) -> Callable[[Path], Any]:
    """Reads a bundle into a fresh scene."""

    def read(path: Path) -> Any:
        scene = new_scene()
        assert scene.ReadFromMRB(str(path), True)
        return scene

    return read
