"""The host behaves as Slicer does in what our module relies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
from PySide6 import QtGui, QtWidgets

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="column">
<item><widget class="ctkCollapsibleButton" name="section"><property name="text"><string>Case</string></property>
<layout class="QFormLayout" name="form">
<item row="0" column="0"><widget class="QLabel" name="volumeLabel">
<property name="text"><string>Volume</string></property></widget></item>
<item row="0" column="1"><widget class="qMRMLNodeComboBox" name="volumeSelector">
<property name="nodeTypes"><stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
<property name="noneEnabled"><bool>true</bool></property></widget></item>
<item row="1" column="0" colspan="2"><widget class="ctkSliderWidget" name="opacity">
<property name="maximum"><double>1.0</double></property><property name="singleStep"><double>0.05</double></property>
<property name="value"><double>0.5</double></property></widget></item>
<item row="2" column="0" colspan="2"><widget class="ctkPathLineEdit" name="folder">
<property name="filters"><set>ctkPathLineEdit::Dirs|ctkPathLineEdit::Readable</set></property></widget></item>
</layout></widget></item>
<item><widget class="QComboBox" name="models"/></item>
<item><widget class="QPushButton" name="button"><property name="text"><string>Assess</string></property></widget></item>
</layout></widget>
<connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>volumeSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>
"""
MODULE = '''
import ctk
import qt
import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import *


class TinyModule(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Tiny"
        parent.categories = ["Tests"]
        self.started = 0
        slicer.app.connect("startupCompleted()", self.on_startup)

    def on_startup(self):
        self.started += 1


@parameterNodeWrapper
class Parameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    device: str = "auto"
    fast: bool = True


class TinyModuleWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        root = slicer.util.loadUI(self.resourcePath("UI/TinyModule.ui"))
        self.layout.addWidget(root)
        root.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(root)
        self.heard = []
        self.ui.button.connect("clicked()", self.press)
        self.ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.heard.append)
        self.ui.models.connect("currentIndexChanged(int)", self.heard.append)
        self.timer = qt.QTimer()
        self.timer.singleShot = True
        self.timer.connect("timeout()", lambda: self.heard.append("timeout"))
        self.entered, self.cleaned = 0, 0

    def enter(self):
        self.entered += 1

    def exit(self):
        self.entered -= 1

    def cleanup(self):
        self.cleaned += 1

    def press(self, *arguments):
        self.ui.button.text = "Cancel"
        self.ui.button.enabled = False
        self.heard.append(("pressed", arguments))

    def ask(self):
        return slicer.util.confirmOkCancelDisplay("Install 2 GB?", windowTitle="First use", detailedText="torch")

    def fail(self):
        raise ValueError("from a slot")


class TinyModuleLogic(ScriptedLoadableModuleLogic):
    pass


class TinyModuleTest(ScriptedLoadableModuleTest):
    def runTest(self):
        self.delayDisplay("running")
        self.assertIsNotNone(slicer.modules.TinyModuleWidget)
'''


@pytest.fixture
def a_tiny_module(tmp_path: Path) -> Path:
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    (tmp_path / "Resources" / "UI" / "TinyModule.ui").write_text(UI, encoding="utf-8")
    path = tmp_path / "TinyModule.py"
    path.write_text(MODULE, encoding="utf-8")
    return path


@pytest.fixture
def a_panel(open_module: Any, a_tiny_module: Path) -> Any:
    return open_module(a_tiny_module)


@pytest.fixture
def a_volume_in_the_scene(the_application: Any) -> Any:
    voxels = np.zeros((20, 30, 40), np.int16)
    voxels[5:15, 10:20, 10:30] = 200
    node = slicer.util.addVolumeFromArray(voxels, name="ct")
    node.CreateDefaultDisplayNodes()
    return node


class TestPythonQtStyle:
    def test_properties_are_attributes_in_the_module_and_methods_here(self, a_panel: Any) -> None:
        a_panel.ui.button.click()
        assert a_panel.ui.button.text() == "Cancel"
        assert not a_panel.ui.button.isEnabled()

    def test_a_signature_passes_on_what_it_names(self, a_panel: Any) -> None:
        a_panel.ui.button.click()
        a_panel.ui.models.addItems(["demo", "mine"])
        a_panel.ui.models.setCurrentIndex(1)
        assert a_panel.heard == [("pressed", ()), 0, 1]

    def test_a_connection_can_be_undone(self, a_panel: Any) -> None:
        assert a_panel.ui.button.disconnect("clicked()", a_panel.press)
        a_panel.ui.button.click()
        assert a_panel.heard == []

    @pytest.mark.parametrize("signature", ["clicked", "pressedTwice()", "currentIndexChanged(QString)"])
    def test_a_signal_that_is_none_is_refused(self, a_panel: Any, signature: str) -> None:
        with pytest.raises(ValueError, match=r"signal|signature"):
            a_panel.ui.models.connect(signature, print)

    def test_what_pyside_has_and_slicer_has_not_is_not_there(self, the_application: Any) -> None:
        import qt

        for name in ("Signal", "Slot", "Property", "QtCore"):
            assert not hasattr(qt, name)

    def test_a_widget_of_the_file_is_an_instance_of_the_flat_class(self, a_panel: Any) -> None:
        import qt

        assert isinstance(a_panel.ui.button, qt.QPushButton)
        assert not isinstance(a_panel.ui.button, qt.QLabel)

    def test_timers_run(self, a_panel: Any, spin_until: Any) -> None:
        a_panel.timer.start(1)
        spin_until(lambda: "timeout" in a_panel.heard)

    def test_patience_has_an_end_that_says_what_was_waited_for(self, the_application: Any) -> None:
        with pytest.raises(AssertionError, match="1 == 2"):
            the_application.spin_until(lambda: 1 == 2, patience_s=0.05)  # noqa: PLR0133

    def test_an_exception_in_a_slot_is_noticed(self, a_panel: Any, the_application: Any) -> None:
        a_panel.ui.button.clicked.connect(a_panel.fail)
        a_panel.ui.button.click()
        assert "from a slot" in the_application.errors.pop()

    def test_an_exception_in_an_observer_is_noticed(self, a_panel: Any, the_application: Any) -> None:
        node = the_application.scene.AddNewNodeByClass("vtkMRMLTextNode")
        node.AddObserver("ModifiedEvent", lambda *_: a_panel.fail())
        node.SetText("x")
        assert all("from a slot" in error for error in the_application.errors)
        assert the_application.errors
        the_application.errors.clear()


class TestNodeComboBox:
    def test_it_follows_the_scene(self, a_panel: Any, the_application: Any, a_volume_in_the_scene: Any) -> None:
        selector, scene = a_panel.ui.volumeSelector, the_application.scene
        assert (selector.nodeCount(), selector.currentNode()) == (1, None)
        second = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "second")
        scene.AddNewNodeByClass("vtkMRMLModelNode", "no volume")
        assert [selector.nodeFromIndex(i).GetName() for i in range(selector.nodeCount())] == ["ct", "second"]
        second.SetName("renamed")
        combo = selector.findChild(QtWidgets.QComboBox)
        assert [combo.itemText(i) for i in range(combo.count())] == ["None", "ct", "renamed"]
        scene.RemoveNode(a_volume_in_the_scene)
        assert selector.nodeCount() == 1

    def test_choosing_is_heard_once(self, a_panel: Any, a_volume_in_the_scene: Any) -> None:
        selector = a_panel.ui.volumeSelector
        selector.setCurrentNode(a_volume_in_the_scene)
        selector.setCurrentNodeID(a_volume_in_the_scene.GetID())
        assert a_panel.heard == [a_volume_in_the_scene]
        assert selector.currentNodeID == a_volume_in_the_scene.GetID()
        selector.setCurrentNode(None)
        assert a_panel.heard[1:] == [None]

    def test_closing_the_scene_chooses_nothing(
        self, a_panel: Any, the_application: Any, a_volume_in_the_scene: Any
    ) -> None:
        a_panel.ui.volumeSelector.setCurrentNode(a_volume_in_the_scene)
        the_application.scene.Clear(0)
        assert a_panel.heard[-1] is None
        assert a_panel.ui.volumeSelector.nodeCount() == 0

    def test_a_label_map_is_a_child_type(self, a_panel: Any, the_application: Any) -> None:
        selector = a_panel.ui.volumeSelector
        the_application.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
        assert selector.nodeCount() == 1
        selector.showChildNodeTypes = False
        assert selector.nodeCount() == 0

    def test_without_none_the_first_volume_is_chosen(self, a_panel: Any, a_volume_in_the_scene: Any) -> None:
        a_panel.ui.volumeSelector.noneEnabled = False
        assert a_panel.ui.volumeSelector.currentNode() is a_volume_in_the_scene


class TestCtkWidgets:
    def test_a_collapsed_section_hides_what_is_in_it(self, a_panel: Any) -> None:
        heard: list[bool] = []
        a_panel.ui.section.connect("contentsCollapsed(bool)", heard.append)
        a_panel.ui.section.collapsed = True
        assert a_panel.ui.opacity.isHidden()
        a_panel.ui.section.collapsed = False
        assert not a_panel.ui.opacity.isHidden()
        assert heard == [True, False]

    def test_what_was_hidden_stays_hidden_when_it_opens(self, a_panel: Any) -> None:
        a_panel.ui.opacity.hide()
        a_panel.ui.section.collapsed = True
        a_panel.ui.section.collapsed = False
        assert a_panel.ui.opacity.isHidden()

    def test_the_slider_keeps_its_range_and_tells_its_value(self, a_panel: Any) -> None:
        slider, heard = a_panel.ui.opacity, []
        assert (slider.minimum, slider.maximum, slider.value) == (0.0, 1.0, 0.5)
        slider.connect("valueChanged(double)", heard.append)
        slider.value = 7.0
        slider.slider().value = 0.25
        assert heard == [1.0, 0.25]
        assert slider.spinBox().value() == 0.25

    def test_the_path_is_browsed_for(self, a_panel: Any, the_application: Any, tmp_path: Path) -> None:
        heard: list[str] = []
        a_panel.ui.folder.connect("currentPathChanged(QString)", heard.append)
        the_application.answers.append(str(tmp_path))
        a_panel.ui.folder.browse()
        assert a_panel.ui.folder.currentPath == heard[-1] == str(tmp_path)
        assert the_application.asked[0].kind == "file"


class TestDialogs:
    @pytest.mark.parametrize(("answer", "result"), [("Ok", True), ("Cancel", False)])
    def test_a_question_gets_the_answer_of_the_test(
        self, a_panel: Any, the_application: Any, answer: str, result: bool
    ) -> None:
        the_application.answers.append(answer)
        assert a_panel.ask() is result
        (asked,) = the_application.asked
        assert (asked.title, asked.text, asked.details) == ("First use", "Install 2 GB?", "torch")
        assert set(asked.buttons) == {"Ok", "Cancel"}

    def test_a_question_without_an_answer_fails(self, a_panel: Any, the_application: Any) -> None:
        with pytest.raises(AssertionError, match="Install 2 GB"):
            a_panel.ask()
        assert the_application.dialogs.unanswered.pop().title == "First use"

    def test_what_is_only_told_needs_no_answer(self, the_application: Any) -> None:
        slicer.util.errorDisplay("One sentence.", detailedText="many lines")
        assert [(one.text, one.details) for one in the_application.asked] == [("One sentence.", "many lines")]

    def test_a_dialog_is_filled_in_by_a_function(self, the_application: Any) -> None:
        import qt

        dialog = qt.QDialog()
        field, button = qt.QLineEdit(dialog), qt.QPushButton("Keep", dialog)
        button.connect("clicked()", dialog.accept)

        def fill_in(shown: Any) -> None:
            shown.findChild(QtWidgets.QLineEdit).setText("a reason")
            button.click()

        the_application.answers.append(fill_in)
        assert dialog.exec_() == qt.QDialog.Accepted
        assert field.text() == "a reason"


class TestViews:
    def test_a_slice_view_shows_the_volume(self, the_application: Any, a_volume_in_the_scene: Any, grab: Any) -> None:
        manager = the_application.application.layoutManager()
        assert set(manager.sliceViewNames()) == {"Red", "Green", "Yellow"}
        widget = manager.sliceWidget("Red")
        empty = QtGui.QImage(str(grab(widget.sliceView(), "harness-empty-view")))
        slicer.util.setSliceViewerLayers(background=a_volume_in_the_scene, fit=True)
        shown = QtGui.QImage(str(grab(widget.sliceView(), "harness-slice-view")))
        middle = shown.rect().center()
        assert empty.pixelColor(middle).lightness() < 30
        assert shown.pixelColor(middle).lightness() > 200
        assert widget.sliceLogic().GetBackgroundLayer().GetVolumeNode() is a_volume_in_the_scene

    def test_the_layout_is_heard_and_makes_a_plot_view(self, the_application: Any) -> None:
        manager, heard = the_application.application.layoutManager(), []
        manager.connect("layoutChanged(int)", heard.append)
        wanted = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView
        manager.setLayout(wanted)
        assert manager.layout == wanted
        assert heard == [wanted]
        assert manager.plotWidget(0).mrmlPlotViewNode().IsA("vtkMRMLPlotViewNode")
        assert manager.plotWidget(7) is None
        manager.disconnect("layoutChanged(int)", heard.append)

    def test_a_surface_is_seen_in_3d(self, the_application: Any) -> None:
        import vtk
        from qt_harness.views import pixels_of

        view = the_application.application.layoutManager().threeDWidget(0).threeDView()
        before = pixels_of(view)
        sphere = vtk.vtkSphereSource()
        sphere.SetRadius(60)
        sphere.Update()
        model = the_application.scene.AddNewNodeByClass("vtkMRMLModelNode", "ball")
        model.SetAndObservePolyData(sphere.GetOutput())
        model.CreateDefaultDisplayNodes()
        view.resetFocalPoint()
        view.resetCamera()
        assert (pixels_of(view) != before).any()

    def test_a_click_on_a_point_tells_series_and_row(self, the_application: Any) -> None:
        from qt_harness.plot_view import select_points

        scene = the_application.scene
        table = scene.AddNewNodeByClass("vtkMRMLTableNode", "map")
        slicer.util.updateTableFromArray(table, (np.array([0.0, 1.0, 2.0]), np.array([5.0, 6.0, 7.0])), ("x", "y"))
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "training")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("x")
        series.SetYColumnName("y")
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "chart")
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
        manager = the_application.application.layoutManager()
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalPlotView)
        widget = manager.plotWidget(0)
        widget.mrmlPlotViewNode().SetPlotChartNodeID(chart.GetID())
        heard: list[tuple[str, int]] = []
        receiver = lambda ids, rows: heard.append((ids.GetValue(0), int(rows.GetItemAsObject(0).GetTuple1(0))))  # noqa: E731
        widget.plotView().connect("dataSelected(vtkStringArray*,vtkCollection*)", receiver)
        select_points(widget.plotView(), series, [2])
        assert heard == [(series.GetID(), 2)]
        widget.plotView().disconnect("dataSelected(vtkStringArray*,vtkCollection*)", receiver)


class TestModules:
    def test_it_is_described_entered_left_and_cleaned(self, a_panel: Any, the_application: Any) -> None:
        module = slicer.modules.tinymodule
        assert (module.title, module.name) == ("Tiny", "TinyModule")
        assert slicer.modules.TinyModuleInstance.started == 1
        assert a_panel.entered == 1
        assert Path(slicer.util.modulePath("TinyModule")).name == "TinyModule.py"
        the_application.close_module("TinyModule")
        assert (a_panel.entered, a_panel.cleaned) == (0, 1)
        assert not hasattr(slicer.modules, "tinymodule")

    def test_it_is_reloaded_by_slicers_own_function(self, a_panel: Any, a_tiny_module: Path) -> None:
        a_tiny_module.write_text(MODULE.replace('"Cancel"', '"Stop"'), encoding="utf-8")
        a_panel.onReload()
        anew = slicer.modules.TinyModuleWidget
        assert anew is not a_panel
        assert a_panel.cleaned == 1
        anew.ui.button.click()
        assert anew.ui.button.text() == "Stop"

    def test_the_self_test_runs(self, a_panel: Any, the_application: Any) -> None:
        slicer.selfTests["TinyModule"]()
        assert [one.text for one in the_application.asked] == ["running"]

    def test_parameters_live_in_the_scene(self, a_panel: Any, a_volume_in_the_scene: Any) -> None:
        import TinyModule

        node = TinyModule.TinyModuleLogic().getParameterNode()
        parameters = TinyModule.Parameters(node)
        assert (parameters.volume, parameters.device, parameters.fast) == (None, "auto", True)
        parameters.volume, parameters.device, parameters.fast = a_volume_in_the_scene, "cpu", False
        again = TinyModule.Parameters(TinyModule.TinyModuleLogic().getParameterNode())
        assert (again.volume, again.device, again.fast) == (a_volume_in_the_scene, "cpu", False)
        with pytest.raises(TypeError, match="device"):
            parameters.device = 3

    def test_a_picture_shows_text(self, a_panel: Any, grab: Any) -> None:
        a_panel.parent.resize(320, 300)
        picture = QtGui.QImage(str(grab(a_panel.parent, "harness-panel")))
        colours = {picture.pixelColor(x, y).lightness() for x in range(0, 320, 2) for y in range(0, 300, 2)}
        assert min(colours) < 100
        assert max(colours) > 200

    def test_settings_are_gone_in_the_next_test(self, the_application: Any) -> None:
        assert not the_application.application.userSettings().contains("kept")
        the_application.application.userSettings().setValue("kept", "x")
        assert slicer.util.settingsValue("kept", "") == "x"

    def test_settings_are_not_those_of_whoever_runs_this(self, the_application: Any) -> None:
        file = Path(the_application.application.userSettings().fileName())
        assert Path(the_application.application.slicerHome) in file.parents
