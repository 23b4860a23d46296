"""Which classes are the organ, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy

from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.model.intensity import IntensitySettings
from BottleneckOODLib.model.model_folder import ModelFolder, PreprocessingSettings
from BottleneckOODLib.model.organ import organ_mask
from BottleneckOODLib.model.preprocessing import Grid, Preprocessing

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SETTINGS = PreprocessingSettings("LPS", (4.0, 4.0, 4.0), IntensitySettings((0.0, 1.0), (0.0, 1.0)))


def a_grid(size: int = 8, spacing: float = 4.0) -> Grid:
    geometry = Geometry((size, size, size), (spacing,) * 3, (0.0, 0.0, 0.0), IDENTITY)
    return Preprocessing(SETTINGS).apply(Volume(np.zeros((size,) * 3, np.float32), geometry, "CT", "x"))[1]


def logits_of(*winners: int, classes: int = 4) -> np.ndarray:
    """Slices of the grid that belong to these classes."""
    logits = np.zeros((classes, 8, 8, 8), dtype=np.float32)
    for k, winner in enumerate(winners):
        logits[winner, k] = 5
    return logits


def organ(model: ModelFolder, labels: dict[str, int], **changes: object) -> ModelFolder:
    return replace(model, labels=labels, **changes)


def test_classes_that_were_not_asked_for_still_win_their_voxels(a_model: ModelFolder) -> None:
    mask, parts = organ_mask(logits_of(1, 2, 3, 1, 0, 0, 0, 0), a_grid(), organ(a_model, {"liver": 1}))
    assert mask.labels[:, 0, 0].tolist() == [1, 0, 0, 1, 0, 0, 0, 0]
    assert mask.names == {1: "liver"}
    assert parts.count == 2


def test_what_is_merged_gets_the_organ_s_value(a_model: ModelFolder) -> None:
    model = organ(a_model, {"liver": 1}, merged={"tumour": 3})
    mask, parts = organ_mask(logits_of(1, 3, 2, 3, 0, 0, 0, 0), a_grid(), model)
    assert mask.labels[:, 0, 0].tolist() == [1, 1, 0, 1, 0, 0, 0, 0]
    assert mask.names == {1: "liver"}
    assert parts.count == 2


def test_the_largest_part_is_that_of_organ_and_merged_together(a_model: ModelFolder) -> None:
    inference = replace(a_model.inference, largest_part_only=True)
    model = organ(a_model, {"liver": 1}, merged={"tumour": 3}, inference=inference)
    mask, parts = organ_mask(logits_of(1, 3, 3, 2, 1, 1, 0, 0), a_grid(), model)
    assert mask.labels[:, 0, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert parts.largest_share == pytest.approx(3 / 5)


@pytest.mark.parametrize("interpolated", ["logits", "probabilities"])
def test_what_the_model_s_makers_interpolated_is_interpolated(a_model: ModelFolder, interpolated: str) -> None:
    grid = a_grid(size=15, spacing=2.1)
    logits = np.random.default_rng(5).normal(0, 4, (3, 8, 8, 8)).astype(np.float32)
    mask, _ = organ_mask(logits, grid, organ(a_model, {"liver": 2}, interpolated=interpolated))
    values = scipy.special.softmax(logits, axis=0) if interpolated == "probabilities" else logits
    where = grid.volume.geometry.ijk_to_lps(np.indices((15, 15, 15))[::-1].reshape(3, -1).T)
    on_grid = grid.in_cells(1).lps_to_ijk(where).T[::-1]
    maps = [scipy.ndimage.map_coordinates(v.astype(np.float64), on_grid, order=1, mode="nearest") for v in values]
    expected = (np.argmax(maps, axis=0) == 2).reshape(15, 15, 15) * 2
    np.testing.assert_array_equal(mask.labels, expected)


def test_the_logits_are_not_modified(a_model: ModelFolder) -> None:
    logits = logits_of(1, 2, 3, 1)
    before = logits.copy()
    inference = replace(a_model.inference, largest_part_only=True)
    organ_mask(logits, a_grid(), organ(a_model, {"liver": 1}, interpolated="probabilities", inference=inference))
    np.testing.assert_array_equal(logits, before)
