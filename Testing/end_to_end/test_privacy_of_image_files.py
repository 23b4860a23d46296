"""Image files whose names, folders and header texts are marks, through a batch: none is written, said or logged."""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import SimpleITK as sitk
from dask_processes import PATIENCE_S, wait_for_scheduler
from planted_marks import everything, mark, marks_in
from sqlalchemy import MetaData, create_engine, select

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.imaging.volume import Volume, to_sitk
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.triage import scheduling
from BottleneckOODLib.triage.store import Store

_NIFTI_TEXTS = {"data_type": (4, 10), "db_name": (14, 18), "descrip": (148, 80), "aux_file": (228, 24),
                "intent_name": (328, 16)}  # fmt: skip
_CODES, _VOXELS_BEGIN = slice(252, 256), 108
_FAULT, _DEATH = mark("PN", 96001), mark("PN", 96002)
# What the workers run before anything else: one image makes its reader fail as nobody foresaw, one ends the worker.
_PRELOAD = f"""
import os, signal
from BottleneckOODLib.imaging.reading_process import read_apart as read
from BottleneckOODLib.triage import judging
def fail(path, **options):
    if "{_FAULT}" in str(path):
        raise OSError(5, "Input/output error", str(path))
    if "{_DEATH}" in str(path):
        os.kill(os.getpid(), signal.SIGKILL)
    return read(path, **options)
judging.read_apart = fail
"""


def nifti(image: sitk.Image, path: Path, *, number: int, codes: bool = True) -> bytes:
    """A file whose every text is a mark, an extension too; without codes it does not say how it lies."""
    plain = path.with_name("plain.nii")
    sitk.WriteImage(image, str(plain))
    raw = bytearray(plain.read_bytes())
    plain.unlink()
    for n, (at, length) in enumerate(_NIFTI_TEXTS.values()):
        raw[at : at + length] = mark("LO", number + n).encode().ljust(length, b"\0")
    if not codes:
        raw[_CODES] = bytes(4)
    (begin,) = struct.unpack_from("<f", raw, _VOXELS_BEGIN)
    comment = mark("PN", number + 9).encode().ljust(24, b"\0")
    extension = bytes([1, 0, 0, 0]) + (32).to_bytes(4, "little") + (6).to_bytes(4, "little") + comment
    struct.pack_into("<f", raw, _VOXELS_BEGIN, 352 + 32)
    return bytes(raw[:348]) + extension + bytes(raw[int(begin) :])


@pytest.fixture
def planted(tmp_path: Path, make_a_body: Callable[[int], Volume]) -> Path:
    """Five scans, of which one is told a warning of; three that cannot be read; two that are none."""
    patient = tmp_path / mark("PN", 95000) / mark("LO", 95001)
    patient.mkdir(parents=True)
    bodies = [make_a_body(1100 + number) for number in range(5)]
    images = [to_sitk(body.voxels, body.geometry) for body in bodies]

    def place(number: int, ending: str) -> Path:
        return patient / f"{mark('PN', 95010 + number)}{ending}"

    place(0, ".nii.gz").write_bytes(gzip.compress(nifti(images[0], place(0, ".nii.gz"), number=95100), 1))
    place(1, ".nii").write_bytes(nifti(images[1], place(1, ".nii"), number=95110, codes=False))
    sitk.WriteImage(images[2], str(place(2, ".nrrd")))
    texts = "".join(f"{key}{mark('LO', 95120 + n)}\n" for n, key in enumerate(("# ", "content: ", "PatientName:=")))
    raw = place(2, ".nrrd").read_bytes()
    place(2, ".nrrd").write_bytes(raw.replace(b"\n\n", f"\n{texts}\n".encode(), 1))
    sitk.WriteImage(images[3], str(place(3, ".mha")))
    texts = "".join(f"{key} = {mark('LO', 95130 + n)}\n" for n, key in enumerate(("Comment", "Name", "PatientName")))
    raw = place(3, ".mha").read_bytes()
    place(3, ".mha").write_bytes(raw.replace(b"ElementDataFile", texts.encode() + b"ElementDataFile", 1))
    sitk.WriteImage(images[4], str(place(4, ".mhd")))
    # Cut short; with voxels in a file that is missing; with voxels in one that is cut short.
    place(5, ".nii.gz").write_bytes(place(0, ".nii.gz").read_bytes()[:3000])
    field = "NRRD0004\ntype: short\ndimension: 3\nsizes: 40 40 40\nencoding: raw\ndata file: {}\n\n"
    place(6, ".nhdr").write_text(field.format(f"{mark('PN', 95200)}.img"), encoding="ascii")
    place(7, ".nhdr").write_text(field.format(f"{mark('PN', 95201)}.img"), encoding="ascii")
    (patient / f"{mark('PN', 95201)}.img").write_bytes(bytes(100))
    labels = sitk.Cast(images[0] > 0, sitk.sitkUInt8)
    sitk.WriteImage(labels, str(place(8, ".nii.gz")))
    sitk.WriteImage(labels, str(place(9, ".seg.nrrd")))
    return patient.parent


class Spoken:
    """Commands, and what they said but for the line that tells a reader where the image lies."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd
        self.texts: list[bytes] = []

    def __call__(self, *words: str, code: int = 0) -> str:
        assert main(list(words)) == code, (words, self.capfd.readouterr())
        told = self.capfd.readouterr()
        lines = [line for line in told.out.splitlines() if not line.startswith("  image:  ")]
        assert len(lines) == len(told.out.splitlines()) - (words[:2] in (("review", "next"), ("review", "show")))
        self.texts.extend(["\n".join(lines).encode(), told.err.encode()])
        return told.out + told.err


@pytest.fixture
def spoken(capfd: pytest.CaptureFixture[str]) -> Spoken:
    return Spoken(capfd)


@pytest.fixture
def judged(a_model_with_its_reference: tuple[ModelFolder, Path]) -> list[str]:
    model, reference = a_model_with_its_reference
    if model.network_type != "unet":
        pytest.skip("one family is enough")
    return ["--model", str(model.folder), "--reference", str(reference), "--device", "cpu"]


def marks_in_tables(url: str) -> dict[str, set[str]]:
    """The columns of a database that hold marks, each with them."""
    engine = create_engine(url)
    tables = MetaData()
    tables.reflect(engine)
    found: dict[str, set[str]] = {}
    with engine.connect() as connection:
        assert {"cases", "places", "assessments", "decisions", "worklist"} <= set(tables.tables)
        for table in tables.tables.values():
            for row in connection.execute(select(table)).mappings():
                for column, value in row.items():
                    for one in marks_in(repr(value).encode()):
                        found.setdefault(f"{table.name}.{column}", set()).add(one.decode())
    engine.dispose()
    return found


@pytest.mark.parametrize("kept_by", ["sqlite", "postgresql"])
def test_no_mark_of_an_image_file_is_written_or_said(
    judged: list[str],
    planted: Path,
    spoken: Spoken,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
    kept_by: str,
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    url = f"sqlite:///{work / 't.db'}" if kept_by == "sqlite" else str(request.getfixturevalue("a_postgres_url"))
    store = ["--store", url]
    out = spoken("triage", str(planted), *store, "--output", str(work / "cases"), *judged)
    assert "5 assessed, 0 known already, 0 copies, 3 could not be read, 2 passed over" in out
    assert "1 file(s) or folder(s): it is a segmentation" in out
    assert "which is missing; copy both files" in out
    assert "--names files tells it" in out
    with Store(url) as held:
        results = {found.case_id: found for found in held.results()}
        assert all(re.fullmatch("case-[0-9a-f]{12}", name) for name in results), list(results)
        kept = [held.assessment_of(case) for case, found in results.items() if found.folder]
        assert sum("does not say how it lies" in " ".join(one.warnings) for one in kept if one is not None) == 1
        case = next(case for case, found in results.items() if found.folder)
        assert marks_in(held.places_of(case)[0].path.encode())
        for ending in ("csv", "json", "parquet"):
            spoken("triage", "export", *store, "--output", str(work / f"c.{ending}"))
        spoken("triage", "status", *store)
        spoken("triage", "report", *store, "--output", str(work / "r.html"))
        spoken("triage", "drift", *store, *judged[:4])
        spoken("review", "next", *store, "--reader", "AB")
        spoken("review", "show", case, *store)
        spoken("review", "decide", case, *store, "--reader", "AB", "--rating", "reject", "--reason", "contour_off")
        spoken("review", "agreement", *store)
        spoken("review", "export", *store, "--output", str(work / "d.csv"))
        written = [path for path in work.rglob("*") if path.is_file() and not path.name.startswith("t.db")]
        assert {".json", ".jpg", ".nrrd", ".html", ".csv", ".parquet"} <= {path.suffix for path in written}
        found = {str(path): marks_in(raw)[:3] for path in written for raw in everything(path) if marks_in(raw)}
        names = [path.name for path in work.rglob("*") if marks_in(path.name.encode())]
    assert (found, names) == ({}, [])
    assert [marks_in(text) for text in [*spoken.texts, caplog.text.encode()] if marks_in(text)] == []
    folders = {mark("PN", 95000)[:8], mark("LO", 95001)}
    files = {mark("PN", 95010 + number)[:8] for number in range(9)}
    assert marks_in_tables(url) == {"places.path": folders | files}
    if kept_by == "sqlite":
        whole = {one.decode() for path in work.glob("t.db*") for raw in everything(path) for one in marks_in(raw)}
        assert whole == folders | files
    # Who asks is told, and a case keeps the name that it has.
    assert main(["triage", str(planted), *store, "--output", str(work / "cases"), "--names", "files", *judged]) == 0
    told = spoken.capfd.readouterr().out
    assert "0 assessed, 8 known already" in told
    assert f"{mark('PN', 95019)}.seg.nrrd: it is a segmentation" in told


@contextmanager
def a_cluster(folder: Path) -> Iterator[str]:
    """A scheduler and one worker, each a process that logs all it can into a file; gives the scheduler's address."""
    distributed = pytest.importorskip("distributed")
    where, preload = folder / "where.json", folder / "preload.py"
    preload.write_text(_PRELOAD, encoding="utf-8")
    common = ["--no-dashboard", "--scheduler-file", str(where)]
    head = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common]
    hand = ["dask_worker", "--nworkers", "1", "--nthreads", "1", "--preload", str(preload), *common]
    more = {
        "DASK_LOGGING__DISTRIBUTED": "debug",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": f"{PATIENCE_S}s",
    }
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, (program, *words) in enumerate((head, hand)):
            command = [sys.executable, "-m", f"distributed.cli.{program}", *words]
            with (folder / f"log{number}").open("wb") as log:
                environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
                started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
            wait_for_scheduler(where)
        with distributed.Client(scheduler_file=str(where), timeout=f"{PATIENCE_S}s") as client:
            client.wait_for_workers(1, timeout=PATIENCE_S)
            address = str(client.scheduler.address)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_no_mark_is_in_the_log_of_a_cluster(
    judged: list[str],
    make_a_body: Callable[[int], Volume],
    spoken: Spoken,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A busy machine is no scheduler that does not answer.
    monkeypatch.setattr(scheduling, "_ANSWER_WITHIN", f"{PATIENCE_S}s")
    body = make_a_body(1200)
    for folder, name in (("good", mark("PN", 96000)), ("deadly", _DEATH), ("bad", _FAULT)):
        (tmp_path / folder / mark("LO", 96010)).mkdir(parents=True)
        image = to_sitk(body.voxels + len(folder), body.geometry)
        sitk.WriteImage(image, str(tmp_path / folder / mark("LO", 96010) / f"{name}.nii.gz"))
    (tmp_path / "good" / f"{mark('PN', 96020)}.nii.gz").write_bytes(b"no image")
    work = tmp_path / "work"
    work.mkdir()
    with a_cluster(tmp_path) as address:
        words = ["--store", str(work / "t.db"), *judged, "--scheduler", address]
        out = spoken("triage", str(tmp_path / "good"), *words)
        assert "1 assessed, 0 known already, 0 copies, 1 could not be read" in out
        # Alone: Dask holds a death against whatever waited for the same worker.
        out = spoken("triage", str(tmp_path / "deadly"), *words)
        assert "0 assessed, 0 known already, 0 copies, 1 could not be read" in out
        assert "was ended several times" in out
        told = spoken("triage", str(tmp_path / "bad"), *words, code=1)
        assert "fault of the program (OSError" in told
    logs = [(tmp_path / f"log{number}").read_bytes() for number in range(2)]
    # Dask tells of both, in its own words.
    assert b"Compute Failed" in logs[1]
    assert b"carry_out" in logs[0] + logs[1]
    assert [marks_in(text)[:3] for text in [*spoken.texts, *logs] if marks_in(text)] == []
