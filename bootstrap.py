#!/usr/bin/env python3
"""From a fresh checkout to a running program, with Python's standard library alone.

python3 bootstrap.py demo [--output DIR]      run the whole main job on the embedded samples
python3 bootstrap.py test [pytest options]    linters, types, import layers, tests

Each makes a ``.venv`` once, installs what ``constraints.txt`` pins, and runs.
"""

import ctypes.util
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.txt"
LEAST_PYTHON, PAST_PYTHON = (3, 10), (3, 14)
SYSTEM_LIBRARIES = {
    "EGL": "libegl1",
    "GL": "libgl1",
    "xkbcommon": "libxkbcommon0",
    "fontconfig": "libfontconfig1",
    "dbus-1": "libdbus-1-3",
    "glib-2.0": "libglib2.0-0",
}
TESTS_LOCALE = {"PYTHONUTF8": "1"}
MOST_PROCESSES = 4  # each of the tests' processes takes some 2 GB of memory


class Refusal(Exception):
    """What the user has to do first, in one sentence."""


def main(arguments):
    """Run one of the two commands; the exit code is the command's."""
    if not arguments or arguments[0] not in ("demo", "test"):
        print(__doc__)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    try:
        check_python()
        if arguments[0] == "test":
            check_system_libraries()
        python = installed_python("test" if arguments[0] == "test" else "")
        return run_tests(python, arguments[1:]) if arguments[0] == "test" else run_demo(python, arguments[1:])
    except Refusal as refusal:
        print("bootstrap: {}".format(refusal), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bootstrap: stopped.", file=sys.stderr)
        return 130


def check_python():
    """Refuse a Python that is too old or too new."""
    if not LEAST_PYTHON <= sys.version_info[:2] < PAST_PYTHON:
        raise Refusal(
            "this is Python {}.{}, and Python 3.10 to 3.13 is needed; install one of them and run it with that.".format(
                *sys.version_info[:2]
            )
        )


def check_system_libraries():
    """Refuse when a system library that rendering needs is missing (Linux only; elsewhere they are always there)."""
    if not sys.platform.startswith("linux"):
        return
    missing = [package for library, package in SYSTEM_LIBRARIES.items() if ctypes.util.find_library(library) is None]
    if missing:
        raise Refusal(
            "the tests draw with OpenGL and Qt, and system libraries are missing; install them, on Debian or Ubuntu "
            "with: sudo apt-get install {}".format(" ".join(missing))
        )


def installed_python(extra):
    """The virtual environment's Python, with everything installed; a half-finished installation is repaired."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = "{}\n{}\n".format(fingerprint(), extra)
    done = STAMP.read_text(encoding="utf-8") if STAMP.is_file() else ""
    if done == wanted or (not extra and done.startswith(fingerprint())):
        return python
    if not has_pip(python):
        print("Making the virtual environment {} ...".format(VENV), flush=True)
        if subprocess.call([sys.executable, "-m", "venv", "--clear", str(VENV)]) != 0:
            raise Refusal(
                "the virtual environment cannot be made; on Debian or Ubuntu install it with: "
                "sudo apt-get install python3-venv"
            )
    print("Installing what constraints.txt pins (about 2 GB on disk, once; several minutes) ...", flush=True)
    target = "{}[{}]".format(ROOT, extra) if extra else str(ROOT)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--constraint", str(ROOT / "constraints.txt"), "--editable", target]
    if subprocess.call(command) != 0:
        raise Refusal(
            "the packages could not be installed (see above); check the network and the free disk space, and run this "
            "again: it goes on where it stopped."
        )
    STAMP.write_text(wanted, encoding="utf-8")
    return python


def has_pip(python):
    """Whether the environment is whole; one that was made without pip would fail for ever."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return python.is_file() and subprocess.call([str(python), "-m", "pip", "--version"], **quiet) == 0


def fingerprint():
    """What the installation depends on."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def run_demo(python, options):
    """The embedded samples through the whole main job."""
    return subprocess.call([str(python), "-m", "BottleneckOODLib.cli.main", "demo"] + options)


def side_by_side():
    """pytest's options for a process a core; a file's tests stay together, and ``-n 0`` after them undoes it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = min(cores, MOST_PROCESSES) if cores > 1 else 0
    return ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]


def run_tests(python, options):
    """Linters, types, layers and tests; all of them run, and the first failure decides."""
    environment = dict(os.environ, **TESTS_LOCALE)
    # Side by side, one thread each: two times all cores would only stand in each other's way.
    environment.setdefault("OMP_NUM_THREADS", "1")
    steps = [
        ["ruff", "check", "."],
        ["mypy"],
        ["importlinter.cli"],
        ["pytest"] + side_by_side() + options,
    ]
    commands = [[str(python), "-m"] + step for step in steps]
    commands[2] = [str(python), "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    codes = []
    for name, command in zip(("ruff", "mypy", "import layers", "pytest"), commands):
        print("== {}".format(name), flush=True)
        codes.append(subprocess.call(command, cwd=str(ROOT), env=environment))
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
