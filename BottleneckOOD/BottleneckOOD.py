"""BottleneckOOD as a module of 3D Slicer; what it shows and does lies in ``BottleneckOODLib``."""

import sys
import time
from pathlib import Path

import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

_LIBRARY = "BottleneckOODLib"


class BottleneckOOD(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("BottleneckOOD")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["The BottleneckOOD developers"]
        parent.helpText = _(
            "Segments the liver on a CT and tells how unusual the case is among the training cases: one light, one "
            "sentence, one place on the training map. Similar is not right: review every mask. Not for clinical use."
        )
        parent.acknowledgementText = _(
            "The method follows Woodland et al., Dimensionality Reduction and Nearest Neighbors for Improving "
            "Out-of-Distribution Detection in Medical Image Segmentation, MELBA 2024:020."
        )
        slicer.app.connect("startupCompleted()", register_samples)
        slicer.app.connect("startupCompleted()", show_lights_of_opened_scenes)


def register_samples():
    """Offer the generated samples in the Sample Data module; they lie in the extension's own files."""
    import SampleData

    from BottleneckOODLib.sample_files import sample_files

    for sample in sample_files():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="BottleneckOOD",
            sampleName=sample.description,
            uris=sample.path.as_uri(),
            fileNames=sample.path.name,
            nodeNames=sample.name,
            checksums=f"SHA256:{sample.sha256}",
            loadFileType="VolumeFile",
        )


def show_lights_of_opened_scenes():
    """A scene that was saved with results shows their lights when it is opened, whichever module is."""

    def opened(_scene, _event):
        count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTextNode")
        texts = [slicer.mrmlScene.GetNthNodeByClass(index, "vtkMRMLTextNode") for index in range(count)]
        if any(text.GetAttribute("BottleneckOOD.Role") == "record" for text in texts):
            # The panel is made, not opened; it sees to the lights.
            slicer.util.getModule("BottleneckOOD").widgetRepresentation()

    slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, opened)


@parameterNodeWrapper
class BottleneckOODParameterNode:
    """What was chosen in the panel, saved with the scene."""

    inputVolume: vtkMRMLScalarVolumeNode
    model: str = "demo"
    device: str = "auto"


class BottleneckOODWidget(ScriptedLoadableModuleWidget):
    """The panel: the ``.ui`` file, bound to the library."""

    def __init__(self, parent=None):
        self.panel = None
        self.logic = None
        self.root = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        """Make the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        from BottleneckOODLib.widgets.installation import installed
        from BottleneckOODLib.widgets.panel import Panel

        self.root = slicer.util.loadUI(self.resourcePath("UI/BottleneckOOD.ui"))
        self.layout.addWidget(self.root)
        self.root.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.logic = BottleneckOODLogic()
        self.panel = Panel(
            self.ui,
            Path(self.resourcePath("")),
            slicer.mrmlScene,
            self.logic.runner,
            installed,
            self.logic.getParameterNode,
        )
        slicer.app.connect("aboutToQuit()", self.cleanup)

    def enter(self):
        """The module is opened."""
        from BottleneckOODLib.widgets.installation import look_ahead

        if self.panel is not None:
            self.panel.enter()
            look_ahead()

    def exit(self):
        """Another module is opened."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self):
        """The module is closed for good."""
        if self.panel is not None:
            # The application would hold every panel that a reload has replaced.
            slicer.app.disconnect("aboutToQuit()", self.cleanup)
            self.panel.close()
            self.panel = None
            self.logic.close()
            # Slicer never deletes its widget before this; a script that made one of its own may have. Then it is False.
            if self.root:
                # A reload only hides the widgets: those of before must not go on choosing volumes.
                self.ui.volumeSelector.blockSignals(True)
                self.root.setMRMLScene(None)

    def onReload(self):
        """Read all of the module's files again; Slicer itself reads only this one."""
        self.cleanup()
        for name in [name for name in sys.modules if name.split(".")[0] == _LIBRARY]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)
        # Nobody tells the new panel that it is open.
        reloaded = slicer.modules.BottleneckOODWidget
        reloaded.enter()


class BottleneckOODLogic(ScriptedLoadableModuleLogic):
    """The module for scripts: ``BottleneckOODLogic().assess(volumeNode)``."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        from BottleneckOODLib.worker.client import WorkerClient
        from BottleneckOODLib.worker.python_command import slicer_python

        self.runner = WorkerClient(slicer_python())

    def getParameterNode(self):
        """What is chosen in the panel, as the scene keeps it."""
        return BottleneckOODParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))

    def assess(self, volumeNode, model="demo", reference=None, device="auto", modality="unknown"):
        """Assess a volume in the worker's process, show the result in the scene, and give it back.

        Args:
            volumeNode: A ``vtkMRMLScalarVolumeNode``. Not modified.
            model: Name of an embedded or added model, or a model folder.
            reference: Name or folder of a reference; None takes the one that was made for the model.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            modality: ``CT`` or ``MR`` where the volume does not say what it is.

        Raises:
            UserError: The volume, the model or the reference cannot be used; its text is one sentence.
        """
        from BottleneckOODLib.widgets.scripted_run import assess_and_show

        return assess_and_show(
            self.runner, volumeNode, model=model, reference=reference, device=device, modality=modality
        )

    def close(self):
        """End the worker's process."""
        self.runner.close()


class BottleneckOODTest(ScriptedLoadableModuleTest):
    """The module's self-test: the whole job with the demo model, in whatever application runs it."""

    def setUp(self):
        """An empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Every test, each in an empty scene."""
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            self.delayDisplay(name.replace("_", " "))
            getattr(self, name)()
        self.setUp()

    def test_a_sample_is_assessed_and_shown(self):
        """A mask, a light and a sentence stand in the scene, and can be read from it again."""
        if not self.can_run_the_model():
            return
        from BottleneckOODLib.scene.shown_case import case_on

        node, logic = self.a_sample(0), BottleneckOODLogic()
        try:
            assessment = logic.assess(node)
        finally:
            logic.close()
        self.assertIn(assessment.light, ("green", "amber", "red"))
        self.assertIn("review", assessment.sentence)
        self.assertGreater(assessment.volume_ml, 500)
        self.assertEqual(case_on(node).score, assessment.score)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 1)

    def test_b_the_panel_does_the_same_with_one_click(self):
        """The big button, and the light at its place."""
        if not self.can_run_the_model():
            return
        node = self.a_sample(1)
        # An application without its main window has no selector of modules; the panel is there all the same.
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("BottleneckOOD")
        widget = slicer.util.getModule("BottleneckOOD").widgetRepresentation().self()
        widget.ui.volumeSelector.setCurrentNode(node)
        # A file of this kind does not say what made the image, so the panel asks.
        widget.ui.modalitySelector.currentIndex = widget.ui.modalitySelector.findData("CT")
        widget.ui.assessButton.click()
        self.wait_until(lambda: not widget.logic.runner.busy)
        self.assertIn(str(widget.ui.wordLabel.text), ("Unusual", "Very unusual"))
        self.assertTrue(widget.ui.caveatLabel.text)

    def test_c_what_cannot_be_assessed_is_one_sentence(self):
        """A refused volume leaves the scene as it was."""
        from BottleneckOODLib.errors import UserError

        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        before = slicer.mrmlScene.GetNumberOfNodes()
        logic = BottleneckOODLogic()
        try:
            with self.assertRaises(UserError) as refused:
                logic.assess(node)
        finally:
            logic.close()
        self.assertIn("empty", str(refused.exception))
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_d_what_is_missing_is_told(self):
        """The module can say what its model needs, whether or not it is installed."""
        from BottleneckOODLib.panel.dependencies import installation_plan

        plan = installation_plan()
        self.assertEqual(bool(plan.packages), bool(plan.question))

    def can_run_the_model(self):
        """Whether everything that the model needs is installed; a self-test installs nothing."""
        from BottleneckOODLib.panel.dependencies import installation_plan

        missing = installation_plan().packages
        if missing:
            self.delayDisplay(f"Left out: not installed are {', '.join(missing)}")
        return not missing

    def a_sample(self, number):
        """An embedded sample as a volume node."""
        from BottleneckOODLib import read_volume
        from BottleneckOODLib.sample_files import sample_files
        from BottleneckOODLib.scene.volume_node import add_volume_node

        sample = sample_files()[number]
        node = add_volume_node(slicer.mrmlScene, read_volume(sample.path), sample.name)
        return node

    def wait_until(self, condition, seconds=300):
        """Let the application run until something holds."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.02)
        self.assertTrue(condition())
