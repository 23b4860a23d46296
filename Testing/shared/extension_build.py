"""The extension as Slicer configures, builds and installs it, with stand-ins for Slicer's own CMake files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

STAND_IN = Path(__file__).resolve().parents[1] / "extension" / "stand_in"
QT_SCRIPTED_MODULES = Path("lib") / "Slicer-5.10" / "qt-scripted-modules"

RunTool = Callable[..., subprocess.CompletedProcess[str]]


def tool(name: str) -> Path:
    """CMake, Ninja or CTest: beside this Python (from the pinned packages), else from the PATH."""
    beside = Path(sys.executable).parent / f"{name}{'.exe' if os.name == 'nt' else ''}"
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is neither installed beside this Python nor on the PATH")
    return Path(found)


@pytest.fixture(scope="session")
def run_tool() -> RunTool:
    """Run a tool and return what it said, whatever its exit code."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(tool(name)), *map(str, arguments)],
            capture_output=True, text=True, encoding="utf-8", errors="replace", check=False, timeout=300,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def configure(run_tool: RunTool) -> RunTool:
    """Configure a source folder against the stand-in, asking for no compiler: there is nothing to compile."""

    def run(source: Path, build: Path, *more: str) -> subprocess.CompletedProcess[str]:
        no_compiler = [
            f"-DCMAKE_{language}_COMPILER{suffix}"
            for language in ("C", "CXX")
            for suffix in (f"={sys.executable}", "_ID_RUN=1", "_FORCED=1")
        ]
        return run_tool(
            "cmake", "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", f"-DSlicer_DIR={STAND_IN}",
            "-DBUILD_TESTING=ON", "-Wno-dev", *no_compiler, *more, "-S", source, "-B", build,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def build_tree(
    repository: Path, configure: RunTool, run_tool: RunTool, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The built extension, in a folder with a space and an umlaut in its name."""
    build = tmp_path_factory.mktemp("extension") / "Bäume und Leber"
    for done in (configure(repository, build), run_tool("cmake", "--build", build)):
        assert done.returncode == 0, done.stdout + done.stderr
    return build


@pytest.fixture(scope="session")
def install_tree(build_tree: Path, run_tool: RunTool) -> Path:
    """The installed extension: what a package of it holds."""
    prefix = build_tree.parent / "installed"
    done = run_tool("cmake", "--install", build_tree, "--prefix", prefix, "--component", "RuntimeLibraries")
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix


@pytest.fixture(scope="session")
def module_folder(install_tree: Path) -> Path:
    """The flat folder that Slicer puts on ``sys.path``."""
    return install_tree / QT_SCRIPTED_MODULES


def documents_script(repository: Path, name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, repository / "docs" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def generator(repository: Path) -> ModuleType:
    return documents_script(repository, "generate_extension_files")


@pytest.fixture(scope="session")
def icon_drawer(repository: Path) -> ModuleType:
    return documents_script(repository, "draw_icon")
