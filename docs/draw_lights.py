"""Draw the pictures of the light for the module: ``python docs/draw_lights.py``."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from BottleneckOODLib.assessment.figures import LIGHT_COLOURS, QUIET, draw_light

ICONS = Path(__file__).resolve().parents[1] / "BottleneckOOD" / "Resources" / "Icons"
PIXELS, DPI = 144, 144


def write_picture(name: str, light: str | None) -> None:
    """One picture with transparent ground; without a light a dashed ring."""
    figure = Figure(figsize=(PIXELS / DPI, PIXELS / DPI), dpi=DPI, facecolor="none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_axis_off()
    if light is None:
        axes.add_patch(Circle((0.5, 0.5), 0.4, fill=False, linestyle="--", linewidth=2.0, edgecolor=QUIET))
    else:
        draw_light(axes, light, 0.5, 0.5 if light != "amber" else 0.46, 0.42)
    FigureCanvasAgg(figure).print_png(str(ICONS / name), metadata={"Software": "BottleneckOOD"})


def main() -> None:
    """Every state, and the place where no light is shown."""
    ICONS.mkdir(parents=True, exist_ok=True)
    for light in LIGHT_COLOURS:
        write_picture(f"BottleneckOOD-light-{light}.png", light)
    write_picture("BottleneckOOD-light-none.png", None)


if __name__ == "__main__":
    main()
