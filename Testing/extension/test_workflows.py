"""The workflows: what can be said of them without running them.

No YAML parser is among the pinned packages, so the files are read line by line, and the shell of each step by Bash.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

NAMES = ("tests", "slicer")


@pytest.fixture(params=NAMES)
def workflow(request: pytest.FixtureRequest, repository: Path) -> str:
    return (repository / ".github" / "workflows" / f"{request.param}.yml").read_text(encoding="utf-8")


def steps_of(workflow: str) -> list[str]:
    """The shell text of each ``run:``, with GitHub's expressions replaced by a word."""
    single = re.findall(r"^ +run: (?!\|)(.+)$", workflow, re.MULTILINE)
    blocks = re.findall(r"^( +)run: \|\n((?:\1  .*\n|\n)+)", workflow + "\n", re.MULTILINE)
    texts = [*single, *(textwrap.dedent(block) for _, block in blocks)]
    return [re.sub(r"\$\{\{.*?\}\}", "expression", text) for text in texts]


def test_lines_are_indented_as_yaml_wants_them(workflow: str) -> None:
    assert "\t" not in workflow
    for line in workflow.splitlines():
        assert (len(line) - len(line.lstrip(" "))) % 2 == 0, line
        assert line == line.rstrip(), line


def test_no_key_stands_twice_at_the_top(workflow: str) -> None:
    keys = re.findall(r"^([a-z-]+):", workflow, re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert {"name", "on", "permissions", "jobs"} <= set(keys)


def test_a_workflow_may_only_read(workflow: str) -> None:
    assert "permissions:\n  contents: read\n" in workflow
    assert "write" not in workflow
    assert "secrets." not in workflow


def test_every_action_has_a_version_and_every_job_an_end(workflow: str) -> None:
    actions = re.findall(r"uses: (\S+)", workflow)
    assert actions
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)
    assert workflow.count("timeout-minutes:") == workflow.count("runs-on:") > 0


def test_bash_can_read_every_step(workflow: str) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("Bash is not there")
    steps = steps_of(workflow)
    assert len(steps) == len(re.findall(r"^ +run:", workflow, re.MULTILINE)) > 1
    for step in steps:
        done = subprocess.run([bash, "-n"], input=step, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, step + done.stderr


def test_pictures_are_kept_also_when_a_test_fails(workflow: str) -> None:
    assert "BOTTLENECK_OOD_ARTEFACTS: ${{ github.workspace }}/artefacts\n" in workflow
    upload = workflow[workflow.index("actions/upload-artifact") - 60 :]
    assert "if: always()" in upload
    assert "path: artefacts\n" in upload


def test_the_tests_run_the_gate_with_its_libraries_on_the_oldest_and_the_newest_python(repository: Path) -> None:
    workflow = (repository / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    gate = (repository / ".ci" / "run").read_text(encoding="utf-8")
    [packages] = re.findall(r"packages=\(([^)]+)\)", gate)
    assert set(packages.split()) <= set(workflow.split())
    assert "run: bash .ci/run\n" in workflow
    [pythons] = re.findall(r"python: \[([^\]]+)\]", workflow)
    project = (repository / "pyproject.toml").read_text(encoding="utf-8")
    [(oldest, past)] = re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', project)
    minors = {int(minor) for minor in re.findall(r'"3\.(\d+)"', pythons)}
    assert {int(oldest), int(past) - 1} <= minors
    assert max(minors) < int(past)


def test_the_self_test_runs_from_folders_that_exist_or_are_made(repository: Path, module_folder: Path) -> None:
    workflow = (repository / ".github" / "workflows" / "slicer.yml").read_text(encoding="utf-8")
    checkout, installed = re.findall(r"^ +module: (\S+)$", workflow, re.MULTILINE)
    assert (repository / checkout / "BottleneckOODLib").is_dir()
    assert module_folder.as_posix().endswith(installed)
    assert "Testing/extension/stand_in" in workflow
    assert re.search(r"runUnitTest\(\['\$module'\], 'BottleneckOOD'\)", workflow)
    pins = (repository / "constraints.txt").read_text(encoding="utf-8")
    assert len(re.findall(r"^torch==", pins, re.MULTILINE)) == 1


def test_the_docs_say_that_neither_has_been_seen_to_run(repository: Path) -> None:
    page = (repository / "docs" / "extension.md").read_text(encoding="utf-8")
    assert all(f"{name}.yml" in page for name in NAMES)
    assert "has not been seen to run" in " ".join(page.split())
