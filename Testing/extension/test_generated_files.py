"""docs/generate_extension_files.py: the lists and the descriptions are those that it would write."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def a_module(tmp_path: Path) -> Path:
    library = ("__init__.py", "b/two.py", "a.py")
    make_files(tmp_path, "BottleneckOOD.py", *(f"BottleneckOODLib/{name}" for name in library))
    return tmp_path


def test_nothing_is_outdated(generator: ModuleType) -> None:
    outdated = [path.name for path in generator.outdated()]
    assert outdated == [], "run python docs/generate_extension_files.py"


def test_the_module_file_is_listed_before_its_library(generator: ModuleType, a_module: Path) -> None:
    assert generator.scripts(a_module) == [
        "BottleneckOOD.py",
        "BottleneckOODLib/__init__.py",
        "BottleneckOODLib/a.py",
        "BottleneckOODLib/b/two.py",
    ]


def test_neither_compiled_files_nor_translations_nor_hidden_files_are_listed(
    generator: ModuleType, a_module: Path
) -> None:
    make_files(a_module / "Resources", "UI/a.ui", "Icons/a.png", "requirements.txt")
    make_files(a_module / "Resources", "Translations/a_de.ts", "Icons/.DS_Store", "__pycache__/a.pyc")
    assert generator.resources(a_module) == ["Resources/Icons/a.png", "Resources/UI/a.ui", "Resources/requirements.txt"]


def test_what_lies_beside_the_library_s_scripts_is_listed(generator: ModuleType, a_module: Path) -> None:
    make_files(a_module / "BottleneckOODLib", "b/page.html", "b/__pycache__/two.pyc", "_resources/models/demo/m.json")
    assert generator.resources(a_module) == ["BottleneckOODLib/b/page.html"]
    assert "BottleneckOODLib/b/page.html" not in generator.scripts(a_module)


def test_a_list_is_replaced_and_the_rest_of_the_file_stays(generator: ModuleType) -> None:
    text = "# top\nset(SCRIPTS\n  old.py\n  )\n\nset(OTHER\n  kept.py\n  )\ncall(${SCRIPTS})\n"
    changed = generator.with_list(text, "SCRIPTS", ["a.py", "b/c.py"])
    assert changed == "# top\nset(SCRIPTS\n  a.py\n  b/c.py\n  )\n\nset(OTHER\n  kept.py\n  )\ncall(${SCRIPTS})\n"
    assert generator.with_list(changed, "SCRIPTS", ["a.py", "b/c.py"]) == changed
    assert generator.with_list(generator.with_list(text, "SCRIPTS", []), "SCRIPTS", ["old.py"]) == text


@pytest.mark.parametrize("text", ["", "set(OTHER\n  a.py\n  )\n", 2 * "set(SCRIPTS\n  a.py\n  )\n"])
def test_a_list_that_is_not_there_once_is_an_error(generator: ModuleType, text: str) -> None:
    with pytest.raises(ValueError, match="must stand once"):
        generator.with_list(text, "SCRIPTS", ["a.py"])


def test_a_new_script_makes_the_list_outdated(generator: ModuleType, repository: Path, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "BottleneckOOD", tmp_path / "BottleneckOOD", ignore=ignored)
    for name in ("CMakeLists.txt", "BottleneckOOD.s4ext", "BottleneckOOD.json"):
        shutil.copy(repository / name, tmp_path / name)
    assert generator.outdated(tmp_path) == []
    (tmp_path / "BottleneckOOD" / "BottleneckOODLib" / "new.py").touch()
    assert generator.outdated(tmp_path) == [tmp_path / "BottleneckOOD" / "CMakeLists.txt"]


def test_metadata_takes_the_values_as_cmake_would(generator: ModuleType) -> None:
    text = 'set(EXTENSION_DESCRIPTION "A model\'s masks (CT).")\nset(EXTENSION_TIER 1)\n# set(EXTENSION_STATUS "x")\n'
    assert generator.metadata(text) == {"description": "A model's masks (CT).", "tier": "1"}
