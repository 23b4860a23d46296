"""The Slicer module in a small Qt host."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Testing is no package; the host is one, beside the tests that use it.
sys.path.append(str(Path(__file__).resolve().parent))

from panel_session import PanelSession
from qt_harness.host import Host, start_host
from qt_harness.pythonqt import method_style

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.imaging.volume import Volume

Grab = Callable[[Any, str], Path]

# Written for Slicer: it imports qt before there is one.
collect_ignore = ["tiny_module"]


# Writing a property in PythonQt's style, PySide gives away a reference to None that is not its own. Before Python 3.12
# None is counted, so many are kept in store, and the interpreter is left without the finalization that would stumble.
_NONE_IN_STORE = [None] * 20_000_000
_ended_with: list[int] = []


def pytest_sessionfinish(exitstatus: int) -> None:
    """How the tests ended, for when everything has been said."""
    _ended_with.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Leave at once, with the exit code that the tests have earned."""
    if _ended_with:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_ended_with[-1])


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
    """Opens a scripted module's file, with the library that lies beside it; everything is closed after the test."""
    opened: list[str] = []

    def open_it(path: Path) -> Any:
        opened.append(path.stem)
        return the_application.open_module(path)

    with the_application.keeping_the_library():
        yield open_it
        for name in opened:
            the_application.close_module(name)


@pytest.fixture
def a_module_widget(open_module: Callable[[Path], Any], repository: Path) -> Any:
    """The module's panel, opened in the host."""
    return open_module(repository / "BottleneckOOD" / "BottleneckOOD.py")


@pytest.fixture
def a_panel(a_runner: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """The module's panel with a runner that the test speaks for."""
    monkeypatch.setattr("BottleneckOODLib.worker.client.WorkerClient", lambda _python: a_runner)
    monkeypatch.setattr("BottleneckOODLib.widgets.installation.installed", lambda: True)
    return request.getfixturevalue("a_module_widget")


@pytest.fixture
def a_session(
    a_panel: Any,
    a_runner: Any,
    a_small_ct: Volume,
    make_assessment: Callable[..., Assessment],
    the_application: Host,
) -> PanelSession:
    """The same, as a user has it before them."""
    return PanelSession(a_panel, a_runner, the_application.scene, a_small_ct, make_assessment)


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


@pytest.fixture
def a_tiny_module(tmp_path: Path) -> Path:
    """The file of a module as small as can be; it may be written to."""
    folder = tmp_path / "tiny_module"
    shutil.copytree(Path(__file__).parent / "tiny_module", folder)
    return folder / "TinyModule.py"


@pytest.fixture
def a_tiny_panel(open_module: Callable[[Path], Any], a_tiny_module: Path) -> Any:
    """Its panel, opened in the host."""
    return open_module(a_tiny_module)


@pytest.fixture
def a_volume_in_the_scene(the_application: Host) -> Any:
    """A bright block in the middle of a dark volume of 20 x 30 x 40 voxels."""
    voxels = np.zeros((20, 30, 40), np.int16)
    voxels[5:15, 10:20, 10:30] = 200
    node = slicer.util.addVolumeFromArray(voxels, name="ct")
    node.CreateDefaultDisplayNodes()
    return node
