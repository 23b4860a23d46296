"""Scenes without an application, and assessments made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import slicer
from slice_view import SliceView

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.ood.placement import Placement

MakeAssessment = Callable[..., Assessment]

# Oblique in the axial plane, i and k running backwards: nothing that is mixed up stays unseen.
OBLIQUE = (-0.8, 0.6, 0.0, -0.6, -0.8, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture(scope="session", name="make_assessment")
def on_an_oblique_grid(make_assessment: MakeAssessment) -> MakeAssessment:
    """As everywhere, with an oblique image and a small mask in it."""
    geometry = Geometry((9, 8, 7), (3.0, 2.0, 5.0), (-17.5, 8.25, 120.0), OBLIQUE)
    labels = np.zeros(geometry.shape, np.uint8)
    labels[2:5, 3:6, 1:7] = 1

    def make(light: str = "amber", **changes: Any) -> Assessment:
        usual: dict[str, Any] = {
            "sentence": f"A sentence for {light}; review the mask with care.",
            "placement": None if light == "grey" else Placement(0.5, -1.25, False),
            "segmentation": LabelVolume(labels, geometry, {1: "liver"}),
            "warnings": (),
            "volume": Volume(
                np.random.default_rng(3).normal(0, 200, geometry.shape).astype(np.float32), geometry, "CT", "abdomen"
            ),
        }
        return make_assessment(light, geometry=geometry, **{**usual, **changes})

    return make


@pytest.fixture
def new_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Any]]:
    """Makes empty scenes that know segmentations and can read bundles; emptied after the test."""
    kept: list[tuple[Any, ...]] = []

    def make() -> Any:
        scene = slicer.vtkMRMLScene()
        segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
        segmentations.SetMRMLScene(scene)
        cache, data = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
        # Without a folder of its own it unpacks bundles in the root of the file system.
        cache.SetRemoteCacheDirectory(str(tmp_path_factory.mktemp("cache")))
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


@pytest.fixture
def make_slice_view(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SliceView]]:
    """Makes slice views on scenes; closed after the test."""
    if os.name == "posix" and not os.environ.get("DISPLAY"):
        monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    views: list[SliceView] = []

    def make(scene: Any, **settings: Any) -> SliceView:
        views.append(SliceView(scene, **settings))
        return views[-1]

    yield make
    for view in views:
        view.close()


@pytest.fixture
def a_slice_view(a_scene: Any, make_slice_view: Callable[..., SliceView]) -> SliceView:
    """An axial view of the scene."""
    return make_slice_view(a_scene)


@pytest.fixture
def keep_picture() -> Callable[[npt.NDArray[np.uint8], str], None]:
    """Writes a picture where the run's pictures are collected, when they are."""

    def keep(picture: npt.NDArray[np.uint8], name: str) -> None:
        folder = os.environ.get("BOTTLENECK_OOD_ARTEFACTS")
        if folder:
            from matplotlib.image import imsave

            Path(folder).mkdir(parents=True, exist_ok=True)
            imsave(Path(folder) / f"{name}.png", picture)

    return keep
