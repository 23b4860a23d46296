"""A picture of the benchmark: which detector sees which damage."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from BottleneckOODLib.ood.calibration import AMBER_LEVEL, RED_LEVEL
from BottleneckOODLib.robustness.corruptions import AS_IT_IS, CATALOGUE, CLEAN
from BottleneckOODLib.robustness.tables import Judged, grade_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

# Its lightness alone tells the order, so it is read without colour vision and in print.
_COLOURS = "cividis"
_INK, _PAPER = "#1b2330", "#ffffff"
_DARK = 0.45
_CELL_IN = (0.62, 0.27)
_MARGIN_IN = (3.5, 2.1)


def heat_map_rows(judged: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    """Images by corruption and grade, undamaged ones first, those that were taken as they are by name."""
    groups: list[tuple[str, list[Judged]]] = []
    steps = [(CLEAN, 0), *((name, grade + 1) for name, c in CATALOGUE.items() for grade in range(len(c.grades)))]
    for corruption, grade in steps:
        group = [one for one in judged if (one.row.corruption, one.row.grade) == (corruption, grade)]
        groups.append((f"{corruption} {grade_words(corruption, grade)}".strip(), group))
    alone = [one for one in judged if one.row.corruption == AS_IT_IS]
    groups += [(one.row.case, [one]) for one in alone]
    return [(title, group) for title, group in groups if group]


def median_p_values(group: Sequence[Judged], detectors: Sequence[str]) -> FloatArray:
    """Median p-value of each detector over a group; NaN where it has none."""
    table = np.array([[one.by[name].p_value for name in detectors] for one in group], dtype=np.float64)
    return np.array([np.median(c[~np.isnan(c)]) if (~np.isnan(c)).any() else np.nan for c in table.T])


def heat_map_png(judged: Sequence[Judged], detectors: Sequence[str], title: str) -> bytes:
    """Draw the picture.

    Args:
        judged: The images of one part.
        detectors: The columns.
        title: Its heading.

    Returns:
        A PNG.
    """
    rows = heat_map_rows(judged)
    values = np.array([median_p_values(group, detectors) for _, group in rows])
    width, height = _CELL_IN[0] * len(detectors) + _MARGIN_IN[0], _CELL_IN[1] * len(rows) + _MARGIN_IN[1]
    figure = Figure(figsize=(width, height), dpi=110, facecolor=_PAPER)
    left, top = _MARGIN_IN[0] - 0.15, 1.75
    axes = figure.add_axes((left / width, 0.3 / height, 1 - (left + 0.1) / width, 1 - (top + 0.3) / height))
    colours, norm = colormaps[_COLOURS], LogNorm(1 / 200, 1.0, clip=True)
    axes.imshow(np.where(np.isnan(values), 1.0, values), cmap=colours, norm=norm, aspect="auto")
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            _write_cell(axes, x, y, float(value), dark=bool(norm(value) < _DARK))
    axes.set_xticks(range(len(detectors)), [name.replace("_", " ") for name in detectors])
    axes.tick_params(axis="x", top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    for label in axes.get_xticklabels():
        label.set(rotation=50, ha="left", rotation_mode="anchor", fontsize=8.5, color=_INK)
    axes.set_yticks(range(len(rows)), [f"{name}    {_outcome(group)}" for name, group in rows], fontsize=8.5)
    axes.tick_params(axis="y", length=0, colors=_INK)
    for side in axes.spines.values():
        side.set_visible(False)
    figure.text(0.1 / width, 1 - 0.28 / height, title, fontsize=11, weight="bold", color=_INK)
    note = (
        f"median p-value, dark = unusual; frame: at or below {AMBER_LEVEL:.0%}, bold: at or below {RED_LEVEL:.0%}; "
        "after the name: mean Dice"
    )
    figure.text(0.1 / width, 0.1 / height, note, fontsize=8, color=_INK)
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": "BottleneckOOD"})  # type: ignore[no-untyped-call]
    return content.getvalue()


def _write_cell(axes: Axes, x: int, y: int, value: float, *, dark: bool) -> None:
    ink = _PAPER if dark else _INK
    if np.isnan(value):
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=_PAPER, edgecolor=_PAPER))
        axes.text(x, y, "-", ha="center", va="center", fontsize=8, color=_INK)
        return
    if value <= AMBER_LEVEL:
        axes.add_patch(Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, edgecolor=ink, linewidth=0.8))
    weight = "bold" if value <= RED_LEVEL else "normal"
    # Not by rounding to what is flagged, or no longer flagged.
    text = f"{value:.3f}" if value <= AMBER_LEVEL else f"{value:.2f}"
    axes.text(x, y, text.lstrip("0"), ha="center", va="center", fontsize=7.5, color=ink, weight=weight)


def _outcome(group: Sequence[Judged]) -> str:
    known = [one.row.measured.dice for one in group if one.row.measured.dice is not None]
    return f"{np.mean(known):.2f}" if known else " -   "
