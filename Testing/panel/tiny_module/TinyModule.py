"""A scripted module as small as can be, written as for Slicer."""

import qt
import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


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
        assert slicer.modules.TinyModuleWidget is not None
