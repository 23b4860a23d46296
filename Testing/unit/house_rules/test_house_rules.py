"""Rules that a machine can check."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import BottleneckOODLib

LIBRARY = Path(BottleneckOODLib.__file__).parent
HEAVY = ("torch", "monai", "sklearn", "faiss", "umap", "slicer", "vtk", "matplotlib", "SimpleITK", "scipy", "numpy")


def in_a_fresh_interpreter(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=LIBRARY.parent, timeout=500
    )
    return result.stdout


def test_importing_the_library_loads_nothing_heavy() -> None:
    loaded = in_a_fresh_interpreter("import sys, json, BottleneckOODLib; print(json.dumps(sorted(sys.modules)))")
    assert not set(HEAVY) & set(json.loads(loaded))


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, json\nfrom BottleneckOODLib.cli.main import build_parser\n"
        "build_parser().format_help(); print(json.dumps(sorted(sys.modules)))"
    )
    assert not set(HEAVY) & set(json.loads(in_a_fresh_interpreter(code)))


def test_all_equals_what_the_package_shows() -> None:
    assert sorted(BottleneckOODLib.__all__) == dir(BottleneckOODLib)
    for name in BottleneckOODLib.__all__:
        assert getattr(BottleneckOODLib, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = BottleneckOODLib.nonsense


def test_every_module_imports_and_says_what_it_is() -> None:
    for module in pkgutil.walk_packages([str(LIBRARY)], "BottleneckOODLib."):
        if module.name.startswith("BottleneckOODLib.widgets."):
            # Qt is there only inside Slicer, and in the host of the panel's tests.
            source = LIBRARY / "widgets" / f"{module.name.rpartition('.')[2]}.py"
            documentation = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
        else:
            documentation = importlib.import_module(module.name).__doc__
        assert documentation, module.name


def test_no_file_holds_two_concepts(repository: Path) -> None:
    files = [*repository.glob("BottleneckOOD/**/*.py"), *repository.glob("Testing/**/*.py"), *repository.glob("*.py")]
    assert files
    assert {str(f.name): n for f in files if (n := len(f.read_text(encoding="utf-8").splitlines())) > 400} == {}
    assert not [f for f in files if f.name in ("utils.py", "helpers.py", "misc.py", "common.py")]


def test_nothing_can_run_code_from_a_file(repository: Path) -> None:
    dangerous = re.compile(
        r"pickle\.load|joblib\.load|weights_only=False|allow_pickle=True|yaml\.load\(|(?<![\w.])(?:eval|exec)\("
    )
    for path in repository.glob("BottleneckOOD/**/*.py"):
        text = path.read_text(encoding="utf-8")
        assert not dangerous.search(text), path.name
        assert path.name == "saved_by_torch.py" or not re.search(r"(?<!\.)torch\.load\(", text), path.name


def test_the_module_folder_is_no_package(repository: Path) -> None:
    """An ``__init__.py`` beside it would shadow Slicer's module file."""
    assert not (repository / "BottleneckOOD" / "__init__.py").exists()


def test_the_readme_s_commands_are_the_bootstrap_s(repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    bootstrap = (repository / "bootstrap.py").read_text(encoding="utf-8")
    commands = set(re.findall(r"python3 bootstrap\.py (\w+)", readme))
    assert commands == {"demo", "test"}
    assert all(f'"{command}"' in bootstrap for command in commands)
    assert "python3 bootstrap.py test" in (repository / ".ci" / "run").read_text(encoding="utf-8")


def test_everything_installed_is_pinned(repository: Path) -> None:
    pins = (repository / "constraints.txt").read_text(encoding="utf-8")
    names = {re.split(r"[=;<> ]", line)[0].lower().replace("_", "-") for line in pins.splitlines() if line[:1] != "#"}
    project = (repository / "pyproject.toml").read_text(encoding="utf-8")
    block = project[project.index("dependencies = [") : project.index("[project.scripts]")]
    needed = {name.lower().replace("_", "-") for name in re.findall(r'"([A-Za-z0-9_.-]+)>=', block)}
    assert needed
    assert needed <= names


def test_every_field_of_an_assessment_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "files.md").read_text(encoding="utf-8")
    saved = repository / "Testing" / "formats" / "v1" / "assessment" / "case" / "assessment.json"
    document = json.loads(saved.read_text(encoding="utf-8"))
    fields = set(document)
    for name in ("input", "model", "reference", "segmentation", "ood", "placement", "timings_s"):
        fields |= set(document[name])
    for name in ("checks", "neighbours"):
        fields |= set(document[name][0])
    fields |= set(document["ood"]["parts"]["bottleneck"])
    assert {field for field in fields if f"`{field}`" not in page} == set()
