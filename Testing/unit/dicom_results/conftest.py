"""A small series with its study, an assessment of it, and the objects that come of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_objects import STUDY, Exported, marked

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.dicom_results.exporting import export_dicom
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import LabelVolume


@pytest.fixture
def write_scan(tmp_path: Path, write_slices: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """Writes a CT series with all that a study has; None leaves an attribute out."""

    def write(folder: str = "scan", *, uid: str = "1.2.3.10", **elements: Any) -> Path:
        told = {**{key: value for key, value in STUDY.items() if key not in elements}, **elements}
        told = {key: value for key, value in told.items() if value is not None or key not in STUDY}
        write_slices(tmp_path / folder, uid=uid, **told)
        return tmp_path / folder

    return write


@pytest.fixture
def assess_by_hand(make_assessment: Callable[..., Assessment]) -> Callable[..., Assessment]:
    """An assessment of a series whose mask its own pixels tell."""

    def assess(
        source: Path, light: str = "amber", names: Mapping[int, str] | None = None, **changes: Any
    ) -> Assessment:
        names = {1: "liver"} if names is None else names
        volume = read_volume(source)
        mask = LabelVolume(marked(volume.voxels, names), volume.geometry, names)
        made = make_assessment(light, geometry=volume.geometry)
        return replace(made, **{"volume": volume, "segmentation": mask, **changes})

    return assess


@pytest.fixture
def export(tmp_path: Path, assess_by_hand: Callable[..., Assessment]) -> Callable[..., Exported]:
    """Assesses a series by hand and reads its three objects again."""

    def exported(source: Path, output: str = "objects", **changes: Any) -> Exported:
        folder = export_dicom(assess_by_hand(source, **changes), source, tmp_path / output)
        return read_objects(source, folder)

    return exported


def read_objects(source: Path, folder: Path) -> Exported:
    objects = (pydicom.dcmread(folder / f"{name}.dcm") for name in ("segmentation", "report", "picture"))
    return Exported(source, folder, *objects)


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A black picture at once, where the picture is not the question."""
    monkeypatch.setattr(
        "BottleneckOODLib.dicom_results.picture_object.overview_pixels", lambda *_: np.zeros((4, 6, 3), np.uint8)
    )
