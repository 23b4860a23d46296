"""A series whose slices lie in several folders is one case, whose copies are copies, or it is told why not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from BottleneckOODLib.errors import InputError, SeriesChoiceError
from BottleneckOODLib.imaging import series_folders
from BottleneckOODLib.imaging.hidden_names import without_names
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.reading_process import bytes_to_read, read_apart
from BottleneckOODLib.reference_cases import listed_cases
from BottleneckOODLib.triage.finding import Candidate, PassedOver, find_volumes, image_at, scattered_series
from BottleneckOODLib.triage.reviewed import image_of
from BottleneckOODLib.triage.store import Store

WriteSlices = Callable[..., np.ndarray]
A, B = "1.2.3.10", "1.2.3.20"
COPIED = "its slices lie in other folders too, where their series is whole"
N = 8


@pytest.fixture
def whole(write_slices: WriteSlices, tmp_path: Path) -> Path:
    """A series in one folder, its files named against the order of the slices."""
    folder = tmp_path / "whole"
    stored = np.random.default_rng(3).integers(0, 2000, (N, 6, 5)).astype(np.int16)
    write_slices(folder, uid=A, stored=stored, names=[f"{N - k}.dcm" for k in range(N)])
    return folder


def scatter(whole: Path, *folders: Path, order: str = "chunks") -> None:
    """Copies of the slices, one chunk after the other or in turn, under names that repeat from folder to folder."""
    slices = sorted(whole.iterdir(), reverse=True)
    for number, path in enumerate(slices):
        chunk = number * len(folders) // len(slices) if order == "chunks" else number % len(folders)
        folders[chunk].mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, folders[chunk] / f"IM{len(list(folders[chunk].iterdir()))}")


def found_in(root: Path) -> tuple[list[Candidate], list[PassedOver]]:
    found = list(find_volumes(root))
    return [x for x in found if isinstance(x, Candidate)], [x for x in found if isinstance(x, PassedOver)]


@pytest.mark.parametrize("order", ["chunks", "in turn"])
@pytest.mark.parametrize("n_folders", [2, 3, N])
def test_it_is_the_case_that_it_would_be_in_one_folder(
    whole: Path, tmp_path: Path, write_slices: WriteSlices, n_folders: int, order: str
) -> None:
    scatter(whole, *(tmp_path / "disc" / "study" / f"S{k:02d}" for k in range(n_folders)), order=order)
    write_slices(tmp_path / "disc" / "study" / "S00", uid=B)
    write_slices(tmp_path / "disc" / "other", uid="1.2.3.30")
    candidates, passed_over = found_in(tmp_path / "disc")
    (joined,) = (candidate for candidate in candidates if candidate.folders)
    assert (len(candidates), passed_over, scattered_series(candidates)) == (3, [], [])
    assert (joined.path, len(joined.files)) == (tmp_path / "disc" / "study", N)
    (alone,), _ = found_in(whole)
    assert joined.content() == alone.content()
    expected = read_volume(whole)
    for read in (read_volume, read_apart):
        volume = read(joined.source, series=joined.series)
        np.testing.assert_array_equal(volume.voxels, expected.voxels)
        assert volume.geometry == expected.geometry
    assert bytes_to_read(joined.source) >= bytes_to_read(whole)


def test_the_folder_above_is_read_as_if_its_slices_lay_in_it(
    whole: Path, tmp_path: Path, write_slices: WriteSlices
) -> None:
    study = tmp_path / "study"
    scatter(whole, study / "1", study / "2", study / "2" / "3")
    expected = read_volume(whole)
    for read in (read_volume, read_apart):
        np.testing.assert_array_equal(read(study).voxels, expected.voxels)
    assert bytes_to_read(study) == bytes_to_read(whole)
    (tmp_path / "cases").mkdir()
    shutil.copytree(study, tmp_path / "cases" / "A")
    (case,) = listed_cases(tmp_path / "cases")
    assert case.case_id == "A"
    np.testing.assert_array_equal(case.load()[0].voxels, expected.voxels)
    write_slices(study / "other", uid=B)
    write_slices(study / "localizer", uid="1.2.3.30", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(SeriesChoiceError, match=f"holds 2 series; .* 1: CT, {N} slices .* 2: CT, 4 slices"):
        read_volume(study)
    np.testing.assert_array_equal(read_volume(study, series="1").voxels, expected.voxels)
    # Series that each lie in one folder are chosen by their folders, as before.
    shutil.rmtree(study / "1")
    for name in ("2/3", "2"):
        shutil.rmtree(study / name)
    with pytest.raises(InputError, match="itself holds no DICOM images"):
        read_volume(study)


def test_a_scan_below_that_cannot_be_told_to_be_one_is_not_passed_over_in_silence(
    whole: Path, tmp_path: Path, write_slices: WriteSlices
) -> None:
    study = tmp_path / "study"
    scatter(whole, study / "1", study / "2")
    assert read_volume(study).warnings == ()
    write_slices(study / "phases", uid=B, positions=[np.array([0.0, 0.0, 2.5 * (k // 2)]) for k in range(4)])
    assert read_volume(study).warnings == (
        "4 file(s) in the folder are no part of the series and were passed over.",
    )


def test_a_folder_above_may_hold_a_part_itself(whole: Path, tmp_path: Path) -> None:
    scatter(whole, tmp_path / "study", tmp_path / "study" / "more")
    (joined,), _ = found_in(tmp_path / "study")
    assert joined.folders == (tmp_path / "study", tmp_path / "study" / "more")
    np.testing.assert_array_equal(read_volume(joined.source, series=A).voxels, read_volume(whole).voxels)


def test_copies_are_copies_and_no_stack_is_doubled(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "scans"
    scatter(whole, root / "a1", root / "b" / "1", order="in turn")
    scatter(whole, root / "a2", root / "c" / "1", root / "c" / "2")
    shutil.copytree(whole, root / "copy")
    candidates, passed_over = found_in(root)
    assert sorted(len(candidate.folders) for candidate in candidates) == [0, 2, 3]
    assert {len(candidate.files) for candidate in candidates} == {N}
    assert len({candidate.content() for candidate in candidates}) == 1
    places = {(place.path, place.series) for place in (candidate.place() for candidate in candidates)}
    assert len(places) == 3
    assert passed_over == []


def test_a_copy_of_a_part_is_passed_over_beside_the_whole(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "scans"
    scatter(whole, root / "1", root / "2")
    shutil.copytree(root / "1", root / "copy")
    (joined,), (copy,) = found_in(root)
    assert joined.folders == (root / "1", root / "2")
    assert (copy.path, copy.reason) == (root / "copy", COPIED)


@pytest.mark.parametrize("kept", [range(2), range(1, 4)])
def test_copies_of_a_few_slices_never_stand_where_a_part_belongs(whole: Path, tmp_path: Path, kept: range) -> None:
    root = tmp_path / "scans"
    scatter(whole, root / "1", root / "2")
    for name in ("0", "3"):
        shutil.copytree(root / "1", root / name)
        for number, path in enumerate(sorted((root / name).iterdir())):
            if number not in kept:
                path.unlink()
    (joined,), copies = found_in(root)
    assert joined.folders == (root / "1", root / "2")
    assert [(copy.path, copy.reason) for copy in copies] == [(root / "0", COPIED), (root / "3", COPIED)]


def test_two_whole_copies_in_one_folder_each_stay_as_they_are(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "scans"
    for name in ("one", "two"):
        shutil.copytree(whole, root / name)
    candidates, passed_over = found_in(root)
    assert [(candidate.path, candidate.series, candidate.folders) for candidate in candidates] == [
        (root / "one", None, ()),
        (root / "two", None, ()),
    ]
    assert (passed_over, scattered_series(candidates)) == ([], [])


def another_phase(folder: Path) -> None:
    """The same places in new images, as a second phase or a copy under new UIDs."""
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = f"{header.SOPInstanceUID}.7"
        header.save_as(path)


@pytest.mark.parametrize("uneven", ["phases", "halves", "no instance", "no place"])
def test_what_does_not_come_out_even_is_told_and_not_put_together(whole: Path, tmp_path: Path, uneven: str) -> None:
    root = tmp_path / "scans"
    scatter(whole, root / "1", root / "2")
    if uneven == "phases":
        shutil.copytree(root / "1", root / "3")
        another_phase(root / "3")
    elif uneven == "halves":
        shutil.copy2(root / "1" / "IM2", root / "2" / "again")
    else:
        path = next((root / "2").iterdir())
        header = pydicom.dcmread(path)
        delattr(header, "SOPInstanceUID" if uneven == "no instance" else "ImagePositionPatient")
        header.save_as(path, enforce_file_format=False)
    found = list(find_volumes(root, "files"))
    assert not any(isinstance(item, Candidate) and item.folders for item in found)
    (told,) = scattered_series(found)
    assert f"({root}" in told
    assert A not in told
    (hidden,) = scattered_series(find_volumes(root))
    assert str(root) not in hidden


def test_a_large_tree_is_not_searched(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scatter(whole, tmp_path / "scans" / "1", tmp_path / "scans" / "2")
    (joined,), _ = found_in(tmp_path / "scans")
    monkeypatch.setattr(series_folders, "MOST_FILES", N - 1)
    candidates, _ = found_in(tmp_path / "scans")
    assert [len(candidate.files) for candidate in candidates] == [N // 2, N // 2]
    assert len(scattered_series(candidates)) == 1
    with pytest.raises(InputError, match="no longer in"):
        image_at(joined.place(), joined.content())


def test_a_stack_below_a_large_tree_is_given_up_alone(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "scans"
    scatter(whole, root / "a" / "1", root / "a" / "2")
    scatter(whole, root / "b" / "1", root / "b" / "2", order="in turn")
    for number in range(N):
        (root / "b" / f"{number}.txt").touch()
    monkeypatch.setattr(series_folders, "MOST_FILES", N)
    candidates, passed_over = found_in(root)
    assert {(c.path, len(c.files)) for c in candidates} == {
        (root / "a", N),
        (root / "b" / "1", N // 2),
        (root / "b" / "2", N // 2),
    }
    assert passed_over == []
    assert len(scattered_series(candidates)) == 1


def test_the_checks_of_one_folder_hold(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "JANE"
    scatter(whole, root / "S-DOE", root / "2")
    (root / "S-DOE" / "IM2").unlink()
    (joined,), _ = found_in(root)
    with pytest.raises(InputError, match="series in JANE are not evenly spaced"):
        read_volume(joined.source, series=joined.series)
    cut = root / "2" / "IM0"
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(InputError, match="The slice IM0 of the series in JANE is truncated") as caught:
        read_apart(joined.source, series=joined.series)
    told = without_names(f"{caught.value} {root / 'S-DOE'}", joined.source, "case-1")
    assert told.startswith("The slice case-1 of the series in case-1 is truncated")
    assert "DOE" not in told


def test_too_few_slices_in_all_are_passed_over_once(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "scans"
    scatter(whole, *(root / str(k) for k in range(N)))
    for k in range(2, N):
        shutil.rmtree(root / str(k))
    candidates, (passed,) = found_in(root)
    assert (candidates, passed.path, passed.reason) == ([], root, "it has 2 image(s), too few for a volume")


def test_a_store_finds_it_again_moved_or_changed(whole: Path, tmp_path: Path, a_store: Store) -> None:
    root = tmp_path / "scans"
    scatter(whole, root / "study" / "1", root / "study" / "2")
    (joined,), _ = found_in(root)
    content = joined.content()
    case_id = a_store.note_case(content, joined.name, joined.place())
    assert a_store.case_at(found_in(root)[0][0].place()) == case_id
    kept = a_store.places_of(case_id)[0]
    assert (kept.path, A in repr(kept)) == (str((root / "study").resolve()), False)
    for found in (image_at(kept, content), image_of(a_store, case_id)):
        assert found is not None
        assert (found.files, found.folders, found.series) == (joined.files, joined.folders, A)
    # Moved, in one folder, and in other parts: the case that it was.
    shutil.move(root / "study", root / "elsewhere")
    with pytest.raises(InputError, match="is not there any more"):
        image_at(kept, content)
    scatter(whole, *(root / "again" / str(k) for k in range(3)))
    for one in (*found_in(root)[0], *found_in(whole)[0]):
        assert a_store.note_case(one.content(), "", one.place()) == case_id
    assert a_store.counts()["cases"] == 1
    # A slice that changed makes another one of it; one that is gone is told.
    kept = found_in(root / "again")[0][0].place()
    changed = root / "again" / "0" / "IM0"
    changed.write_bytes(changed.read_bytes()[:-2] + b"\x01\x01")
    with pytest.raises(InputError, match="has changed since it was assessed"):
        image_at(kept, content)
    shutil.rmtree(root / "again" / "0")
    with pytest.raises(InputError, match="no longer in"):
        image_at(kept, content)
