"""One short page that says what the light means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer

from BottleneckOODLib.translation import _


class HelpPage:
    """A window with the page; it blocks nothing.

    Args:
        page: The HTML file.
    """

    def __init__(self, page: Path) -> None:
        self._page = page
        self._window: Any = None

    def show(self, *_unused: Any) -> None:
        """Open the window, or bring it to the front."""
        if self._window is None:
            self._window = qt.QDialog(slicer.util.mainWindow())
            self._window.windowTitle = _("What does this mean?")
            self._window.resize(560, 640)
            browser = qt.QTextBrowser()
            browser.html = self._page.read_text(encoding="utf-8")
            layout = qt.QVBoxLayout(self._window)
            layout.addWidget(browser)
        self._window.show()
        self._window.activateWindow()

    def close(self) -> None:
        """Close the window for good."""
        if self._window is not None:
            self._window.close()
            self._window.deleteLater()
            self._window = None
