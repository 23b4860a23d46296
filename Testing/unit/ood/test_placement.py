from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib.ood.calibration import NotFiniteError
from BottleneckOODLib.ood.placement import place

FloatArray = npt.NDArray[np.float64]


@pytest.fixture
def map_xy() -> FloatArray:
    return np.random.default_rng(0).normal(size=(50, 2)) * 4 + 7


def spread(n: int = 50) -> FloatArray:
    return np.full(n, 1.0)


def test_a_case_on_a_training_case_lies_near_it(map_xy: FloatArray) -> None:
    distances = np.full(50, 30.0)
    distances[8] = 0.0
    placement = place(distances, map_xy, spread())
    others = np.sort(np.linalg.norm(map_xy - map_xy[8], axis=1))
    assert np.hypot(placement.x - map_xy[8, 0], placement.y - map_xy[8, 1]) < others[-1] / 2
    assert not placement.beyond_map


def test_within_the_map_it_lies_among_its_nearest(map_xy: FloatArray) -> None:
    distances = np.linspace(0.2, 9, 50)
    placement = place(distances, map_xy, spread())
    nearest = map_xy[:10]
    assert nearest[:, 0].min() <= placement.x <= nearest[:, 0].max()
    assert nearest[:, 1].min() <= placement.y <= nearest[:, 1].max()


def test_farther_than_any_training_case_is_said_and_drawn_outside(map_xy: FloatArray) -> None:
    placement = place(np.linspace(1.01, 9, 50), map_xy, spread())
    centre = map_xy.mean(axis=0)
    direction = np.array([placement.x, placement.y]) - centre
    direction /= np.linalg.norm(direction)
    assert placement.beyond_map
    assert (np.array([placement.x, placement.y]) - centre) @ direction > ((map_xy - centre) @ direction).max()


def test_the_order_of_training_cases_does_not_matter(map_xy: FloatArray) -> None:
    rng = np.random.default_rng(1)
    distances, order = rng.uniform(0.1, 5, 50), rng.permutation(50)
    one, other = place(distances, map_xy, spread()), place(distances[order], map_xy[order], spread())
    assert (one.x, one.y) == pytest.approx((other.x, other.y))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_training_cases_are_enough(n: int) -> None:
    placement = place(np.arange(1.0, n + 1), np.zeros((n, 2)), spread(n))
    assert np.isfinite([placement.x, placement.y]).all()


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_a_distance_that_is_no_number_places_nothing(map_xy: FloatArray, number: float, which: int) -> None:
    distances = [np.arange(50.0), spread()]
    distances[which][20] = number
    with pytest.raises(NotFiniteError):
        place(distances[0], map_xy, distances[1])
