"""Ctrl+C: exit code 130, one sentence, nothing half-done."""

from __future__ import annotations

import io
import signal
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from BottleneckOODLib.assessment import figures
from BottleneckOODLib.cli.console import stopping_on_interrupt
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.errors import Cancelled
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.segmenter import Segmenter
from BottleneckOODLib.progress import Progress, ProgressCallback

Captured = pytest.CaptureFixture[str]
STOPPED = "bottleneck-ood: stopped; nothing half-done was saved."


def interrupt(*_arguments: object, **_options: object) -> NoReturn:
    raise KeyboardInterrupt


def test_an_interrupt_in_assess_leaves_no_output(
    a_scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(BottleneckOODLogic, "assess", interrupt)
    assert main(["assess", str(a_scan), "--output", str(tmp_path / "out")]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [STOPPED]
    assert not (tmp_path / "out").exists()


def test_an_interrupt_in_the_demo_leaves_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(BottleneckOODLogic, "assess", interrupt)
    assert main(["demo", "--output", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.splitlines() == [STOPPED]
    assert not (tmp_path / "out").exists()


def test_a_signal_while_the_network_runs_stops_at_its_next_window(
    a_scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    run, called = Segmenter.run, []

    def run_with_a_signal(self: Segmenter, *arguments: object) -> object:
        called.append(True)
        signal.raise_signal(signal.SIGINT)
        return run(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "run", run_with_a_signal)
    before = signal.getsignal(signal.SIGINT)
    assert main(["assess", str(a_scan), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 130
    assert called == [True]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == STOPPED
    assert "Traceback" not in said.err
    assert not (tmp_path / "out").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_while_saving_leaves_nothing_half_written(
    a_scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "write_overview", interrupt)
    assert main(["assess", str(a_scan), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 130
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != a_scan]
    assert not list((tmp_path / "out").glob("*"))


def test_an_interrupt_while_replacing_keeps_the_old_result(
    a_scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "out" / "a"
    old.mkdir(parents=True)
    (old / "assessment.json").write_text("the old one")
    monkeypatch.setattr(figures, "write_overview", interrupt)
    assert main(["assess", str(a_scan), "--output", str(tmp_path / "out"), "--device", "cpu", "--overwrite"]) == 130
    assert [path.name for path in old.parent.iterdir()] == ["a"]
    assert [(path.name, path.read_text()) for path in old.iterdir()] == [("assessment.json", "the old one")]


def test_cases_that_were_done_are_kept(
    a_scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    second = a_scan.with_name("b.nii.gz")
    second.write_bytes(a_scan.read_bytes())
    assess = BottleneckOODLogic.assess

    def stop_at_b(self: BottleneckOODLogic, source: str, **options: object) -> object:
        if source == str(second):
            raise KeyboardInterrupt
        return assess(self, source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BottleneckOODLogic, "assess", stop_at_b)
    arguments = ["assess", str(a_scan), str(second), "--output", str(tmp_path / "out"), "--device", "cpu"]
    assert main(arguments) == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    assert (tmp_path / "out" / "a" / "assessment.json").is_file()
    assert capsys.readouterr().err.splitlines()[-1] == STOPPED


def test_on_a_terminal_the_sentence_starts_a_line_of_its_own(
    a_scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def stop_half_way(self: BottleneckOODLogic, source: str, *, progress: ProgressCallback, **_: object) -> NoReturn:
        progress(Progress("Segmenting", 0.4, 12.0))
        raise KeyboardInterrupt

    monkeypatch.setattr(BottleneckOODLogic, "assess", stop_half_way)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(["assess", str(a_scan), "--output", str(tmp_path / "out")]) == 130
    told = sys.stderr.getvalue()
    assert "40%" in told
    assert told.replace("\r", "\n").splitlines()[-1] == STOPPED


def test_the_first_signal_asks_and_the_second_one_ends() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping_on_interrupt() as cancel:
        assert not cancel.cancelled
        signal.raise_signal(signal.SIGINT)
        assert cancel.cancelled
        with pytest.raises(Cancelled):
            cancel.raise_if_cancelled()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
