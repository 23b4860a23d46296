"""Assessments made by hand, so that no network has to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment, InputFacts, MapPoint, ModelFacts, ReferenceFacts
from BottleneckOODLib.assessment.checks import Check
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.scoring import Neighbour, PartScore

MakeAssessment = Callable[..., Assessment]

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
P_VALUES = {"green": 0.62, "amber": 0.07, "red": 0.01, "grey": None}


def geometry_of_size(size_ijk: tuple[int, int, int], direction: tuple[float, ...] = UPRIGHT) -> Geometry:
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
        "map_points": (MapPoint(0.0, 1.0, 0.9), MapPoint(2.0, -1.0, None), MapPoint(-1.5, 0.5, 0.71)),
        "segmentation": block_mask_on(where),
        "volume": volume_on(where),
    }
    return Assessment(**{**fields, **changes})


@pytest.fixture(scope="session")
def make_assessment() -> MakeAssessment:
    return make_assessment_by_hand


@pytest.fixture
def an_assessment() -> Assessment:
    return make_assessment_by_hand()


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving without drawing, where the picture is not the question."""
    monkeypatch.setattr(
        "BottleneckOODLib.assessment.figures.write_overview", lambda _, path: path.write_bytes(b"a picture")
    )
