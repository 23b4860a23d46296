from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.regions import REGIONS_FILE, RegionMap, read_regions, write_regions
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.volume import Geometry

MakeAssessment = Callable[..., Assessment]
OBLIQUE = (-0.8, 0.6, 0.0, -0.6, -0.8, 0.0, 0.0, 0.0, -1.0)
WHERE = Geometry((5, 4, 3), (32.0, 32.0, 40.0), (-60.5, 8.25, 120.0), OBLIQUE)


def some_values() -> np.ndarray:
    values = np.random.default_rng(0).random(WHERE.shape).astype(np.float32)
    values[0] = 0
    values[2, 1, 3] = 1.75
    return values


@pytest.fixture
def a_map() -> RegionMap:
    return RegionMap(some_values(), WHERE)


def test_the_most_unusual_place_is_the_centre_of_the_largest_part(a_map: RegionMap) -> None:
    place = np.array([[3.0, 1.0, 2.0]]) * WHERE.spacing_mm @ np.array(OBLIQUE).reshape(3, 3).T + WHERE.origin_lps_mm
    assert a_map.most_unusual_place == pytest.approx(tuple(place[0]))
    assert a_map.largest == 1.75


def test_without_a_body_there_is_no_most_unusual_place() -> None:
    nowhere = RegionMap(np.zeros(WHERE.shape, np.float32), WHERE)
    assert nowhere.most_unusual_place is None
    assert nowhere.largest == 0


def test_what_was_written_is_read(a_map: RegionMap, tmp_path: Path) -> None:
    write_regions(a_map, tmp_path / REGIONS_FILE)
    assert read_regions(tmp_path / REGIONS_FILE) == a_map
    assert (tmp_path / REGIONS_FILE).stat().st_size < 5_000


def test_maps_differ_by_value_and_by_place(a_map: RegionMap) -> None:
    changed = some_values()
    changed[1, 1, 1] += 0.25
    moved = Geometry(WHERE.size_ijk, WHERE.spacing_mm, (-60.5, 9.25, 120.0), OBLIQUE)
    assert a_map == RegionMap(some_values(), WHERE)
    assert a_map != RegionMap(changed, WHERE)
    assert a_map != RegionMap(some_values(), moved)
    assert a_map != "a map"


def test_a_map_cannot_be_changed_and_changes_nothing() -> None:
    values = some_values()
    before = values.copy()
    frozen = RegionMap(values, WHERE)
    with pytest.raises(ValueError, match="read-only"):
        frozen.values[0, 0, 0] = 1
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -0.5])
def test_values_that_mean_nothing_are_refused(hole: float) -> None:
    values = some_values()
    values[1, 1, 1] = hole
    with pytest.raises(InputError, match="assess the case again"):
        RegionMap(values, WHERE)


def test_values_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="assess the case again"):
        RegionMap(some_values()[:, :, :3], WHERE)


def test_a_map_that_cannot_be_written_is_one_sentence(a_map: RegionMap, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_regions(a_map, tmp_path / "missing" / REGIONS_FILE)


def colours(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(path))


def a_cut_file(path: Path) -> None:
    write_regions(RegionMap(some_values(), WHERE), path)
    path.write_bytes(path.read_bytes()[:-40])


def no_image(path: Path) -> None:
    path.write_bytes(b"NRRD0004\nno image")


def an_empty_file(path: Path) -> None:
    path.write_bytes(b"")


def a_hole(path: Path) -> None:
    values = some_values()
    values[1, 1, 1] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))


@pytest.mark.parametrize("damage", [colours, a_cut_file, no_image, an_empty_file, a_hole])
def test_a_damaged_file_is_one_sentence(damage: Callable[[Path], None], tmp_path: Path) -> None:
    damage(tmp_path / REGIONS_FILE)
    with pytest.raises(InputError) as refused:
        read_regions(tmp_path / REGIONS_FILE)
    assert REGIONS_FILE in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("no_picture")
def test_an_assessment_keeps_its_regions(make_assessment: MakeAssessment, a_map: RegionMap, tmp_path: Path) -> None:
    before = make_assessment(regions=a_map)
    folder = before.save(tmp_path)
    assert Assessment.load(folder) == before
    assert Assessment.load(folder).regions == a_map
    assert before != make_assessment()


@pytest.mark.usefixtures("no_picture")
def test_saving_again_without_regions_leaves_none_behind(
    make_assessment: MakeAssessment, a_map: RegionMap, tmp_path: Path
) -> None:
    make_assessment(regions=a_map).save(tmp_path)
    folder = make_assessment().save(tmp_path, overwrite=True)
    assert Assessment.load(folder).regions is None
    assert not (folder / REGIONS_FILE).exists()


@pytest.mark.usefixtures("no_picture")
def test_regions_of_a_case_without_a_mask_are_kept_too(
    make_assessment: MakeAssessment, a_map: RegionMap, tmp_path: Path
) -> None:
    folder = make_assessment(segmentation=None, regions=a_map).save(tmp_path)
    assert Assessment.load(folder).regions == a_map
