"""The host opens a module as Slicer does, and answers its questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
import shiboken6
import slicer
import slicer.util
from PySide6 import QtCore, QtGui, QtWidgets


class TestPythonQtStyle:
    def test_properties_are_attributes_in_the_module_and_methods_here(self, a_tiny_panel: Any) -> None:
        a_tiny_panel.ui.button.click()
        assert a_tiny_panel.ui.button.text() == "Cancel"
        assert not a_tiny_panel.ui.button.isEnabled()

    def test_a_signature_passes_on_what_it_names(self, a_tiny_panel: Any) -> None:
        a_tiny_panel.ui.button.click()
        a_tiny_panel.ui.models.addItems(["demo", "mine"])
        a_tiny_panel.ui.models.setCurrentIndex(1)
        assert a_tiny_panel.heard == [("pressed", ()), 0, 1]

    def test_a_connection_can_be_undone(self, a_tiny_panel: Any) -> None:
        assert a_tiny_panel.ui.button.disconnect("clicked()", a_tiny_panel.press)
        a_tiny_panel.ui.button.click()
        assert a_tiny_panel.heard == []

    @pytest.mark.parametrize("signature", ["clicked", "pressedTwice()", "currentIndexChanged(QString)"])
    def test_a_signal_that_is_none_is_refused(self, a_tiny_panel: Any, signature: str) -> None:
        with pytest.raises(ValueError, match=r"signal|signature"):
            a_tiny_panel.ui.models.connect(signature, print)

    def test_what_pyside_has_and_slicer_has_not_is_not_there(self, the_application: Any) -> None:
        import qt

        for name in ("Signal", "Slot", "Property", "QtCore"):
            assert not hasattr(qt, name)

    def test_a_widget_of_the_file_is_an_instance_of_the_flat_class(self, a_tiny_panel: Any) -> None:
        import qt

        assert isinstance(a_tiny_panel.ui.button, qt.QPushButton)
        assert not isinstance(a_tiny_panel.ui.button, qt.QLabel)

    def test_timers_run(self, a_tiny_panel: Any, spin_until: Any) -> None:
        a_tiny_panel.timer.start(1)
        spin_until(lambda: "timeout" in a_tiny_panel.heard)

    def test_patience_has_an_end_that_says_what_was_waited_for(self, the_application: Any) -> None:
        with pytest.raises(AssertionError, match="1 == 2"):
            the_application.spin_until(lambda: 1 == 2, patience_s=0.05)  # noqa: PLR0133

    def test_an_exception_in_a_slot_is_noticed(self, a_tiny_panel: Any, the_application: Any) -> None:
        a_tiny_panel.ui.button.clicked.connect(a_tiny_panel.fail)
        a_tiny_panel.ui.button.click()
        assert "from a slot" in the_application.errors.pop()

    def test_an_exception_in_an_observer_is_noticed(self, a_tiny_panel: Any, the_application: Any) -> None:
        node = the_application.scene.AddNewNodeByClass("vtkMRMLTextNode")
        node.AddObserver("ModifiedEvent", lambda *_: a_tiny_panel.fail())
        node.SetText("x")
        assert all("from a slot" in error for error in the_application.errors)
        assert the_application.errors
        the_application.errors.clear()


class TestDialogs:
    @pytest.mark.parametrize(("answer", "result"), [("Ok", True), ("Cancel", False)])
    def test_a_question_gets_the_answer_of_the_test(
        self, a_tiny_panel: Any, the_application: Any, answer: str, result: bool
    ) -> None:
        the_application.answers.append(answer)
        assert a_tiny_panel.ask() is result
        (asked,) = the_application.asked
        assert (asked.title, asked.text, asked.details) == ("First use", "Install 2 GB?", "torch")
        assert set(asked.buttons) == {"Ok", "Cancel"}

    def test_a_question_without_an_answer_fails(self, a_tiny_panel: Any, the_application: Any) -> None:
        with pytest.raises(AssertionError, match="Install 2 GB"):
            a_tiny_panel.ask()
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


class TestModules:
    def test_it_is_described_entered_left_and_cleaned(self, a_tiny_panel: Any, the_application: Any) -> None:
        module = slicer.modules.tinymodule
        assert (module.title, module.name) == ("Tiny", "TinyModule")
        assert slicer.modules.TinyModuleInstance.started == 1
        assert a_tiny_panel.entered == 1
        assert Path(slicer.util.modulePath("TinyModule")).name == "TinyModule.py"
        the_application.close_module("TinyModule")
        assert (a_tiny_panel.entered, a_tiny_panel.cleaned) == (0, 1)
        assert not hasattr(slicer.modules, "tinymodule")

    def test_it_is_reloaded_by_slicers_own_function(self, a_tiny_panel: Any, a_tiny_module: Path) -> None:
        text = a_tiny_module.read_text(encoding="utf-8")
        a_tiny_module.write_text(text.replace('"Cancel"', '"Stop"'), encoding="utf-8")
        a_tiny_panel.onReload()
        anew = slicer.modules.TinyModuleWidget
        assert anew is not a_tiny_panel
        assert a_tiny_panel.cleaned == 1
        anew.ui.button.click()
        assert anew.ui.button.text() == "Stop"

    def test_the_self_test_runs(self, a_tiny_panel: Any, the_application: Any) -> None:
        slicer.selfTests["TinyModule"]()
        assert [one.text for one in the_application.asked] == ["running"]

    def test_parameters_live_in_the_scene(self, a_tiny_panel: Any, a_volume_in_the_scene: Any) -> None:
        import TinyModule

        node = TinyModule.TinyModuleLogic().getParameterNode()
        parameters = TinyModule.Parameters(node)
        assert (parameters.volume, parameters.device, parameters.fast) == (None, "auto", True)
        parameters.volume, parameters.device, parameters.fast = a_volume_in_the_scene, "cpu", False
        again = TinyModule.Parameters(TinyModule.TinyModuleLogic().getParameterNode())
        assert (again.volume, again.device, again.fast) == (a_volume_in_the_scene, "cpu", False)
        with pytest.raises(TypeError, match="device"):
            parameters.device = 3

    def test_a_picture_shows_text(self, a_tiny_panel: Any, grab: Any) -> None:
        a_tiny_panel.parent.resize(320, 300)
        picture = QtGui.QImage(str(grab(a_tiny_panel.parent, "harness-panel")))
        colours = {picture.pixelColor(x, y).lightness() for x in range(0, 320, 2) for y in range(0, 300, 2)}
        assert min(colours) < 100
        assert max(colours) > 200

    def test_settings_are_gone_in_the_next_test(self, the_application: Any) -> None:
        assert not QtCore.QSettings().contains("kept")
        QtCore.QSettings().setValue("kept", "x")
        assert slicer.util.settingsValue("kept", "") == "x"

    def test_settings_are_not_those_of_whoever_runs_this(self, the_application: Any) -> None:
        file = Path(QtCore.QSettings().fileName())
        assert file.parent.parent.name == "settings"
        assert file.parents[2].name.startswith("host-")


class TestWhatTheModuleAsksFor:
    def test_the_dicom_database_knows_what_a_test_put_in(self, the_application: Any, tmp_path: Path) -> None:
        header = pydicom.Dataset()
        header.Modality = "MR"
        header.save_as(tmp_path / "a.dcm", implicit_vr=True, little_endian=True)
        the_application.add_dicom_file("1.2.3", tmp_path / "a.dcm")
        assert slicer.dicomDatabase.instanceValue("1.2.3", "0008,0060") == "MR"
        assert slicer.dicomDatabase.instanceValue("1.2.3", "0018,0015") == ""
        assert slicer.dicomDatabase.instanceValue("9", "0008,0060") == ""

    def test_samples_are_kept_by_category_with_slicers_own_arguments(self, the_application: Any) -> None:
        import SampleData

        register = SampleData.SampleDataLogic.registerCustomSampleDataSource
        register(category="Ours", sampleName="usual", uris="file:///x.nii.gz", fileNames="x.nii.gz", nodeNames="usual")
        (source,) = slicer.modules.sampleDataSources["Ours"]
        assert (source.sampleName, source.uris) == ("usual", "file:///x.nii.gz")
        with pytest.raises(TypeError, match="sampleDescription"):
            register(category="Ours", sampleName="x", sampleDescription="y")

    def test_what_qt_has_deleted_counts_as_false(self, the_application: Any) -> None:
        import qt

        label = qt.QLabel()
        assert label
        shiboken6.delete(label)
        assert not label

    def test_quitting_is_told(self, the_application: Any) -> None:
        heard: list[int] = []
        quitting = lambda: heard.append(1)  # noqa: E731
        slicer.app.connect("aboutToQuit()", quitting)
        the_application.about_to_quit()
        slicer.app.disconnect("aboutToQuit()", quitting)
        assert heard == [1]
