"""What is read in the other process is what would be read in this one; what ends it costs one sentence, and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hostile_dicom import nested, with_inserted

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import InputError, NoScanError, SeriesChoiceError, SlowReadError
from BottleneckOODLib.imaging import reading_process
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.reading_process import MEMORY_A_BYTE, ReadingProcess, bytes_to_read
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.imaging.writing import read_label_volume, write_label_volume

WriteSlices = Callable[..., np.ndarray]


@pytest.fixture(scope="module", params=[False, True], ids=["by pipe", "by file"])
def reader(request: pytest.FixtureRequest) -> Iterator[ReadingProcess]:
    with ReadingProcess(by_file=request.param) as process:
        yield process


def same(first: Volume, second: Volume) -> bool:
    facts = [(v.geometry, v.modality, v.name, dict(v.acquisition), v.warnings) for v in (first, second)]
    return facts[0] == facts[1] and np.array_equal(first.voxels, second.voxels)


def child_of(reader: ReadingProcess) -> int:
    assert reader._child is not None
    return reader._child._process.pid


def test_a_file_gives_the_same_volume(reader: ReadingProcess, a_ct_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = read_volume(a_ct_file)
    assert same(reader.read(a_ct_file), here)
    assert same(reader.read(a_ct_file, modality="MR"), read_volume(a_ct_file, modality="MR"))
    monkeypatch.chdir(a_ct_file.parent)
    assert same(reader.read(a_ct_file.name), here)
    assert not reader.read(a_ct_file).voxels.flags.writeable


def test_a_series_gives_the_same_volume_and_facts(
    reader: ReadingProcess, write_slices: WriteSlices, tmp_path: Path
) -> None:
    write_slices(tmp_path / "series", uid="1.2.3", Manufacturer="Maker", KVP="120")
    here = read_volume(tmp_path / "series")
    assert here.acquisition["kvp"] == 120.0
    assert same(reader.read(tmp_path / "series"), here)


def test_what_cannot_be_read_is_refused_with_the_same_words(
    reader: ReadingProcess, write_slices: WriteSlices, tmp_path: Path
) -> None:
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[5:15, 10:30, 10:30] = 1
    sitk.WriteImage(sitk.GetImageFromArray(labels), tmp_path / "labels.nrrd")
    (tmp_path / "text.nii.gz").write_text("no image " * 90)
    write_slices(tmp_path / "two", uid="1.2.3")
    write_slices(tmp_path / "two", uid="1.2.4")
    for name, kind in (("labels.nrrd", NoScanError), ("text.nii.gz", InputError), ("gone.nii", InputError)):
        with pytest.raises(InputError) as there:
            reader.read(tmp_path / name)
        with pytest.raises(InputError) as here:
            read_volume(tmp_path / name)
        assert type(there.value) is type(here.value) is kind
        assert str(there.value) == str(here.value)
    with pytest.raises(SeriesChoiceError) as choice:
        reader.read(tmp_path / "two")
    assert len(choice.value.series) == 2
    assert reader.read(tmp_path / "two", series="1.2.4").voxels.shape == (4, 6, 5)


@pytest.mark.skipif(sys.platform == "win32", reason="it is ended by a signal")
def test_a_file_that_ends_the_reader_is_one_sentence_and_the_next_is_read(
    reader: ReadingProcess, a_ct_file: Path
) -> None:
    here = read_volume(a_ct_file)
    before = child_of(reader)
    os.kill(before, signal.SIGKILL)
    # Either it is noticed before the next file is asked for, or told of that file.
    try:
        reader.read(a_ct_file)
    except InputError as error:
        assert "ended the process that read it" in str(error)  # noqa: PT017 - both are right
    assert same(reader.read(a_ct_file), here)
    assert child_of(reader) != before


@pytest.mark.skipif(sys.platform != "linux", reason="how deep a library's calls may go differs")
def test_a_file_that_makes_the_library_crash_is_one_sentence(
    reader: ReadingProcess, write_slices: WriteSlices, a_ct_file: Path, tmp_path: Path
) -> None:
    write_slices(tmp_path / "series", uid="1.2.3")
    with_inserted(tmp_path / "series", nested(100_000, defined=True))
    with pytest.raises(InputError, match="The image series ended the process that read it; it may be damaged"):
        reader.read(tmp_path / "series")
    assert reader.read(a_ct_file).voxels.size


@pytest.mark.skipif(sys.platform != "linux", reason="limits are told on Linux alone")
def test_a_reader_that_crashes_leaves_no_copy_of_its_memory() -> None:
    with ReadingProcess() as reader:
        assert reader._ready_child()
        (told,) = [
            line.split()[4:6] for line in Path(f"/proc/{child_of(reader)}/limits").read_text().splitlines()
            if line.startswith("Max core file size")
        ]  # fmt: skip
    assert set(told) <= {"0", "1"}


@pytest.mark.skipif(sys.platform == "win32", reason="the reader is held by a signal")
def test_a_file_that_takes_too_long_is_one_sentence(a_ct_file: Path) -> None:
    with ReadingProcess(least_seconds=0.2) as reader:
        assert reader._ready_child()
        os.kill(child_of(reader), signal.SIGSTOP)
        with pytest.raises(SlowReadError, match="was not read after 1 s; its drive may be slow"):
            reader.read(a_ct_file)
    with ReadingProcess() as reader:
        assert reader.read(a_ct_file).voxels.size


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_file_that_takes_too_much_memory_is_one_sentence(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 300, (64, 256, 256)).astype(np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(noise), tmp_path / "scan.nii")
    with ReadingProcess(least_seconds=8.0) as reader:
        assert reader._ready_child()
        taken = 4096 * int(Path(f"/proc/{child_of(reader)}/statm").read_text().split()[0])
        reader._least_memory = taken + (20 << 20) - MEMORY_A_BYTE * (tmp_path / "scan.nii").stat().st_size
        # Where Python cannot even raise its error for want of memory (3.10), the limit of time ends it.
        with pytest.raises(InputError, match=r"scan\.nii (does not fit into|is no image|ended the|was not read after)"):
            reader.read(tmp_path / "scan.nii")
    with ReadingProcess() as reader:
        assert same(reader.read(tmp_path / "scan.nii"), read_volume(tmp_path / "scan.nii"))


@pytest.mark.skipif(sys.platform == "win32", reason="no process there has such signals")
def test_an_interrupt_of_the_terminal_does_not_reach_a_reader_that_just_begins(a_ct_file: Path) -> None:
    with ReadingProcess() as reader:
        begun = child_of(reader)
        os.kill(begun, signal.SIGINT)
        assert reader.read(a_ct_file).voxels.size
        assert child_of(reader) == begun


def test_a_reader_that_hears_no_signal_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits for a drive that is gone."""
    monkeypatch.setattr(reading_process, "_ENDED_WITHIN_SECONDS", 0.1)
    reader = ReadingProcess()
    assert reader._ready_child()
    child = reader._child
    assert child is not None
    killed, stream = child._process.kill, child._process.stdin
    assert stream is not None
    monkeypatch.setattr(child._process, "kill", lambda: None)
    # What it would hear of instead: that nothing more is asked.
    monkeypatch.setattr(child._process, "stdin", None)
    closing = threading.Thread(target=reader.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    assert child.running
    killed()
    child._process.wait()
    stream.close()


def test_limits_follow_the_size_of_all_files(write_slices: WriteSlices, tmp_path: Path) -> None:
    write_slices(tmp_path / "series", uid="1.2.3")
    assert bytes_to_read(tmp_path / "series") == sum(p.stat().st_size for p in (tmp_path / "series").iterdir())
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6), np.float32)), tmp_path / "a.mhd")
    assert bytes_to_read(tmp_path / "a.mhd") == (tmp_path / "a.mhd").stat().st_size + 4 * 5 * 6 * 4
    assert bytes_to_read(tmp_path / "gone.nii") == 0


def test_it_ends_with_who_started_it_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom BottleneckOODLib.imaging.reading_process import ReadingProcess\n"
        "reader = ReadingProcess(by_file=True)\nassert reader._ready_child()\n"
        "print(reader._child._process.pid, os.listdir(sys.argv[1]), flush=True)\nos._exit(0)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=500,
        env={**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path), "TMP": str(tmp_path)},
    )  # fmt: skip
    child, _, folders = told.stdout.partition(" ")
    assert "bottleneck-ood-" in folders
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (_runs(int(child)) or any(tmp_path.iterdir())):
        time.sleep(0.05)
    assert not _runs(int(child))
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_handed_over_lies_alone_in_a_private_folder_and_no_longer_than_it_is_read(
    a_ct_file: Path,
) -> None:
    with ReadingProcess(by_file=True) as reader:
        assert same(reader.read(a_ct_file), read_volume(a_ct_file))
        assert reader._child is not None
        folder = reader._child._folder
        assert folder is not None
        assert sys.platform == "win32" or folder.stat().st_mode & 0o777 == 0o700
        assert not list(folder.iterdir())
        # As where the drive of temporary files is full.
        folder.rmdir()
        with pytest.raises(InputError, match="could not be handed over; check the free space"):
            reader.read(a_ct_file)
    assert not folder.exists()


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_fault_while_an_answer_is_taken_is_one_sentence_at_once(
    a_ct_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And not the one of a file that takes too long."""

    def broken(*_: object) -> np.ndarray:
        raise ZeroDivisionError

    with ReadingProcess() as reader:
        monkeypatch.setattr("BottleneckOODLib.imaging.reading_process._voxels", broken)
        with pytest.raises(InputError, match="ended the process that read it"):
            reader.read(a_ct_file)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("by_file", [False, True])
def test_labels_come_as_they_lie_with_their_names(
    tmp_path: Path, make_assessment: Callable[..., Assessment], by_file: bool
) -> None:
    mask = make_assessment("green").segmentation
    assert mask is not None
    named = replace(mask, labels=np.where(mask.labels, 255, 0).astype(np.uint8), names={255: "Leber, \u00e4u\u00dfere"})
    write_label_volume(named, tmp_path / "mask.seg.nrrd")
    (tmp_path / "none.nrrd").write_bytes(b"NRRD0004\n")
    with ReadingProcess(by_file=by_file) as process:
        read = process.read_labels(tmp_path / "mask.seg.nrrd")
        with pytest.raises(InputError, match=r"none.nrrd cannot be read as a label map"):
            process.read_labels(tmp_path / "none.nrrd")
    here = read_label_volume(tmp_path / "mask.seg.nrrd")
    assert (read.names, read.geometry) == (here.names, here.geometry)
    assert read.labels.dtype == np.uint8
    assert np.array_equal(read.labels, here.labels)
