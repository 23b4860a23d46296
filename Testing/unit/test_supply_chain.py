"""The lists of what an installation is made of are those of the pinned versions."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def lock(repository: Path) -> dict[str, list[tuple[str, list[str]]]]:
    """For every package its versions, each with the hashes of its files."""
    text = (repository / "docs" / "supply-chain" / "requirements.lock").read_text(encoding="utf-8")
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for entry in re.split(r"\n(?=[A-Za-z])", text):
        name, version = re.match(r"([\w.-]+)==([^\s;\\]+)", entry).groups()  # type: ignore[union-attr]
        found.setdefault(canonicalize_name(name), []).append((version, re.findall(r"sha256:([0-9a-f]{64})\b", entry)))
    return found


def lines_of(repository: Path) -> list[Requirement]:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def asked_for(repository: Path, block: str) -> list[Requirement]:
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(rf"^{block} = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return [Requirement(each) for each in re.findall(r'"([^"]+(?:\[\w+\])?[^"]*)"', found.group(1))]


def test_every_package_has_hashes(lock: dict[str, list[tuple[str, list[str]]]]) -> None:
    assert len(lock) > 100
    assert [name for name, versions in lock.items() if not all(hashes for _, hashes in versions)] == []


def test_it_holds_what_the_project_asks_for(repository: Path, lock: dict[str, list[tuple[str, list[str]]]]) -> None:
    asked = [each for block in ("dependencies", "nnunet") for each in asked_for(repository, block)]
    asked += [Requirement("distributed"), Requirement("psycopg-binary")]
    for requirement in asked:
        versions = [version for version, _ in lock[canonicalize_name(requirement.name)]]
        assert versions, requirement.name
        assert all(requirement.specifier.contains(version) for version in versions), requirement.name


def test_its_versions_are_the_pinned_ones(repository: Path, lock: dict[str, list[tuple[str, list[str]]]]) -> None:
    pinned: dict[str, set[str]] = {}
    for line in lines_of(repository):
        pinned.setdefault(canonicalize_name(line.name), set()).update(each.version for each in line.specifier)
    others = {
        name: {version for version, _ in versions} - pinned[name] for name, versions in lock.items() if name in pinned
    }
    assert len(others) > 80
    assert {name: versions for name, versions in others.items() if versions} == {}


def test_the_bill_and_the_licences_name_the_same_packages(
    repository: Path, lock: dict[str, list[tuple[str, list[str]]]]
) -> None:
    locked = {(name, version) for name, versions in lock.items() for version, _ in versions}
    folder = repository / "docs" / "supply-chain"
    bill = json.loads((folder / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert {(canonicalize_name(each["name"]), each["version"]) for each in bill["components"]} == locked
    with (folder / "licences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(canonicalize_name(row["package"]), row["version"]) for row in rows} == locked
    # The GPL alone would bind whoever ships the whole; the LGPL, and a choice that has another way out, do not.
    strict = re.compile(r"(?<!L)GPL|General Public")
    assert [r["package"] for r in rows if strict.search(r["licence"]) and "LGPL" not in r["licence"]] == []
    assert sum(row["licence"] in ("", "UNKNOWN") for row in rows) == 0


def test_the_floors_that_keep_pickles_out_stand(repository: Path) -> None:
    floors = {each.name: each.specifier for each in asked_for(repository, "dependencies")}
    assert not floors["monai"].contains("1.5.1")
    assert floors["monai"].contains("1.5.2")
