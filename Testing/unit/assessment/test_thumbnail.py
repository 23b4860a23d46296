"""The small picture of a case: an image that can be read, small whatever it shows, without words."""

from __future__ import annotations

import io
from collections.abc import Callable

import matplotlib.image
import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import THUMBNAIL_FILE, Assessment
from BottleneckOODLib.assessment.thumbnail import MOST_BYTES, thumbnail_jpeg
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume

SIDE = 200
GEOMETRY = Geometry((SIDE, SIDE, 3), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def noise(spread: float) -> Volume:
    voxels = np.random.default_rng(0).normal(40, spread, GEOMETRY.shape).astype(np.float32)
    return Volume(voxels, GEOMETRY, "CT", "noise")


@pytest.mark.parametrize("spread", [1.0, 100.0, 3000.0])
def test_it_is_small_whatever_it_shows(spread: float) -> None:
    content = thumbnail_jpeg(noise(spread), None)
    assert len(content) <= MOST_BYTES
    assert matplotlib.image.imread(io.BytesIO(content), format="jpg").shape == (192, 192, 3)


def test_the_contour_lies_around_the_mask() -> None:
    labels = np.zeros(GEOMETRY.shape, np.uint8)
    labels[1, 50:150, 50:150] = 1
    pictures = [
        matplotlib.image.imread(io.BytesIO(thumbnail_jpeg(noise(1.0), mask)), format="jpg").astype(float)
        for mask in (None, LabelVolume(labels, GEOMETRY, {1: "liver"}))
    ]
    # Bluer than red where the line is drawn.
    drawn = np.argwhere((pictures[1][..., 2] - pictures[1][..., 0] > 60) & (np.ptp(pictures[0], axis=-1) < 20))
    scale = 192 / SIDE
    np.testing.assert_allclose([drawn.min(), drawn.max()], [50 * scale, 150 * scale], atol=4)


@pytest.mark.usefixtures("no_picture")
def test_an_assessment_without_its_image_is_saved_without_one(
    make_assessment: Callable[..., Assessment], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = make_assessment(volume=None).save(tmp_path_factory.mktemp("out"))
    assert not (folder / THUMBNAIL_FILE).exists()
