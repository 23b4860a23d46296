from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.synthesis.deformation import warped_points

SIZE = (16, 16, 16)
SPACING = (4.0, 4.0, 4.0)
CENTRE = np.array([100.0, 80.0, 60.0])


@pytest.mark.parametrize("seed", range(12))
def test_a_body_is_never_mirrored_and_never_turned_over(seed: int) -> None:
    points = warped_points(np.random.default_rng(seed), CENTRE, SPACING, SIZE, SPACING)
    for axis in range(3):
        assert np.diff(points[axis], axis=axis).mean() > 0.5
    gradients = np.stack([np.stack(np.gradient(points[i])) for i in range(3)])
    determinant = np.linalg.det(gradients.transpose(2, 3, 4, 0, 1))
    assert np.median(determinant) > 0.3


def test_the_centre_stays_near_the_asked_point() -> None:
    shifts = []
    for seed in range(10):
        points = warped_points(np.random.default_rng(seed), CENTRE, (2.0, 2.0, 2.0), SIZE, SPACING)
        shifts.append(points[:, 8, 8, 8] * 2.0 - CENTRE)
    assert np.abs(np.mean(shifts, axis=0)).max() < 12


def test_the_same_seed_gives_the_same_deformation() -> None:
    a, b = (warped_points(np.random.default_rng(4), CENTRE, SPACING, SIZE, SPACING) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.shape == (3, *SIZE)
