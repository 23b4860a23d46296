"""A small scan in a file, and a home without models of the user's own."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk

from BottleneckOODLib.catalogue import HOME_VARIABLE
from BottleneckOODLib.cli.main import build_parser
from BottleneckOODLib.imaging.volume import Volume, to_sitk


def all_parsers() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """Every command and subcommand by its words; the program itself has none."""
    found: dict[tuple[str, ...], argparse.ArgumentParser] = {}

    def add(words: tuple[str, ...], parser: argparse.ArgumentParser) -> None:
        found[words] = parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, child in action.choices.items():
                    add((*words, name), child)

    add((), build_parser())
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``words`` runs for every command."""
    if "words" in metafunc.fixturenames:
        every = list(all_parsers())
        metafunc.parametrize("words", every, ids=[" ".join(words) or "bottleneck-ood" for words in every])


@pytest.fixture
def hearing_interrupts() -> Iterator[None]:
    """A shell starts what runs in its background deaf to Ctrl+C, and children inherit that; here they hear it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def a_usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help is wrapped to the terminal's width, whatever that of the tester is."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def parsers() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    return all_parsers()


@pytest.fixture(autouse=True)
def the_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty, so that what the tester keeps at home changes nothing."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


@pytest.fixture
def a_scan(a_small_ct: Volume, tmp_path: Path) -> Path:
    """``in/a.nii.gz``."""
    path = tmp_path / "in" / "a.nii.gz"
    path.parent.mkdir()
    sitk.WriteImage(to_sitk(a_small_ct.voxels, a_small_ct.geometry), str(path))
    return path
