"""Each damage does what it says, the same each time, and leaves its input alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume, geometry_of, to_sitk
from BottleneckOODLib.ood.metrics import dice
from BottleneckOODLib.robustness.corruptions import CATALOGUE
from BottleneckOODLib.robustness.degradations import blur, flatter, low_dose, metal, misread_scale, noise
from BottleneckOODLib.robustness.displacements import cropped, thick_slices, turned

EVERY_GRADE = [(name, grade) for name, c in CATALOGUE.items() for grade in range(1, len(c.grades) + 1)]
RNG = np.random.default_rng


@pytest.fixture
def a_labelled_ct(a_small_ct: Volume) -> tuple[Volume, LabelVolume]:
    """A bright block at one side of the body stands for the organ."""
    labels = np.zeros(a_small_ct.voxels.shape, np.uint8)
    labels[8:20, 14:32, 42:60] = 1
    voxels = np.where(labels > 0, np.float32(400), a_small_ct.voxels)
    geometry = replace(a_small_ct.geometry, spacing_mm=(4.0, 3.0, 5.0))
    return Volume(voxels, geometry, "CT", "labelled"), LabelVolume(labels, geometry, {1: "organ"})


def bright(volume: Volume) -> np.ndarray:
    return volume.voxels > 300


@pytest.mark.parametrize("name", CATALOGUE)
def test_grade_0_is_the_image_itself(name: str, a_labelled_ct: tuple[Volume, LabelVolume]) -> None:
    volume, truth = CATALOGUE[name].apply(*a_labelled_ct, 0)
    assert volume is a_labelled_ct[0]
    assert truth is a_labelled_ct[1]


@pytest.mark.parametrize(("name", "grade"), EVERY_GRADE)
def test_every_grade_changes_the_image_the_same_way_each_time_and_not_its_input(
    name: str, grade: int, a_labelled_ct: tuple[Volume, LabelVolume]
) -> None:
    volume, truth = a_labelled_ct
    before, labels_before = volume.voxels.copy(), truth.labels.copy()
    first, its_labels = CATALOGUE[name].apply(volume, truth, grade)
    again, _ = CATALOGUE[name].apply(volume, truth, grade)
    assert np.array_equal(volume.voxels, before)
    assert np.array_equal(truth.labels, labels_before)
    assert np.array_equal(first.voxels, again.voxels)
    assert first.geometry == again.geometry
    assert first.voxels.shape != before.shape or not np.array_equal(first.voxels, before)
    assert np.isfinite(first.voxels).all()
    assert its_labels is not None
    assert its_labels.geometry == first.geometry
    assert (first.modality, first.name) == (volume.modality, volume.name)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_grade_that_is_not_there_is_refused(name: str, a_small_ct: Volume) -> None:
    for grade in (-1, len(CATALOGUE[name].grades) + 1):
        with pytest.raises(ValueError, match=name):
            CATALOGUE[name].apply(a_small_ct, None, grade)


@pytest.mark.parametrize("name", ["noise", "low dose"])
def test_another_seed_and_another_image_get_other_noise(name: str, a_small_ct: Volume) -> None:
    def added(volume: Volume, seed: int) -> np.ndarray:
        return CATALOGUE[name].apply(volume, None, 1, seed)[0].voxels - volume.voxels

    first = added(a_small_ct, 0)
    assert not np.allclose(first, added(a_small_ct, 1))
    assert not np.allclose(first, added(replace(a_small_ct, name="another"), 0))


@pytest.mark.parametrize("name", ["noise", "blur", "low dose", "metal streaks", "less contrast"])
def test_a_higher_grade_changes_more(name: str, a_small_ct: Volume) -> None:
    damage = CATALOGUE[name]
    changes = [
        float(np.abs(damage.apply(a_small_ct, None, grade)[0].voxels - a_small_ct.voxels).mean())
        for grade in range(len(damage.grades) + 1)
    ]
    assert changes == sorted(changes)
    assert len(set(changes)) == len(changes)


@pytest.mark.parametrize("sigma", [10.0, 100.0])
def test_noise_has_the_sigma_that_was_asked_for_and_no_mean(sigma: float, a_small_ct: Volume) -> None:
    added = noise(a_small_ct.voxels, a_small_ct.geometry, sigma, RNG(0)).astype(float) - a_small_ct.voxels
    n = added.size
    assert added.std() == pytest.approx(sigma, rel=5 / np.sqrt(2 * n))
    assert abs(added.mean()) < 5 * sigma / np.sqrt(n)
    # White: neighbours know nothing of each other.
    assert abs(np.corrcoef(added[:, :, 1:].ravel(), added[:, :, :-1].ravel())[0, 1]) < 5 / np.sqrt(n)


@pytest.mark.parametrize("sigma_mm", [6.0, 12.0])
def test_blur_spreads_a_point_by_its_sigma_in_mm_along_each_axis(sigma_mm: float) -> None:
    geometry = Geometry((41, 51, 61), (4.0, 3.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    point = np.zeros(geometry.shape, np.float32)
    point[30, 25, 20] = 1000
    spread = blur(point, geometry, sigma_mm, RNG(0)).astype(float)
    assert spread.sum() == pytest.approx(1000, rel=1e-3)
    for axis, step in enumerate(geometry.spacing_mm[::-1]):
        profile = spread.sum(axis=tuple(a for a in range(3) if a != axis))
        places = (np.arange(len(profile)) - np.average(np.arange(len(profile)), weights=profile)) * step
        assert np.sqrt(np.average(places**2, weights=profile)) == pytest.approx(sigma_mm, rel=0.06)


def test_low_dose_makes_streaks_from_left_to_right_that_are_strongest_where_the_body_is(a_small_ct: Volume) -> None:
    added = low_dose(a_small_ct.voxels, a_small_ct.geometry, 100.0, RNG(0)) - a_small_ct.voxels

    def correlation(axis: int) -> float:
        a, b = np.delete(added, -1, axis), np.delete(added, 0, axis)
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    assert correlation(2) > 0.9
    assert abs(correlation(0)) < 0.1
    assert abs(correlation(1)) < 0.1
    assert added[:, 25:35].std() == pytest.approx(100, rel=0.15)
    assert added[:, :4].std() < 0.2 * added[:, 25:35].std()


def test_streaks_follow_the_patient_however_the_voxels_lie(a_small_ct: Volume) -> None:
    """The same patient with i from front to back: streaks lie along j there."""
    turned_over = np.ascontiguousarray(a_small_ct.voxels.transpose(0, 2, 1))
    k, j, i = turned_over.shape
    geometry = Geometry((i, j, k), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0, 1.0, 0.0, 0, 0, 0, 1.0))
    added = low_dose(turned_over, geometry, 100.0, RNG(0)) - turned_over
    assert np.corrcoef(added[:, 1:].ravel(), added[:, :-1].ravel())[0, 1] > 0.9


def test_metal_is_a_dense_rod_with_bright_and_dark_rays(a_small_ct: Volume) -> None:
    after = metal(a_small_ct.voxels, a_small_ct.geometry, 800.0, RNG(0))
    rod = after == 3000
    radius_mm = np.sqrt(rod.any(axis=0).sum() * 16 / np.pi)
    assert 6 < radius_mm < 12
    change = (after - a_small_ct.voxels)[~rod]
    assert change.max() > 200
    assert change.min() < -200
    assert after.min() >= -1024
    assert after.max() <= 3071


def test_less_contrast_scales_soft_tissue_about_40_hu_and_keeps_the_order() -> None:
    known = np.array([[[-1024, -160, -60, 40, 140, 240, 3071]]], np.float32)
    geometry = Geometry((7, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    flat = flatter(known, geometry, 0.5, RNG(0))
    assert flat.ravel().tolist() == [-1024, -60, -10, 40, 90, 140, 3071]


@given(st.floats(-1024, 3071), st.floats(-1024, 3071), st.sampled_from([0.15, 0.35, 0.6]))
def test_less_contrast_never_turns_two_values_round(a: float, b: float, factor: float) -> None:
    geometry = Geometry((2, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    low, high = sorted((a, b))
    x, y = flatter(np.array([[[low, high]]], np.float32), geometry, factor, RNG(0)).ravel()
    assert x <= y


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [(1, [-1200, 0, 60]), (2, [24, 1024, 1074]), (3, [0, 102, 134]), (4, [-10000, 0, 500])],
)
def test_a_misread_scale_is_the_mistake_that_it_names(mistake: int, expected: list[float]) -> None:
    values = np.array([[[-1000, 0, 50]]], np.float32)
    geometry = Geometry((3, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    assert misread_scale(values, geometry, mistake, RNG(0)).ravel().tolist() == pytest.approx(expected)


def test_thick_slices_are_the_mean_of_thin_ones_and_cover_the_same_place(
    a_labelled_ct: tuple[Volume, LabelVolume],
) -> None:
    volume, truth = a_labelled_ct
    thick, labels = thick_slices(volume, truth, 20.0)
    assert thick.geometry.spacing_mm == (4.0, 3.0, 20.0)
    assert np.allclose(thick.voxels, volume.voxels.reshape(10, 4, 60, 80).mean(axis=1), atol=1e-3)
    assert thick.voxels.mean(dtype=float) == pytest.approx(volume.voxels.mean(dtype=float), rel=1e-5)
    assert thick.geometry.extent_mm == pytest.approx(volume.geometry.extent_mm)
    # The middle of the first four slices.
    assert thick.geometry.origin_lps_mm[2] == pytest.approx(volume.geometry.origin_lps_mm[2] + 7.5)
    assert labels is not None
    assert np.array_equal(labels.labels > 0, bright(thick))


def test_thick_slices_are_cut_across_the_patient_however_the_voxels_lie(a_small_ct: Volume) -> None:
    image = sitk.DICOMOrient(to_sitk(a_small_ct.voxels, a_small_ct.geometry), "SLP")
    sagittal = Volume(sitk.GetArrayFromImage(image), geometry_of(image), "CT", "sagittal")
    thick, _ = thick_slices(sagittal, None, 16.0)
    assert thick.geometry.spacing_mm == (16.0, 4.0, 4.0)


def test_slices_thicker_than_the_scan_are_one_slice(a_small_ct: Volume) -> None:
    thick, _ = thick_slices(a_small_ct, None, 5000.0)
    assert thick.voxels.shape == (1, 60, 80)


@pytest.mark.parametrize("mistake", [1, 2, 3, 4])
def test_turned_voxels_take_their_labels_along_under_the_same_axes(
    mistake: int, a_labelled_ct: tuple[Volume, LabelVolume]
) -> None:
    volume, truth = a_labelled_ct
    after, labels = turned(volume, truth, mistake)
    assert labels is not None
    assert np.array_equal(labels.labels > 0, bright(after))
    assert after.geometry.direction == volume.geometry.direction
    assert np.array_equal(np.sort(after.voxels, axis=None), np.sort(volume.voxels, axis=None))
    assert dice(bright(volume), bright(after)) < 0.9 if mistake != 4 else after.voxels.shape == (40, 80, 60)


@pytest.mark.parametrize(("mistake", "row"), [(1, 0), (2, 1), (3, 2)])
def test_the_patients_axis_is_mirrored_whatever_the_order_of_the_voxels(
    mistake: int, row: int, a_labelled_ct: tuple[Volume, LabelVolume]
) -> None:
    volume, _ = a_labelled_ct

    def organ_in_the_box(image: sitk.Image) -> np.ndarray:
        array = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS")) > 300
        return np.array([np.mean(axis) / n for axis, n in zip(np.nonzero(array), array.shape, strict=True)])[::-1]

    for letters in ("RAI", "SLP", "PIR"):
        image = sitk.DICOMOrient(to_sitk(volume.voxels, volume.geometry), letters)
        other = Volume(sitk.GetArrayFromImage(image), geometry_of(image), "CT", letters)
        after, _ = turned(other, None, mistake)
        before, now = organ_in_the_box(image), organ_in_the_box(to_sitk(after.voxels, after.geometry))
        moved = np.abs(before - now) > 0.02
        assert moved.tolist() == [axis == row for axis in range(3)]


def test_a_quarter_turn_keeps_the_size_of_every_structure_in_mm(a_labelled_ct: tuple[Volume, LabelVolume]) -> None:
    volume, truth = a_labelled_ct
    after, labels = turned(volume, truth, 4)
    assert after.geometry.spacing_mm == (3.0, 4.0, 5.0)
    assert labels is not None
    assert labels.volume_ml(1) == pytest.approx(truth.volume_ml(1))


@settings(max_examples=25)
@given(share=st.floats(0.05, 1.0), order=st.sampled_from(list(permutations(range(3)))))
def test_what_is_left_of_a_cropped_image_lies_where_it_was(share: float, order: tuple[int, int, int]) -> None:
    axes = np.eye(3)[:, list(order)]
    geometry = Geometry((9, 11, 13), (2.0, 3.0, 4.0), (5.0, -7.0, 11.0), tuple(float(v) for v in axes.ravel()))
    voxels = np.arange(9 * 11 * 13, dtype=np.float32).reshape(geometry.shape)
    after, labels = cropped(
        Volume(voxels, geometry, "CT", "numbered"), LabelVolume(voxels % 2, geometry, {1: "odd"}), share
    )
    assert labels is not None
    for where in ((0, 0, 0), tuple(n - 1 for n in after.voxels.shape)):
        place = after.geometry.ijk_to_lps(np.array([where[::-1]], float))
        i, j, k = np.round(geometry.lps_to_ijk(place)[0]).astype(int)
        assert np.allclose(geometry.ijk_to_lps(np.array([[i, j, k]], float)), place)
        assert voxels[k, j, i] == after.voxels[where]
        assert labels.labels[where] == after.voxels[where] % 2


def test_a_crop_shows_the_share_that_was_asked_for(a_small_ct: Volume) -> None:
    after, _ = cropped(a_small_ct, None, 0.5)
    assert after.voxels.shape == (20, 30, 40)
