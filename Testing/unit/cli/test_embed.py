"""``embed``: what it says, what it refuses, and that Ctrl+C keeps what is done."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.segmenter import Segmenter, SegmenterOutput

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def a_tiny_model(make_model: Callable[..., ModelFolder], tmp_path: Path) -> str:
    return str(make_model(tmp_path / "tiny", "unet").folder)


def embed(output: Path, cases: Path, model: str, *more: str) -> int:
    return main(["embed", "--cases", str(cases), "--output", str(output), "--model", model, "--device", "cpu", *more])


def a_table(folder: Path, images: list[str]) -> Path:
    path = folder / "cases.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["image"], *([image] for image in images)])
    return path


def the_one_sentence(capsys: Captured) -> str:
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    told = [line for line in said.err.splitlines() if line.startswith("bottleneck-ood: ")]
    assert len(told) == 1, said.err
    return told[0]


def test_it_says_what_was_saved_and_what_could_not_be_used(
    a_scan: Path, a_tiny_model: str, tmp_path: Path, capsys: Captured
) -> None:
    (a_scan.parent / "broken.nii.gz").write_bytes(b"no image")
    assert embed(tmp_path / "out", a_scan.parent, a_tiny_model) == 0
    said = capsys.readouterr()
    assert "Features of 1 cases were saved" in said.out
    assert "1 could not be used" in said.out
    assert "  could not be used: broken: " in said.out
    assert "No case has labels" in said.out
    assert embed(tmp_path / "out", a_scan.parent, a_tiny_model) == 0
    assert "1 were there already" in capsys.readouterr().out


def test_a_signal_keeps_the_cases_that_are_done(
    a_scan: Path, a_tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (a_scan.parent / "b.nii.gz").write_bytes(a_scan.read_bytes())
    run, calls = Segmenter.run, []

    def with_a_signal_in_the_second(self: Segmenter, *arguments: object, **options: object) -> SegmenterOutput:
        calls.append(True)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return run(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "run", with_a_signal_in_the_second)
    assert embed(tmp_path / "out", a_scan.parent, a_tiny_model, "--stages") == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert "cases that were done are kept; the same command goes on" in said.err
    assert {path.stem for path in (tmp_path / "out").rglob("*.npy")} == {"a"}
    assert embed(tmp_path / "out", a_scan.parent, a_tiny_model, "--stages") == 0
    assert "Features of 1 cases were saved" in capsys.readouterr().out
    assert {path.stem for path in (tmp_path / "out" / "stage_1").iterdir()} == {"a", "b"}


def test_a_list_that_is_not_there_is_one_sentence(a_tiny_model: str, tmp_path: Path, capsys: Captured) -> None:
    assert embed(tmp_path / "out", tmp_path / "gone.csv", a_tiny_model) == 2
    assert "gone.csv does not exist" in the_one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_is_one_sentence(a_scan: Path, tmp_path: Path, capsys: Captured) -> None:
    assert embed(tmp_path / "out", a_scan.parent, "nobody-s-model") == 2
    assert "nobody-s-model" in the_one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_only_images_that_cannot_be_read_are_a_mistake(a_tiny_model: str, tmp_path: Path, capsys: Captured) -> None:
    table = a_table(tmp_path, ["one.nii.gz", "two.nii.gz"])
    assert embed(tmp_path / "out", table, a_tiny_model) == 2
    told = the_one_sentence(capsys)
    assert "None of the 2 cases could be used; the first is one: " in told


def test_two_cases_of_one_name_are_refused(
    a_scan: Path, a_tiny_model: str, tmp_path: Path, capsys: Captured
) -> None:
    table = a_table(a_scan.parent, ["a.nii.gz", "./a.nii.gz"])
    assert embed(tmp_path / "out", table, a_tiny_model) == 2
    assert "a stands for several cases" in the_one_sentence(capsys)


@pytest.mark.parametrize("what", ["a file", "another folder", "another model"])
def test_an_output_that_is_something_else_is_kept(
    what: str, a_scan: Path, a_tiny_model: str, tmp_path: Path, capsys: Captured, make_model: Callable[..., ModelFolder]
) -> None:
    out = tmp_path / "out"
    if what == "a file":
        out.write_text("a letter")
    elif what == "another folder":
        out.mkdir()
        (out / "letter.txt").write_text("a letter")
    else:
        other = make_model(tmp_path / "other", "unet", seed=1)
        assert embed(out, a_scan.parent, str(other.folder)) == 0
        capsys.readouterr()
    before = {path: path.read_bytes() for path in (out, *out.rglob("*")) if path.is_file()}
    assert embed(out, a_scan.parent, a_tiny_model) == 2
    assert "choose " in the_one_sentence(capsys)
    assert {path: path.read_bytes() for path in (out, *out.rglob("*")) if path.is_file()} == before


def test_a_full_disk_is_one_sentence_and_stops_the_run(
    a_scan: Path, a_tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    import numpy as np

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert embed(tmp_path / "out", a_scan.parent, a_tiny_model) == 2
    assert "No space left on device" in the_one_sentence(capsys)
    assert not list((tmp_path / "out").rglob("*.npy"))
