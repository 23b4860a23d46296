"""Series in which every text of the headers, every folder and every file is a mark: none is written or said."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_slices import write_slices
from planted_marks import TEXTS, everything, mark, marks_in
from pydicom.datadict import DicomDictionary

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.panel.bug_report import bug_report
from BottleneckOODLib.progress import CancelToken
from BottleneckOODLib.reference import building
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.worker.jobs import Jobs
from BottleneckOODLib.worker.protocol import BuildReference, Built

# Without these a series cannot be read, or is passed over.
_NEEDED = {
    "ImageType", "MediaStorageSOPClassUID", "Modality", "PhotometricInterpretation", "SOPClassUID",
    "SpecificCharacterSet", "TransferSyntaxUID", "PixelDataProviderURL",
}  # fmt: skip
# Of series; those that lie in two are known by the one above.
_FOLDERS = (*range(91001, 91006), 91010, 91020, 91030)
_KNOWN_SYNTAX, _UNKNOWN_SYNTAX = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.77"


def plant(path: Path, *, but: str = "") -> set[str]:
    """Fill every text of the data dictionary but one, the file's own group and private ones."""
    header = pydicom.dcmread(path)
    planted = set()
    for number, (tag, (vr, _, _, _, keyword)) in enumerate(sorted(DicomDictionary.items())):
        if vr in TEXTS and keyword and keyword not in {*_NEEDED, but} and tag >> 16:
            where = header.file_meta if tag >> 16 == 2 else header
            where.add_new(tag, vr, mark(vr, number))
            planted.add(keyword)
    inner = pydicom.Dataset()
    inner.PatientName, inner.TextValue = mark("PN", 90001), mark("UT", 90002)
    header.ContentSequence = [inner]
    block = header.private_block(0x11, mark("LO", 90003), create=True)
    block.add_new(1, "LO", mark("LO", 90004))
    header.save_as(path, enforce_file_format=False)
    return planted


def write_body(folder: Path, volume: Volume) -> None:
    """Write a body as a series of few slices: what is read of a header costs more here than what is computed."""
    body = volume.voxels[::3, ::2, ::2].round().astype(np.int16)
    places = [np.array([0.0, 0.0, 10.0 * k]) for k in range(len(body))]
    names = [f"{k:02d}" for k in range(len(body))]
    write_slices(
        folder, uid="1.2.3", stored=body, positions=places, names=names, PixelSpacing=[5.0, 5.0], SliceThickness=10.0
    )


@pytest.fixture
def planted(tmp_path: Path, make_a_body: Callable[[int], Volume]) -> Path:
    """Two whole series, and three that cannot be read."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for name, number in (("one", 1000), ("two", 1001)):
        write_body(scans / name, make_a_body(number))
        for path in sorted((scans / name).iterdir()):
            assert len(plant(path)) > 1500
    for name in ("gap", "cut", "odd"):
        shutil.copytree(scans / "one", scans / name)
    (scans / "gap" / "05").unlink()
    cut = scans / "cut" / "05"
    cut.write_bytes(cut.read_bytes()[:-1000])
    for path in (scans / "odd").iterdir():
        raw = path.read_bytes()
        assert _KNOWN_SYNTAX in raw
        path.write_bytes(raw.replace(_KNOWN_SYNTAX, _UNKNOWN_SYNTAX, 1))
    return scans


def marked_names(scans: Path) -> Path:
    """The same as an archive may export it: the folders and files named after patients and identifiers."""
    patient = scans.with_name(mark("PN", 91000))
    patient.mkdir()
    for number, folder in enumerate(sorted(scans.iterdir())):
        for count, path in enumerate(sorted(folder.iterdir())):
            path.rename(folder / mark("UI", 92000 + count))
        folder.rename(patient / mark("LO", 91001 + number))
    # A folder of two series: a copy of one, and one that is no scan.
    shutil.copytree(patient / mark("LO", 91004), patient / mark("LO", 91010))
    for path in (patient / mark("LO", 91010)).iterdir():
        header = pydicom.dcmread(path)
        header.SeriesInstanceUID, header.Modality = mark("UI", 93000), "PT"
        header.save_as(path.with_name(mark("UI", 94000) + path.name[-1]), enforce_file_format=False)
    # Two series in two folders each; of one a slice is cut short.
    for number in (91020, 91030):
        for count, path in enumerate(sorted((patient / mark("LO", 91004)).iterdir())):
            folder = patient / mark("LO", number) / mark("LO", number + 1 + count % 2)
            folder.mkdir(parents=True, exist_ok=True)
            header = pydicom.dcmread(path)
            header.SeriesInstanceUID = mark("UI", number)
            header.SOPInstanceUID = mark("UI", 10 * number + count)
            header.PixelData = bytes(2 * number % 7) + header.PixelData[2 * number % 7 :]
            header.save_as(folder / mark("UI", 10 * number + count), enforce_file_format=False)
    cut = folder / mark("UI", 10 * 91030 + count)
    cut.write_bytes(cut.read_bytes()[:-1000])
    return patient


@pytest.mark.parametrize("vr", sorted(TEXTS))
def test_a_mark_of_every_type_would_be_found(vr: str, tmp_path: Path) -> None:
    said = f"The series {mark(vr, 1234)} of"
    assert marks_in(said.encode())
    assert marks_in(said.encode("utf-16"))
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", said)
    assert any(marks_in(raw) for raw in everything(packed))


def test_no_mark_of_a_header_or_of_a_name_is_written_or_said(
    a_model_with_its_reference: tuple[ModelFolder, Path],
    planted: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, reference = a_model_with_its_reference
    if model.network_type != "unet":
        pytest.skip("one family is enough")
    work = tmp_path / "work"
    work.mkdir()
    named = ["--model", str(model.folder), "--reference", str(reference), "--device", "cpu"]
    store = ["--store", str(work / "t.db")]
    folders = [str(planted / name) for name in ("cut", "gap", "odd", "one")]
    said = []

    def run(*words: str, code: int = 0) -> str:
        assert main(list(words)) == code, (words, capfd.readouterr())
        told = capfd.readouterr()
        # Where an image lies is told to the reader who is to look at it, and nowhere else.
        lines = [line for line in told.out.splitlines() if not line.startswith("  image:  ")]
        assert len(lines) == len(told.out.splitlines()) - (words[:2] in (("review", "next"), ("review", "show")))
        said.extend(["\n".join(lines).encode(), told.err.encode()])
        return told.out + told.err

    run("assess", *folders, "--output", str(work / "a"), "--scene", "--trust-files", *named, code=2)
    run("assess", *folders, "--output", str(work / "b"), "--json", *named, code=2)
    # Both ways of reading refuse the three, each in a sentence of its own.
    refusals = [line for text in said for line in text.decode().splitlines() if line.startswith("bottleneck-ood: ")]
    assert len(refusals) == 6, refusals
    out = run("triage", str(marked_names(planted)), *store, *named)
    assert "3 assessed, 0 known already, 1 copies, 4 could not be read, 1 passed over" in out
    assert "it is PT, not CT or MR" in out
    # A connection that stays keeps the log beside the store.
    with Store(str(work / "t.db")) as held:
        cases = [found.case_id for found in held.results()]
        assert all(re.fullmatch("case-[0-9a-f]{12}", name) for name in cases), cases
        assert len({found.sentence for found in held.results() if not found.folder}) == 4
        case = next(found.case_id for found in held.results() if found.folder)
        for ending in ("csv", "json", "parquet"):
            run("triage", "export", *store, "--output", str(work / f"c.{ending}"))
        run("triage", "status", *store)
        run("triage", "report", *store, "--output", str(work / "r.html"))
        run("triage", "drift", *store, "--model", str(model.folder), "--reference", str(reference))
        run("review", "next", *store, "--reader", "AB")
        assert mark("LO", 91000)[:7] in " ".join(place.path for place in held.places_of(case))
        run("review", "show", case, *store)
        run("review", "decide", case, *store, "--reader", "AB", "--rating", "reject", "--reason", "contour_off")
        run("review", "agreement", *store)
        run("review", "export", *store, "--output", str(work / "d.csv"))
        said.append(caplog.text.encode())
        assert [marks_in(text) for text in said if marks_in(text)] == []
        written = [path for path in work.rglob("*") if path.is_file()]
        assert {
            ".json", ".png", ".jpg", ".nrrd", ".mrb", ".db", ".db-wal", ".html", ".csv", ".parquet",
        } <= {path.suffix for path in written}  # fmt: skip
        assert (work / "t.db-wal").stat().st_size > 0
        in_store = {mark.decode() for path in work.glob("t.db*") for raw in everything(path) for mark in marks_in(raw)}
        others = [path for path in written if not path.name.startswith("t.db")]
        found = {str(path): marks_in(raw)[:3] for path in others for raw in everything(path) if marks_in(raw)}
    assert found == {}
    # The store holds the paths, which are opened again, and nothing else of it.
    assert in_store == {mark("PN", 91000)[:8], *(mark("LO", number) for number in _FOLDERS)}
    exported = work / "e.json"
    assert main(["triage", "export", *store, "--names", "files", "--output", str(exported)]) == 0
    assert mark("PN", 91000) in exported.read_text(encoding="utf-8")


def test_no_mark_is_in_a_reference_or_in_the_workers_log(
    a_model: ModelFolder,
    make_a_body: Callable[[int], Volume],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where a case lies on the map is made of numbers alone, and takes longer than all the rest.
    monkeypatch.setattr(building, "fit_map", lambda features: features[:, :2])
    planted = tmp_path / "scans"
    planted.mkdir()
    for number in range(20):
        write_body(planted / f"s{number}", make_a_body(number))
        # The facts of a case are those of its first slice.
        plant(planted / f"s{number}" / "00", but="SeriesInstanceUID")
    shutil.copytree(planted / "s0", planted / "gap")
    (planted / "gap" / "03").unlink()
    built = tmp_path / "built"
    words = ["--model", str(a_model.folder), "--cases", str(planted), "--thumbnails", "--output", str(built)]
    code = main(["reference", "build", *words, "--device", "cpu"])
    told = capfd.readouterr()
    assert code == 0, told.err
    assert "evenly spaced" in told.out + told.err
    assert marks_in((told.out + told.err).encode()) == []
    assert len(list((built / "thumbnails").iterdir())) == 20
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    job = BuildReference(1, cases=str(planted), name="built", model=str(a_model.folder), device="cpu")
    answer = Jobs(exchange).do(job, lambda progress: print(progress, file=sys.stderr), CancelToken())
    assert isinstance(answer, Built)
    log = "".join(capfd.readouterr())
    assert "evenly spaced" in log
    for text in (log, repr(answer), bug_report(" ".join(answer.left_out), log)):
        assert marks_in(text.encode()) == []
    for path in (path for path in tmp_path.rglob("*") if path.is_file() and planted not in path.parents):
        assert not any(marks_in(raw) for raw in everything(path)), path


def test_a_name_that_is_given_stands_in_the_place_of_the_files(
    a_model_with_its_reference: tuple[ModelFolder, Path], make_a_body: Callable[[int], Volume], tmp_path: Path
) -> None:
    """What docs/reliability.md says of names: a case is called like its folder unless another name is given."""
    model, reference = a_model_with_its_reference
    if model.network_type != "unet":
        pytest.skip("one family is enough")
    write_body(tmp_path / "JANE", make_a_body(1000))
    named = ["--model", str(model.folder), "--reference", str(reference), "--device", "cpu", "--trust-files"]
    for case_id, more in (("JANE", []), ("c1", ["--case-id", "c1"])):
        assert main(["assess", str(tmp_path / "JANE"), "--output", str(tmp_path / "out"), *more, *named]) == 0
        text = (tmp_path / "out" / case_id / "assessment.json").read_text(encoding="utf-8")
        kept = json.loads(text)
        assert (kept["case_id"], kept["input"]["path_name"]) == (case_id, case_id)
        assert str(tmp_path) not in text
        assert ("JANE" in text) is (case_id == "JANE")
