"""Stand-ins for what installs packages: nothing is installed, the request is kept and the test says how it ends."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import slicer.util


class PyTorchUtilsLogic:
    """The logic of the PyTorch extension; ``_installer`` is set by the host."""

    _installer: Installer

    @staticmethod
    def torchInstalled() -> bool:
        """Whether torch can be imported."""
        return PyTorchUtilsLogic._installer.torch_there

    def installTorch(
        self,
        askConfirmation: bool = False,
        forceComputationBackend: str | None = None,
        torchVersionRequirement: str | None = None,
        torchvisionVersionRequirement: str | None = None,
    ) -> Any:
        """Install torch; gives the module, or None when the user declined."""
        if askConfirmation and not slicer.util.confirmOkCancelDisplay("PyTorch will be installed."):
            return None
        self._installer.install(f"torch{torchVersionRequirement or ''}", "PyTorchUtils")
        self._installer.torch_there = True
        return types.ModuleType("torch")


class Installer:
    """What was asked for, and how it ends.

    Attributes:
        requested: Who installs and the requirements, one pair a request.
        return_code: What the next installations end with; 0 is success.
        log: The lines that they write.
        torch_there: What the PyTorch extension says of torch.
    """

    def __init__(self) -> None:
        self.clear()
        PyTorchUtilsLogic._installer = self
        slicer.util.pip_install = lambda requirements: self.install(requirements, "slicer.util")

    def clear(self) -> None:
        """As in Slicer 5.10 without further extensions."""
        self.requested: list[tuple[str, str | list[str]]] = []
        self.return_code, self.log, self.torch_there = 0, ["Collecting ..."], False
        for name in ("PyTorchUtils", "slicer.packaging"):
            sys.modules.pop(name, None)
        if hasattr(slicer, "packaging"):
            del slicer.packaging

    def install(self, requirements: str | list[str], by: str) -> None:
        """Keep the request.

        Raises:
            CalledProcessError: The test lets it fail.
        """
        self.requested.append((by, requirements))
        if self.return_code:
            raise subprocess.CalledProcessError(self.return_code, "pip install", "\n".join(self.log))

    def offer_pytorch_extension(self, *, torch_there: bool = False) -> None:
        """Slicer has the PyTorch extension."""
        module = types.ModuleType("PyTorchUtils")
        module.PyTorchUtilsLogic = PyTorchUtilsLogic
        sys.modules["PyTorchUtils"] = module
        self.torch_there = torch_there

    def offer_packaging(self, *, satisfied: Callable[[str], bool] = lambda _: False) -> None:
        """Slicer is 5.11 or later: ``slicer.packaging`` is there."""
        module = types.ModuleType("slicer.packaging")
        module.pip_check = lambda req: all(satisfied(str(one)) for one in ([req] if isinstance(req, str) else req))
        module.load_requirements = _load_requirements
        module.pip_install = self._pip_install
        sys.modules["slicer.packaging"] = slicer.packaging = module

    def _pip_install(
        self,
        requirements: str | list[str],
        constraints: str | Path | None = None,
        no_deps_requirements: str | list[str] | None = None,
        skip_packages: list[str] | None = None,
        blocking: bool = True,
        show_progress: bool = True,
        requester: str | None = None,
        parent: Any = None,
        logCallback: Callable[[str], None] | None = None,
        completedCallback: Callable[[int], None] | None = None,
    ) -> list[str] | None:
        try:
            self.install(requirements, "slicer.packaging")
        except subprocess.CalledProcessError:
            if blocking:
                raise
        if not blocking:
            for line in self.log if logCallback is not None else ():
                logCallback(line)
            if completedCallback is not None:
                completedCallback(self.return_code)
        return None if skip_packages is None else list(skip_packages)


def _load_requirements(path: str | Path) -> list[str]:
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]
