"""The light in the corner of a slice view, drawn offscreen: its facts are looked up in the picture's pixels."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import vtk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.wording import STATE_SHAPES, STATE_WORDS, corner_lines
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.scene.corner_light import CornerLight, shape_outline
from BottleneckOODLib.scene.mask import set_drawn
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.training_map import LIGHT_RGB
from BottleneckOODLib.scene.volume_node import add_volume_node

MakeAssessment = Callable[..., Assessment]
Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
PERCENTILES = {"green": 12.0, "amber": 93.0, "red": 100.0, "grey": None}
TURNED = (0.96, -0.28, 0.0, 0.28, 0.96, 0.0, 0.0, 0.0, 1.0)
LIVER_RGB = np.array([221, 130, 101])
CENTRE_RAS = (12.0, -6.0, 8.0)


def a_body() -> tuple[Volume, LabelVolume]:
    """A round body with a round liver on its right, turned in the axial plane."""
    middle = np.array([-CENTRE_RAS[0], -CENTRE_RAS[1], CENTRE_RAS[2]])
    size, spacing = np.array([64, 60, 24]), np.array([3.0, 3.0, 4.0])
    x, y, z = (float(value) for value in middle - np.array(TURNED).reshape(3, 3) @ ((size - 1) / 2 * spacing))
    geometry = Geometry((64, 60, 24), (3.0, 3.0, 4.0), (x, y, z), TURNED)
    k, j, i = np.indices(geometry.shape).reshape(3, -1)
    lps = geometry.ijk_to_lps(np.stack([i, j, k], axis=1).astype(float))
    body = np.linalg.norm((lps - middle)[:, :2] / (80, 60), axis=1) < 1
    liver = np.linalg.norm((lps - middle - [-25, 5, 0]) / (35, 30, 30), axis=1) < 1
    voxels = np.where(body, np.where(liver, 100.0, 20.0), -1000.0).reshape(geometry.shape)
    labels = liver.reshape(geometry.shape).astype(np.uint8)
    return Volume(voxels.astype(np.float32), geometry, "CT", "body"), LabelVolume(labels, geometry, {1: "liver"})


@pytest.fixture
def a_view_of_a_case(a_scene: Any, a_slice_view: Any, make_assessment: MakeAssessment) -> Any:
    """The view, with a volume and its mask as a contour."""
    volume, mask = a_body()
    node = add_volume_node(a_scene, volume)
    set_window(node, -160, 240)
    show(make_assessment(volume=volume, segmentation=mask), a_scene, node)
    set_drawn(a_scene, "case-7", visible=True, outline=True, fill=False)
    a_slice_view.show(node, CENTRE_RAS)
    return a_slice_view


def set_window(node: Any, low: float, high: float) -> None:
    node.GetDisplayNode().SetAutoWindowLevel(0)
    node.GetDisplayNode().SetWindowLevelMinMax(low, high)


def coloured(picture: Picture, light: str) -> Mask:
    wanted = np.round(255 * np.array(LIGHT_RGB[light]))
    return np.asarray(np.abs(picture.astype(int) - wanted).max(axis=2) <= 3)


def box_of(marked: Mask) -> tuple[int, int, int, int]:
    """First and last row, first and last column."""
    rows, columns = np.nonzero(marked)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def pictures_of_all(view: Any) -> dict[str, Picture]:
    light = CornerLight(view.renderer)
    pictures = {}
    for state, percentile in PERCENTILES.items():
        light.show(state, percentile)
        pictures[state] = view.picture()
    light.clear()
    return pictures


def shape_in(picture: Picture, light: str, side: int = 24) -> Mask:
    """The light's shape alone, without its colour, brought to one size; a mark within it is left out."""
    marked = coloured(picture, light)
    top, bottom, left, right = box_of(marked)
    rows = np.linspace(top, bottom, side).round().astype(int)
    columns = np.linspace(left, right, side).round().astype(int)
    return np.asarray(marked[np.ix_(rows, columns)])


def overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def luminance(colours: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Relative luminance of sRGB colours (WCAG 2)."""
    linear = np.where(colours / 255 <= 0.04045, colours / 255 / 12.92, ((colours / 255 + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def test_each_state_shows_its_colour_in_the_upper_right_corner_and_nowhere_else(
    a_view_of_a_case: Any, keep_picture: Callable[[Picture, str], None]
) -> None:
    plain = a_view_of_a_case.picture()
    for light, picture in pictures_of_all(a_view_of_a_case).items():
        keep_picture(picture, f"slice-view-{light}")
        marked = coloured(picture, light) & ~coloured(plain, light)
        assert marked.sum() > 200
        _, bottom, left, _ = box_of(marked)
        height, width = marked.shape
        assert bottom < 0.2 * height
        assert left > 0.1 * width
        for other in set(LIGHT_RGB) - {light}:
            assert not (coloured(picture, other) & ~coloured(plain, other)).any()
        # The rest of the view is as it was.
        changed = (picture != plain).any(axis=2)
        assert not changed[int(0.2 * height) :].any()


def test_the_states_are_told_apart_without_any_colour(a_view_of_a_case: Any) -> None:
    shapes = {light: shape_in(picture, light) for light, picture in pictures_of_all(a_view_of_a_case).items()}
    for one, other in combinations(shapes, 2):
        assert overlap(shapes[one], shapes[other]) < 0.95, (one, other)
        assert corner_lines(one, 50.0)[0] != corner_lines(other, 50.0)[0]
    # The triangle stands on its side, the square fills its box.
    assert shapes["amber"][3].sum() < 0.4 * shapes["amber"][-3].sum()
    assert all(shapes["grey"][edge].all() for edge in (0, -1, (slice(None), 0), (slice(None), -1)))


def test_the_square_has_a_dash_and_the_octagon_which_is_nearly_a_circle_a_mark(a_view_of_a_case: Any) -> None:
    for light, picture in pictures_of_all(a_view_of_a_case).items():
        top, bottom, left, right = box_of(coloured(picture, light))
        inner = picture[top + 3 : bottom - 2, left + 3 : right - 2].min(axis=2) > 230
        third = inner.shape[1] // 3
        upright, level = inner[:, third:-third], inner[third:-third]
        is_bar = bool(upright.any(axis=1).sum() > 2 * upright.any(axis=0).sum() > 0)
        is_dash = bool(level.any(axis=0).sum() > 2 * level.any(axis=1).sum() > 0)
        assert (is_bar, is_dash) == (light == "red", light == "grey"), light


def test_red_and_green_are_not_one_colour_to_a_deuteranope(a_view_of_a_case: Any) -> None:
    """Simulated in linear RGB; either the colours stay apart or the shapes are far from each other.

    Source:
        Vienot, Brettel, Mollon: Digital video colourmaps for checking the legibility of displays by dichromats (1999).
    """
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    deuteranopia = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    matrix = np.linalg.inv(to_lms) @ deuteranopia @ to_lms
    pictures = pictures_of_all(a_view_of_a_case)
    seen = {
        light: np.clip(matrix @ (np.median(picture[coloured(picture, light)], axis=0) / 255) ** 2.2, 0, 1) ** (1 / 2.2)
        for light, picture in pictures.items()
    }
    for one, other in combinations(seen, 2):
        apart = float(np.linalg.norm(seen[one] - seen[other]))
        assert apart > 0.25 or overlap(shape_in(pictures[one], one), shape_in(pictures[other], other)) < 0.85


@pytest.mark.parametrize("window", [(-160, 240), (-4000, -3000), (3000, 4000)], ids=["as usual", "bright", "dark"])
def test_the_words_are_readable_over_any_image(
    a_view_of_a_case: Any, a_scene: Any, window: tuple[int, int], keep_picture: Callable[[Picture, str], None]
) -> None:
    set_window(a_scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"), *window)
    plain = a_view_of_a_case.picture()
    light = CornerLight(a_view_of_a_case.renderer)
    light.show("green", 12.0)
    picture = a_view_of_a_case.picture()
    keep_picture(picture, f"slice-view-window-{window[0]}")
    *_, shape_right = box_of(coloured(picture, "green"))
    changed = (picture != plain).any(axis=2)
    top, bottom, _, right = box_of(changed)
    words = luminance(picture[top + 2 : bottom - 1, shape_right + 6 : right - 1].reshape(-1, 3).astype(float))
    # Contrast of the brightest ink against the brightest part of the plate that is no ink.
    plate = np.quantile(words, 0.5)
    assert (np.quantile(words, 0.995) + 0.05) / (plate + 0.05) > 7


@pytest.mark.parametrize("size", [(100, 100), (130, 400), (180, 150), (400, 300), (900, 1400), (2000, 1500)])
@pytest.mark.parametrize("state", ["green", "grey"])
def test_it_fits_into_views_of_every_size(a_view_of_a_case: Any, size: tuple[int, int], state: str) -> None:
    width, height = size
    light = CornerLight(a_view_of_a_case.renderer)
    a_view_of_a_case.resize(width, height)
    plain = a_view_of_a_case.picture()
    light.show(state, PERCENTILES[state])
    picture = a_view_of_a_case.picture()
    shape = coloured(picture, state) & ~coloured(plain, state)
    top, bottom, left, right = box_of((picture != plain).any(axis=2))
    assert top >= 1
    assert right <= width - 2
    assert left >= 1
    assert bottom < 0.75 * height
    # The shape is whole: as wide as it is high.
    first, last, begin, end = box_of(shape)
    assert abs((last - first) - (end - begin)) <= 2
    assert last - first >= 8
    if min(size) >= 400:
        assert (right - left) * (bottom - top) < 0.12 * width * height


def test_it_follows_the_size_of_the_view(a_view_of_a_case: Any) -> None:
    light = CornerLight(a_view_of_a_case.renderer)
    light.show("amber", 93.0)
    a_view_of_a_case.picture()
    a_view_of_a_case.resize(700, 300)
    followed = a_view_of_a_case.picture()
    light.clear()
    CornerLight(a_view_of_a_case.renderer).show("amber", 93.0)
    np.testing.assert_array_equal(a_view_of_a_case.picture(), followed)


def test_on_a_high_resolution_screen_it_takes_the_same_share_of_the_view(a_view_of_a_case: Any) -> None:
    light = CornerLight(a_view_of_a_case.renderer)
    light.show("red", 100.0)
    *_, left, right = box_of(coloured(a_view_of_a_case.picture(), "red"))
    usual = (right - left) / 500
    a_view_of_a_case.window.SetDPI(144)
    a_view_of_a_case.resize(1000, 800)
    *_, left, right = box_of(coloured(a_view_of_a_case.picture(), "red"))
    assert (right - left) / 1000 == pytest.approx(usual, rel=0.15)


def test_cleared_the_picture_is_as_before_and_nothing_stays_in_the_view(a_view_of_a_case: Any) -> None:
    renderer = a_view_of_a_case.renderer
    before, props = a_view_of_a_case.picture(), renderer.GetViewProps().GetNumberOfItems()
    watched = renderer.HasObserver(vtk.vtkCommand.StartEvent)
    light = CornerLight(renderer)
    for state, percentile in PERCENTILES.items():
        light.show(state, percentile)
        assert light.shown == (state, percentile)
        a_view_of_a_case.picture()
    assert renderer.GetViewProps().GetNumberOfItems() > props
    light.clear()
    light.clear()
    assert light.shown is None
    assert renderer.GetViewProps().GetNumberOfItems() == props
    assert renderer.HasObserver(vtk.vtkCommand.StartEvent) == watched
    np.testing.assert_array_equal(a_view_of_a_case.picture(), before)


def test_shown_again_it_is_shown_once_and_the_new_state_takes_the_place_of_the_old(a_view_of_a_case: Any) -> None:
    renderer = a_view_of_a_case.renderer
    once = CornerLight(renderer)
    once.show("red", 100.0)
    picture, props = a_view_of_a_case.picture(), renderer.GetViewProps().GetNumberOfItems()
    once.show("red", 100.0)
    np.testing.assert_array_equal(a_view_of_a_case.picture(), picture)
    once.show("green", 1.0)
    a_view_of_a_case.picture()
    once.show("red", 100.0)
    np.testing.assert_array_equal(a_view_of_a_case.picture(), picture)
    assert renderer.GetViewProps().GetNumberOfItems() == props
    once.clear()
    once.show("red", 100.0)
    np.testing.assert_array_equal(a_view_of_a_case.picture(), picture)


def test_a_light_that_nobody_holds_any_more_does_not_disturb_the_view(a_view_of_a_case: Any) -> None:
    light = CornerLight(a_view_of_a_case.renderer)
    light.show("amber", 93.0)
    before = a_view_of_a_case.picture()
    del light
    gc.collect()
    np.testing.assert_array_equal(a_view_of_a_case.picture(), before)


def test_a_view_that_has_no_size_yet_is_left_in_peace() -> None:
    renderer = vtk.vtkRenderer()
    light = CornerLight(renderer)
    light.show("green", 12.0)
    light.clear()
    assert renderer.GetViewProps().GetNumberOfItems() == 0


def test_two_views_have_a_light_each(a_scene: Any, make_slice_view: Callable[..., Any]) -> None:
    views = [make_slice_view(a_scene, name=name) for name in ("Red", "Yellow")]
    lights = [CornerLight(view.renderer) for view in views]
    for light, state in zip(lights, ("green", "red"), strict=True):
        light.show(state, PERCENTILES[state])
    lights[0].clear()
    assert not coloured(views[0].picture(), "green").any()
    assert coloured(views[1].picture(), "red").sum() > 200


def test_the_contour_runs_along_the_border_of_the_mask(a_view_of_a_case: Any, a_scene: Any) -> None:
    with_contour = a_view_of_a_case.picture()
    set_drawn(a_scene, "case-7", visible=True, outline=False, fill=False)
    without = a_view_of_a_case.picture()
    drawn = (with_contour != without).any(axis=2)
    # Independent of the views: every pixel is looked up in the mask by its place in the patient.
    height, width = drawn.shape
    rows, columns = np.indices((height, width)).reshape(2, -1)
    to_ras = a_view_of_a_case.node.GetXYToRAS()
    xy = np.stack([columns, height - 1 - rows, np.zeros_like(rows), np.ones_like(rows)])
    matrix = np.array([[to_ras.GetElement(r, c) for c in range(4)] for r in range(4)])
    ras = (matrix @ xy)[:3].T
    _, mask = a_body()
    i, j, k = mask.geometry.lps_to_ijk(ras * [-1, -1, 1]).round().astype(int).T
    inside = (i >= 0) & (i < 64) & (j >= 0) & (j < 60) & (k >= 0) & (k < 24)
    liver = np.zeros(height * width, bool)
    liver[inside] = mask.labels[k[inside], j[inside], i[inside]] > 0
    from scipy.ndimage import binary_dilation, binary_erosion

    liver = liver.reshape(height, width)
    border = binary_dilation(liver) & ~binary_erosion(liver)
    voxel_px = 3.0 / (a_view_of_a_case.node.GetFieldOfView()[0] / width)
    near = round(voxel_px) + 1
    assert drawn.sum() > 100
    assert not (drawn & ~binary_dilation(border, iterations=near)).any()
    assert (border & binary_dilation(drawn, iterations=near)).sum() > 0.98 * border.sum()
    assert np.abs(np.median(with_contour[drawn], axis=0) - LIVER_RGB).max() < 40


@pytest.mark.parametrize("light", PERCENTILES)
def test_the_words_ask_for_a_review_and_promise_nothing(light: str) -> None:
    first, second = corner_lines(light, PERCENTILES[light])
    assert first.startswith(STATE_WORDS[light])
    assert ("of 100" in first) is (light != "grey")
    assert "Review the mask" in second
    assert "Not for clinical use" in second
    assert not re.search(r"\b(ok|pass|safe|correct|normal)", f"{first} {second}", re.IGNORECASE)


@pytest.mark.parametrize("shape", STATE_SHAPES.values())
def test_every_outline_is_convex_closed_and_within_its_box(shape: str) -> None:
    outline = shape_outline(shape)
    assert np.abs(outline).max() <= 1
    edges = np.roll(outline, -1, axis=0) - outline
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    assert (turns > 0).all()
    assert len(outline) == {"square": 4, "triangle": 3, "octagon": 8, "circle": 48}[shape]
