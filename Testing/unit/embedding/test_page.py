"""The page's commands are commands, and it names every folder and field."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

from BottleneckOODLib.cli.main import build_parser
from BottleneckOODLib.embedding.folder import FLIPS, OUTPUTS, CaseRecord
from BottleneckOODLib.embedding.running import ALWAYS


def page(repository: Path) -> str:
    return (repository / "docs" / "evaluate-your-model.md").read_text(encoding="utf-8")


def test_its_four_commands_are_read_by_the_parser(repository: Path) -> None:
    commands = [line for line in page(repository).splitlines() if line.startswith("bottleneck-ood ")]
    assert [shlex.split(command)[1] for command in commands] == ["embed", "embed", "evaluate", "evaluate"]
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)[1:]).output


def test_what_is_evaluated_is_what_was_embedded(repository: Path) -> None:
    used = set(re.findall(r"\b(?:train|test)/(\w+)", page(repository))) - {"performance"}
    assert used
    assert used <= {*ALWAYS, OUTPUTS, FLIPS, "stage_2"}


def test_every_folder_and_field_is_told_of(repository: Path) -> None:
    text = page(repository)
    fields = {field.name for field in dataclasses.fields(CaseRecord)}
    facts = {"schema_version", "model", "fingerprint", "measurements", "stages"}
    for name in {*ALWAYS, OUTPUTS, *fields, *facts}:
        assert f"`{name}`" in text, name
