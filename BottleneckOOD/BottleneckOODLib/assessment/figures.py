"""``overview.png``: one glance says whether to trust the mask as usual, a second one why not."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, RegularPolygon
from matplotlib.patheffects import withStroke

from BottleneckOODLib.assessment.wording import (
    BEYOND_MAP,
    CHECK_SIGNS,
    DEMONSTRATION,
    LIGHT_COLOURS,
    MAP_NOTE,
    NOT_FOR_CLINICAL_USE,
    PART_QUESTIONS,
    STATE_WORDS,
    training_case_counts,
)
from BottleneckOODLib.imaging.body import upright
from BottleneckOODLib.imaging.volume import Geometry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from BottleneckOODLib.assessment.assessment import Assessment

INK, PAPER, QUIET, LINE = "#1b2330", "#ffffff", "#5b6675", "#d5dae1"
CONTOUR_COLOUR = "#4fd8ff"
_DPI, _WIDTH_IN, _HEIGHT_IN = 100, 12.0, 9.2
CT_WINDOW = (-140.0, 240.0)
_MAX_PIXELS = 420
# Keeps white letters readable over bright tissue.
_OUTLINE = (withStroke(linewidth=2.5, foreground="black"),)
_CHECK_COLOURS = {"met": "#4a7f9c", "soft": "#c98a00", "hard": "#a3162d", "not_assessed": QUIET}

FloatImage = npt.NDArray[np.float32]


def write_overview(assessment: Assessment, path: Path) -> None:
    """Draw the overview picture of an assessment, 1200 pixels wide."""
    with _overview(assessment) as canvas:
        canvas.print_png(str(path), metadata={"Software": "BottleneckOOD"})  # type: ignore[no-untyped-call]


def overview_pixels(assessment: Assessment, of_the_mask: Sequence[str] = ()) -> npt.NDArray[np.uint8]:
    """The overview picture, shape (920, 1200, 3): red, green and blue of each pixel, 0 to 255.

    Args:
        assessment: What is drawn.
        of_the_mask: Two lines in the place of the mask's volume and the run's seconds, where the mask is not the one
            that was judged.
    """
    with _overview(assessment, of_the_mask) as canvas:
        canvas.draw()  # type: ignore[no-untyped-call]
        rgba = np.asarray(canvas.buffer_rgba(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(rgba[..., :3])


@contextmanager
def _overview(assessment: Assessment, of_the_mask: Sequence[str] = ()) -> Iterator[FigureCanvasAgg]:
    # A name between dollar signs is no formula, and one that the font lacks is drawn as boxes, without a word.
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DPI, facecolor=PAPER)
        canvas = FigureCanvasAgg(figure)
        _draw_header(figure, assessment)
        _draw_slices(figure, assessment)
        _draw_checks(figure, assessment)
        _draw_map(figure, assessment)
        _draw_neighbours(figure, assessment, of_the_mask)
        _draw_footer(figure, assessment)
        yield canvas


def draw_light(axes: Axes, light: str, x: float, y: float, size: float) -> None:
    """Draw a state's shape: circle, triangle, octagon, or a square with a dash."""
    colour = LIGHT_COLOURS[light]
    style: dict[str, Any] = {"facecolor": colour, "edgecolor": INK, "linewidth": 1.6}
    if light == "green":
        axes.add_patch(Circle((x, y), size, **style))
    elif light == "amber":
        corners = [(x, y + size * 1.1), (x - size * 1.1, y - size * 0.85), (x + size * 1.1, y - size * 0.85)]
        axes.add_patch(Polygon(corners, closed=True, joinstyle="round", **style))
    elif light == "red":
        axes.add_patch(RegularPolygon((x, y), 8, radius=size * 1.08, orientation=np.pi / 8, **style))
    else:
        axes.add_patch(
            Polygon([(x + a * size, y + b * size) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))], **style)
        )
        axes.plot([x - size * 0.5, x + size * 0.5], [y, y], color=PAPER, linewidth=5, solid_capstyle="round")


def _draw_header(figure: Figure, assessment: Assessment) -> None:
    axes = _blank(figure, (0.0, 0.84, 1.0, 0.16), (12.0, 1.472))
    draw_light(axes, assessment.light, 0.85, 0.76, 0.46)
    axes.text(1.65, 1.08, STATE_WORDS[assessment.light], fontsize=23, fontweight="bold", color=INK, va="center")
    for number, line in enumerate(textwrap.wrap(assessment.sentence, 104)[:3]):
        axes.text(1.65, 0.68 - number * 0.235, line, fontsize=11.5, color=INK, va="center")
    axes.text(11.7, 1.12, assessment.case_id[:40], fontsize=11, color=QUIET, ha="right", va="center")
    axes.text(11.7, 0.88, NOT_FOR_CLINICAL_USE, fontsize=9.5, color=QUIET, ha="right", va="center")


def _draw_slices(figure: Figure, assessment: Assessment) -> None:
    box = (0.025, 0.425, 0.95, 0.4)
    background = figure.add_axes(box, facecolor="black")
    background.set(xticks=[], yticks=[])
    if assessment.volume is None:
        background.text(0.5, 0.5, "image not available", color="white", ha="center", va="center")
        return
    geometry = assessment.volume.geometry
    image, spacing = upright_volume(assessment.volume.voxels, geometry)
    mask = None
    if assessment.segmentation is not None:
        mask = upright_volume((assessment.segmentation.labels > 0).astype(np.float32), geometry)[0] > 0
    centre = thickest_slices(mask, image.shape)
    window = CT_WINDOW if assessment.input.modality == "CT" else percentile_window(image)
    planes = (("Axial", 0, (1, 2)), ("Coronal", 1, (0, 2)), ("Sagittal", 2, (0, 1)))
    left, width = box[0], box[2] / 3
    for number, (title, axis, rest) in enumerate(planes):
        axes = figure.add_axes((left + number * width, box[1], width, box[3]), facecolor="black")
        # Superior is drawn upwards; the axial slice has anterior at the top already.
        plane = np.take(image, centre[axis], axis=axis)
        contour = None if mask is None else np.take(mask, centre[axis], axis=axis)
        if axis != 0:
            plane = plane[::-1]
            contour = None if contour is None else contour[::-1]
        show_plane(axes, plane, contour, spacing[rest[0]] / spacing[rest[1]], window)
        name: dict[str, Any] = {"fontsize": 10, "va": "top", "path_effects": _OUTLINE}
        # Placed in the third of the picture, since a plane of few slices is a line.
        figure.text(left + (number + 0.03) * width, box[1] + 0.965 * box[3], title, color="white", **name)
        sides = ("R", "L") if axis != 2 else ("A", "P")  # noqa: PLR2004 - the sagittal plane
        for x, side in zip((0.03, 0.97), sides, strict=True):
            style: dict[str, Any] = {
                "color": "#dfe6ee",
                "fontsize": 10,
                "ha": "center",
                "va": "center",
                "path_effects": _OUTLINE,
            }
            figure.text(left + (number + x) * width, box[1] + 0.42 * box[3], side, **style)
    if mask is None or not mask.any():
        figure.text(0.5, box[1] + 0.015, "no mask", color="white", fontsize=11, ha="center", path_effects=_OUTLINE)


def show_plane(
    axes: Axes, plane: FloatImage, mask: npt.NDArray[np.bool_] | None, aspect: float, window: tuple[float, float]
) -> None:
    """Draw a slice with the mask's contour.

    Args:
        axes: Where.
        plane: The slice, shape (rows, columns), rows from top to bottom. Not modified.
        mask: The mask in it, or None.
        aspect: Height of a pixel in units of its width.
        window: Values that become black and white.
    """
    step = [max(1, n // _MAX_PIXELS) for n in plane.shape]
    shown = plane[:: step[0], :: step[1]]
    aspect = aspect * step[0] / step[1]
    axes.imshow(shown, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect, interpolation="bilinear")
    if mask is not None:
        small = mask[:: step[0], :: step[1]]
        if small.any() and not small.all() and min(small.shape) > 1:
            # A dark halo keeps the line visible over bone and air alike.
            axes.contour(small, levels=[0.5], colors="black", linewidths=3.2, alpha=0.65)
            axes.contour(small, levels=[0.5], colors=CONTOUR_COLOUR, linewidths=1.6)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_checks(figure: Figure, assessment: Assessment) -> None:
    axes = _blank(figure, (0.025, 0.055, 0.36, 0.345), (4.32, 3.17))
    axes.text(0.0, 3.02, "Checks", fontsize=12, fontweight="bold", color=INK, va="center")
    lines: list[tuple[str, str, str]] = []
    for check in assessment.checks:
        sign, colour = CHECK_SIGNS[check.state], _CHECK_COLOURS[check.state]
        part = assessment.parts.get(check.name) if check.calibrated else None
        text = check.message
        if part is not None:
            text = f"{PART_QUESTIONS.get(check.name, check.name)}: beyond {part.percentile:.0f} of 100"
        lines.extend((sign if n == 0 else "", colour, row) for n, row in enumerate(textwrap.wrap(text, 62)))
    lines = lines[:18]
    step = min(0.215, 2.8 / max(1, len(lines)))
    for number, (sign, colour, text) in enumerate(lines):
        y = 2.75 - number * step
        axes.text(0.06, y, sign, fontsize=9, color=colour, va="center", ha="center", fontfamily="DejaVu Sans")
        axes.text(0.2, y, text, fontsize=8.6, color=INK, va="center")


def _draw_map(figure: Figure, assessment: Assessment) -> None:
    axes = figure.add_axes((0.41, 0.085, 0.28, 0.285))
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(LINE)
    figure.text(0.41, 0.384, "Training map", fontsize=12, fontweight="bold", color=INK, va="center")
    figure.text(0.41, 0.068, MAP_NOTE, fontsize=7.0, color=QUIET, va="center")
    points = assessment.map_points
    if points:
        xy = np.array([(point.x, point.y) for point in points])
        values = np.array([np.nan if point.dice is None else point.dice for point in points])
        known = np.isfinite(values)
        axes.scatter(xy[~known, 0], xy[~known, 1], s=20, color="#b8c0ca", linewidths=0)
        if known.any():
            shown = axes.scatter(
                xy[known, 0],
                xy[known, 1],
                c=values[known],
                s=20,
                cmap=colormaps["cividis"],
                vmin=0.5,
                vmax=1.0,
                linewidths=0,
            )
            bar = figure.colorbar(shown, ax=axes, fraction=0.04, pad=0.02)
            figure.text(0.69, 0.384, "Dice", fontsize=8.4, color=QUIET, va="center", ha="right")
            bar.ax.tick_params(labelsize=7, colors=QUIET)
            bar.outline.set_visible(False)
    placement = assessment.placement
    if placement is None:
        axes.text(0.5, 0.5, "no place on the map", transform=axes.transAxes, ha="center", color=QUIET, fontsize=9)
        return
    axes.scatter([placement.x], [placement.y], s=150, facecolors="none", edgecolors=INK, linewidths=2.2, zorder=5)
    axes.scatter([placement.x], [placement.y], s=22, color=LIGHT_COLOURS[assessment.light], edgecolors=INK, zorder=6)
    label = "this case:\n" + BEYOND_MAP.replace(" this", "\nthis") if placement.beyond_map else "this case"
    # The label goes towards the middle, where there is room for it.
    middle = np.mean(axes.get_xlim())
    to_right = placement.x < middle
    axes.annotate(
        label,
        (placement.x, placement.y),
        xytext=(11 if to_right else -11, 10),
        textcoords="offset points",
        fontsize=8.4,
        color=INK,
        ha="left" if to_right else "right",
        zorder=7,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )
    axes.margins(0.14)


def _draw_neighbours(figure: Figure, assessment: Assessment, of_the_mask: Sequence[str]) -> None:
    axes = _blank(figure, (0.715, 0.055, 0.265, 0.345), (3.18, 3.17))
    axes.text(0.0, 3.02, "Nearest training cases", fontsize=12, fontweight="bold", color=INK, va="center")
    rows: list[Sequence[str]] = [("case", "distance*", "its Dice")]
    rows += [
        (n.case_id[:20], f"{n.relative_distance:.1f} x", "unknown" if n.dice is None else f"{n.dice:.2f}")
        for n in assessment.neighbours
    ]
    for number, row in enumerate(rows):
        y = 2.72 - number * 0.25
        for x, text, side in zip((0.0, 2.2, 3.0), row, ("left", "right", "right"), strict=True):
            axes.text(x, y, text, fontsize=9, color=QUIET if number == 0 else INK, ha=side, va="center")
        axes.plot([0, 3.0], [y - 0.125, y - 0.125], color=LINE, linewidth=0.7)
    note = "* of what the network sees alone; 1 x is usual"
    axes.text(0.0, 2.72 - len(rows) * 0.25, note, fontsize=7.6, color=QUIET)
    facts = [*of_the_mask] or [f"Mask volume {assessment.volume_ml:,.0f} ml"]
    if assessment.p_value is not None:
        counted, aside = training_case_counts(assessment.reference.n_cases, assessment.n_calibrating)
        facts += [f"p-value {assessment.p_value:.3f} ({counted})", *([f"({aside})"] if aside else [])]
    if not of_the_mask:
        facts.append(f"{assessment.timings_s.get('total', 0.0):.1f} s on {assessment.device}"[:44])
    facts += assessment.outcome.notes() if assessment.outcome else ()
    height = 0.1 + 0.185 * len(facts)
    axes.add_patch(
        FancyBboxPatch((0.0, 0.08), 3.12, height, boxstyle="round,pad=0.0,rounding_size=0.06", color="#eef2f6")
    )
    for number, text in enumerate(facts):
        axes.text(0.1, height - 0.06 - number * 0.185, text, fontsize=8.6, color=INK, va="center")


def _draw_footer(figure: Figure, assessment: Assessment) -> None:
    model, reference = assessment.model, assessment.reference
    versions = f"Model {model.name} {model.version} ({model.fingerprint[:8]})"
    versions += f"   Reference {reference.name} ({reference.fingerprint[:8]})"
    figure.text(0.025, 0.022, f"{versions}   BottleneckOOD {assessment.program_version}", fontsize=8, color=QUIET)
    if model.demonstration:
        figure.text(0.975, 0.022, DEMONSTRATION, fontsize=8.4, color=INK, ha="right", fontweight="bold")


def _blank(figure: Figure, box: tuple[float, float, float, float], size: tuple[float, float]) -> Axes:
    """Axes without frame whose data units are inches, so that shapes keep their proportions."""
    axes = figure.add_axes(box)
    axes.set(xlim=(0, size[0]), ylim=(0, size[1]), xticks=[], yticks=[])
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def upright_volume(array: FloatImage, geometry: Geometry) -> tuple[FloatImage, tuple[float, float, float]]:
    """An array (Z, Y, X) turned so that z runs to the head, y to the back, x to the left; its spacing along z, y, x."""
    moved, turned = upright(array, geometry, [1, 1, 1])
    i, j, k = turned.spacing_mm
    return moved, (k, j, i)


def thickest_slices(mask: npt.NDArray[np.bool_] | None, shape: tuple[int, ...]) -> list[int]:
    """Slice indices through the thickest part of the mask, or the middle of the image."""
    if mask is None or not mask.any():
        return [n // 2 for n in shape]
    return [int(mask.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3)]


def percentile_window(image: FloatImage) -> tuple[float, float]:
    """Values that become black and white where intensities have no fixed scale."""
    low, high = np.percentile(image[::2, ::4, ::4], [1, 99])
    return float(low), float(high if high > low else low + 1)
