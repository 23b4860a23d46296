"""The Slicer module in a small Qt host."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Testing is no package; the host is one, beside the tests that use it.
sys.path.append(str(Path(__file__).resolve().parent))

from qt_harness.host import Host, start_host
from qt_harness.pythonqt import method_style

Grab = Callable[[Any, str], Path]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Test files speak to Qt in PySide's way, ``button.text()``, whatever the module under test does."""
    if isinstance(item, pytest.Function):
        method_style(item.module.__name__)


@pytest.fixture(scope="session")
def _host() -> Host:
    return start_host()


@pytest.fixture
def the_application(_host: Host) -> Iterator[Host]:
    """The running application with an empty scene; an exception that Slicer would only print fails the test."""
    _host.clear()
    with _host.noticing_errors():
        yield _host
    errors, unanswered, unused = list(_host.errors), list(_host.dialogs.unanswered), list(_host.answers)
    _host.clear()
    assert not errors, errors[0]
    assert not unanswered, f"nobody answered: {unanswered[0]}"
    assert not unused, f"nobody asked for: {unused}"


@pytest.fixture
def open_module(the_application: Host) -> Iterator[Callable[[Path], Any]]:
    """Opens a scripted module's file with a fresh library; everything is closed after the test."""
    opened: list[str] = []

    def open_it(path: Path) -> Any:
        opened.append(path.stem)
        return the_application.open_module(path)

    with the_application.fresh_library():
        yield open_it
        for name in opened:
            the_application.close_module(name)
            path = next((p for p in sys.path if (Path(p) / f"{name}.py").is_file()), None)
            if path is not None and name != "BottleneckOOD":
                sys.path.remove(path)


@pytest.fixture
def a_module_widget(open_module: Callable[[Path], Any], repository: Path) -> Any:
    """The module's panel, opened in the host."""
    return open_module(repository / "BottleneckOOD" / "BottleneckOOD.py")


@pytest.fixture
def spin_until(the_application: Host) -> Callable[..., None]:
    """Runs the event loop until a condition holds."""
    return the_application.spin_until


@pytest.fixture
def grab(tmp_path: Path) -> Grab:
    """Saves a picture of a widget, where a person finds it when BOTTLENECK_OOD_ARTEFACTS names a folder."""
    folder = Path(os.environ.get("BOTTLENECK_OOD_ARTEFACTS", tmp_path))

    def take(widget: Any, name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        assert widget.grab().save(str(path))
        return path

    return take
