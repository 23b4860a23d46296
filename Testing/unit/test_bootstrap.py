from __future__ import annotations

import ctypes.util
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def bootstrap(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with an environment folder of its own."""
    spec = importlib.util.spec_from_file_location("bootstrap", repository / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path / "venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / "venv" / "installed.txt")
    return module


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have been run; all succeed, and making an environment makes its Python."""
    made: list[list[str]] = []

    def call(command: list[str], **_options: object) -> int:
        made.append(command)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    return made


def the_one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("bootstrap: ")
    return said


@pytest.mark.parametrize("version", [(3, 8, 1), (3, 9, 20), (3, 14, 0)])
def test_a_python_that_does_not_fit_is_one_sentence(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert bootstrap.main(["demo"]) == 2
    said = the_one_sentence(capsys)
    assert f"Python {version[0]}.{version[1]}" in said
    assert "install" in said


def test_a_missing_system_library_is_one_sentence_with_the_package(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: list[list[str]]
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None if name == "EGL" else "found")
    assert bootstrap.main(["test"]) == 2
    assert "apt-get install libegl1" in the_one_sentence(capsys)
    assert calls == []


def test_an_environment_without_pip_is_one_sentence(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subprocess, "call", lambda *_arguments, **_options: 1)
    assert bootstrap.main(["demo"]) == 2
    assert "python3-venv" in the_one_sentence(capsys)


def test_it_installs_once_what_is_pinned(bootstrap: ModuleType, calls: list[list[str]], repository: Path) -> None:
    python = bootstrap.installed_python("test")
    installing = [command for command in calls if "install" in command]
    assert len(installing) == 1
    assert str(repository / "constraints.txt") in installing[0]
    assert installing[0][-1].endswith("[test]")
    calls.clear()
    assert bootstrap.installed_python("test") == python
    assert bootstrap.installed_python("") == python
    assert calls == []


def test_a_half_finished_installation_is_taken_up_again(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, calls: list[list[str]]
) -> None:
    succeeding = subprocess.call
    monkeypatch.setattr(subprocess, "call", lambda c, **o: 1 if "install" in c else succeeding(c, **o))
    with pytest.raises(bootstrap.Refusal, match="goes on where it stopped"):
        bootstrap.installed_python("")
    monkeypatch.setattr(subprocess, "call", succeeding)
    bootstrap.installed_python("")
    assert sum("venv" in command for command in calls) == 1
    assert sum("install" in command for command in calls) == 1


def test_an_unknown_command_shows_both(bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["run"]) == 2
    shown = capsys.readouterr().out
    assert "bootstrap.py demo" in shown
    assert "bootstrap.py test" in shown


def test_every_step_of_the_tests_runs_and_the_first_failure_decides(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    threads: list[str] = []

    def call(command: list[str], *, env: dict[str, str], **_options: object) -> int:
        ran.append(command)
        threads.append(env["OMP_NUM_THREADS"])
        return {1: 3, 3: 7}.get(len(ran) - 1, 0)

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert bootstrap.run_tests(Path("python"), ["-x"]) == 3
    assert len(ran) == 4
    assert ran[3][-1] == "-x"
    assert threads == ["1"] * 4


@pytest.mark.parametrize(("cores", "processes"), [(1, "0"), (2, "2"), (64, "4")])
def test_the_tests_share_the_cores_and_the_user_s_own_choice_comes_last(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[list[str]],
    cores: int,
    processes: str,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(cores)), raising=False)
    assert bootstrap.run_tests(Path("python"), ["-n", "0"]) == 0
    chosen = calls[3]
    assert [chosen[at + 1] for at, word in enumerate(chosen) if word == "-n"] == [processes, "0"]
    assert chosen[chosen.index("--dist") + 1] == "loadfile"
