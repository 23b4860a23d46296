"""Slicer builds and installs exactly what the module's folder holds."""

from __future__ import annotations

import json
import pkgutil
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

RunTool = Callable[..., subprocess.CompletedProcess[str]]

# Windows refuses paths of more than 259 characters unless a user has switched that off. Before ours stands, say,
# C:\Users\a.long.name\AppData\Local\slicer.org\3D Slicer 5.10.0\slicer.org\Extensions-34045\BottleneckOOD (105).
LONGEST_WINDOWS_PATH = 259
SLICER_S_PART = 120


def files_below(folder: Path, pattern: str = "*") -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture
def a_copy_to_break(repository: Path, tmp_path: Path) -> Path:
    """The sources that are configured, without the large files, which are only read when it is built."""
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "BottleneckOOD", source / "BottleneckOOD", ignore=ignored)
    for name in ("CMakeLists.txt", "README.md", "LICENSE"):
        shutil.copy(repository / name, source / name)
    return source


def test_the_installed_scripts_are_the_folder_s(module_folder: Path, repository: Path) -> None:
    source = repository / "BottleneckOOD"
    assert files_below(module_folder, "*.py") == files_below(source, "*.py")
    assert len(files_below(module_folder, "*.py")) > 80


def test_the_installed_files_are_the_source_s_byte_for_byte(module_folder: Path, repository: Path) -> None:
    source = repository / "BottleneckOOD"
    for name in files_below(module_folder):
        origin = source / name
        if "_resources/" in name:
            origin = repository / "Resources" / name.split("_resources/")[1]
        assert (module_folder / name).read_bytes() == origin.read_bytes(), name


def test_what_the_module_asks_for_by_resource_path_is_installed(module_folder: Path, repository: Path) -> None:
    installed = {name for name in files_below(module_folder) if name.startswith("Resources/")}
    assert "Resources/Icons/BottleneckOOD.png" in installed
    in_source = {f"Resources/{name}" for name in files_below(repository / "BottleneckOOD" / "Resources")}
    assert installed == {name for name in in_source if "/Translations/" not in name}


def test_model_reference_and_samples_are_installed_and_nothing_else_of_the_resources(
    module_folder: Path, repository: Path
) -> None:
    embedded = files_below(module_folder / "BottleneckOODLib" / "_resources")
    expected = {
        f"{kind}/{name}"
        for kind in ("models", "references", "samples")
        for name in files_below(repository / "Resources" / kind)
    }
    assert embedded == expected
    assert {"models/demo/model.json", "references/demo/reference.json", "samples/sample-usual.nii.gz"} < embedded


def test_nothing_is_missing_if_slicer_should_install_only_what_is_listed(
    repository: Path, configure: RunTool, run_tool: RunTool, module_folder: Path, tmp_path: Path
) -> None:
    build, prefix = tmp_path / "build", tmp_path / "installed"
    for done in (
        configure(repository, build, "-DSTAND_IN_INSTALLS_ONLY_WHAT_IS_LISTED=ON"),
        run_tool("cmake", "--install", build, "--prefix", prefix, "--component", "RuntimeLibraries"),
    ):
        assert done.returncode == 0, done.stdout + done.stderr
    assert files_below(prefix / "lib" / "Slicer-5.10" / "qt-scripted-modules") == files_below(module_folder)


def test_slicer_can_run_the_module_from_the_build_tree(build_tree: Path, module_folder: Path) -> None:
    assert files_below(build_tree / "lib" / "Slicer-5.10" / "qt-scripted-modules") == files_below(module_folder)


def test_nothing_lands_outside_the_module_folder_but_the_description(install_tree: Path) -> None:
    elsewhere = {name for name in files_below(install_tree) if "/qt-scripted-modules/" not in name}
    assert elsewhere == {"share/Slicer-5.10/BottleneckOOD.s4ext"}


def test_the_flat_folder_offers_two_names_at_most_to_import(module_folder: Path) -> None:
    """All extensions share ``sys.path``: a name like ``Testing`` or ``utils`` would hide another extension's."""
    names = {module.name for module in pkgutil.iter_modules([str(module_folder)])}
    assert "BottleneckOODLib" in names
    assert names <= {"BottleneckOOD", "BottleneckOODLib"}
    assert {path.name for path in module_folder.iterdir()} <= {"BottleneckOOD.py", "BottleneckOODLib", "Resources"}


def test_no_test_and_no_package_marker_lies_in_the_flat_folder(module_folder: Path) -> None:
    names = files_below(module_folder)
    assert "__init__.py" not in names
    assert not [name for name in names if "Testing" in name or Path(name).name.startswith(("test_", "conftest"))]


def test_installed_paths_fit_into_a_windows_path(module_folder: Path, install_tree: Path) -> None:
    below = module_folder.relative_to(install_tree).as_posix()
    # Python puts what it compiles one folder deeper, under a longer name.
    compiled = [
        f"{below}/{Path(name).parent.as_posix()}/__pycache__/{Path(name).stem}.cpython-312.opt-1.pyc"
        for name in files_below(module_folder, "*.py")
    ]
    longest = max([*compiled, *(f"{below}/{name}" for name in files_below(module_folder))], key=len)
    assert SLICER_S_PART + len(longest) <= LONGEST_WINDOWS_PATH, longest


def test_a_listed_script_that_is_missing_stops_the_configuration(
    a_copy_to_break: Path, configure: RunTool, tmp_path: Path
) -> None:
    (a_copy_to_break / "BottleneckOOD" / "BottleneckOODLib" / "logic.py").unlink()
    done = configure(a_copy_to_break, tmp_path / "build")
    assert done.returncode != 0
    assert "BottleneckOODLib/logic.py" in done.stderr


def test_the_unbroken_copy_configures(a_copy_to_break: Path, configure: RunTool, tmp_path: Path) -> None:
    done = configure(a_copy_to_break, tmp_path / "build")
    assert done.returncode == 0, done.stderr


def test_the_self_test_and_the_generic_test_are_registered(build_tree: Path, run_tool: RunTool) -> None:
    done = run_tool("ctest", "--test-dir", build_tree, "--show-only=json-v1")
    assert done.returncode == 0, done.stderr
    tests = {test["name"]: test["command"] for test in json.loads(done.stdout)["tests"]}
    assert set(tests) == {"py_BottleneckOOD", "py_nomainwindow_qSlicerBottleneckOODModuleGenericTest"}
    assert "--testing" in tests["py_BottleneckOOD"]
    assert tests["py_BottleneckOOD"][-1].endswith("'BottleneckOOD')")


def test_the_module_file_comes_first(repository: Path) -> None:
    if not (repository / "BottleneckOOD" / "BottleneckOOD.py").is_file():
        pytest.skip("the module file is not written yet")
    text = (repository / "BottleneckOOD" / "CMakeLists.txt").read_text(encoding="utf-8")
    listed = text.split("set(MODULE_PYTHON_SCRIPTS", 1)[1].split(")", 1)[0].split()
    assert listed[0] == "BottleneckOOD.py"
