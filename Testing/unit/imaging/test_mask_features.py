"""A segmentation is measured in millimetres of the patient, whatever grid it is stored on."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.imaging.body import MEASURING_SPACING_MM, thinned
from BottleneckOODLib.imaging.mask_features import (
    MASK_INTENSITY_NAMES,
    MASK_SHAPE_NAMES,
    MaskFeatures,
    marked_parts,
    mask_features,
)
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume

Array = np.ndarray
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SHAPE = (12, 20, 24)
BACKGROUND_HU, LIVER_HU = 20.0, 110.0


def measured(
    mask: Array, geometry: Geometry, *, voxels: Array | None = None, body: Array | None = None
) -> MaskFeatures:
    """Features of a mask in an image where it is brighter than all around."""
    values = np.where(mask > 0, LIVER_HU, BACKGROUND_HU) if voxels is None else voxels
    volume = Volume(values.astype(np.float32), geometry, "CT", "scan")
    where = np.ones(thinned(volume)[0].shape, bool) if body is None else body
    marked = marked_parts(mask > 0, geometry.voxel_volume_ml)
    features = mask_features(LabelVolume(mask.astype(np.uint8), geometry, {1: "liver"}), volume, where, marked)
    assert features is not None
    return features


def upright(spacing_mm: tuple[float, float, float] = (4.0, 4.0, 4.0), shape: tuple[int, ...] = SHAPE) -> Geometry:
    return Geometry((shape[2], shape[1], shape[0]), spacing_mm, (0.0, 0.0, 0.0), IDENTITY)


def box(*slices: tuple[int, int], shape: tuple[int, ...] = SHAPE) -> Array:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*s) for s in slices)] = True
    return mask


def of_shape(features: MaskFeatures) -> dict[str, float]:
    return dict(zip(MASK_SHAPE_NAMES, features.shape, strict=True))


def of_intensity(features: MaskFeatures) -> dict[str, float]:
    return dict(zip(MASK_INTENSITY_NAMES, features.intensity, strict=True))


def voxel_ml_by_itk(geometry: Geometry) -> float:
    image = sitk.Image([2, 2, 2], sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_lps_mm)
    image.SetDirection(geometry.direction)
    points = [image.TransformIndexToPhysicalPoint(p) for p in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    return abs(float(np.linalg.det(np.array(points[1:]) - points[0]))) / 1000


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(0.4, 8)] * 3), st.integers(0, 1000))
def test_the_volume_is_the_count_of_voxels_times_a_voxel(spacing: tuple[float, float, float], seed: int) -> None:
    geometry = upright(spacing)
    mask = np.random.default_rng(seed).random(SHAPE) < 0.5
    features = measured(mask, geometry)
    assert features.volume_ml == pytest.approx(np.count_nonzero(mask) * np.prod(spacing) / 1000, rel=1e-9)
    assert of_shape(features)["log_volume"] == pytest.approx(np.log(features.volume_ml))


def test_the_volume_is_right_on_every_grid(any_grid: Geometry) -> None:
    mask = np.random.default_rng(1).random(any_grid.shape) < 0.6
    expected = np.count_nonzero(mask) * voxel_ml_by_itk(any_grid)
    assert measured(mask, any_grid).volume_ml == pytest.approx(expected, rel=1e-6)


def test_all_labels_count_together() -> None:
    mask = box((2, 8), (4, 12), (5, 15)).astype(np.uint8)
    both = mask.copy()
    both[:, 6:9] *= 2
    for name in ("volume_ml", "n_components", "largest_share", "border_share"):
        assert getattr(measured(both, upright()), name) == getattr(measured(mask, upright()), name)


def test_an_empty_mask_has_no_features() -> None:
    volume = Volume(np.zeros(SHAPE, np.float32), upright(), "CT", "scan")
    labels = LabelVolume(np.zeros(SHAPE, np.uint8), upright(), {1: "liver"})
    assert mask_features(labels, volume, np.ones(SHAPE, bool), marked_parts(labels.labels > 0, 0.064)) is None


def test_a_thin_mask_of_many_millilitres_is_not_empty() -> None:
    mask = box((0, 1), (0, 60), (0, 60), shape=(9, 60, 60))
    assert measured(mask, upright((1.0, 1.0, 1.0), mask.shape)).volume_ml == pytest.approx(3.6)


def test_separate_parts_are_counted_and_the_largest_weighed() -> None:
    mask = box((2, 8), (2, 8), (2, 8)) | box((2, 8), (12, 18), (2, 5)) | box((2, 5), (2, 5), (14, 20))
    features = measured(mask, upright())
    assert features.n_components == 3
    assert features.largest_share == pytest.approx(216 / (216 + 108 + 54))
    assert of_shape(features)["log_components"] == pytest.approx(np.log(3))
    assert of_shape(features)["largest_share"] == features.largest_share
    assert of_shape(measured(box((2, 8), (2, 8), (2, 8)), upright()))["log_components"] == 0


def test_the_largest_part_is_the_one_with_most_voxels_wherever_it_lies() -> None:
    first, second, third = box((1, 2), (1, 3), (1, 3)), box((4, 8), (4, 9), (4, 9)), box((10, 11), (12, 15), (12, 15))
    parts = marked_parts(first | second | third, 0.5)
    assert np.array_equal(parts.largest, second)
    assert np.array_equal(parts.marked, first | second | third)
    assert (parts.count, parts.n_components) == (3, 3)
    assert parts.largest_share == pytest.approx(100 / 113)
    one = marked_parts(box((3, 4), (3, 4), (3, 4)), 0.5)
    assert (one.count, one.n_components, one.largest_share) == (1, 1, 1.0)
    nothing = marked_parts(np.zeros(SHAPE, bool), 0.5)
    assert (nothing.count, nothing.n_components, nothing.largest_share) == (0, 1, 0.0)
    assert not nothing.largest.any()


@pytest.mark.parametrize("volume_ml", [0.0, -0.5, np.inf, np.nan])
def test_a_voxel_without_a_volume_is_refused(volume_ml: float) -> None:
    with pytest.raises(ValueError, match="a voxel of"):
        marked_parts(np.ones((2, 2, 2), bool), volume_ml)


def test_a_mask_whose_parts_are_lost_on_the_models_grid_is_measured_as_one() -> None:
    mask = box((2, 6), (2, 6), (2, 6))
    volume = Volume(np.zeros(SHAPE, np.float32), upright(), "CT", "scan")
    lost = marked_parts(np.zeros((3, 3, 3), bool), 1.0)
    features = mask_features(LabelVolume(mask.astype(np.uint8), upright(), {1: "liver"}), volume, mask, lost)
    assert features is not None
    assert of_shape(features)["log_components"] == 0


def test_parts_that_touch_at_a_corner_are_one() -> None:
    features = measured(box((2, 6), (2, 6), (2, 6)) | box((6, 9), (6, 9), (6, 9)), upright())
    assert (features.n_components, features.largest_share) == (1, 1.0)


def test_crumbs_below_one_millilitre_are_no_parts() -> None:
    crumbs = box((2, 8), (2, 8), (2, 8)) | box((2, 4), (12, 14), (2, 5)) | box((10, 11), (17, 18), (20, 21))
    assert measured(crumbs, upright()).n_components == 1
    assert measured(crumbs, upright((6.0, 6.0, 6.0))).n_components == 2
    assert measured(box((3, 4), (3, 4), (3, 4)), upright()).n_components == 1
    two = box((2, 8), (2, 8), (2, 8)) | box((2, 4), (12, 14), (2, 4))
    assert [marked_parts(two, ml).n_components for ml in (np.nextafter(0.125, 0), 0.125, 0.13)] == [1, 2, 2]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_only_a_mask_that_touches_the_edge_of_the_scan_has_a_border_share(axis: int, at_the_end: bool) -> None:
    inside = [(4, 8), (5, 9), (6, 10)]
    assert measured(box(*inside), upright()).border_share == 0
    touching = list(inside)
    touching[axis] = (SHAPE[axis] - 4, SHAPE[axis]) if at_the_end else (0, 4)
    features = measured(box(*touching), upright())
    # A cube of 4 voxels shows 4 x 4 x 4 - 2 x 2 x 2 on its surface, and one face of it lies on the edge.
    assert features.border_share == pytest.approx(16 / 56)
    assert of_shape(features)["border_share"] == features.border_share


def test_a_mask_over_the_whole_scan_lies_wholly_on_its_edge() -> None:
    assert measured(np.ones(SHAPE, bool), upright(), voxels=np.arange(np.prod(SHAPE)).reshape(SHAPE)).border_share == 1


def test_lengths_are_those_of_the_patient_s_axes() -> None:
    mask = box((2, 7), (3, 9), (4, 14))
    shape = of_shape(measured(mask, upright((4.0, 5.0, 6.0))))
    assert np.exp([shape[f"log_extent_{side}"] for side in ("left", "posterior", "superior")]) == pytest.approx(
        [10 * 4, 6 * 5, 5 * 6]
    )


def test_on_a_fine_grid_the_samples_within_the_mask_are_measured() -> None:
    # Every third voxel is a sample, 1, 4, 7, ...: four, two and one of them lie in the box.
    shape = of_shape(measured(box((6, 9), (3, 8), (3, 15)), upright((1.0, 1.0, 1.0))))
    assert np.exp([shape[f"log_extent_{side}"] for side in ("left", "posterior", "superior")]) == pytest.approx(
        [12, 6, 3]
    )


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(0, n - 1) for n in SHAPE]), st.integers(0, 2))
def test_a_mask_between_the_samples_is_measured_by_the_samples_near_it(at: tuple[int, int, int], label: int) -> None:
    spacing = np.array([0.6, 1.7, 1.0])
    steps = (MEASURING_SPACING_MM / spacing).astype(int)
    samples = [np.arange(step // 2, n, step) for step, n in zip(steps, SHAPE, strict=True)]
    mask = np.zeros(SHAPE, np.uint8)
    mask[at] = 1 + label
    sampled = all(place in own for place, own in zip(at, samples, strict=True))
    reached = 0.0 if sampled else MEASURING_SPACING_MM
    near = [np.flatnonzero(np.abs(own - n) * s <= reached) for own, n, s in zip(samples, at, spacing, strict=True)]
    voxels = np.random.default_rng(0).normal(0, 50, SHAPE)
    found = measured(mask, upright((1.0, 1.7, 0.6)), voxels=voxels)
    lengths = [len(own) * step * s for own, step, s in zip(near, steps, spacing, strict=True)]
    assert np.exp(found.shape[1:4]) == pytest.approx(lengths[::-1])
    centres = [(own.mean() + 0.5) / len(all_) - 0.5 for own, all_ in zip(near, samples, strict=True)]
    assert found.shape[7:10] == pytest.approx(centres[::-1])


def test_the_place_is_that_of_the_centre_in_the_body_s_box() -> None:
    body = box((2, 12), (4, 20), (0, 20))
    shape = of_shape(measured(box((2, 4), (8, 16), (15, 20)), upright(), body=body))
    assert shape["left"] == pytest.approx(17.5 / 20 - 0.5)
    assert shape["posterior"] == pytest.approx((12 - 4) / 16 - 0.5)
    assert shape["superior"] == pytest.approx((3 - 2) / 10 - 0.5)


def test_without_a_body_the_place_is_that_in_the_scan() -> None:
    mask = box((2, 4), (8, 16), (15, 20))
    nothing, everything = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    assert np.array_equal(
        measured(mask, upright(), body=nothing).shape, measured(mask, upright(), body=everything).shape
    )


@pytest.mark.parametrize("flipped", [(2,), (1,), (0,), (1, 2), (0, 1, 2)])
def test_the_same_patient_stored_the_other_way_round_measures_the_same(flipped: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)
    mask = box((2, 8), (2, 9), (3, 12)) | box((3, 5), (12, 18), (2, 5))
    voxels = np.where(mask, LIVER_HU, BACKGROUND_HU) + rng.normal(0, 5, SHAPE)
    axes = np.eye(3)
    for axis in flipped:
        axes[2 - axis, 2 - axis] = -1
    turned = Geometry((24, 20, 12), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), tuple(axes.ravel()))
    here = measured(mask, upright(), voxels=voxels)
    there = measured(np.flip(mask, flipped), turned, voxels=np.flip(voxels, flipped))
    assert there.shape == pytest.approx(here.shape, abs=1e-9)
    assert there.intensity == pytest.approx(here.intensity, abs=1e-4)


def test_the_same_patient_with_its_axes_in_another_order_measures_the_same() -> None:
    mask = box((2, 8), (2, 9), (3, 12))
    coronal = Geometry((24, 12, 20), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 0, 1.0, 0, 1.0, 0))
    here, there = measured(mask, upright()), measured(mask.transpose(1, 0, 2), coronal)
    assert there.shape == pytest.approx(here.shape, abs=1e-9)


def test_a_cube_is_more_compact_than_a_plate() -> None:
    cube, plate = box((2, 10), (2, 10), (2, 10)), box((2, 4), (2, 18), (2, 18))
    assert np.count_nonzero(cube) == np.count_nonzero(plate)
    assert (
        of_shape(measured(cube, upright()))["compactness"] > 1.2 * of_shape(measured(plate, upright()))["compactness"]
    )


@pytest.mark.parametrize("spacing", [3.6, 4.0, 9.0])
def test_compactness_is_a_number_without_a_unit(spacing: float) -> None:
    """Of a cube of 4 voxels: 64 voxels to the power of two thirds, over the 56 on its surface."""
    cube = measured(box((3, 7), (3, 7), (3, 7)), upright((spacing, spacing, spacing)))
    assert of_shape(cube)["compactness"] == pytest.approx(16 / 56)


def test_intensities_are_those_inside_the_mask() -> None:
    mask = box((2, 8), (2, 9), (3, 12))
    voxels = np.random.default_rng(7).normal(100, 30, SHAPE).astype(np.float32)
    inside = np.sort(voxels[mask].astype(np.float64))
    intensity = of_intensity(measured(mask, upright(), voxels=voxels))
    assert intensity["mean"] == pytest.approx(inside.sum() / len(inside), abs=1e-3)
    assert intensity["deviation"] == pytest.approx(np.sqrt(np.mean((inside - inside.mean()) ** 2)), abs=1e-3)
    assert intensity["median"] == pytest.approx((inside[188] + inside[189]) / 2, abs=1e-3)
    assert np.mean(inside < intensity["p5"]) == pytest.approx(0.05, abs=0.005)
    assert np.mean(inside < intensity["p95"]) == pytest.approx(0.95, abs=0.005)


def test_the_contrast_is_to_the_soft_tissue_around() -> None:
    mask = box((2, 8), (2, 9), (3, 12))
    assert of_intensity(measured(mask, upright()))["contrast_to_surroundings"] == LIVER_HU - BACKGROUND_HU
    in_air = np.where(mask, LIVER_HU, -1000.0)
    assert of_intensity(measured(mask, upright(), voxels=in_air))["contrast_to_surroundings"] == 0
    far = np.where(box((0, 12), (0, 12), (0, 15)), np.where(mask, LIVER_HU, BACKGROUND_HU), 250.0)
    assert of_intensity(measured(mask, upright(), voxels=far))["contrast_to_surroundings"] == LIVER_HU - BACKGROUND_HU


def test_the_surroundings_are_the_soft_tissue_within_two_voxels() -> None:
    mask = box((4, 8), (6, 12), (6, 14))
    voxels = np.random.default_rng(3).uniform(-100, 700, SHAPE).astype(np.float32)
    steps = scipy.ndimage.distance_transform_cdt(~mask, "taxicab")
    around = [v for v, d in zip(voxels.ravel(), steps.ravel(), strict=True) if 1 <= d <= 2 and -30 < v < 300]
    expected = np.median(voxels[mask]) - np.median(around)
    assert of_intensity(measured(mask, upright(), voxels=voxels))["contrast_to_surroundings"] == pytest.approx(expected)
    # Values at the limits are none of soft tissue.
    at_the_limits = np.where(mask, LIVER_HU, np.where(voxels > 0, 300.0, -30.0))
    assert of_intensity(measured(mask, upright(), voxels=at_the_limits))["contrast_to_surroundings"] == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.001, 1))
def test_every_feature_of_every_mask_is_finite(seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(SHAPE) < density
    mask[5, 5, 5] = True
    features = measured(mask, upright(), voxels=rng.normal(0, 500, SHAPE))
    assert features.shape.shape == (len(MASK_SHAPE_NAMES),)
    assert features.intensity.shape == (len(MASK_INTENSITY_NAMES),)
    assert np.isfinite(features.shape).all()
    assert np.isfinite(features.intensity).all()
    assert features.n_components >= 1
    assert 0 < features.largest_share <= 1
    assert 0 <= features.border_share <= 1
