"""The map of unusual regions through the whole path: it points where something was planted, and changes no light."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from last_digits import assert_same_mask

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.regions import RegionMap
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.local_view import CELL_VOXELS
from BottleneckOODLib.reference.reference_folder import Reference

CELL_MM = 4.0 * CELL_VOXELS
CENTRE = np.array([12.5, -40.0, 300.0])
BALL_MM = 22.0


def turned(axis: int, degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    matrix = np.eye(3)
    a, b = [other for other in range(3) if other != axis]
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def grid_in(axes: np.ndarray, spacing: tuple[float, float, float], extent: tuple[float, float, float]) -> Geometry:
    """A grid with these axes whose centre lies at a fixed place."""
    size = [round(e / s) for e, s in zip(extent, spacing, strict=True)]
    origin = CENTRE - axes @ ((np.array(size) - 1) * spacing / 2)
    i, j, k = size
    x, y, z = (float(value) for value in origin)
    return Geometry((i, j, k), spacing, (x, y, z), tuple(float(value) for value in axes.ravel()))


def a_body(geometry: Geometry, metal_at: np.ndarray | None = None) -> Volume:
    """A body about the centre of the grid, round in the patient's axes, with a bright ball at a place (LPS, mm)."""
    k, j, i = np.indices(geometry.shape)
    lps = geometry.ijk_to_lps(np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1).astype(float))
    from_centre = lps - CENTRE
    ring = (from_centre[:, 0] / 118) ** 2 + (from_centre[:, 1] / 78) ** 2
    noise = np.random.default_rng(1).normal(0, 10, len(lps))
    values = np.where(ring < 1, np.where(ring < 0.7, 48.0, -100.0), -1000.0) + noise
    if metal_at is not None:
        values[np.linalg.norm(lps - metal_at, axis=1) < BALL_MM] = 2500
    return Volume(values.reshape(geometry.shape).astype(np.float32), geometry, "CT", "a body")


FLIPS = [np.diag(signs) for signs in product((1.0, -1.0), repeat=3)]
ORDERS = [np.eye(3)[[0, 1, 2]], np.eye(3)[[1, 0, 2]], np.eye(3)[[2, 0, 1]]]
PLACES = [(52.0, 8.0, 30.0), (-48.0, -16.0, -28.0), (4.0, 24.0, 4.0)]
GRIDS = [
    *((order @ flip, (5.0, 5.0, 5.0)) for order in ORDERS for flip in FLIPS[::3]),
    (turned(2, 20), (3.0, 4.0, 7.0)),
    (turned(0, -15) @ turned(2, 30), (4.0, 6.0, 2.5)),
    (turned(1, 12) @ FLIPS[5], (2.5, 5.0, 8.0)),
]


@pytest.mark.parametrize("number", range(len(GRIDS)))
def test_the_map_rises_most_where_metal_was_planted(a_logic: BottleneckOODLogic, number: int) -> None:
    """Whatever the axes, their order and spacing: what changed in the image changed at its own place in the map."""
    if a_logic.model.network_type != "unet" and number % 4:
        pytest.skip("the slow family meets every fourth grid")
    axes, spacing = GRIDS[number]
    extent = np.abs(axes).T @ [240.0, 160.0, 150.0]
    geometry = grid_in(axes, spacing, (float(extent[0]), float(extent[1]), float(extent[2])))
    place = CENTRE + PLACES[number % len(PLACES)]
    before = a_logic.assess(a_body(geometry)).regions
    after = a_logic.assess(a_body(geometry, metal_at=place)).regions
    assert before is not None
    assert after is not None
    rise = RegionMap(np.maximum(after.values - before.values, 0), after.geometry)
    found = rise.most_unusual_place
    assert found is not None
    # A ball touches several cells; the centre of each lies within a cell's half diagonal of the ball.
    assert np.linalg.norm(np.array(found) - place) < BALL_MM + CELL_MM * np.sqrt(3) / 2


def test_the_map_covers_the_image_in_cells_of_the_model(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    regions = a_logic.assess(a_case).regions
    assert regions is not None
    assert regions.geometry.spacing_mm == (CELL_MM, CELL_MM, CELL_MM)
    covered = np.array(regions.geometry.extent_mm)
    image = np.array(a_case.geometry.extent_mm)
    assert (covered >= image - 4).all()
    assert (covered < image + CELL_MM + 4).all()
    first = regions.geometry.ijk_to_lps(np.full((1, 3), -0.5))[0]
    np.testing.assert_allclose(first, a_case.geometry.ijk_to_lps(np.full((1, 3), -0.5))[0], atol=2.01)


def test_air_is_not_judged_and_the_body_is(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    regions = a_logic.assess(a_case).regions
    assert regions is not None
    middle = tuple(n // 2 for n in regions.values.shape)
    assert regions.values[middle] > 0
    assert (regions.values[:, 0, 0] == 0).all()


def test_the_same_case_gets_the_same_map(a_logic: BottleneckOODLogic, a_case: Volume) -> None:
    first, second = a_logic.assess(a_case).regions, a_logic.assess(a_case).regions
    assert first is not None
    assert second is not None
    assert second.geometry == first.geometry
    np.testing.assert_allclose(second.values, first.values, atol=2e-3)


def test_the_light_is_the_same_without_the_bank(
    a_logic: BottleneckOODLogic, a_case: Volume, the_reference: Reference, tmp_path: Path
) -> None:
    replace(the_reference, bank=None).save(tmp_path / "plain")
    plain = BottleneckOODLogic(a_logic.model.folder, tmp_path / "plain", device="cpu").assess(a_case)
    looked = a_logic.assess(a_case)
    assert plain.regions is None
    assert looked.regions is not None
    assert (plain.light, plain.p_value) == (looked.light, looked.p_value)
    assert plain.score == pytest.approx(looked.score, rel=1e-4)
    assert {name: part.score for name, part in plain.parts.items()} == pytest.approx(
        {name: part.score for name, part in looked.parts.items()}, rel=1e-4
    )
    assert plain.segmentation is not None
    assert looked.segmentation is not None
    assert_same_mask(plain.segmentation.labels, looked.segmentation.labels)


def test_a_bank_of_tokens_that_were_defined_otherwise_is_not_searched(
    a_logic: BottleneckOODLogic, a_case: Volume, the_reference: Reference, tmp_path: Path
) -> None:
    older = replace(the_reference, settings={**the_reference.settings, "local_tokens": 0})
    older.save(tmp_path / "older")
    assessment = BottleneckOODLogic(a_logic.model.folder, tmp_path / "older", device="cpu").assess(a_case)
    assert assessment.regions is None
    assert assessment.light != "grey"


def test_the_map_is_saved_with_the_case(a_logic: BottleneckOODLogic, a_case: Volume, tmp_path: Path) -> None:
    assessment = a_logic.assess(a_case)
    folder = assessment.save(tmp_path, picture=False)
    assert Assessment.load(folder) == assessment


def test_tokens_that_are_too_many_to_keep_are_judged_window_by_window_alike(
    a_logic: BottleneckOODLogic, a_case: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = a_logic.assess(a_case).regions
    monkeypatch.setattr("BottleneckOODLib.local_regions._MOST_KEPT", 0)
    one_by_one = a_logic.assess(a_case).regions
    assert at_once is not None
    assert one_by_one is not None
    np.testing.assert_allclose(one_by_one.values, at_once.values, atol=2e-3)


def test_a_reference_keeps_tokens_of_each_of_its_cases(the_reference: Reference) -> None:
    assert the_reference.bank is not None
    assert len(np.unique(the_reference.bank.case_index)) == len(the_reference.cases)
    own = the_reference.bank.distances_to_other_cases() / the_reference.bank.spread
    assert np.quantile(own, 0.95) == pytest.approx(1, rel=1e-3)
