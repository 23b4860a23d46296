"""The icons: as large as Slicer wants them, and what docs/draw_icon.py draws."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

ICONS = ("Resources/Icons/BottleneckOOD.png", "BottleneckOOD/Resources/Icons/BottleneckOOD.png")


def pixels(path: Path) -> NDArray[np.float64]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGBA"), dtype=np.float64)


def grey(colour: str) -> float:
    """Luminance, 0 to 255: what is left of a colour without its hue."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize("icon", ICONS)
def test_an_icon_is_square_of_128_pixels_on_a_transparent_ground(icon: str, repository: Path) -> None:
    image = pixels(repository / icon)
    assert image.shape == (128, 128, 4)
    assert image[[0, 0, -1, -1], [0, -1, 0, -1], 3].max() == 0
    assert 0.3 < (image[..., 3] > 0).mean() < 0.8


@pytest.mark.parametrize("icon", ICONS)
def test_nothing_is_cut_off_at_the_edge(icon: str, repository: Path) -> None:
    opacity = pixels(repository / icon)[..., 3]
    assert max(opacity[0].max(), opacity[-1].max(), opacity[:, 0].max(), opacity[:, -1].max()) == 0


def test_the_icons_are_what_the_script_draws(icon_drawer: ModuleType, repository: Path, tmp_path: Path) -> None:
    for draw, icon in zip((icon_drawer.draw_extension_icon, icon_drawer.draw_module_icon), ICONS, strict=True):
        draw(tmp_path / "drawn.png")
        assert np.abs(pixels(tmp_path / "drawn.png") - pixels(repository / icon)).mean() < 1


def test_the_lights_stand_out_from_the_liver_without_their_hue(icon_drawer: ModuleType) -> None:
    for light in (icon_drawer.GREEN, icon_drawer.AMBER):
        assert abs(grey(light) - grey(icon_drawer.LIVER_FILL)) > 20
