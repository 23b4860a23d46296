"""Stand-ins for the CTK widgets of a .ui file: the properties and signals of the real ones, drawn plainly."""

from __future__ import annotations

import sys
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

    collapsed = QtCore.Property(bool, _is_collapsed, _set_collapsed)

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


class ctkSliderWidget(QtWidgets.QWidget, metaclass=PythonQtType):
    """A slider in steps of ``singleStep`` with a spin box beside it."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        self._spin.setRange(0.0, 99.0)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._spin)
        self._spin.valueChanged.connect(self._spin_changed)
        self._slider.valueChanged.connect(self._slider_moved)
        self.setFocusProxy(self._slider)
        self._steps_changed()

    def _spin_changed(self, value: float) -> None:
        self._steps_changed()
        self.valueChanged.emit(value)

    def _slider_moved(self, steps: int) -> None:
        self._spin.setValue(self._spin.minimum() + steps * self._spin.singleStep())

    def _steps_changed(self) -> None:
        low, high, step = self._spin.minimum(), self._spin.maximum(), self._spin.singleStep()
        self._slider.blockSignals(True)
        self._slider.setRange(0, max(0, round((high - low) / step)))
        self._slider.setValue(round((self._spin.value() - low) / step))
        self._slider.blockSignals(False)

    def _set_range(self, low: float, high: float) -> None:
        self._spin.setRange(low, high)
        self._steps_changed()

    def _set_step(self, step: float) -> None:
        self._spin.setSingleStep(step)
        self._steps_changed()

    def setValue(self, value: float) -> None:
        """A slot of the real one."""
        self._spin.setValue(value)

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


class ctkPathLineEdit(QtWidgets.QWidget, metaclass=PythonQtType):
    """A path, and a button to browse for it: for a folder only where files are no kind that it takes."""

    Dirs, _FILES = 0x001, 0x002  # of QDir.Filter

    def __init__(self, *arguments: Any) -> None:
        parent = next((one for one in arguments if isinstance(one, QtWidgets.QWidget)), None)
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setEditable(True)
        self._combo.setMinimumContentsLength(15)
        browse = QtWidgets.QToolButton(self)
        browse.setText("...")
        browse.clicked.connect(self.browse)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo, 1)
        row.addWidget(browse)
        self.setFocusProxy(self._combo)

    @QtCore.Slot()
    def browse(self) -> None:
        """Ask for a path, as the button does."""
        dialogs = sys.modules["qt"].QFileDialog
        if self.filters & self._FILES:
            chosen = dialogs.getOpenFileName(self, "Open a file")
        else:
            chosen = dialogs.getExistingDirectory(self, "Select a directory...")
        if chosen:
            self.currentPath = chosen

    filters = plain_property(int, "filters", Dirs | _FILES)
    currentPath = QtCore.Property(
        str, lambda self: self._combo.currentText(), lambda self, path: self._combo.setEditText(path)
    )


CTK_CLASSES = {one.__name__: one for one in (ctkCollapsibleButton, ctkSliderWidget, ctkPathLineEdit)}
