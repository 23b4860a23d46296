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
    qSlicerApplication: mrmlScene applicationLogic moduleManager coreIOManager userSettings testingEnabled
        restart slicerHome temporaryPath majorVersion minorVersion revision os mainApplicationName
Slicer/Slicer Base/QTGUI/qSlicerApplication.h
    qSlicerApplication: layoutManager pauseRender resumeRender startupCompleted()
Slicer/Slicer Base/QTCore/qSlicerModuleManager.h
    qSlicerModuleManager: module moduleAboutToBeUnloaded(QString)
Slicer/Slicer Base/QTCore/qSlicerCoreIOManager.h
    qSlicerCoreIOManager: fileType loadNodes
Slicer/Slicer Base/QTGUI/qSlicerModuleSelectorToolBar.h
    qSlicerModuleSelectorToolBar: selectModule selectedModule
Slicer/Slicer Base/QTApp/qSlicerMainWindow.h
    qSlicerMainWindow: moduleSelector
Slicer/Slicer Base/QTCore/qSlicerAbstractCoreModule.h
    qSlicerScriptedLoadableModule: name path widgetRepresentation
Slicer/Slicer Base/QTGUI/qSlicerScriptedLoadableModule.h
    qSlicerScriptedLoadableModule: title categories dependencies contributors helpText acknowledgementText
        hidden icon
Slicer/Slicer Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h
    qSlicerScriptedLoadableModuleWidget: self reload moduleName
Slicer/Slicer Libs/MRML/Widgets/qMRMLWidget.h
    qMRMLWidget: mrmlScene setMRMLScene mrmlSceneChanged(vtkMRMLScene*)
Slicer/Slicer Libs/MRML/Widgets/qMRMLNodeComboBox.h
    qMRMLNodeComboBox: mrmlScene setMRMLScene currentNode setCurrentNode setCurrentNodeID setCurrentNodeIndex
        currentNodeID nodeCount nodeFromIndex addAttribute nodeTypes hideChildNodeTypes showChildNodeTypes
        showHidden noneEnabled noneDisplay addEnabled removeEnabled editEnabled renameEnabled
        selectNodeUponCreation baseName currentNodeIDChanged nodeAdded(vtkMRMLNode*)
        currentNodeChanged(vtkMRMLNode*) currentNodeChanged(bool)
Slicer/Slicer Libs/MRML/Widgets/qMRMLLayoutManager.h
    qSlicerLayoutManager: layout setLayout layoutChanged layoutLogic mrmlScene mrmlSliceLogics sliceViewNames
        sliceWidget threeDWidget threeDViewCount plotWidget plotViewCount resetSliceViews resetThreeDViews
Slicer/Slicer Libs/MRML/Widgets/qMRMLSliceWidget.h
    qMRMLSliceWidget: sliceLogic sliceView mrmlSliceNode mrmlSliceCompositeNode fitSliceToBackground
Slicer/Slicer Libs/MRML/Widgets/qMRMLSliceView.h
    qMRMLSliceView: mrmlSliceNode
Slicer/Slicer Libs/MRML/Widgets/qMRMLThreeDWidget.h
    qMRMLThreeDWidget: threeDView mrmlViewNode
Slicer/Slicer Libs/MRML/Widgets/qMRMLThreeDView.h
    qMRMLThreeDView: mrmlViewNode resetFocalPoint resetCamera
Slicer/Slicer Libs/MRML/Widgets/qMRMLPlotWidget.h
    qMRMLPlotWidget: plotView mrmlPlotViewNode
Slicer/Slicer Libs/MRML/Widgets/qMRMLPlotView.h
    qMRMLPlotView: mrmlPlotViewNode fitToContent RemovePlotSelections
        dataSelected(vtkStringArray*,vtkCollection*)
Slicer/Slicer Base/Python/slicer/ScriptedLoadableModule.py
    ScriptedLoadableModule: resourcePath runTest
    ScriptedLoadableModuleWidget: resourcePath setup cleanup onReload
    ScriptedLoadableModuleLogic: getParameterNode createParameterNode
    ScriptedLoadableModuleTest: delayDisplay runTest
    slicer.ScriptedLoadableModule: ScriptedLoadableModule ScriptedLoadableModuleWidget
        ScriptedLoadableModuleLogic ScriptedLoadableModuleTest
Slicer/Slicer Base/Python/slicer/parameterNodeWrapper/wrapper.py
    slicer.parameterNodeWrapper: parameterNodeWrapper
Slicer/Slicer Base/Python/slicer/i18n.py
    slicer.i18n: tr translate
Slicer/Slicer Base/Python/slicer/util.py
    slicer.util: loadUI childWidgetVariables mainWindow selectModule getModule
        pip_install confirmOkCancelDisplay errorDisplay infoDisplay createProgressDialog
Slicer/Slicer Base/Python/slicer/packaging.py
    slicer.packaging: load_requirements pip_check pip_install
fepegar/SlicerPyTorch PyTorchUtils/PyTorchUtils.py
    PyTorchUtils: PyTorchUtilsLogic
    PyTorchUtilsLogic: installTorch torchInstalled
Slicer/Slicer Docs/developer_guide/script_repository
    slicer: app mrmlScene modules dicomDatabase
    slicer.modules: BottleneckOODWidget
Slicer/Slicer Modules/Scripted/SampleData/SampleData.py
    SampleData: SampleDataLogic
    SampleDataLogic: registerCustomSampleDataSource sampleDataSourcesByCategory
commontk/CTK Libs/Visualization/VTK/Widgets/ctkVTKAbstractView.h
    ctkVTKAbstractView: renderWindow interactor cornerAnnotation scheduleRender forceRender
commontk/CTK Libs/Visualization/VTK/Widgets/ctkVTKRenderView.h
    qMRMLThreeDView: renderer
commontk/CTK Libs/Visualization/VTK/Widgets/ctkVTKChartView.h
    qMRMLPlotView: chart
commontk/CTK Libs/Widgets/ctkCollapsibleButton.h
    ctkCollapsibleButton: collapsed collapsedHeight contentsLineWidth contentsCollapsed
commontk/CTK Libs/Widgets/ctkDoubleSlider.h
    ctkDoubleSlider: minimum maximum singleStep value valueChanged
commontk/CTK Libs/Widgets/ctkSliderWidget.h
    ctkSliderWidget: minimum maximum singleStep pageStep decimals value setValue valueChanged valueIsChanging
        prefix suffix tracking tickInterval spinBox slider spinBoxVisible
commontk/CTK Libs/Widgets/ctkPathLineEdit.h
    ctkPathLineEdit: Dirs Files Drives NoSymLinks Readable Writable Executable AllEntries currentPath
        setCurrentPath currentPathChanged validInputChanged filters label nameFilters settingKey
        showHistoryButton showBrowseButton browse addCurrentPathToHistory comboBox
commontk/CTK Libs/Widgets/ctkMessageBox.h
    ctkMessageBox: dontShowAgain dontShowAgainSettingsKey
commontk/CTK Libs/DICOM/Core/ctkDICOMDatabase.h
    ctkDICOMDatabase: isOpen fileForInstance instanceValue
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
    "QObject": "blockSignals connect deleteLater disconnect",
    "QPixmap": "",
    "QPlainTextEdit": "plainText textChanged()",
    "QProgressBar": "value",
    "QProgressDialog": "labelText wasCanceled",
    "QSettings": "setValue value",
    "QShortcut": "activated() enabled",
    "QTableView": "resizeColumnsToContents",
    "QTableWidget": "currentRow itemSelectionChanged() rowCount setItem",
    "QTableWidgetItem": "",
    "QTextBrowser": "",
    "QTextEdit": "html",
    "QTimer": "active interval singleShot start stop timeout()",
    "QVBoxLayout": "",
    "QWidget": "accessibleName activateWindow close enabled resize show toolTip visible windowTitle",
    "Qt": "Checked KeepAspectRatio SmoothTransformation Unchecked",
}
"""Classes of Qt and what we use of them; https://doc.qt.io/qt-5.15/ has a page for each, such as ``qcombobox.html``."""
