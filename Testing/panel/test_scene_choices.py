"""What is chosen in the panel is kept with the scene; an opened scene shows its light, whichever module is open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.catalogue import user_folder
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.volume_node import add_volume_node

MakeAssessment = Callable[..., Assessment]


def test_the_volume_that_the_views_show_is_chosen_when_the_module_is_opened(
    the_application: Any, a_volume_in_the_scene: Any, open_module: Callable[[Path], Any], repository: Path
) -> None:
    selection = the_application.application.applicationLogic().GetSelectionNode()
    selection.SetActiveVolumeID(a_volume_in_the_scene.GetID())
    widget = open_module(repository / "BottleneckOOD" / "BottleneckOOD.py")
    assert widget.ui.volumeSelector.currentNode() is a_volume_in_the_scene


def test_choices_come_back_with_the_scene(
    a_module_widget: Any,
    the_application: Any,
    a_small_ct: Volume,
    tmp_path: Path,
    spin_until: Callable[..., None],
) -> None:
    scene = the_application.scene
    add_volume_node(scene, a_small_ct, "first")
    a_module_widget.ui.volumeSelector.setCurrentNode(add_volume_node(scene, a_small_ct, "second"))
    a_module_widget.ui.deviceSelector.setCurrentIndex(a_module_widget.ui.deviceSelector.findData("cpu"))
    bundle = tmp_path / "choices.mrb"
    assert scene.WriteToMRB(str(bundle), None)
    scene.Clear()
    a_module_widget.ui.deviceSelector.setCurrentIndex(0)
    assert scene.ReadFromMRB(str(bundle), True)
    selector = a_module_widget.ui.volumeSelector
    spin_until(lambda: selector.currentNode() is not None)
    assert selector.currentNode().GetName() == "second"
    assert a_module_widget.ui.deviceSelector.currentData() == "cpu"


def test_nothing_of_a_folder_s_place_is_kept_in_the_scene(a_module_widget: Any, the_application: Any) -> None:
    parameters = a_module_widget.logic.getParameterNode()
    assert parameters.model == "demo"
    for place in (resource_folder(), user_folder()):
        assert str(place) not in the_application.scene.GetSceneXMLString()


def test_an_opened_scene_shows_its_light_although_another_module_is_open(
    a_module_widget: Any,
    the_application: Any,
    a_small_ct: Volume,
    make_assessment: MakeAssessment,
    tmp_path: Path,
) -> None:
    scene = the_application.scene
    node = add_volume_node(scene, a_small_ct, "abdomen")
    assessment = make_assessment("red", geometry=a_small_ct.geometry, case_id="abdomen")
    show(assessment, scene, node)
    bundle = tmp_path / "saved.mrb"
    assert scene.WriteToMRB(str(bundle), None)
    slicer.util.selectModule("")
    scene.Clear()
    assert scene.ReadFromMRB(str(bundle), True)
    slicer.util.setSliceViewerLayers(background=scene.GetFirstNodeByName("abdomen"))
    manager = slicer.app.layoutManager()
    written = []
    for name in manager.sliceViewNames():
        props = manager.sliceWidget(name).sliceView().renderWindow().GetRenderers().GetFirstRenderer().GetViewProps()
        actors = [props.GetItemAsObject(n) for n in range(props.GetNumberOfItems())]
        written.append(" ".join(a.GetInput() for a in actors if a.IsA("vtkTextActor") and a.GetInput()))
    assert len(written) == 3
    assert all("Very unusual" in text for text in written)


def test_the_outermost_cases_lie_within_the_axes_and_below_the_legend(
    a_module_widget: Any, the_application: Any, a_small_ct: Volume, make_assessment: MakeAssessment
) -> None:
    node = add_volume_node(the_application.scene, a_small_ct, "abdomen")
    assessment = make_assessment("red", geometry=a_small_ct.geometry, case_id="abdomen")
    chart = show(assessment, the_application.scene, node).chart
    points = np.array([(point.x, point.y) for point in assessment.map_points])
    (x_low, x_high), (y_low, y_high) = chart.GetXAxisRange(), chart.GetYAxisRange()
    assert x_low < points[:, 0].min()
    assert points[:, 0].max() < x_high
    assert y_low < points[:, 1].min()
    assert y_high - points[:, 1].max() > 0.25 * (y_high - y_low)
