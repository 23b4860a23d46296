"""Everything outside ``slicer-core`` that our module relies on, and where it is declared.

Two lists: what belongs to Slicer and CTK (the stand-ins of ``qt_harness`` define exactly this), and what belongs to Qt.
Whoever calls something new looks it up there first and adds it here. Slicer 5.10 is built with Qt 5.15, the host runs
on Qt 6: a name of Qt must be in both.
"""

from __future__ import annotations

# Repository and file; in it class and names. What the script repository shows are objects of the running application;
# what is listed of slicer/util.py is part of the wheel too, but needs an application.
_DECLARED = """
Slicer/Slicer Base/QTCore/qSlicerCoreApplication.h
    qSlicerApplication: applicationLogic moduleManager testingEnabled
Slicer/Slicer Base/QTGUI/qSlicerApplication.h
    qSlicerApplication: layoutManager startupCompleted()
Slicer/Slicer Base/QTCore/qSlicerModuleManager.h
    qSlicerModuleManager: module moduleAboutToBeUnloaded(QString)
Slicer/Slicer Base/QTGUI/qSlicerModuleSelectorToolBar.h
    qSlicerModuleSelectorToolBar: selectModule
Slicer/Slicer Base/QTApp/qSlicerMainWindow.h
    qSlicerMainWindow: moduleSelector
Slicer/Slicer Base/QTCore/qSlicerAbstractCoreModule.h
    qSlicerScriptedLoadableModule: name path widgetRepresentation
Slicer/Slicer Base/QTGUI/qSlicerScriptedLoadableModule.h
    qSlicerScriptedLoadableModule: title categories dependencies contributors helpText acknowledgementText
Slicer/Slicer Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h
    qSlicerScriptedLoadableModuleWidget: reload self
Slicer/Slicer Libs/MRML/Widgets/qMRMLWidget.h
    qMRMLWidget: setMRMLScene mrmlSceneChanged(vtkMRMLScene*)
Slicer/Slicer Libs/MRML/Widgets/qMRMLNodeComboBox.h
    qMRMLNodeComboBox: mrmlScene setMRMLScene currentNode setCurrentNode nodeTypes showChildNodeTypes noneEnabled
        addEnabled removeEnabled renameEnabled currentNodeChanged(vtkMRMLNode*)
Slicer/Slicer Libs/MRML/Widgets/qMRMLLayoutManager.h
    qSlicerLayoutManager: layout setLayout layoutChanged mrmlSliceLogics sliceViewNames sliceWidget threeDWidget
        threeDViewCount plotWidget plotViewCount
Slicer/Slicer Libs/MRML/Widgets/qMRMLSliceWidget.h
    qMRMLSliceWidget: sliceLogic sliceView
Slicer/Slicer Libs/MRML/Widgets/qMRMLThreeDWidget.h
    qMRMLThreeDWidget: threeDView
Slicer/Slicer Libs/MRML/Widgets/qMRMLThreeDView.h
    qMRMLThreeDView: resetFocalPoint
Slicer/Slicer Libs/MRML/Widgets/qMRMLPlotWidget.h
    qMRMLPlotWidget: plotView
Slicer/Slicer Libs/MRML/Widgets/qMRMLPlotView.h
    qMRMLPlotView: RemovePlotSelections dataSelected(vtkStringArray*,vtkCollection*)
Slicer/Slicer Base/Python/slicer/ScriptedLoadableModule.py
    ScriptedLoadableModule: resourcePath runTest
    ScriptedLoadableModuleWidget: resourcePath setup cleanup onReload
    ScriptedLoadableModuleLogic: getParameterNode
    ScriptedLoadableModuleTest: delayDisplay runTest
    slicer.ScriptedLoadableModule: ScriptedLoadableModule ScriptedLoadableModuleWidget
        ScriptedLoadableModuleLogic ScriptedLoadableModuleTest
Slicer/Slicer Base/Python/slicer/parameterNodeWrapper/wrapper.py
    slicer.parameterNodeWrapper: parameterNodeWrapper
Slicer/Slicer Base/Python/slicer/i18n.py
    slicer.i18n: tr translate
Slicer/Slicer Base/Python/slicer/util.py
    slicer.util: loadUI childWidgetVariables mainWindow selectModule getModule
        confirmOkCancelDisplay errorDisplay infoDisplay createProgressDialog setSliceViewerLayers
Slicer/Slicer Docs/developer_guide/script_repository
    slicer: app mrmlScene modules dicomDatabase
    slicer.modules: BottleneckOODWidget
Slicer/Slicer Modules/Scripted/SampleData/SampleData.py
    SampleData: SampleDataLogic
    SampleDataLogic: registerCustomSampleDataSource
commontk/CTK Libs/Visualization/VTK/Widgets/ctkVTKAbstractView.h
    ctkVTKAbstractView: renderWindow scheduleRender
commontk/CTK Libs/Visualization/VTK/Widgets/ctkVTKChartView.h
    qMRMLPlotView: chart
commontk/CTK Libs/Widgets/ctkCollapsibleButton.h
    ctkCollapsibleButton: collapsed
commontk/CTK Libs/Widgets/ctkSliderWidget.h
    ctkSliderWidget: minimum maximum singleStep decimals value setValue valueChanged
commontk/CTK Libs/Widgets/ctkPathLineEdit.h
    ctkPathLineEdit: Dirs currentPath filters browse
    ctk: ctkPathLineEdit
    ctk.ctkPathLineEdit: Dirs
commontk/CTK Libs/Widgets/ctkMessageBox.h
    ctk: ctkMessageBox
commontk/CTK Libs/DICOM/Core/ctkDICOMDatabase.h
    ctkDICOMDatabase: isOpen instanceValue
"""

def _read(table: str) -> dict[str, str]:
    calls, where, owner = {}, "", ""
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            where = line
            continue
        head, colon, names = line.strip().rpartition(": ")
        owner = head if colon else owner
        calls.update({f"{owner}.{name}": where for name in names.split()})
    return calls


HOST_CALLS: dict[str, str] = _read(_DECLARED)
"""Owner and name, such as ``"qMRMLNodeComboBox.currentNode"``, and the repository's file where it is declared."""

APPLICATION_KEYS: dict[str, str] = {
    "Base/QTApp/Resources/UI/qSlicerMainWindow.ui": "Ctrl+O Ctrl+S Ctrl+W Ctrl+Z Ctrl+Y Ctrl+X Ctrl+C Ctrl+V Ctrl+H"
    " Ctrl+0 Ctrl+1 Ctrl+2 Ctrl+3 Ctrl+4 Ctrl+5 Ctrl+6",
    "Base/QTGUI/qSlicerModuleSelectorToolBar.cxx": "Ctrl+F",
    "Modules/Loadable/Markups/Widgets/qMRMLMarkupsToolBar.cxx": "Ctrl+Shift+A Ctrl+Shift+T Ctrl+Shift+Space",
    "Modules/Loadable/Sequences/Widgets/qMRMLSequenceBrowserToolBar.cxx": "Ctrl+Shift+Down Ctrl+Shift+Left"
    " Ctrl+Shift+Right",
    "Docs/user_guide/user_interface.md": "Ctrl+B Ctrl+G",
}
"""Keys of Slicer's own main window and tool bars, by the file of Slicer/Slicer where they stand. Qt lets neither of two
shortcuts act that have the same keys in one window."""

NOT_CALLED_BY_THE_MODULE: dict[str, str] = {
    # The wheel's own functions, which the module or Slicer's reloading calls, reach for these.
    # A person presses its button.
    "ctkPathLineEdit.browse": "test_reference_panel.py",
    "qSlicerMainWindow.moduleSelector": "slicer.util.moduleSelector",
    "qSlicerModuleSelectorToolBar.selectModule": "slicer.util.selectModule",
    "ctk.ctkMessageBox": "slicer.util.messageBox",
    "qSlicerApplication.moduleManager": "slicer.util.reloadScriptedModule",
    "qSlicerModuleManager.module": "slicer.util.getModule",
    "qSlicerModuleManager.moduleAboutToBeUnloaded(QString)": "slicer.util.reloadScriptedModule",
    "qSlicerScriptedLoadableModuleWidget.reload": "slicer.util.reloadScriptedModule",
    # With ``fit``, which tests ask for.
    "qSlicerLayoutManager.mrmlSliceLogics": "slicer.util.setSliceViewerLayers",
    # A person chooses a volume or a layout in Slicer's own tools: tests have no other hands.
    "qSlicerApplication.applicationLogic": "test_scene_choices.py",
    "qSlicerLayoutManager.setLayout": "test_the_views.py",
    # Whether a panel that was reloaded still follows the scene.
    "qMRMLNodeComboBox.mrmlScene": "test_the_views.py",
}
"""Listed although the module's files do not name them, and who does: a function of the wheel or a test's file."""

QT_CALLS: dict[str, str] = {
    "QAbstractButton": "checked click clicked() text toggled(bool)",
    "QApplication": "",
    "QBoxLayout": "addWidget",
    "QClipboard": "setText",
    "QComboBox": "addItem clear currentIndex currentIndexChanged(int) findData itemData",
    "QCoreApplication": "aboutToQuit() processEvents",
    "QDialog": "",
    "QFileDialog": "getExistingDirectory",
    "QGuiApplication": "clipboard",
    "QKeySequence": "",
    "QLabel": "pixmap text",
    "QLineEdit": "text textChanged(QString)",
    "QListWidget": "addItem item itemChanged(QListWidgetItem*)",
    "QListWidgetItem": "checkState setCheckState setToolTip",
    # By signature, as PythonQt has it.
    "QMessageBox": "AcceptRole DestructiveRole RejectRole addButton clickedButton exec_ text",
    "QObject": "blockSignals connect deleteLater disconnect",
    "QPixmap": "",
    "QPlainTextEdit": "plainText textChanged()",
    "QProgressBar": "value",
    "QProgressDialog": "labelText wasCanceled",
    "QSettings": "setValue value",
    "QShortcut": "activated() enabled",
    "QSpinBox": "value valueChanged(int)",
    "QTableView": "resizeColumnsToContents",
    "QTableWidget": "currentRow itemSelectionChanged() rowCount setCurrentCell setItem",
    "QTableWidgetItem": "",
    "QTextBrowser": "",
    "QTextEdit": "html",
    "QTimer": "active interval singleShot start stop timeout()",
    "QVBoxLayout": "",
    "QWidget": "accessibleName activateWindow close enabled resize show toolTip visible windowTitle",
    "Qt": "Checked KeepAspectRatio SmoothTransformation Unchecked",
}
"""Classes of Qt and what we use of them; https://doc.qt.io/qt-5.15/ has a page for each, such as ``qcombobox.html``."""
