"""The whole job through the panel, the real worker and the demo model, in each of the four states; with pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import slicer
from PIL import Image
from qt_harness.views import pixels_of

from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.scene.volume_node import add_volume_node

Pixels = npt.NDArray[np.uint8]
WORDS = {"green": "Similar to the training cases", "amber": "Unusual", "red": "Very unusual", "grey": "Could not be"}
VIEW_SIZE = (480, 346)


def a_scan(light: str) -> Volume:
    """A scan that the demo judges so: the sample, with much noise, its pelvis alone, with a voxel that is no number."""
    sample = read_volume(resource_folder() / "samples" / "sample-usual.nii.gz")
    if light == "amber":
        noise = np.random.default_rng(0).normal(0, 100, sample.voxels.shape)
        return replace(sample, voxels=(sample.voxels + noise).astype(sample.voxels.dtype))
    if light == "red":
        i, j, _ = sample.geometry.size_ijk
        return replace(sample, voxels=sample.voxels[:20].copy(), geometry=replace(sample.geometry, size_ijk=(i, j, 20)))
    if light == "grey":
        voxels = sample.voxels.copy()
        voxels[30, 50, 100] = np.nan
        return replace(sample, voxels=voxels)
    return sample


@pytest.fixture
def assess(a_module_widget: Any, the_application: Any, spin_until: Callable[..., None]) -> Callable[[str], Any]:
    """Loads a scan, shows it, presses the button and waits."""

    def run(light: str) -> Any:
        ui = a_module_widget.ui
        node = add_volume_node(the_application.scene, a_scan(light), f"{light} scan")
        display = node.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(-140, 240)
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        ui.volumeSelector.setCurrentNode(node)
        ui.modalitySelector.setCurrentIndex(ui.modalitySelector.findData("CT"))
        ui.assessButton.click()
        spin_until(lambda: not a_module_widget.logic.runner.busy)
        return a_module_widget

    return run


def views() -> list[Any]:
    manager = slicer.app.layoutManager()
    slices = [manager.sliceWidget(name).sliceView() for name in ("Red", "Yellow", "Green")]
    return [*slices, manager.threeDWidget(0).threeDView(), manager.plotWidget(0).plotView()]


def drawn(view: Any) -> Pixels:
    return np.asarray(pixels_of(view), dtype=np.uint8)[..., :3]


def picture_of(widget: Any) -> Pixels:
    """The panel beside the views, as a person has them before the eyes; the last slice once more with the overlay."""
    panel = widget.parent
    width = max(440, panel.minimumSizeHint().width())
    panel.resize(width, max(3 * VIEW_SIZE[1], panel.layout().totalHeightForWidth(width)))
    grabbed = panel.grab().toImage()
    grabbed = grabbed.convertToFormat(grabbed.Format.Format_RGB888)
    raw = np.frombuffer(grabbed.constBits(), np.uint8).reshape(grabbed.height(), grabbed.bytesPerLine())
    left = raw[:, : 3 * grabbed.width()].reshape(grabbed.height(), grabbed.width(), 3)
    red, yellow, green, solid, plot = (drawn(view) for view in views())
    overlay = np.zeros_like(red)
    if widget.ui.regionsCheckBox.isEnabled():
        widget.ui.regionsCheckBox.click()
        widget.ui.jumpUnusualButton.click()
        overlay = drawn(views()[0])
        widget.ui.regionsCheckBox.click()
    rows = [np.concatenate(row, axis=1) for row in ((red, solid), (yellow, green), (overlay, plot))]
    right = np.concatenate(rows, axis=0)
    canvas = np.full((max(left.shape[0], right.shape[0]), left.shape[1] + right.shape[1], 3), 40, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], left.shape[1] :] = right
    return canvas


@pytest.mark.parametrize("light", list(WORDS))
def test_one_click_gives_the_light_the_mask_and_the_map(
    assess: Callable[[str], Any], the_application: Any, tmp_path: Path, light: str
) -> None:
    manager = slicer.app.layoutManager()
    before = manager.layout
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
    for view in views():
        view.resize(*VIEW_SIZE)
    widget = assess(light)
    ui = widget.ui
    assert ui.wordLabel.text().startswith(WORDS[light]), ui.sentenceLabel.text()
    assert "review" in ui.sentenceLabel.text() or "reviewed" in ui.sentenceLabel.text()
    scene = the_application.scene
    if light in ("green", "amber"):
        assert ui.neighboursTable.rowCount() == 5
        ui.surfaceCheckBox.click()
        ui.jumpLiverButton.click()
        mask = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        assert mask.GetSegmentation().ContainsRepresentation("Closed surface")
        assert "liver" in mask.GetSegmentation().GetNthSegment(0).GetName()
    plot = scene.GetFirstNodeByClass("vtkMRMLPlotViewNode")
    series = plot.GetPlotChartNode().GetNumberOfPlotSeriesNodes()
    assert series == (3 if light == "grey" else 4), "three bands of Dice, and this case where it has a place"
    folder = Path(os.environ.get("BOTTLENECK_OOD_ARTEFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    for name in manager.sliceViewNames():
        manager.sliceWidget(name).sliceLogic().FitSliceToAll()
    ui.jumpLiverButton.click()
    manager.threeDWidget(0).threeDView().resetFocalPoint()
    Image.fromarray(picture_of(widget)).save(folder / f"panel-{light}.png")
    manager.setLayout(before)


def test_the_second_case_finds_the_model_warm(assess: Callable[[str], Any]) -> None:
    widget = assess("green")
    process = widget.logic.runner._process.pid
    assert assess("amber").logic.runner._process.pid == process
