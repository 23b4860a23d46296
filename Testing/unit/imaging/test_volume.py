"""Where a voxel lies is computed as ITK computes it, and a volume cannot be changed once it was read."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume, geometry_of, image_on, resampled, to_sitk

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
NoiseOn = Callable[[Geometry], Volume]


def orthonormal(numbers: list[float], left_handed: bool) -> tuple[float, ...]:
    """A rotation from a quaternion, its first axis turned round when left-handed."""
    w, x, y, z = np.array(numbers) / np.linalg.norm(numbers)
    rows = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    if left_handed:
        rows[:, 0] *= -1
    return tuple(float(v) for v in rows.ravel())


quaternions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
lengths = st.tuples(*[st.floats(0.1, 12)] * 3)
places = st.tuples(*[st.floats(-2000, 2000)] * 3)
sizes = st.tuples(*[st.integers(1, 6)] * 3)
geometries = st.builds(Geometry, sizes, lengths, places, st.builds(orthonormal, quaternions, st.booleans()))


@settings(deadline=None)
@given(geometries, st.tuples(*[st.floats(-10, 300)] * 3))
def test_a_voxel_lies_where_itk_places_it(geometry: Geometry, ijk: tuple[float, float, float]) -> None:
    image = to_sitk(np.zeros(geometry.shape, np.uint8), geometry)
    ours = geometry.ijk_to_lps(np.array([ijk]))[0]
    assert ours == pytest.approx(image.TransformContinuousIndexToPhysicalPoint(ijk), abs=1e-7)


@settings(deadline=None)
@given(geometries, st.lists(st.tuples(*[st.floats(-500, 500)] * 3), min_size=1, max_size=5))
def test_going_to_the_patient_and_back_changes_nothing(
    geometry: Geometry, points: list[tuple[float, float, float]]
) -> None:
    back = geometry.lps_to_ijk(geometry.ijk_to_lps(np.array(points)))
    assert np.allclose(back, points, atol=1e-6)


@settings(deadline=None)
@given(geometries)
def test_an_itk_image_holds_the_geometry_to_the_last_digit(geometry: Geometry) -> None:
    assert geometry_of(to_sitk(np.zeros(geometry.shape, np.uint8), geometry)) == geometry


@settings(deadline=None)
@given(geometries)
def test_the_voxel_volume_is_that_of_the_box_between_eight_voxels(geometry: Geometry) -> None:
    corner, *edges = geometry.ijk_to_lps(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    box_mm3 = abs(np.linalg.det(np.array(edges) - corner))
    assert geometry.voxel_volume_ml == pytest.approx(box_mm3 / 1000, rel=1e-6)


@settings(deadline=None)
@given(geometries)
def test_the_extent_reaches_from_edge_to_edge(geometry: Geometry) -> None:
    last = np.array(geometry.size_ijk) - 1
    for axis in range(3):
        ends = np.zeros((2, 3))
        ends[0, axis], ends[1, axis] = -0.5, last[axis] + 0.5
        first_edge, last_edge = geometry.ijk_to_lps(ends)
        assert geometry.extent_mm[axis] == pytest.approx(np.linalg.norm(last_edge - first_edge), rel=1e-6)


def test_the_orientation_names_the_direction_of_each_axis() -> None:
    letters = {0: "RL", 1: "AP", 2: "IS"}
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((0, 1), repeat=3):
            axes = np.zeros((3, 3))
            for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
                axes[row, column] = 1.0 if sign else -1.0
            expected = "".join(letters[row][sign] for row, sign in zip(order, signs, strict=True))
            assert Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(axes.ravel())).orientation == expected


def test_the_array_shape_is_the_size_backwards() -> None:
    assert Geometry((3, 4, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY).shape == (5, 4, 3)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_spacing_that_is_no_length_is_refused(axis: int, bad: float) -> None:
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = bad
    with pytest.raises(InputError, match="spacing or position"):
        Geometry((2, 2, 2), tuple(spacing), (0.0, 0.0, 0.0), IDENTITY)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_a_position_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="spacing or position"):
        Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, bad, 0.0), IDENTITY)
    with pytest.raises(InputError, match="spacing or position"):
        Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (bad, *IDENTITY[1:]))


@pytest.mark.parametrize("size", [(0, 2, 2), (2, -1, 2)])
def test_a_grid_without_voxels_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="no voxels"):
        Geometry(size, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)


@pytest.mark.parametrize(
    "direction",
    [
        (1.0, 0.1, 0.0, 0.0, 0.995, 0.0, 0.0, 0.0, 1.0),
        (2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    ],
    ids=["sheared", "not of unit length", "no axis", "the same axis twice"],
)
def test_axes_that_are_not_orthonormal_are_refused(direction: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="not perpendicular"):
        Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction)


def test_axes_in_single_precision_are_accepted(an_oblique_grid: Geometry) -> None:
    single = tuple(float(np.float32(d)) for d in an_oblique_grid.direction)
    assert Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), single).direction == single


@pytest.mark.parametrize(("longer", "refused"), [(0.00049, False), (0.00051, True)])
def test_axes_may_be_a_thousandth_from_orthonormal(longer: float, refused: bool) -> None:
    direction = (1.0 + longer, *IDENTITY[1:])
    if refused:
        with pytest.raises(InputError, match="not perpendicular"):
            Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction)
    else:
        assert Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction).direction == direction


def test_a_direction_below_rounding_is_none() -> None:
    direction = (1.0, 1e-300, 0.0, -1e-17, 1.0, 1e-9, 0.0, 0.0, 1.0)
    kept = Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction).direction
    assert kept == (1.0, 0.0, 0.0, 0.0, 1.0, 1e-9, 0.0, 0.0, 1.0)


def along_i(n: int, origin: float, spacing: float) -> Geometry:
    return Geometry((n, 1, 1), (spacing, 1.0, 1.0), (origin, 0.0, 0.0), IDENTITY)


def test_grids_are_close_where_every_corner_is_within_the_tolerance() -> None:
    here = along_i(3, 0.0, 1.0)
    assert here.is_close(along_i(3, 0.5, 1.0), 0.5)
    # Of three voxels the middle one stays, and both ends move by half a millimetre.
    assert here.is_close(along_i(3, -0.5, 1.5), 0.5)
    assert not here.is_close(along_i(3, 0.0, 1.5), 0.5)
    assert not here.is_close(along_i(3, -1.0, 1.5), 0.5)
    assert not along_i(2, 0.0, 1.0).is_close(along_i(2, -1.0, 2.0), 0.5)
    assert here.is_close(along_i(4, 0.0, 1.0), 100.0) is False
    assert here.is_close(along_i(3, 0.9e-6, 1.0))
    assert not here.is_close(along_i(3, 1.1e-6, 1.0))


@settings(deadline=None)
@given(geometries)
def test_the_extent_of_the_patient_is_that_of_the_image_that_itk_turns_upright(geometry: Geometry) -> None:
    turned = sitk.DICOMOrient(to_sitk(np.zeros(geometry.shape, np.uint8), geometry), "LPS")
    assert sorted(geometry.patient_extent_mm) == pytest.approx(sorted(geometry.extent_mm))
    if np.abs(geometry.axes).max(axis=0).min() > 0.75:
        # So near to upright that nobody can take one axis for another.
        itk = [n * s for n, s in zip(turned.GetSize(), turned.GetSpacing(), strict=True)]
        assert geometry.patient_extent_mm == pytest.approx(itk)


def test_the_voxels_of_a_volume_cannot_be_changed(noise_on: NoiseOn, any_grid: Geometry) -> None:
    volume = noise_on(any_grid)
    with pytest.raises(ValueError, match="read-only"):
        volume.voxels[0, 0, 0] = 1
    with pytest.raises(AttributeError):
        volume.name = "other"  # type: ignore[misc]


def test_voxels_of_another_shape_or_kind_are_refused(any_grid: Geometry) -> None:
    turned = np.zeros(any_grid.size_ijk, np.float32)
    for wrong in (turned, np.zeros(any_grid.shape, np.int16), np.zeros(any_grid.shape[1:], np.float32)):
        with pytest.raises(InputError, match="head-scan"):
            Volume(wrong, any_grid, "CT", "head-scan")  # type: ignore[arg-type]


def test_a_volume_in_words_is_short_and_says_what_it_is(noise_on: NoiseOn, an_oblique_grid: Geometry) -> None:
    text = repr(noise_on(an_oblique_grid))
    assert text == "Volume(noise: unknown, 7 x 6 x 5 voxels of 0.742 x 0.9 x 3.3 mm, LPS)"


def test_an_itk_image_holds_a_copy_of_the_voxels(any_grid: Geometry) -> None:
    array = np.zeros(any_grid.shape, np.float32)
    image = to_sitk(array, any_grid)
    array[1, 2, 3] = 5
    assert image[3, 2, 1] == 0
    image[3, 2, 1] = 9
    assert array[1, 2, 3] == 5


def test_an_array_that_is_not_contiguous_becomes_the_same_image(any_grid: Geometry) -> None:
    turned = np.arange(210, dtype=np.float32).reshape(any_grid.size_ijk).T
    assert np.array_equal(sitk.GetArrayFromImage(to_sitk(turned, any_grid)), turned)


def test_labels_are_equal_when_grid_names_and_voxels_are(any_grid: Geometry) -> None:
    array = np.random.default_rng(0).integers(0, 3, any_grid.shape).astype(np.uint8)
    labels = LabelVolume(array, any_grid, {1: "liver", 2: "tumour"})
    moved = Geometry(any_grid.size_ijk, any_grid.spacing_mm, (0.0, 0.0, 1e-9), any_grid.direction)
    changed = array.copy()
    changed[0, 0, 0] ^= 1
    assert labels == LabelVolume(array.copy(), any_grid, {2: "tumour", 1: "liver"})
    assert labels != LabelVolume(changed, any_grid, labels.names)
    assert labels != LabelVolume(array, moved, labels.names)
    assert labels != LabelVolume(array, any_grid, {1: "liver"})
    assert (labels == "labels") is False


def test_labels_cannot_be_changed_or_hashed(any_grid: Geometry) -> None:
    labels = LabelVolume(np.ones(any_grid.shape, np.uint8), any_grid, {1: "liver"})
    with pytest.raises(ValueError, match="read-only"):
        labels.labels[0, 0, 0] = 0
    with pytest.raises(TypeError, match="unhashable"):
        hash(labels)


@pytest.mark.parametrize("wrong", [0.5, 256, -1, np.nan])
def test_labels_that_are_no_whole_numbers_of_a_byte_are_refused(wrong: float, any_grid: Geometry) -> None:
    array = np.ones(any_grid.shape, np.float64)
    assert LabelVolume(array, any_grid, {}).labels.dtype == np.uint8  # type: ignore[arg-type]
    array[1, 2, 3] = wrong
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match="from 0 to 255"):
        LabelVolume(array, any_grid, {})  # type: ignore[arg-type]


def test_labels_of_bytes_are_taken_as_they_are(any_grid: Geometry) -> None:
    array = np.full(any_grid.shape, 255, np.uint8)
    assert np.shares_memory(LabelVolume(array, any_grid, {}).labels, array)


def test_labels_of_another_size_are_refused(any_grid: Geometry) -> None:
    with pytest.raises(InputError, match="size of their image"):
        LabelVolume(np.zeros(any_grid.size_ijk, np.uint8), any_grid, {})


def test_the_volume_of_a_label_is_its_count_times_a_voxel(any_grid: Geometry) -> None:
    array = np.random.default_rng(1).integers(0, 3, any_grid.shape).astype(np.uint8)
    labels = LabelVolume(array, any_grid, {1: "liver", 2: "tumour"})
    i, j, k = any_grid.spacing_mm
    for label in (1, 2, 7):
        assert labels.volume_ml(label) == pytest.approx(sum(array.ravel() == label) * i * j * k / 1000, rel=1e-12)


def test_a_linear_field_is_resampled_as_it_is_and_goes_on_at_the_edges_as_the_nearest_value() -> None:
    source = Geometry((9, 8, 7), (4.0, 3.0, 5.0), (-10.0, 4.0, 60.0), (0, -1, 0, 1, 0, 0, 0, 0, 1))
    target = Geometry((6, 5, 4), (2.0, 2.5, 3.0), (-22.0, 15.0, 66.0), (-1, 0, 0, 0, 1, 0, 0, 0, 1))
    k, j, i = np.indices(source.shape)
    lps = source.ijk_to_lps(np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1).astype(float))
    field = (lps @ [0.5, -1.0, 2.0]).reshape(source.shape).astype(np.float32)
    found = resampled(field, source, target)
    k, j, i = np.indices(target.shape)
    places = target.ijk_to_lps(np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1).astype(float))
    inside = np.clip(source.lps_to_ijk(places), 0, np.array(source.size_ijk) - 1)
    expected = (source.ijk_to_lps(inside) @ [0.5, -1.0, 2.0]).reshape(target.shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_beyond_an_image_its_nearest_value_counts() -> None:
    image = to_sitk(np.arange(1, 9, dtype=np.uint8).reshape(2, 2, 2), along_i(2, 0.0, 1.0).part((slice(0, 2),) * 3))
    around = Geometry((4, 4, 4), (1.0, 1.0, 1.0), (-1.0, -1.0, -1.0), IDENTITY)
    found = image_on(image, around)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.pad(np.arange(1, 9).reshape(2, 2, 2), 1, mode="edge"))


def test_a_part_of_a_grid_lies_where_its_voxels_lie(any_grid: Geometry) -> None:
    box = (slice(1, 4), slice(2, 3), slice(3, 7))
    part = any_grid.part(box)
    index = np.stack([n[box] for n in np.indices(any_grid.shape)])
    places = any_grid.ijk_to_lps(index[::-1].reshape(3, -1).T.astype(float))
    own = np.indices(part.shape)[::-1].reshape(3, -1).T.astype(float)
    assert part.shape == (3, 1, 4)
    np.testing.assert_allclose(part.ijk_to_lps(own), places, atol=1e-9)
