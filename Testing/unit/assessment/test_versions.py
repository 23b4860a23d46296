"""Edited masks lie beside the original: numbered, whole, on its grid, and never in the place of another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.assessment.versions import edited_versions, latest_version, save_version, version_file
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.imaging.writing import read_label_volume

# A quarter of a right angle, turned about the third axis.
OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def a_case(tmp_path: Path, make_assessment: Callable[..., Assessment]) -> tuple[Path, LabelVolume]:
    """The folder of an assessed case on an oblique grid, and its mask."""
    whole = make_assessment("red")
    assert whole.segmentation is not None
    geometry = replace(whole.segmentation.geometry, direction=OBLIQUE, spacing_mm=(0.7, 0.8, 2.5))
    mask = replace(whole.segmentation, geometry=geometry)
    return replace(whole, segmentation=mask).save(tmp_path, picture=False), mask


def edited(mask: LabelVolume, seed: int) -> LabelVolume:
    changed = np.random.default_rng(seed).random(mask.labels.shape) < 0.3
    return replace(mask, labels=np.where(changed, 1 - mask.labels, mask.labels).astype(np.uint8))


def save(folder: Path, labels: LabelVolume, parent: str = SEGMENTATION_FILE, reader: str = "Zoë") -> str:
    return save_version(labels, folder, reader=reader, parent=parent, assessment_created="2026-01-02").file


def test_versions_are_counted_up_and_say_where_they_come_from(a_case: tuple[Path, LabelVolume]) -> None:
    folder, mask = a_case
    before = (folder / SEGMENTATION_FILE).read_bytes()
    moment = datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    first = save_version(
        edited(mask, 1), folder, reader=" Zoë  Ö\n", parent=SEGMENTATION_FILE, assessment_created="then", saved=moment
    )
    second = save_version(edited(mask, 2), folder, reader="AB", parent=first.file, assessment_created="then")
    assert (first.file, first.parent) == ("segmentation.v2.seg.nrrd", SEGMENTATION_FILE)
    assert (second.file, second.parent) == ("segmentation.v3.seg.nrrd", "segmentation.v2.seg.nrrd")
    assert (first.reader, first.saved) == ("Zoë Ö", "2026-05-06T07:08:09+00:00")
    assert edited_versions(folder) == (first, second)
    assert (folder / SEGMENTATION_FILE).read_bytes() == before


def test_what_is_read_again_is_what_was_saved_where_it_was(a_case: tuple[Path, LabelVolume]) -> None:
    folder, mask = a_case
    original = read_label_volume(folder / SEGMENTATION_FILE)
    again = read_label_volume(folder / save(folder, edited(mask, 3)))
    assert np.array_equal(again.labels, edited(mask, 3).labels)
    assert again.names == mask.names
    assert again.geometry == original.geometry


@pytest.mark.parametrize(
    ("said", "refused"),
    [('{"schema_version": 2', "newer version of BottleneckOOD; update"), ("{", ""), ('{"schema_version": 1', "")],
)
def test_what_a_newer_version_saved_is_told_and_what_says_none_is_of_the_first(
    a_case: tuple[Path, LabelVolume], said: str, refused: str
) -> None:
    folder, labels = a_case
    saved = save_version(labels, folder, reader="A", parent="segmentation.seg.nrrd", assessment_created="then")
    path = folder / saved.file
    head, _, body = path.read_bytes().partition(b"\n\n")
    assert head.count(b'{"schema_version": 1, ') == 1
    written = said.encode() + (b", " if "schema" in said else b"")
    path.write_bytes(head.replace(b'{"schema_version": 1, ', written) + b"\n\n" + body)
    if refused:
        assert edited_versions(folder) == ()
        with pytest.raises(InputError, match=refused):
            latest_version(folder, "then")
    else:
        found = latest_version(folder, "then")
        assert found is not None
        assert found[0] == saved
        assert np.array_equal(found[1].labels, labels.labels)
        assert latest_version(folder, "another") is None


def test_a_number_that_was_given_is_not_given_again(a_case: tuple[Path, LabelVolume]) -> None:
    folder, mask = a_case
    (folder / version_file(7)).write_text("somebody's own file", encoding="utf-8")
    assert save(folder, edited(mask, 1)) == version_file(8)
    assert (folder / version_file(7)).read_text(encoding="utf-8") == "somebody's own file"
    assert [version.number for version in edited_versions(folder)] == [8]


def test_those_who_save_at_once_overwrite_nobody(a_case: tuple[Path, LabelVolume]) -> None:
    folder, mask = a_case
    with ThreadPoolExecutor(8) as team:
        names = list(team.map(lambda seed: save(folder, edited(mask, seed), reader=str(seed)), range(16)))
    assert sorted(names) == sorted(version_file(number) for number in range(2, 18))
    for version in edited_versions(folder):
        assert np.array_equal(read_label_volume(folder / version.file).labels, edited(mask, int(version.reader)).labels)


def test_a_drive_without_hard_links_does_the_same(
    a_case: tuple[Path, LabelVolume], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    folder, mask = a_case
    assert [save(folder, edited(mask, seed)) for seed in (1, 2)] == [version_file(2), version_file(3)]
    assert np.array_equal(read_label_volume(folder / version_file(2)).labels, edited(mask, 1).labels)


def test_another_grid_is_refused(a_case: tuple[Path, LabelVolume]) -> None:
    folder, mask = a_case
    moved = replace(mask, geometry=replace(mask.geometry, origin_lps_mm=(0.0, 0.0, 0.5)))
    with pytest.raises(InputError, match="another grid"):
        save(folder, moved)
    assert not edited_versions(folder)


def test_nothing_is_left_of_what_cannot_be_saved(
    a_case: tuple[Path, LabelVolume], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mask = a_case
    before = sorted(path.name for path in folder.iterdir())

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OutputError, match=r"cannot be (saved|written)"):
        save(folder, edited(mask, 1))
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_case_without_its_mask_is_told(a_case: tuple[Path, LabelVolume]) -> None:
    folder, mask = a_case
    (folder / SEGMENTATION_FILE).unlink()
    with pytest.raises(InputError, match="put the case's folder back"):
        save(folder, mask)


def test_assessing_again_leaves_an_edited_version_alone(
    a_case: tuple[Path, LabelVolume], make_assessment: Callable[..., Assessment]
) -> None:
    folder, mask = a_case
    name = save(folder, edited(mask, 1))
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputError, match=r"segmentation\.v2\.seg\.nrrd"):
        make_assessment("green").save(folder.parent, overwrite=True, picture=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    assert name in kept


def test_a_version_that_is_saved_while_the_case_is_assessed_again_stays(
    a_case: tuple[Path, LabelVolume],
    make_assessment: Callable[..., Assessment],
) -> None:
    folder, mask = a_case

    def saves_meanwhile(_assessment: Assessment, _path: Path) -> None:
        save(folder, edited(mask, 1))

    with pytest.raises(OutputError, match=r"segmentation\.v2\.seg\.nrrd"):
        make_assessment("green").save(folder.parent, overwrite=True, picture=False, scene_writer=saves_meanwhile)
    assert [version.number for version in edited_versions(folder)] == [2]
    assert np.array_equal(read_label_volume(folder / version_file(2)).labels, edited(mask, 1).labels)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("field", ["space origin: ", "sizes: ", "space directions: "])
def test_a_header_that_would_end_whoever_reads_it_is_no_version(
    a_case: tuple[Path, LabelVolume], repository: Path, field: str
) -> None:
    folder, mask = a_case
    path = folder / save(folder, edited(mask, 4))
    lines = path.read_bytes().split(b"\n")
    (place,) = (number for number, line in enumerate(lines) if line.startswith(field.encode()))
    lines[place] = field.encode() + b"(" + b"1" * 4000 + b",0,0)"
    path.write_bytes(b"\n".join(lines))
    # The reading library ends its process over it: not that of the tests.
    code = "import sys, pathlib; from BottleneckOODLib.assessment.versions import edited_versions; "
    code += "print(edited_versions(pathlib.Path(sys.argv[1])))"
    told = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=300, check=False,
        cwd=repository / "BottleneckOOD",
    )  # fmt: skip
    assert (told.returncode, told.stdout.strip()) == (0, "()"), told.stderr
    (folder / SEGMENTATION_FILE).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"cannot be read, so no version of it can be saved"):
        save(folder, edited(mask, 5))
