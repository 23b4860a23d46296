"""The descriptions of the extension keep the rules of Slicer and of the Extensions Index, and agree with each other.

Rules: Slicer's developer guide ("Extension description file"), the Index's schema of catalogue entries (version 1.0.1),
its ``scripts/check_description_files.py`` and the tier 1 list of its pull-request template.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAME = "BottleneckOOD"
REQUIRED_KEYWORDS = {"scm", "scmurl", "scmrevision", "homepage", "category"}
OPTIONAL_KEYWORDS = {
    "depends", "build_subdirectory", "contributors", "iconurl", "description", "screenshoturls", "enabled",
    "status", "tier",
}  # fmt: skip
REQUIRED_KEYS = {"$schema": str, "category": str, "scm_url": str}
OPTIONAL_KEYS = {
    "scm_revision": str, "scm_type": str, "build_dependencies": list, "build_subdirectory": str, "enabled": bool,
    "tier": int,
}  # fmt: skip
# Those of the Index's list of accepted categories that could be meant here.
CATEGORIES = {"Analysis", "Informatics", "Quantification", "Segmentation", "Utilities"}
TIERS = {1, 3, 5}


@pytest.fixture(scope="module")
def cmake(repository: Path) -> str:
    return (repository / "CMakeLists.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def entry(repository: Path) -> dict[str, Any]:
    """The catalogue entry; its name is the extension's."""
    document = json.loads((repository / f"{NAME}.json").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def fields_of(path: Path) -> dict[str, str]:
    """A keyword and its value a line; comments and empty lines left out; no keyword twice."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" ", 1) for line in lines if line.strip() and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs)
    assert len({keyword for keyword, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.fixture(scope="module")
def description(repository: Path) -> dict[str, str]:
    return fields_of(repository / f"{NAME}.s4ext")


def test_the_description_has_every_keyword_that_slicer_requires_and_no_other(description: dict[str, str]) -> None:
    assert set(description) >= REQUIRED_KEYWORDS
    assert set(description) <= REQUIRED_KEYWORDS | OPTIONAL_KEYWORDS
    assert description["scm"] == "git"
    assert description["enabled"] in {"0", "1"}
    assert description["build_subdirectory"] == "."


def test_what_cmake_evaluates_is_what_the_description_says(description: dict[str, str], install_tree: Path) -> None:
    evaluated = fields_of(install_tree / "share" / "Slicer-5.10" / f"{NAME}.s4ext")
    assert len(evaluated) > 10
    assert {keyword: description[keyword] for keyword in evaluated} == evaluated


def test_the_entry_keeps_the_schema(entry: dict[str, Any]) -> None:
    assert set(entry) >= set(REQUIRED_KEYS)
    kinds = {**REQUIRED_KEYS, **OPTIONAL_KEYS}
    assert set(entry) <= set(kinds)
    assert {key: type(value) for key, value in entry.items()} == {key: kinds[key] for key in entry}
    assert all(isinstance(name, str) and name for name in entry["build_dependencies"])
    assert entry.get("scm_type", "git") in {"git", "local"}
    assert re.fullmatch(
        r"https://raw\.githubusercontent\.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1\.0\.[12]\.json#",
        entry["$schema"],
    )


def test_category_and_tier_are_ones_that_the_index_knows(entry: dict[str, Any]) -> None:
    assert entry["category"] in CATEGORIES
    assert entry["tier"] in TIERS


def test_entry_and_description_say_the_same(entry: dict[str, Any], description: dict[str, str]) -> None:
    assert entry["scm_url"] == description["scmurl"]
    assert entry["scm_revision"] == description["scmrevision"]
    assert entry["category"] == description["category"]
    assert entry["build_dependencies"] == description["depends"].split()
    assert entry["build_subdirectory"] == description["build_subdirectory"]
    assert entry["tier"] == int(description["tier"])


def test_the_project_is_named_as_the_entry_s_file(cmake: str, repository: Path) -> None:
    """The Index reads the first ``project(...)`` of the file's text."""
    [project, *_] = re.findall(r"project\s*\(\s*([^\s)]+)", cmake, re.IGNORECASE)
    assert project == NAME
    assert not NAME.startswith("Slicer")
    assert {path.stem for path in repository.glob("*.s4ext")} == {NAME}
    assert (repository / NAME / "CMakeLists.txt").is_file()


def test_the_repository_is_named_after_slicer_and_fetched_safely(entry: dict[str, Any]) -> None:
    address = urlsplit(entry["scm_url"])
    assert address.scheme in {"https", "git"}
    assert address.netloc
    assert address.path.rsplit("/", 1)[-1].removesuffix(".git") == f"Slicer{NAME}"


def test_icon_and_screenshots_stand_in_full_in_the_text(cmake: str, description: dict[str, str]) -> None:
    """The Index does not evaluate variables: it looks for the addresses in the text."""
    icons = re.findall(r'set\s*\(EXTENSION_ICONURL\s*"([^"]+)"\s*\)', cmake)
    screenshots = re.findall(r'set\s*\(EXTENSION_SCREENSHOTURLS\s*"([^"]+)"\)', cmake)
    assert icons == [description["iconurl"]]
    assert screenshots == [description["screenshoturls"]]
    addresses = [*icons, *screenshots[0].split()]
    assert len(addresses) >= 2
    for address in addresses:
        assert address.startswith("https://")
        assert address.endswith((".png", ".jpg", ".gif"))
        assert not set("?&#$ ") & set(address)


def test_each_picture_s_address_is_a_file_of_this_repository(description: dict[str, str], repository: Path) -> None:
    owner_and_name = urlsplit(description["scmurl"]).path
    prefix = f"https://raw.githubusercontent.com{owner_and_name}/{description['scmrevision']}/"
    for address in [description["iconurl"], *description["screenshoturls"].split()]:
        assert address.startswith(prefix)
        assert (repository / address.removeprefix(prefix)).is_file(), address


def test_one_repository_is_named_everywhere(description: dict[str, str], repository: Path) -> None:
    pages = [repository / name for name in ("CMakeLists.txt", "README.md", f"{NAME}.json")]
    pages += repository.glob("docs/*.md")
    address = re.compile(rf"github(?:usercontent)?\.com/([\w.-]+/Slicer{NAME})\b")
    found = {name for page in pages for name in address.findall(page.read_text(encoding="utf-8"))}
    assert found == {urlsplit(description["scmurl"]).path.strip("/")}


def test_the_description_is_a_sentence_or_two_and_no_promise(description: dict[str, str]) -> None:
    text = description["description"]
    assert 1 <= len(re.findall(r"[.!?](?:\s|$)", text)) <= 2
    assert len(text) < 250
    assert "Not for clinical use" in text
    assert not re.search(r"\b(?:OK|pass|safe|correct|normal)\b", text)
    # CMake would take the value apart at a semicolon, and the description's lines at a line break.
    assert not set(";\n\"") & set(text)


def test_the_module_says_of_itself_what_the_extension_says(description: dict[str, str], repository: Path) -> None:
    module = repository / NAME / f"{NAME}.py"
    if not module.is_file():
        pytest.skip("the module file is not written yet")
    told: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            words = {part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)}
            told[node.targets[0].attr] = {word for word in words if isinstance(word, str)}
    assert description["category"] in told["categories"]
    assert description["contributors"] in told["contributors"]
    assert NAME in told["title"]


def test_the_readme_has_what_the_index_asks_of_a_homepage(repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {NAME}\n")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert pictures
    assert all((repository / picture).is_file() for picture in pictures)
    assert "Apache-2.0" in readme
    assert "MELBA" in readme
    assert "docs/extension.md" in readme


def test_the_licence_lies_where_the_index_looks(repository: Path) -> None:
    assert "Apache License" in (repository / "LICENSE").read_text(encoding="utf-8")
