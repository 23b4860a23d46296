"""The stand-ins for CTK and qMRML widgets behave as the real ones do in what our module relies on."""

from __future__ import annotations

from typing import Any

from PySide6 import QtWidgets


def names_in(selector: Any) -> list[str]:
    combo = selector.findChild(QtWidgets.QComboBox)
    return [combo.itemText(i) for i in range(combo.count())]


class TestNodeComboBox:
    def test_it_follows_the_scene(self, a_tiny_panel: Any, the_application: Any, a_volume_in_the_scene: Any) -> None:
        selector, scene = a_tiny_panel.ui.volumeSelector, the_application.scene
        assert (names_in(selector), selector.currentNode()) == (["None", "ct"], None)
        second = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "second")
        scene.AddNewNodeByClass("vtkMRMLModelNode", "no volume")
        assert names_in(selector) == ["None", "ct", "second"]
        second.SetName("renamed")
        assert names_in(selector) == ["None", "ct", "renamed"]
        scene.RemoveNode(a_volume_in_the_scene)
        assert names_in(selector) == ["None", "renamed"]

    def test_choosing_is_heard_once(self, a_tiny_panel: Any, a_volume_in_the_scene: Any) -> None:
        selector = a_tiny_panel.ui.volumeSelector
        selector.setCurrentNode(a_volume_in_the_scene)
        selector.setCurrentNode(a_volume_in_the_scene)
        assert a_tiny_panel.heard == [a_volume_in_the_scene]
        selector.setCurrentNode(None)
        assert a_tiny_panel.heard[1:] == [None]

    def test_closing_the_scene_chooses_nothing(
        self, a_tiny_panel: Any, the_application: Any, a_volume_in_the_scene: Any
    ) -> None:
        a_tiny_panel.ui.volumeSelector.setCurrentNode(a_volume_in_the_scene)
        the_application.scene.Clear(0)
        assert a_tiny_panel.heard[-1] is None
        assert names_in(a_tiny_panel.ui.volumeSelector) == ["None"]

    def test_a_label_map_is_a_child_type(self, a_tiny_panel: Any, the_application: Any) -> None:
        selector = a_tiny_panel.ui.volumeSelector
        the_application.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
        assert names_in(selector) == ["None", "labels"]
        selector.showChildNodeTypes = False
        assert names_in(selector) == ["None"]

    def test_without_none_the_first_volume_is_chosen(self, a_tiny_panel: Any, a_volume_in_the_scene: Any) -> None:
        a_tiny_panel.ui.volumeSelector.noneEnabled = False
        assert a_tiny_panel.ui.volumeSelector.currentNode() is a_volume_in_the_scene


class TestCtkWidgets:
    def test_a_collapsed_section_hides_what_is_in_it(self, a_tiny_panel: Any) -> None:
        a_tiny_panel.ui.section.collapsed = True
        assert a_tiny_panel.ui.opacity.isHidden()
        a_tiny_panel.ui.section.collapsed = False
        assert not a_tiny_panel.ui.opacity.isHidden()

    def test_a_section_that_is_collapsed_in_the_file_shows_nothing_until_it_is_opened(self, a_tiny_panel: Any) -> None:
        ui = a_tiny_panel.ui
        height = ui.folded.sizeHint().height()
        assert ui.inside.isHidden()
        ui.folded.collapsed = False
        assert not ui.inside.isHidden()
        assert ui.folded.sizeHint().height() > height

    def test_what_was_hidden_stays_hidden_when_it_opens(self, a_tiny_panel: Any) -> None:
        a_tiny_panel.ui.opacity.hide()
        a_tiny_panel.ui.section.collapsed = True
        a_tiny_panel.ui.section.collapsed = False
        assert a_tiny_panel.ui.opacity.isHidden()

    def test_the_slider_keeps_its_range_and_tells_its_value(self, a_tiny_panel: Any) -> None:
        slider, heard = a_tiny_panel.ui.opacity, []
        assert (slider.minimum, slider.maximum, slider.value) == (0.0, 1.0, 0.5)
        slider.connect("valueChanged(double)", heard.append)
        slider.value = 7.0
        slider.findChild(QtWidgets.QSlider).setValue(5)
        assert heard == [1.0, 0.25]
        assert slider.findChild(QtWidgets.QDoubleSpinBox).value() == 0.25
