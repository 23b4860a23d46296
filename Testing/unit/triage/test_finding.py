"""What is a volume, what is passed over and why, and what makes two files one case."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.hidden_names import under_another_name, without_names
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.triage.finding import Candidate, Names, PassedOver, candidate_at, find_volumes, image_at
from BottleneckOODLib.triage.place import Place

WriteScan = Callable[..., Path]
WriteSlices = Callable[..., np.ndarray]
A, B, C, D = "1.2.3.10", "1.2.3.20", "1.2.3.30", "1.2.3.40"


def sorted_out(source: Path) -> tuple[list[Candidate], dict[str, str]]:
    found = list(find_volumes(source, "files"))
    reasons = {item.path.name: item.reason for item in found if isinstance(item, PassedOver)}
    return [item for item in found if isinstance(item, Candidate)], reasons


def test_image_files_of_every_folder_are_found_in_the_order_of_their_names(
    write_scan: WriteScan, tmp_path: Path
) -> None:
    for name in ("b/ct.nii.gz", "a/z.nrrd", "a/c.mha", "top.nii"):
        write_scan(name)
    (tmp_path / "scans" / "notes.txt").write_text("no image")
    write_scan(".hidden/x.nrrd")
    candidates, reasons = sorted_out(tmp_path / "scans")
    names = [str(c.path.relative_to(tmp_path / "scans")).replace(os.sep, "/") for c in candidates]
    assert names == ["top.nii", "a/c.mha", "a/z.nrrd", "b/ct.nii.gz"]
    assert [c.name for c in candidates] == ["top", "c", "z", "ct"]
    assert reasons == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(write_scan: WriteScan, tmp_path: Path) -> None:
    write_scan("ct.nii.gz")
    for name in ("p.nii.gz", "q.nhdr", "r"):
        os.mkfifo(tmp_path / "scans" / name)
    candidates, reasons = sorted_out(tmp_path / "scans")
    assert [c.name for c in candidates] == ["ct"]
    assert sorted(reasons) == ["p.nii.gz", "q.nhdr"]


def test_what_cannot_be_looked_into_is_told(
    write_scan: WriteScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scan("ct.nii.gz")
    write_scan("closed/lost.nii.gz")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    candidates, reasons = sorted_out(tmp_path / "scans")
    assert [c.name for c in candidates] == ["ct"]
    assert reasons == {"closed": "the folder cannot be read (Permission denied)"}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_folder_whose_entries_are_closed_costs_itself_alone(
    write_scan: WriteScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that may be listed, but not entered; or a drive that goes away."""
    write_scan("ct.nii.gz")
    lost = write_scan("closed/lost.nii.gz")
    write_scan("closed/below/deep.nii.gz")
    stat = Path.stat

    def refusing(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parent.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refusing)
    candidates, reasons = sorted_out(tmp_path / "scans")
    assert "ct" in [c.name for c in candidates]
    assert "lost" not in [c.name for c in candidates]
    assert reasons == {"lost.nii.gz": "it cannot be read; check that it is there and its permissions"}
    place = Place(str(lost), "", "1")
    assert candidate_at(place) is None
    with pytest.raises(InputError, match=r"lost\.nii\.gz is not there any more, or cannot be reached; put it back"):
        image_at(place, "ab")
    place = Place(str(lost.parent), "", "1")
    assert candidate_at(place) is None


def test_a_link_to_a_folder_is_not_followed_and_told(write_scan: WriteScan, tmp_path: Path) -> None:
    write_scan("ct.nii.gz")
    (tmp_path / "scans" / "again").symlink_to(tmp_path / "scans")
    candidates, reasons = sorted_out(tmp_path / "scans")
    assert [c.name for c in candidates] == ["ct"]
    assert reasons == {"again": "it is a link to a folder, which is not followed"}


def test_a_line_of_a_list_that_can_be_no_path_costs_that_line_alone(write_scan: WriteScan, tmp_path: Path) -> None:
    write_scan("ct.nii.gz")
    (tmp_path / "list.txt").write_text("x" * 300 + "\nscans/ct.nii.gz\n")
    candidates, reasons = sorted_out(tmp_path / "list.txt")
    assert [c.name for c in candidates] == ["ct"]
    assert reasons == {"x" * 300: "it does not exist"}


def test_a_dicom_tree_is_sorted_into_series(write_slices: WriteSlices, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    write_slices(tmp_path / "study" / "one", uid=A)
    write_slices(tmp_path / "study" / "two", uid=B)
    write_slices(tmp_path / "study" / "two", uid=C)
    candidates, _ = sorted_out(tmp_path / "study")
    assert [(c.path.name, c.series, len(c.files)) for c in candidates] == [
        ("one", None, 4),
        ("two", B, 4),
        ("two", C, 4),
    ]
    two = [c.place() for c in candidates[1:]]
    assert two[0].series != two[1].series
    assert not any(uid in str(place) for place in two for uid in (B, C))


@pytest.mark.parametrize(
    ("names", "called"),
    [((), ["", ""]), (("files",), ["JANE", "ct"]), (("hashes",), ["", ""])],
)
def test_neither_a_folder_nor_a_file_names_a_case_unless_asked(
    write_scan: WriteScan, write_slices: WriteSlices, tmp_path: Path, names: tuple[Names, ...], called: list[str]
) -> None:
    write_scan("ct.nii.gz")
    write_scan("JANE.seg.nrrd")
    write_slices(tmp_path / "scans" / "JANE", uid=A)
    write_slices(tmp_path / "scans" / "JANE", uid=B, Modality="PT")
    found = list(find_volumes(tmp_path / "scans", *names))
    assert sorted(item.name for item in found if isinstance(item, Candidate)) == called
    assert [item.named for item in found if isinstance(item, PassedOver)] == [names == ("files",)] * 2


def test_a_sentence_goes_without_the_names_of_a_series(write_slices: WriteSlices, tmp_path: Path) -> None:
    folder = tmp_path / "DOE^JANE"
    write_slices(folder, uid=A, names=["1.2.840.99.1", "JANE.dcm", "3", "4"])
    said = f"The slice JANE.dcm of DOE^JANE has 3 parts (1.2.840.99.1); see {folder}/JANE.dcm."
    told = without_names(said, folder, "case-1")
    assert told == "The slice case-1 of case-1 has 3 parts (case-1); see case-1/case-1."
    shutil.rmtree(folder)
    assert without_names("DOE^JANE is gone.", folder, "case-1") == "case-1 is gone."


@pytest.mark.parametrize("named", ["JANE DOE.raw", f"{'J' * 120}.raw"])
def test_a_sentence_goes_without_the_name_of_the_file_that_a_header_names(tmp_path: Path, named: str) -> None:
    header = tmp_path / "DOE^JANE.nhdr"
    header.write_text(f"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: {named}\n\n")
    with pytest.raises(InputError) as caught:
        read_volume(header)
    assert named[:100] in str(caught.value)
    told = without_names(str(caught.value), header, "case-1")
    assert told.replace("...", "") == "The voxels of case-1 lie in case-1, which is missing; copy both files."


def test_a_warning_of_a_volume_goes_without_the_name_of_its_file(write_scan: WriteScan) -> None:
    path = write_scan("DOE^JANE.nii")
    raw = bytearray(path.read_bytes())
    # Neither of the two codes says how the image lies.
    raw[252:256] = bytes(4)
    path.write_bytes(raw)
    volume = read_volume(path)
    assert "DOE^JANE.nii" in volume.warnings[0]
    hidden = under_another_name(volume, path, "case-1")
    assert hidden.name == "case-1"
    assert hidden.warnings == (volume.warnings[0].replace("DOE^JANE.nii", "case-1"),)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived"),
        ({"Modality": "PT"}, "it is PT, not CT or MR"),
    ],
)
def test_what_is_no_scan_is_passed_over_with_its_reason(
    write_slices: WriteSlices, tmp_path: Path, elements: dict[str, object], reason: str
) -> None:
    write_slices(tmp_path / "scan", uid=A, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    write_slices(tmp_path / "scan", uid=B, **elements)
    candidates, reasons = sorted_out(tmp_path / "scan")
    assert len(candidates) == 1
    (told,) = reasons.values()
    assert reason in told


def test_a_single_image_is_no_volume(write_slices: WriteSlices, tmp_path: Path) -> None:
    write_slices(tmp_path / "scan", uid=A, stored=np.zeros((1, 6, 5), np.int16))
    candidates, reasons = sorted_out(tmp_path / "scan")
    assert candidates == []
    assert "too few" in next(iter(reasons.values()))


def test_earlier_results_and_segmentations_are_no_cases(write_scan: WriteScan, tmp_path: Path) -> None:
    write_scan("ct.nrrd")
    write_scan("ct.seg.nrrd")
    write_scan("results/ct/overview.nrrd")
    (tmp_path / "scans" / "results" / "ct" / "assessment.json").write_text("{}")
    candidates, reasons = sorted_out(tmp_path / "scans")
    assert [c.name for c in candidates] == ["ct"]
    assert reasons == {"ct.seg.nrrd": "it is a segmentation", "ct": "it is the folder of an earlier result"}


@pytest.mark.parametrize("kind", ["list.csv", "list.txt"])
def test_a_list_names_paths_relative_to_itself(write_scan: WriteScan, tmp_path: Path, kind: str) -> None:
    write_scan("a.nrrd")
    write_scan("sub/b.nrrd")
    lines = ["scans/a.nrrd", "scans/sub", "scans/gone.nrrd"]
    text = "image,reader\n" + "".join(f"{line},x\n" for line in lines) if kind.endswith("csv") else "\n".join(lines)
    (tmp_path / kind).write_text(text, encoding="utf-8")
    candidates, reasons = sorted_out(tmp_path / kind)
    assert [c.name for c in candidates] == ["a", "b"]
    assert reasons == {"gone.nrrd": "it does not exist"}


@pytest.mark.parametrize("text", ["", "other\nx\n", "image\n", "\n\n"])
def test_a_list_that_names_nothing_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.csv names no image"):
        list(find_volumes(tmp_path / "list.csv"))


def test_a_list_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(InputError, match="cannot be read"):
        list(find_volumes(tmp_path / "list.csv"))
    with pytest.raises(InputError, match="does not exist"):
        list(find_volumes(tmp_path / "nowhere"))


def test_the_content_is_the_bytes_and_not_the_name(write_scan: WriteScan, tmp_path: Path) -> None:
    first, other = write_scan("a.nrrd", seed=1), write_scan("b.nrrd", seed=2)
    shutil.copy(first, tmp_path / "scans" / "copy.nrrd")
    content = {c.name: c.content() for c in sorted_out(tmp_path / "scans")[0]}
    assert content["a"] == content["copy"] != content["b"]
    other.write_bytes(other.read_bytes()[:-1] + b"\x01")
    changed = {c.name: c.content() for c in sorted_out(tmp_path / "scans")[0]}
    assert changed["b"] != content["b"]


def test_a_detached_header_is_known_by_its_voxels_too(write_scan: WriteScan, tmp_path: Path) -> None:
    write_scan("one/a.mhd", seed=1)
    write_scan("two/a.mhd", seed=2)
    one, two = sorted_out(tmp_path / "scans")[0]
    assert one.path.read_bytes() == two.path.read_bytes()
    assert len(one.files) == 2
    assert one.content() != two.content()


def test_the_stamp_changes_when_the_file_does_and_not_when_it_is_only_looked_at(write_scan: WriteScan) -> None:
    path = write_scan("a.nrrd")
    candidate = Candidate(path, (path,), None, "a")
    before = candidate.place()
    path.read_bytes()
    assert candidate.place() == before
    os.utime(path, ns=(1, 1))
    assert candidate.place() != before


def test_a_file_that_went_away_is_a_sentence(write_scan: WriteScan) -> None:
    path = write_scan("a.nrrd")
    path.unlink()
    candidate = Candidate(path, (path,), None, "a")
    for ask in (candidate.place, candidate.content):
        with pytest.raises(InputError, match=r"a\.nrrd cannot be read"):
            ask()
