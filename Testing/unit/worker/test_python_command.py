"""The right interpreter and environment, from a made-up installation of Slicer, and from this Python for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from BottleneckOODLib.worker.process import WorkerProcess
from BottleneckOODLib.worker.python_command import PythonCommand, plain_python, slicer_python


@pytest.fixture(params=["", ".exe"], ids=["Linux and macOS", "Windows"])
def a_slicer(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The ``bin`` folder of an installed Slicer, its launcher beside its interpreter."""
    folder = tmp_path / "Slicer 5.10 für alle" / "bin"
    folder.mkdir(parents=True)
    for name in ("PythonSlicer", "python-real"):
        (folder / f"{name}{request.param}").touch()
    return folder


def finder(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.name.startswith("PythonSlicer"))


def test_where_no_slicer_is_around_this_interpreter_runs_the_worker() -> None:
    python = slicer_python({"HOME": "/home/x"}, find=lambda _: None)
    assert python.command == (sys.executable,)
    assert python.environment["HOME"] == "/home/x"
    assert python.environment["PYTHONUTF8"] == "1"


def test_started_by_its_launcher_slicer_s_environment_is_taken_as_it_is(a_slicer: Path) -> None:
    launcher = finder(a_slicer)

    def ask(_: str) -> str:
        raise AssertionError("the launcher was asked in vain")

    here = {"PYTHONHOME": "/slicer/lib/Python", "PATH": "/slicer/bin", "PYTHONSAFEPATH": "1"}
    python = slicer_python(here, find={"PythonSlicer": str(launcher)}.get, ask_launcher=ask)
    assert python.command == (str(a_slicer / f"python-real{launcher.suffix}"),)
    assert python.environment["PYTHONHOME"] == "/slicer/lib/Python"
    assert python.environment["PATH"] == "/slicer/bin"
    assert python.environment["PYTHONNOUSERSITE"] == "1"
    assert "PYTHONSAFEPATH" not in python.environment


def test_elsewhere_the_launcher_is_asked_and_its_folders_come_first(a_slicer: Path) -> None:
    launcher = finder(a_slicer)
    asked: list[str] = []

    def ask(program: str) -> str:
        asked.append(program)
        return f"PYTHONHOME=/s/lib/Python\nPATH=/s/bin{os.pathsep}\nODD=a=b\n(No environment to display)\n"

    python = slicer_python({"PATH": "/usr/bin"}, find=lambda _: str(launcher), ask_launcher=ask)
    assert asked == [str(launcher)]
    assert python.environment["PATH"] == f"/s/bin{os.pathsep}/usr/bin"
    assert python.environment["PYTHONHOME"] == "/s/lib/Python"
    assert python.environment["ODD"] == "a=b"
    assert not [name for name in python.environment if not name.isidentifier()]


def test_without_the_interpreter_beside_it_the_launcher_has_to_do(a_slicer: Path) -> None:
    launcher = finder(a_slicer)
    (a_slicer / f"python-real{launcher.suffix}").unlink()
    assert slicer_python({}, find=lambda _: str(launcher)).command == (str(launcher),)


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for the launcher")
def test_a_real_launcher_is_asked_by_its_option_and_one_that_fails_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "python-real").touch()
    launcher = tmp_path / "PythonSlicer"
    launcher.write_text('#!/bin/sh\n[ "$2" = "--launcher-dump-environment" ] && echo "PYTHONHOME=/s"\n')
    launcher.chmod(0o755)
    assert slicer_python({}, find=lambda _: str(launcher)).environment["PYTHONHOME"] == "/s"
    launcher.write_text("#!/bin/sh\nexit 1\n")
    python = slicer_python({"A": "b"}, find=lambda _: str(launcher))
    assert python.environment["A"] == "b"
    assert "PYTHONHOME" not in python.environment


def test_this_interpreter_finds_the_library_from_where_the_worker_starts() -> None:
    python = plain_python({**os.environ, "PYTHONSAFEPATH": "1"})
    root = Path(__file__).resolve().parents[3] / "BottleneckOOD"
    told = subprocess.run(
        [*python.command, "-c", "import BottleneckOODLib.worker.protocol as p; print(p.__file__)"],
        env=dict(python.environment), cwd=root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert Path(told.strip()).is_file()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for the launcher")
def test_ending_ends_the_child_of_a_launcher_too(tmp_path: Path, ends: Callable[[int], bool]) -> None:
    """The launcher starts the interpreter as a child and waits, as Slicer's does."""
    launcher = tmp_path / "launcher"
    launcher.write_text(f'#!/bin/sh\nexec 3<&0\n"{sys.executable}" "$@" <&3 &\nwait\n')
    launcher.chmod(0o755)
    process = WorkerProcess(PythonCommand((str(launcher),), plain_python().environment))
    deadline = time.monotonic() + 300
    while not process._identity.process_id and time.monotonic() < deadline:
        time.sleep(0.01)
    child = process._identity.process_id
    assert child not in (0, process.pid)
    # Suspended, it cannot end by itself.
    os.kill(child, signal.SIGSTOP)
    process.end()
    assert ends(child)
    assert not process.exchange.exists()
