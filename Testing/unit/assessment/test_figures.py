"""The overview is drawn for every state and every image, and the states are told apart without colour."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from scipy import ndimage
from scipy.spatial.transform import Rotation

from BottleneckOODLib.assessment.assessment import Assessment, MapPoint
from BottleneckOODLib.assessment.figures import LIGHT_COLOURS, draw_light, write_overview
from BottleneckOODLib.assessment.wording import STATE_SHAPES, STATE_WORDS
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.ood.placement import Placement

MakeAssessment = Callable[..., Assessment]
FloatArray = npt.NDArray[np.float64]
LIGHTS = ("green", "amber", "red", "grey")
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
CORNERS = {"circle": None, "triangle": 3, "square": 4, "octagon": 8}
# Machado, Oliveira and Fernandes, IEEE TVCG 15(6) 2009: severity 1.0, for linear RGB.
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
LINEAR_RGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def overview(assessment: Assessment, folder: Path) -> npt.NDArray[np.float32]:
    """The picture's pixels; drawing it may not even warn."""
    path = folder / f"{assessment.light}.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_overview(assessment, path)
    return np.asarray(imread(path))[..., :3]


def linear_rgb(colour: str) -> FloatArray:
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lab(linear: FloatArray) -> FloatArray:
    """CIELAB of linear RGB, white D65."""
    ratio = LINEAR_RGB_TO_XYZ @ np.clip(linear, 0, 1) / LINEAR_RGB_TO_XYZ.sum(axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def drawn_light(light: str) -> npt.NDArray[np.float32]:
    """The shape alone on white, 400 x 400 pixels."""
    figure = Figure(figsize=(4, 4), dpi=100, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    axes.axis("off")
    draw_light(axes, light, 0.0, 0.0, 1.0)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), dtype=np.float32)[..., :3] / 255


def corners_of(image: npt.NDArray[np.float32]) -> int | None:
    """Corners of the filled outline, as the strongest repetition in its radius; None for a round one."""
    filled = ndimage.binary_fill_holes(image.min(axis=-1) < 0.9)
    centre = ndimage.center_of_mass(filled)
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    radii = np.arange(0, 195, 0.25)
    rows = centre[0] + radii[:, None] * np.sin(angles)
    columns = centre[1] + radii[:, None] * np.cos(angles)
    inside = ndimage.map_coordinates(filled.astype(float), [rows, columns], order=1) > 0.5
    radius = inside.sum(axis=0) * 0.25
    strength = np.abs(np.fft.rfft(radius))[1:13] / radius.sum()
    return None if strength.max() < 0.005 else int(strength.argmax()) + 1


@pytest.mark.parametrize("light", LIGHTS)
def test_the_overview_is_drawn_wide_enough(make_assessment: MakeAssessment, light: str, tmp_path: Path) -> None:
    image = overview(make_assessment(light), tmp_path)
    assert image.shape[1] >= 1200
    head = image[: image.shape[0] // 6, : image.shape[1] // 8].reshape(-1, 3)
    wanted = np.array([int(LIGHT_COLOURS[light][i : i + 2], 16) / 255 for i in (1, 3, 5)])
    assert np.count_nonzero(np.abs(head - wanted).max(axis=1) < 0.02) > 1000


def test_the_picture_names_no_maker_s_paths(an_assessment: Assessment, tmp_path: Path) -> None:
    write_overview(an_assessment, tmp_path / "x.png")
    raw = (tmp_path / "x.png").read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", raw[16:20])[0] >= 1200
    assert str(tmp_path).encode() not in raw


@pytest.mark.parametrize("light", LIGHTS)
def test_each_light_has_the_shape_that_the_wording_names(light: str) -> None:
    assert corners_of(drawn_light(light)) == CORNERS[STATE_SHAPES[light]]


def test_the_grey_square_has_a_dash() -> None:
    image = drawn_light("grey")
    assert np.all(image[200, 200] > 0.95)
    for light in ("green", "amber", "red"):
        assert np.any(drawn_light(light)[200, 200] < 0.95)


@pytest.mark.parametrize("simulation", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["usual", "deutan", "protan"])
def test_the_colours_stay_apart_for_the_colour_blind(simulation: FloatArray) -> None:
    seen = {name: lab(simulation @ linear_rgb(colour)) for name, colour in LIGHT_COLOURS.items()}
    assert set(seen) == set(LIGHTS)
    for one, other in combinations(LIGHTS, 2):
        # A just noticeable difference is about 2.3.
        assert np.linalg.norm(seen[one] - seen[other]) > 10, (one, other)


def test_the_three_judging_lights_differ_in_lightness() -> None:
    lightness = {name: lab(linear_rgb(LIGHT_COLOURS[name]))[0] for name in ("red", "green", "amber")}
    assert lightness["red"] + 10 < lightness["green"] < lightness["amber"] - 10


def test_the_simulation_itself_keeps_greys_and_confuses_red_with_green() -> None:
    np.testing.assert_allclose(DEUTERANOPIA.sum(axis=1), 1.0, atol=1e-5)
    red, olive = linear_rgb("#c04040"), linear_rgb("#807a38")
    apart = np.linalg.norm(lab(red) - lab(olive))
    assert np.linalg.norm(lab(DEUTERANOPIA @ red) - lab(DEUTERANOPIA @ olive)) < apart / 2


def test_the_states_are_told_apart_by_shape_and_word_without_any_colour() -> None:
    assert len({STATE_SHAPES[light] for light in LIGHTS}) == 4
    assert len({STATE_WORDS[light] for light in LIGHTS}) == 4
    shapes = [ndimage.binary_fill_holes(drawn_light(light).min(axis=-1) < 0.9) for light in LIGHTS]
    for one, other in combinations(shapes, 2):
        assert np.count_nonzero(one ^ other) > 1000


def test_the_same_assessment_gives_the_same_picture(an_assessment: Assessment, tmp_path: Path) -> None:
    np.testing.assert_array_equal(overview(an_assessment, tmp_path), overview(an_assessment, tmp_path))


def block_in(shape: tuple[int, int, int], *, of: int) -> npt.NDArray[np.uint8]:
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(n // 3, n // 3 + max(1, n // of)) for n in shape)] = 1
    return labels


@pytest.mark.parametrize("mask", ["empty", "block", "everything"])
@pytest.mark.parametrize("size", [(14, 12, 1), (1, 12, 14), (14, 1, 12), (1, 1, 1), (900, 2, 3)])
def test_any_size_of_image_and_mask_is_drawn(
    make_assessment: MakeAssessment,
    size: tuple[int, int, int],
    mask: str,
    tmp_path: Path,
) -> None:
    geometry = Geometry(size, (1.0, 2.0, 5.0), (0.0, 0.0, 0.0), UPRIGHT)
    labels = {
        "empty": np.zeros(geometry.shape, np.uint8),
        "block": block_in(geometry.shape, of=3),
        "everything": np.ones(geometry.shape, np.uint8),
    }
    segmentation = LabelVolume(labels[mask], geometry, {1: "liver"})
    assert overview(make_assessment(geometry=geometry, segmentation=segmentation), tmp_path).shape[1] >= 1200


@pytest.mark.parametrize("seed", range(3))
def test_an_oblique_image_is_drawn(make_assessment: MakeAssessment, seed: int, tmp_path: Path) -> None:
    direction = tuple(Rotation.random(random_state=seed).as_matrix().ravel())
    geometry = Geometry((17, 11, 7), (0.4, 3.0, 7.5), (10.0, -20.0, 3.0), direction)
    assert overview(make_assessment(geometry=geometry), tmp_path).shape[1] >= 1200


@pytest.mark.parametrize(("modality", "value"), [("CT", -1000.0), ("MR", 0.0), ("unknown", 30000.0)])
def test_an_image_of_one_value_is_drawn(
    make_assessment: MakeAssessment, modality: str, value: float, tmp_path: Path
) -> None:
    before = make_assessment()
    assert before.volume is not None
    geometry = before.volume.geometry
    volume = Volume(np.full(geometry.shape, value, np.float32), geometry, "MR", "flat")
    image = type(before.input)("flat", modality, geometry.shape, geometry.spacing_mm, "LPS")
    assert overview(make_assessment(volume=volume, input=image), tmp_path).size


def test_the_mask_is_seen_in_the_picture(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    with_mask, without = overview(make_assessment(), tmp_path), overview(make_assessment(segmentation=None), tmp_path)
    cyan = [
        np.count_nonzero((im[..., 0] < 0.5) & (im[..., 1] > 0.7) & (im[..., 2] > 0.9)) for im in (with_mask, without)
    ]
    assert cyan[0] > cyan[1] + 300


@pytest.mark.parametrize("name", ["volume", "segmentation", "placement"])
def test_what_is_missing_is_left_out(make_assessment: MakeAssessment, name: str, tmp_path: Path) -> None:
    assert overview(make_assessment(**{name: None}), tmp_path).shape[1] >= 1200


@pytest.mark.parametrize(
    ("points", "place"),
    [
        ((), None),
        ((), Placement(1.0, 1.0, False)),
        ((MapPoint(1.0, 1.0, None),), None),
        ((MapPoint(1.0, 1.0, 0.9),) * 3, Placement(1.0, 1.0, True)),
        ((MapPoint(0.0, 1e6, 0.0), MapPoint(1.0, 0.0, 1.0)), Placement(-9.0, 99.0, True)),
    ],
)
def test_any_map_is_drawn(
    make_assessment: MakeAssessment, points: tuple[MapPoint, ...], place: Placement | None, tmp_path: Path
) -> None:
    assert overview(make_assessment(map_points=points, placement=place), tmp_path).shape[1] >= 1200


def test_long_texts_and_many_checks_are_drawn(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    checks = make_assessment().checks * 9
    long = make_assessment(case_id="c" * 250, sentence="word " * 300, checks=checks, device="d" * 200)
    assert overview(long, tmp_path).shape[1] >= 1200


@pytest.mark.parametrize("n_slices", [1, 2, 3, 40])
def test_the_names_of_planes_and_sides_do_not_overlap(
    make_assessment: MakeAssessment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_slices: int
) -> None:
    drawn: list[Figure] = []
    print_png = FigureCanvasAgg.print_png
    monkeypatch.setattr(
        FigureCanvasAgg, "print_png", lambda self, *a, **k: (drawn.append(self.figure), print_png(self, *a, **k))
    )
    geometry = Geometry((n_slices, 40, 40), (8.0, 8.0, 1.0), (0, 0, 0), UPRIGHT)
    overview(make_assessment(geometry=geometry), tmp_path)
    [figure] = drawn
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    labels = [text for text in texts if text.get_text() in {"Axial", "Coronal", "Sagittal", "R", "L", "A", "P"}]
    assert [text.get_text() for text in labels].count("R") == 2
    for one, other in combinations(labels, 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent()), (one.get_text(), other.get_text())


@pytest.mark.parametrize("name", ["a%b <b> a_b^c \\alpha Zoë", "100$"])
def test_a_name_with_signs_is_drawn(make_assessment: MakeAssessment, name: str, tmp_path: Path) -> None:
    assert overview(make_assessment(case_id=name, sentence=f"{name}; review."), tmp_path).size


def test_a_name_with_two_dollar_signs_is_drawn(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    assert overview(make_assessment(case_id="$a_$"), tmp_path).size


def test_a_name_in_chinese_is_drawn_without_a_warning(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    assert overview(make_assessment(case_id="患者"), tmp_path).size
