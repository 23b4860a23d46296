"""Which Python runs the worker: this one, or, inside Slicer, Slicer's own.

Inside Slicer ``sys.executable`` is no interpreter to rely on. Slicer comes with two programs in its ``bin`` folder,
on Linux, Windows and macOS (there ``Slicer.app/Contents/bin``): ``PythonSlicer``, a launcher that sets the environment,
and ``python-real``, the interpreter that it then starts as a child. Slicer puts that folder on ``PATH``, and its own
``slicer.util.executePythonModule`` finds the launcher there.

The worker is started as ``python-real``, because the launcher (CTK's AppLauncher) stands in the way twice: it gives its
child a standard input of its own, so that no request would ever arrive, and whoever ends the launcher leaves the child
running. The environment that the launcher would set is in place already where Slicer itself was started by a launcher
(Linux, Windows); elsewhere the launcher is asked for it. ``slicer.util.startupEnvironment`` is the opposite of what is
needed: the environment without Slicer's libraries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# A console window must not flash up; the flag exists on Windows only.
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_LAUNCHER, _INTERPRETER = "PythonSlicer", "python-real"
_LISTS = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH")
# Packages of another Python of the same version must not slip in.
_NO_USER_SITE = "PYTHONNOUSERSITE"
_ANSWER_WITHIN_S = 10.0


@dataclass(frozen=True)
class PythonCommand:
    """How the worker is started.

    Attributes:
        command: The interpreter.
        environment: Its whole environment.
        hears: Whether what is written to its standard input reaches the interpreter; a launcher keeps it to itself.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    hears: bool = True


def plain_python(environment: Mapping[str, str] | None = None) -> PythonCommand:
    """This interpreter, with this process's environment."""
    return PythonCommand((sys.executable,), _for_the_worker(os.environ if environment is None else environment))


def slicer_python(
    environment: Mapping[str, str] | None = None,
    find: Callable[[str], str | None] = shutil.which,
    ask_launcher: Callable[[str], str] | None = None,
) -> PythonCommand:
    """Slicer's interpreter; this one where no Slicer is around, as in tests.

    Args:
        environment: Of this process; None takes ``os.environ``.
        find: Finds a program on ``PATH``.
        ask_launcher: Gives what the launcher prints for ``--launcher-dump-environment``; None asks it.
    """
    here = dict(os.environ if environment is None else environment)
    launcher = find(_LAUNCHER)
    if launcher is None:
        return plain_python(here)
    interpreter = Path(launcher).with_name(_INTERPRETER + Path(launcher).suffix)
    if not interpreter.is_file():
        # A build tree may keep it elsewhere; then the launcher has to do.
        return PythonCommand((launcher,), {**_for_the_worker(here), _NO_USER_SITE: "1"}, hears=False)
    if "PYTHONHOME" not in here:
        here = _merged(here, (ask_launcher or _dumped)(launcher))
    return PythonCommand((str(interpreter),), {**_for_the_worker(here), _NO_USER_SITE: "1"})


def _for_the_worker(environment: Mapping[str, str]) -> dict[str, str]:
    # The log is read as UTF-8; the library is found beside the working folder, which a safe path would leave out.
    kept = {name: value for name, value in environment.items() if name != "PYTHONSAFEPATH"}
    return {**kept, "PYTHONUTF8": "1"}


def _dumped(launcher: str) -> str:
    try:
        return subprocess.run(
            [launcher, "--launcher-no-splash", "--launcher-dump-environment"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_ANSWER_WITHIN_S,
            check=True,
            creationflags=NO_WINDOW,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _merged(environment: Mapping[str, str], dumped: str) -> dict[str, str]:
    """The environment with the launcher's lines of ``NAME=VALUE``; in a list of folders the launcher's come first."""
    merged = dict(environment)
    for line in dumped.splitlines():
        name, equals, value = line.partition("=")
        if not equals or not name.replace("_", "").isalnum():
            continue
        before = merged.get(name, "")
        value = value.rstrip(os.pathsep) if name in _LISTS else value
        merged[name] = f"{value}{os.pathsep}{before}" if name in _LISTS and before else value
    return merged
