"""Stand-ins for the CTK widgets of a .ui file: the properties and signals of the real ones, drawn plainly."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from qt_harness.pythonqt import PythonQtType


def plain_property(kind: Any, name: str, default: Any) -> QtCore.Property:
    """A property that is kept and has no effect here."""
    key = f"_{name}"

    def read(self: Any) -> Any:
        return self.__dict__.get(key, default)

    def write(self: Any, value: Any) -> None:
        self.__dict__[key] = value

    return QtCore.Property(kind, read, write)


class ctkCollapsibleButton(QtWidgets.QAbstractButton, metaclass=PythonQtType):
    """A head that folds what lies below it; a collapsed button is an unchecked one."""

    contentsCollapsed = QtCore.Signal(bool)
    collapsedHeight = plain_property(int, "collapsedHeight", 0)
    contentsLineWidth = plain_property(int, "contentsLineWidth", 1)

    def __init__(self, *arguments: Any) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        parent = next((one for one in arguments if isinstance(one, QtWidgets.QWidget)), None)
        super().__init__(parent)
        self._hidden_by_fold: list[QtWidgets.QWidget] = []
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self.toggled.connect(self._fold)

    def _is_collapsed(self) -> bool:
        return not self.isChecked()

    def _set_collapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    collapsed = QtCore.Property(bool, _is_collapsed, _set_collapsed, notify=contentsCollapsed)

    def _head(self) -> int:
        return self.fontMetrics().height() + 8

    def _contents(self) -> list[QtWidgets.QWidget]:
        return [one for one in self.children() if isinstance(one, QtWidgets.QWidget) and not one.isWindow()]

    def _fold(self, opened: bool) -> None:
        if opened:
            for widget in self._hidden_by_fold:
                widget.show()
            self._hidden_by_fold = []
        else:
            self._hide_contents()
        self.updateGeometry()
        self.contentsCollapsed.emit(not opened)

    def _hide_contents(self) -> None:
        shown = [one for one in self._contents() if not one.isHidden()]
        self._hidden_by_fold += shown
        for widget in shown:
            widget.hide()

    def event(self, event: QtCore.QEvent) -> bool:
        """Room for the head above the layout; what was put in while it was collapsed is hidden too."""
        if event.type() in (QtCore.QEvent.Type.Polish, QtCore.QEvent.Type.FontChange):
            self.setContentsMargins(0, self._head(), 0, 0)
            if self._is_collapsed():
                self._hide_contents()
        return super().event(event)

    def hasHeightForWidth(self) -> bool:
        """As its layout, while it is open."""
        return not self._is_collapsed() and self.layout() is not None and self.layout().hasHeightForWidth()

    def sizeHint(self) -> QtCore.QSize:
        """Head and contents."""
        head = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.text()) + 40, self._head())
        if self._is_collapsed() or self.layout() is None:
            return head
        return self.layout().totalSizeHint().expandedTo(head)

    def minimumSizeHint(self) -> QtCore.QSize:
        """Head and contents, at their smallest."""
        head = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.text()) + 40, self._head())
        if self._is_collapsed() or self.layout() is None:
            return head
        return self.layout().totalMinimumSize().expandedTo(head)

    def hitButton(self, position: QtCore.QPoint) -> bool:
        """Only the head folds."""
        return position.y() < self._head()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        """The head with its arrow, and a frame."""
        painter = QtGui.QPainter(self)
        head = QtCore.QRect(0, 0, self.width() - 1, self._head() - 2)
        painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.Mid))
        painter.setBrush(self.palette().color(QtGui.QPalette.ColorRole.Button))
        painter.drawRoundedRect(head, 3, 3)
        if not self._is_collapsed():
            painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
            painter.drawRect(QtCore.QRect(0, head.bottom(), self.width() - 1, self.height() - head.bottom() - 1))
        painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.ButtonText))
        arrow = "\u25b8" if self._is_collapsed() else "\u25be"
        centre = QtCore.Qt.AlignmentFlag.AlignVCenter
        painter.drawText(head.adjusted(6, 0, -6, 0), centre, f"{arrow}  {self.text()}")
        if self.hasFocus():
            option = QtWidgets.QStyleOptionFocusRect()
            option.initFrom(self)
            option.rect = head.adjusted(2, 2, -2, -2)
            self.style().drawPrimitive(QtWidgets.QStyle.PrimitiveElement.PE_FrameFocusRect, option, painter, self)


class ctkDoubleSlider(QtWidgets.QWidget, metaclass=PythonQtType):
    """A slider of doubles, in steps of ``singleStep``."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, *arguments: Any) -> None:
        parent = next((one for one in arguments if isinstance(one, QtWidgets.QWidget)), None)
        super().__init__(parent)
        self._low, self._high, self._step, self._value = 0.0, 99.0, 1.0, 0.0
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider)
        self._slider.valueChanged.connect(self._moved)
        self.setFocusProxy(self._slider)
        self._range_changed()

    def _range_changed(self) -> None:
        self._slider.blockSignals(True)
        self._slider.setRange(0, max(0, round((self._high - self._low) / self._step)))
        self._slider.setValue(round((self._value - self._low) / self._step))
        self._slider.blockSignals(False)

    def _moved(self, steps: int) -> None:
        self._set_value(min(self._high, self._low + steps * self._step))

    def _set(self, name: str, value: float) -> None:
        setattr(self, name, float(value))
        self._range_changed()
        self._set_value(self._value)

    def _set_value(self, value: float) -> None:
        value = min(self._high, max(self._low, float(value)))
        if value != self._value:
            self._value = value
            self._range_changed()
            self.valueChanged.emit(value)

    minimum = QtCore.Property(float, lambda self: self._low, lambda self, value: self._set("_low", value))
    maximum = QtCore.Property(float, lambda self: self._high, lambda self, value: self._set("_high", value))
    singleStep = QtCore.Property(float, lambda self: self._step, lambda self, value: self._set("_step", value))
    value = QtCore.Property(float, lambda self: self._value, _set_value)


class ctkSliderWidget(QtWidgets.QWidget, metaclass=PythonQtType):
    """A double slider with a spin box beside it."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    pageStep = plain_property(float, "pageStep", 10.0)
    tracking = plain_property(bool, "tracking", True)
    tickInterval = plain_property(float, "tickInterval", 0.0)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = ctkDoubleSlider(self)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        self._spin.setRange(0.0, 99.0)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._spin)
        self._spin.valueChanged.connect(self._spin_changed)
        self._slider.valueChanged.connect(self._spin.setValue)
        self.setFocusProxy(self._slider)

    def _spin_changed(self, value: float) -> None:
        self._slider.value = value
        self.valueChanged.emit(value)

    def _set_range(self, low: float, high: float) -> None:
        self._slider.minimum, self._slider.maximum = low, high
        self._spin.setRange(low, high)

    def _set_step(self, step: float) -> None:
        self._slider.singleStep = step
        self._spin.setSingleStep(step)

    def setValue(self, value: float) -> None:
        """A slot of the real one."""
        self._spin.setValue(value)

    def spinBox(self) -> QtWidgets.QDoubleSpinBox:
        """Beside the slider."""
        return self._spin

    def slider(self) -> ctkDoubleSlider:
        """Beside the spin box."""
        return self._slider

    minimum = QtCore.Property(
        float, lambda self: self._spin.minimum(), lambda self, low: self._set_range(low, self._spin.maximum())
    )
    maximum = QtCore.Property(
        float, lambda self: self._spin.maximum(), lambda self, high: self._set_range(self._spin.minimum(), high)
    )
    singleStep = QtCore.Property(float, lambda self: self._spin.singleStep(), _set_step)
    decimals = QtCore.Property(
        int, lambda self: self._spin.decimals(), lambda self, value: self._spin.setDecimals(value)
    )
    value = QtCore.Property(float, lambda self: self._spin.value(), lambda self, value: self._spin.setValue(value))
    prefix = QtCore.Property(str, lambda self: self._spin.prefix(), lambda self, text: self._spin.setPrefix(text))
    suffix = QtCore.Property(str, lambda self: self._spin.suffix(), lambda self, text: self._spin.setSuffix(text))
    spinBoxVisible = QtCore.Property(
        bool, lambda self: not self._spin.isHidden(), lambda self, shown: self._spin.setVisible(shown)
    )


class ctkPathLineEdit(QtWidgets.QWidget, metaclass=PythonQtType):
    """A path with a button to browse for it."""

    Dirs, Files, Drives, NoSymLinks, Readable, Writable, Executable = 0x001, 0x002, 0x004, 0x008, 0x010, 0x020, 0x040
    AllEntries = 0x007
    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)
    filters = plain_property(int, "filters", AllEntries)
    label = plain_property(str, "label", "")
    nameFilters = plain_property("QStringList", "nameFilters", [])
    settingKey = plain_property(str, "settingKey", "")
    showHistoryButton = plain_property(bool, "showHistoryButton", True)

    def __init__(self, *arguments: Any) -> None:
        parent = next((one for one in arguments if isinstance(one, QtWidgets.QWidget)), None)
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setEditable(True)
        self._combo.setMinimumContentsLength(15)
        self._browse = QtWidgets.QToolButton(self)
        self._browse.setText("...")
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo, 1)
        row.addWidget(self._browse)
        self._combo.editTextChanged.connect(self.currentPathChanged)
        self._browse.clicked.connect(self.browse)
        self.setFocusProxy(self._combo)

    def browse(self) -> None:
        """Asks for the path; a slot of the real one."""
        import qt

        files = bool(self.filters & self.Files)
        writable = bool(self.filters & self.Writable)
        ask = qt.QFileDialog.getExistingDirectory
        if files:
            ask = qt.QFileDialog.getSaveFileName if writable else qt.QFileDialog.getOpenFileName
        path = ask(self, self.label or "Select a file or folder", self.currentPath)
        if path:
            self.setCurrentPath(path)

    def setCurrentPath(self, path: str) -> None:
        """A slot of the real one."""
        self._combo.setEditText(path)

    def addCurrentPathToHistory(self) -> None:
        """A slot of the real one; the list of this object only."""
        path = self.currentPath
        if path and self._combo.findText(path) < 0:
            self._combo.insertItem(0, path)

    def comboBox(self) -> QtWidgets.QComboBox:
        """Holds the path and its history."""
        return self._combo

    currentPath = QtCore.Property(str, lambda self: self._combo.currentText(), setCurrentPath)
    showBrowseButton = QtCore.Property(
        bool, lambda self: not self._browse.isHidden(), lambda self, shown: self._browse.setVisible(shown)
    )


CTK_CLASSES = {one.__name__: one for one in (ctkCollapsibleButton, ctkDoubleSlider, ctkSliderWidget, ctkPathLineEdit)}
