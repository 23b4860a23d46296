"""What only shows when the command runs as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "BottleneckOODLib.cli.main"]


def an_environment(**changes: str) -> dict[str, str]:
    """Buffered output, as a user has it."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}, **changes}


@pytest.mark.parametrize("arguments", [["model", "list"], ["reference", "show", "demo"], ["completion", "bash"]])
def test_a_reader_that_has_gone_is_no_fault(arguments: list[str], repository: Path) -> None:
    """As in ``bottleneck-ood model list | true``."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=300,
            env=an_environment(), cwd=repository / "BottleneckOOD",
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no full device")
def test_an_output_that_takes_nothing_more_is_one_sentence(repository: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "model", "list"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=300,
            env=an_environment(), cwd=repository / "BottleneckOOD",
        )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "No space left on device" in line


def test_a_console_that_cannot_show_a_name_does_not_stop_the_run(
    a_scan: Path, tmp_path: Path, repository: Path
) -> None:
    source = a_scan.rename(a_scan.with_name("Müller.nii.gz"))
    done = subprocess.run(
        [*COMMAND, "assess", str(source), "--output", str(tmp_path / "out"), "--device", "cpu"],
        capture_output=True, check=False, timeout=300,
        env=an_environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"), cwd=repository / "BottleneckOOD",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"ller: " in done.stdout
    assert b"fault of the program" not in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such names")
def test_a_file_name_that_is_not_utf_8_does_not_crash(a_scan: Path, tmp_path: Path, repository: Path) -> None:
    source = os.fsencode(a_scan.parent) + b"/bad\xff.nii.gz"
    os.rename(a_scan, source)  # noqa: PTH104 - the name is bytes
    done = subprocess.run(
        [*COMMAND, "assess", source, "--output", str(tmp_path / "out"), "--device", "cpu"],
        capture_output=True, check=False, timeout=300, env=an_environment(), cwd=repository / "BottleneckOOD",
    )  # fmt: skip
    assert done.returncode in {0, 2}, done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal for one process")
@pytest.mark.usefixtures("hearing_interrupts")
def test_ctrl_c_in_a_running_command_exits_130_and_leaves_nothing_half_done(
    a_scan: Path, tmp_path: Path, repository: Path
) -> None:
    """Many cases, stopped when the first one has begun.

    What they say is several times what the pipe takes, so the command cannot come to its end before it is stopped.
    """
    sources = [a_scan, *(a_scan.with_name(f"{'x' * 30}{number:05}.nii.gz") for number in range(80))]
    for source in sources[1:]:
        source.write_bytes(a_scan.read_bytes())
    process = subprocess.Popen(
        [*COMMAND, "assess", *map(str, sources), "--output", str(tmp_path / "out"), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pipesize=4096,
        env=an_environment(), cwd=repository / "BottleneckOOD",
    )  # fmt: skip
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=300)
    finally:
        process.kill()
    assert first == "a: Reading\n"
    assert process.returncode == 130
    assert told.splitlines()[-1] == "bottleneck-ood: stopped; nothing half-done was saved."
    assert "Traceback" not in told
    for case in (tmp_path / "out").glob("*"):  # what was done before the signal came, if anything, is whole
        assert {"assessment.json", "overview.png"} <= {path.name for path in case.iterdir()}
