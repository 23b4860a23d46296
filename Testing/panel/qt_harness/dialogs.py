"""Dialogs that never wait: what they ask is recorded, the answer comes from the test."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6 import QtWidgets

from qt_harness.pythonqt import python_qt_class

Answer = str | Callable[[Any], Any]
_BUTTONS = QtWidgets.QMessageBox.StandardButton


class UnansweredQuestion(AssertionError):
    """A dialog waits for a person; the test gave no answer."""


@dataclass(frozen=True)
class Asked:
    """What a person would have seen.

    Attributes:
        kind: ``"message"``, ``"dialog"``, ``"file"`` or ``"notice"`` (goes away by itself).
        title: Window title.
        text: What it says.
        details: What is folded away.
        buttons: Names of its buttons, such as ``("Yes", "No")``.
    """

    kind: str
    title: str
    text: str
    details: str = ""
    buttons: tuple[str, ...] = ()


class Dialogs:
    """The questions of one test, and its answers in order.

    An answer is the name of a button (``"Yes"``, or its text), a path for a file dialog (``""`` cancels), or a
    function that is called with the dialog, fills it in and presses one of its buttons.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: deque[Answer] = deque()
        self.unanswered: list[Asked] = []

    def clear(self) -> None:
        """Forget everything, for the next test."""
        self.asked.clear()
        self.answers.clear()
        self.unanswered.clear()

    def next_answer(self, asked: Asked) -> Answer:
        """The test's answer to a question that has more than one.

        Raises:
            UnansweredQuestion: There is none.
        """
        self.asked.append(asked)
        if self.answers:
            return self.answers.popleft()
        self.unanswered.append(asked)
        raise UnansweredQuestion(f"no answer was given to: {asked}")

    def run_message_box(self, box: QtWidgets.QMessageBox) -> Any:
        """What ``exec_`` of a message box returns."""
        names = tuple(_button_name(box, button) for button in _choices(box)) or ("Ok",)
        asked = Asked("message", box.windowTitle().strip(), box.text(), box.detailedText(), names)
        if len(names) == 1 and not self.answers:
            self.asked.append(asked)
            answer: Answer = names[0]
        else:
            answer = self.next_answer(asked)
        if callable(answer):
            answer(box)
            return box.result()
        for button in _choices(box):
            if answer in (_button_name(box, button), button.text().replace("&", "")):
                standard = box.standardButton(button)
                button.click()
                return box.result() if standard == _BUTTONS.NoButton else standard
        if answer in names:
            return _BUTTONS[answer]
        raise UnansweredQuestion(f"{answer!r} is none of the buttons {names} of: {asked}")

    def run_dialog(self, dialog: QtWidgets.QDialog) -> int:
        """What ``exec_`` of any other dialog returns."""
        labels = " ".join(label.text() for label in dialog.findChildren(QtWidgets.QLabel))
        buttons = tuple(b.text().replace("&", "") for b in dialog.findChildren(QtWidgets.QPushButton))
        answer = self.next_answer(Asked("dialog", dialog.windowTitle(), labels, "", buttons))
        if callable(answer):
            answer(dialog)
            return dialog.result()
        for button in dialog.findChildren(QtWidgets.QPushButton):
            if button.text().replace("&", "") == answer:
                button.click()
                return dialog.result()
        raise UnansweredQuestion(f"{answer!r} is none of the buttons {buttons} of {dialog.windowTitle()!r}")

    def notice(self, text: str) -> None:
        """A popup that goes away by itself."""
        self.asked.append(Asked("notice", "", text))

    def path(self, title: str) -> str:
        """The path that is chosen in a file dialog; empty when it is cancelled."""
        return str(self.next_answer(Asked("file", title, "")))

    def classes(self) -> dict[str, type]:
        """The dialog classes of ``qt`` and of ``ctk``."""

        def ask(icon_name: str) -> Any:
            def static(parent: Any, title: str, text: str, buttons: Any = _BUTTONS.Ok, *_: Any) -> Any:
                box = QtWidgets.QMessageBox(QtWidgets.QMessageBox.Icon[icon_name], title, text, buttons)
                return self.run_message_box(box)

            return staticmethod(static)

        def run_box(box: QtWidgets.QMessageBox) -> Any:
            return self.run_message_box(box)

        def run_dialog(dialog: QtWidgets.QDialog) -> int:
            return self.run_dialog(dialog)

        boxes: dict[str, Any] = {"exec": run_box, "exec_": run_box}
        dialogs: dict[str, Any] = {"exec": run_dialog, "exec_": run_dialog}
        statics = {"information": "Information", "warning": "Warning", "critical": "Critical", "question": "Question"}
        one = staticmethod(lambda parent=None, title="", *_: self.path(title))
        many = staticmethod(lambda parent=None, title="", *_: [p for p in self.path(title).split("\n") if p])
        files = {"getOpenFileName": one, "getSaveFileName": one, "getExistingDirectory": one, "getOpenFileNames": many}
        return {
            "QMessageBox": python_qt_class(
                QtWidgets.QMessageBox, **boxes, **{name: ask(icon) for name, icon in statics.items()}
            ),
            "QDialog": python_qt_class(QtWidgets.QDialog, **dialogs),
            "QFileDialog": python_qt_class(QtWidgets.QFileDialog, **dialogs, **files),
            "QProgressDialog": python_qt_class(QtWidgets.QProgressDialog, **dialogs),
            "ctkMessageBox": python_qt_class(type("ctkMessageBox", (QtWidgets.QMessageBox,), {}), **boxes),
        }


def _choices(box: QtWidgets.QMessageBox) -> list[QtWidgets.QAbstractButton]:
    """Its buttons without the one that Qt adds to unfold the details."""
    unfolds = QtWidgets.QMessageBox.ButtonRole.ActionRole
    return [b for b in box.buttons() if not box.detailedText() or box.buttonRole(b) != unfolds]


def _button_name(box: QtWidgets.QMessageBox, button: QtWidgets.QAbstractButton) -> str:
    standard = box.standardButton(button)
    return button.text().replace("&", "") if standard == _BUTTONS.NoButton else standard.name
