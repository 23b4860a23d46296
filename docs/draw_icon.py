"""Draws the icons of the extension and of the module, 128 x 128 pixels.

    python docs/draw_icon.py            write both

The extension's icon shows a liver with the three lights (circle, triangle, octagon: told apart by shape, not by colour
alone). The module's icon, shown at 16 to 24 pixels in Slicer's menus, keeps the liver and one shape, the triangle: a
green circle there would read as a verdict before anything was assessed.
"""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, PathPatch, RegularPolygon
from matplotlib.path import Path as Outline

ROOT = Path(__file__).resolve().parents[1]
EXTENSION_ICON = ROOT / "Resources" / "Icons" / "BottleneckOOD.png"
MODULE_ICON = ROOT / "BottleneckOOD" / "Resources" / "Icons" / "BottleneckOOD.png"
PIXELS = 128
EIGHTH = math.pi / 4

# As a radiologist sees it: the large right lobe at the viewer's left, the left lobe's tip at the right, a notch below.
LIVER = (
    ((6, 62), None),
    ((6, 92), (26, 112), (58, 110)),
    ((84, 108), (108, 104), (122, 90)),
    ((126, 84), (120, 76), (108, 74)),
    ((92, 71), (84, 66), (76, 54)),
    ((68, 40), (58, 18), (36, 13)),
    ((16, 9), (6, 34), (6, 62)),
)
LIVER_FILL, LIVER_EDGE = "#8f352d", "#531a16"
GREEN, AMBER, RED = "#1e9e57", "#f0a300", "#d7263d"


def liver(line_width: float) -> PathPatch:
    """The liver's outline, in pixels from the lower left corner."""
    vertices, codes = [LIVER[0][0]], [Outline.MOVETO]
    for first, second, end in LIVER[1:]:
        vertices += [first, second, end]
        codes += [Outline.CURVE4] * 3
    outline = Outline([*vertices, vertices[0]], [*codes, Outline.CLOSEPOLY])
    return PathPatch(outline, facecolor=LIVER_FILL, edgecolor=LIVER_EDGE, linewidth=line_width, joinstyle="round")


def canvas() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(1, 1), dpi=PIXELS)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, PIXELS), ylim=(0, PIXELS))
    axes.axis("off")
    return figure, axes


def save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the program's name in it, the file changes only when the picture does.
    figure.savefig(path, dpi=PIXELS, transparent=True, metadata={"Software": None})


def draw_extension_icon(path: Path = EXTENSION_ICON) -> None:
    figure, axes = canvas()
    axes.add_patch(liver(2.2))
    style = {"edgecolor": "white", "linewidth": 1.6}
    axes.add_patch(Circle((34, 82), 15, facecolor=GREEN, **style))
    axes.add_patch(RegularPolygon((72, 84), 3, radius=20, facecolor=AMBER, **style))
    axes.add_patch(RegularPolygon((98, 33), 8, radius=23, orientation=EIGHTH / 2, facecolor=RED, **style))
    save(figure, path)


def draw_module_icon(path: Path = MODULE_ICON) -> None:
    figure, axes = canvas()
    axes.add_patch(liver(3.5))
    style = {"edgecolor": "white", "linewidth": 4, "joinstyle": "round"}
    axes.add_patch(RegularPolygon((86, 38), 3, radius=40, facecolor=AMBER, **style))
    save(figure, path)


if __name__ == "__main__":
    draw_extension_icon()
    draw_module_icon()
