"""Completion scripts of the shells."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from BottleneckOODLib.cli.main import main

Parsers = dict[tuple[str, ...], argparse.ArgumentParser]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_the_script_names_every_command_and_option(
    shell: str, parsers: Parsers, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for words, parser in parsers.items():
        assert all(word in said.out for word in words)
        # tcsh writes options without their dashes.
        options = [option for action in parser._actions for option in action.option_strings]
        assert all((option.lstrip("-") if shell == "tcsh" else option) in said.out for option in options)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["a"], {"assess"}),
        (["mod"], {"model"}),
        (["model", ""], {"add", "list", "show", "train-demo"}),
        (["reference", "b"], {"build"}),
        (["completion", ""], {"bash", "zsh", "tcsh"}),
        (["assess", "--ov"], {"--overwrite"}),
        (["assess", "--modality", ""], {"CT", "MR"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bash_completes_what_is_typed(
    typed: list[str], offered: set[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    words = " ".join(f"'{word}'" for word in ["bottleneck-ood", *typed])
    script += f"""
registered=$(complete -p bottleneck-ood)
COMP_WORDS=({words}); COMP_CWORD={len(typed)}; COMPREPLY=()
$(sed -E 's/.*-F ([^ ]+).*/\\1/' <<< "$registered")
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc"], input=script, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert set(done.stdout.split()) - {"-h", "--help"} == offered


def test_without_shtab_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "bottleneck-ood: The completion script needs shtab, which is not installed; run: pip install shtab"
    ]
