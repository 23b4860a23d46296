"""What the command line says of itself, and what it refuses before any work is done."""

from __future__ import annotations

import argparse
import re

import pytest

from BottleneckOODLib import __version__
from BottleneckOODLib.cli import main as main_module
from BottleneckOODLib.cli.main import main

Parsers = dict[tuple[str, ...], argparse.ArgumentParser]


def left_with(arguments: list[str]) -> int:
    """The exit code of a command that argparse ends."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_help_exits_0_and_names_every_option(
    words: tuple[str, ...], parsers: Parsers, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with([*words, "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"usage: {' '.join(('bottleneck-ood', *words))} ")
    assert all(option in said.out for action in parsers[words]._actions for option in action.option_strings)


def test_help_holds_an_example(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    left_with([*words, "--help"])
    told = capsys.readouterr().out
    assert "examples:" in told
    assert re.search(rf"^  {' '.join(('bottleneck-ood', *words))}\b", told, flags=re.MULTILINE)


def test_every_option_is_explained(words: tuple[str, ...], parsers: Parsers) -> None:
    for action in parsers[words]._actions:
        if not isinstance(action, argparse._SubParsersAction):
            assert re.sub(r"\(?default: .*", "", action.help or "").strip(), action.option_strings


def test_the_main_help_lists_every_command_with_what_it_does(
    parsers: Parsers, capsys: pytest.CaptureFixture[str]
) -> None:
    left_with(["--help"])
    told = capsys.readouterr().out
    for name in (words[0] for words in parsers if len(words) == 1):
        assert re.search(rf"^    {name}\s+\w+", told, flags=re.MULTILINE), name


def test_version_is_the_library_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["--version"]) == 0
    assert capsys.readouterr().out == f"bottleneck-ood {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "VERB"),
        (["segment"], "segment"),
        (["model"], "ACTION"),
        (["reference", "delete"], "delete"),
        (["model", "show"], "M"),
        (["assess", "ct.nii.gz"], "--output"),
        (["assess", "--output", "out"], "INPUT"),
        (["assess", "ct.nii.gz", "--output", "out", "--modality", "PET"], "PET"),
        (["assess", "ct.nii.gz", "--output", "out", "--nonsense"], "--nonsense"),
        (["completion", "fish"], "fish"),
        (["reference", "build", "--output", "r"], "--generated"),
        (["reference", "build", "--cases", "c.csv", "--generated", "5", "--output", "r"], "not allowed with"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_a_wrong_command_exits_2_and_says_what_is_wrong(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert len(said.err.splitlines()) == 1
    assert "Traceback" not in said.err


def fault(_arguments: argparse.Namespace) -> int:
    message = "a hidden detail"
    raise RuntimeError(message)


def test_a_fault_of_the_program_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main_module.completion, "run", fault)
    assert main(["completion", "bash"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "RuntimeError" in said.err
    assert "--debug" in said.err
    assert "a hidden detail" not in said.err


def test_memory_that_does_not_suffice_is_no_fault_of_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_memory(_arguments: argparse.Namespace) -> int:
        raise MemoryError

    monkeypatch.setattr(main_module.completion, "run", no_memory)
    assert main(["completion", "bash"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("bottleneck-ood: The memory of this computer does not suffice; ")
    assert said.count("\n") == 1


def test_debug_shows_where_a_fault_happened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main_module.completion, "run", fault)
    assert main(["--debug", "completion", "bash"]) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "a hidden detail" in told
