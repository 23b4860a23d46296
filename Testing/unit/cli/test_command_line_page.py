"""docs/command-line.md says what the parser does."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from BottleneckOODLib.catalogue import HOME_VARIABLE, user_folder
from BottleneckOODLib.cli import main as main_module
from BottleneckOODLib.cli.review_options import READER_VARIABLE

Parsers = dict[tuple[str, ...], argparse.ArgumentParser]


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "command-line.md").read_text(encoding="utf-8")


@pytest.fixture
def generator(repository: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "generate_command_line", repository / "docs" / "generate_command_line.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def section_of(page: str, words: tuple[str, ...]) -> str:
    """What stands under a command's heading, up to the next heading."""
    heading = f"{'#' * (len(words) + 1)} `{' '.join(('bottleneck-ood', *words))}`\n"
    assert page.count(heading) == 1, heading
    return re.split(r"^#+ ", page.split(heading)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_page_is_the_generated_one(page: str, generator: ModuleType) -> None:
    assert page == generator.page(), "run: python docs/generate_command_line.py"


def test_the_page_is_the_same_whatever_the_terminal_and_the_hash_seed(repository: Path) -> None:
    script = repository / "docs" / "generate_command_line.py"
    for columns, seed in (("30", "1"), ("200", "2")):
        environment = {**os.environ, "COLUMNS": columns, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, str(script), "--check"], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_check_tells_a_page_that_is_out_of_date(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "PAGE", tmp_path / "command-line.md")
    monkeypatch.setattr(sys, "argv", ["generate_command_line.py", "--check"])
    assert generator.main() == 1
    generator.PAGE.write_text(generator.page() + "more", encoding="utf-8")
    assert generator.main() == 1
    assert "out of date" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["generate_command_line.py"])
    assert generator.main() == 0
    assert generator.PAGE.read_bytes() == generator.page().encode()


def test_every_command_has_its_section_with_every_option(page: str, parsers: Parsers, words: tuple[str, ...]) -> None:
    section = section_of(page, words) if words else page.split("\n## ", maxsplit=1)[0]
    for action in parsers[words]._actions:
        if isinstance(action, argparse._SubParsersAction):
            assert all(name in section for name in action.choices)
        elif isinstance(action, argparse._HelpAction) and words:
            continue
        elif action.option_strings:
            row = next(line for line in section.splitlines() if line.startswith(f"| `{action.option_strings[0]}"))
            assert all(f"`{option}" in row for option in action.option_strings)
        else:
            assert f"| `{action.metavar or '{' + ','.join(action.choices or ()) + '}'}" in section


def test_every_option_on_the_page_is_one_of_the_parser(page: str, parsers: Parsers) -> None:
    for words in parsers:
        if not words:
            continue
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section_of(page, words)))
        # A verb's own example may be one of its actions.
        below = [parser for others, parser in parsers.items() if others[: len(words)] == words]
        assert named <= {o for parser in below for action in parser._actions for o in action.option_strings}


def test_every_link_to_a_command_has_its_heading(page: str) -> None:
    links = re.findall(r"\]\(#([a-z-]+)\)", page)
    headings = {line.strip("# `").replace(" ", "-") for line in page.splitlines() if line.startswith("## `")}
    headings |= {line.strip("# `").replace(" ", "-") for line in page.splitlines() if line.startswith("### `")}
    assert len(links) == len(set(links)) > 5
    assert set(links) <= headings


def test_the_examples_stand_on_the_page_as_in_the_help(page: str, parsers: Parsers, words: tuple[str, ...]) -> None:
    section = section_of(page, words) if words else page.split("\n## ", maxsplit=1)[0]
    told = re.findall(r"^  (bottleneck-ood .+)$", parsers[words].epilog or "", flags=re.MULTILINE)
    # A command without options is its own usage line, which stands first.
    assert [line for line in section.splitlines() if line in told][-len(told) :] == told


def test_every_example_is_understood(parsers: Parsers, words: tuple[str, ...]) -> None:
    for line in re.findall(r"^  bottleneck-ood (.+)$", parsers[words].epilog or "", flags=re.MULTILINE):
        arguments = line.split(" > ")[0].split(" #")[0].split()
        assert callable(parsers[()].parse_args(arguments).run)


def test_a_default_told_in_a_help_text_is_the_real_one(parsers: Parsers, words: tuple[str, ...]) -> None:
    for action in parsers[words]._actions:
        told = re.search(r"default: ([^()]+)\)?$", action.help or "")
        if told is None:
            continue
        if action.default is None:
            assert " " in told[1], f"{action.option_strings} has no default but tells {told[1]}"
        else:
            real = f"{action.default:g}" if isinstance(action.default, float) else str(action.default)
            assert told[1] == real, action.option_strings


def test_usage_lines_fit_and_name_what_is_required(page: str, parsers: Parsers) -> None:
    last = [w for w, p in parsers.items() if not any(isinstance(a, argparse._SubParsersAction) for a in p._actions)]
    assert ("reference", "build") in last
    for words in last:
        usage = section_of(page, words).split("```")[1]
        assert all(len(line) <= 100 for line in usage.splitlines())
        groups = [group for group in parsers[words]._mutually_exclusive_groups if group.required]
        one_of_them = {action for group in groups for action in group._group_actions}
        for action in parsers[words]._actions:
            for option in action.option_strings[-1:]:
                if option != "--help":
                    optional = re.search(rf"\[{option}[ \]]", usage) is not None
                    assert optional != (action.required or action in one_of_them)


def test_the_page_tells_every_exit_code(page: str) -> None:
    codes = re.findall(
        r"^\| (\d+) \|", page.split("## Exit codes")[1].split("\n## ", maxsplit=1)[0], flags=re.MULTILINE
    )
    real = (main_module.DONE, main_module.FAILED, main_module.WRONG_INPUT, main_module.STOPPED)
    assert codes == [str(code) for code in sorted(real)] == ["0", "1", "2", "130"]


def test_the_page_tells_every_environment_variable_of_the_library(page: str, repository: Path) -> None:
    sources = [path.read_text(encoding="utf-8") for path in repository.glob("BottleneckOOD/BottleneckOODLib/**/*.py")]
    named = {name for source in sources for name in re.findall(r"BOTTLENECK_OOD_[A-Z_]+", source)}
    assert named == {HOME_VARIABLE, READER_VARIABLE}
    assert all(f"| `{name}` |" in page.split("## Environment variables")[1] for name in named)


def test_the_home_of_the_page_is_the_library_s(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    row = next(line for line in page.splitlines() if line.startswith(f"| `{HOME_VARIABLE}`"))
    assert f"`{user_folder().relative_to(tmp_path)}` in the home folder" in row
