"""Installing what is missing: pip in a process of its own, its lines as they come, and every end as one sentence."""

from __future__ import annotations

import queue
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from BottleneckOODLib.errors import DependencyError, OutputError, UserError
from BottleneckOODLib.panel.dependencies import (
    Plan,
    constraints,
    installation_plan,
    installed_versions,
    remove_remains,
    what_changed,
)
from BottleneckOODLib.private_folder import NO_TEMPORARY_FOLDER
from BottleneckOODLib.worker.python_command import NO_WINDOW, PythonCommand

_SIGNS = (
    (
        r"No space left on device|\[Errno 28\]|WinError 112|not enough space",
        "The disk is full; free {size} and try again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The download was refused because a certificate could not be checked, as behind some hospitals' proxies; "
        "ask your IT department, or install without a network.",
    ),
    (
        # pip itself says no more than that a file does not exist, with a hint.
        r"WinError 206|Windows Long Path support|enable-long-paths",
        "Windows refused a path because it is too long; switch on long paths (LongPathsEnabled in the registry), or "
        "install Slicer in a shorter folder such as C:\\Slicer.",
    ),
    (
        r"Permission denied|\[Errno 13\]|WinError 5\b|Access is denied",
        "Slicer's folder cannot be written; install Slicer where you may write, or start it once as administrator.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies|because these package versions have conflict",
        "The packages do not go with what Slicer brings along, so nothing was installed; use the newest Slicer.",
    ),
    (
        r"NewConnectionError|ConnectTimeout|Connection refused|Read timed out|ProxyError|getaddrinfo failed"
        r"|Name or service not known|Temporary failure in name resolution|from versions: none|No matching distribution",
        "The packages could not be downloaded; connect to a network and try again, or install without one "
        "(the details say how).",
    ),
)
_OTHERWISE = "The installation failed and can be started again; the details are in the log."
_STOPPED = "The installation was stopped; it can be started again."


@dataclass(frozen=True)
class Ended:
    """How one command ended.

    Attributes:
        code: 0 when it succeeded.
    """

    code: int


class Installer(Protocol):
    """Runs pip, one command at a time."""

    def start(self, module: str, arguments: Sequence[str]) -> None:
        """Run ``python -m module arguments``."""

    def poll(self) -> list[str | Ended]:
        """Lines since the last call, and at last how it ended. Never waits."""

    def stop(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Outcome:
    """How an installation ended.

    Attributes:
        complete: Whether everything is there now.
        sentence: What the user is told.
        log: What was printed, to be folded away; with how to install without a network where that is the trouble.
        changed: What was there before and is not as it was; to be empty.
        restart: Whether Slicer has to be started again, because what changed may be in use.
    """

    complete: bool
    sentence: str
    log: str = ""
    changed: tuple[str, ...] = ()
    restart: bool = False


class PipProcess:
    """pip, in a process of the worker's Python.

    Args:
        python: That Python; inside Slicer ``slicer_python()``.
        variables: More environment variables, such as ``PIP_INDEX_URL``.
    """

    def __init__(self, python: PythonCommand, variables: Mapping[str, str] | None = None) -> None:
        self._python = python
        self._variables = dict(variables or {})
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | Ended] = queue.SimpleQueue()

    def start(self, module: str, arguments: Sequence[str]) -> None:
        """Run ``python -m module arguments``.

        Raises:
            DependencyError: That Python cannot be started.
        """
        self._lines = queue.SimpleQueue()
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1"}
        try:
            self._process = subprocess.Popen(
                [*self._python.command, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env={**self._python.environment, **quiet, **self._variables},
                creationflags=NO_WINDOW,
            )
        except OSError:
            message = f"pip cannot be started with {self._python.command[0]}; check the installation of Python."
            raise DependencyError(message) from None
        threading.Thread(target=_read, args=(self._process, self._lines), daemon=True).start()

    def poll(self) -> list[str | Ended]:
        """Lines since the last call, and at last how it ended."""
        heard: list[str | Ended] = []
        while not self._lines.empty():
            heard.append(self._lines.get_nowait())
        return heard

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Installation:
    """Carries out a plan: what is damaged is put right, torch is installed, then the rest, and all is looked at again.

    Args:
        plan: What is to be installed.
        installer: Runs pip.
        torch_module: What installs torch: ``pip``, or ``light_the_torch``, which chooses the build for the card.
        look_again: Tells what is still missing afterwards.
        versions: Tells what is installed.
        bundled: What must stay as it is; None takes what Slicer brings along.

    Raises:
        DependencyError: A damaged package cannot be removed, or pip cannot be started.
        OutputError: The temporary folder cannot be used.
    """

    def __init__(
        self,
        plan: Plan,
        installer: Installer,
        *,
        torch_module: str = "pip",
        look_again: Callable[[], Plan] = installation_plan,
        versions: Callable[[], Mapping[str, str]] = installed_versions,
        bundled: Sequence[str] | None = None,
    ) -> None:
        self._plan = plan
        self._installer = installer
        self._look_again = look_again
        self._versions = versions
        self._log: list[str] = []
        # Before anything is removed: without it nothing can be installed.
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="bottleneck-ood-install-", ignore_cleanup_errors=True)
        except OSError:
            raise OutputError(NO_TEMPORARY_FOLDER) from None
        try:
            remove_remains(plan.damaged)
            self._before = dict(versions())
            kept = constraints(self._before) if bundled is None else constraints(self._before, bundled)
            self._constraints = self._file("constraints.txt", kept)
            self._steps = self._commands(torch_module)
            self._next()
        except UserError:
            self._folder.cleanup()
            raise

    def poll(self) -> tuple[list[str], Outcome | None]:
        """The lines since the last call, and at last how all of it ended. Never waits."""
        lines: list[str] = []
        try:
            for heard in self._installer.poll():
                if isinstance(heard, str):
                    lines.append(heard)
                    self._log.append(heard)
                elif heard.code != 0:
                    return lines, self._ended(self._failure())
                elif not self._next():
                    return lines, self._finished()
        except UserError as error:
            return lines, self._ended(Outcome(False, str(error), "\n".join(self._log), *self._changes()))
        return lines, None

    def stop(self) -> Outcome:
        """End it; what is half done is put right by the next one."""
        self._installer.stop()
        return self._ended(Outcome(False, _STOPPED, "\n".join(self._log)))

    def _commands(self, torch_module: str) -> Iterator[tuple[str, list[str]]]:
        held = ["--constraint", str(self._constraints)]
        rest = [package for package in self._plan.packages if package != self._plan.torch]
        if self._plan.torch:
            if torch_module != "pip":
                yield "pip", ["install", "light-the-torch>=0.5", *held]
            yield torch_module, ["install", self._plan.torch, *held]
        if rest:
            wanted = self._file("requirements.txt", "".join(f"{package}\n" for package in rest))
            yield "pip", ["install", "--requirement", str(wanted), *held]

    def _next(self) -> bool:
        command = next(self._steps, None)
        if command is not None:
            self._installer.start(*command)
        return command is not None

    def _failure(self) -> Outcome:
        log = "\n".join(self._log)
        sentence = next((told for signs, told in _SIGNS if re.search(signs, log)), _OTHERWISE)
        if "without" in sentence:
            log = f"{offline_help(self._plan)}\n{log}"
        return Outcome(False, sentence.format(size=self._plan.download_size_text), log, *self._changes())

    def _finished(self) -> Outcome:
        missing = self._look_again().packages
        changed, restart = self._changes()
        log = "\n".join(self._log)
        if missing:
            sentence = f"Still missing after the installation: {', '.join(missing)}; start Slicer again and try again."
            return self._ended(Outcome(False, sentence, log, changed, restart))
        sentence = "Everything that the model needs is installed."
        if restart:
            sentence += f" Start Slicer again before you go on: {'; '.join(changed)}."
        return self._ended(Outcome(True, sentence, log, changed, restart))

    def _changes(self) -> tuple[tuple[str, ...], bool]:
        changed = what_changed(self._before, self._versions())
        return changed, bool(changed)

    def _ended(self, outcome: Outcome) -> Outcome:
        self._folder.cleanup()
        return outcome

    def _file(self, name: str, text: str) -> Path:
        path = Path(self._folder.name) / name
        try:
            path.write_text(text, encoding="utf-8")
        except OSError:
            raise OutputError(NO_TEMPORARY_FOLDER) from None
        return path


def offline_help(plan: Plan) -> str:
    """How to install without a network, step by step, as ``docs/extension.md`` says it."""
    packages = " ".join(f'"{package}"' for package in plan.packages)
    names = ", ".join(re.split(r"[<>=!~ ]", package)[0] for package in plan.packages)
    return (
        "Without a network: on a computer with one, of the same system and with the same Slicer,\n"
        f"  PythonSlicer -m pip download --dest packages {packages}\n"
        "Carry the folder packages to this computer, and here, with Slicer closed,\n"
        "  PythonSlicer -m pip list --format=freeze > bundled.txt\n"
        f"  PythonSlicer -m pip install --no-index --find-links packages --constraint bundled.txt {packages}\n"
        "bundled.txt keeps pip from replacing what Slicer brings; a line of a package that is to be replaced "
        f"({names}) is taken out of it first.\n"
        "PythonSlicer lies in Slicer's bin folder.\n"
    )


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | Ended]) -> None:
    stream: IO[str] | None = process.stdout
    if stream is not None:
        with stream:
            for line in stream:
                lines.put(line.rstrip())
    lines.put(Ended(process.wait()))
