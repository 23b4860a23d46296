from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.synthesis.fields import ellipsoid, smooth_field, smooth_maximum

SHAPE = (24, 30, 36)
SPACING = (4.0, 4.0, 4.0)


def test_a_field_has_zero_mean_and_about_unit_deviation() -> None:
    values = [smooth_field(np.random.default_rng(s), SHAPE, SPACING, 20) for s in range(6)]
    assert abs(np.mean(values)) < 0.15
    assert 0.6 < np.std(values) < 1.4


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_larger_scale_is_smoother_along_every_axis(axis: int) -> None:
    fine = smooth_field(np.random.default_rng(1), SHAPE, SPACING, 8)
    coarse = smooth_field(np.random.default_rng(1), SHAPE, SPACING, 60)
    assert np.abs(np.diff(coarse, axis=axis)).mean() < 0.5 * np.abs(np.diff(fine, axis=axis)).mean()


def test_a_field_repeats_with_its_seed_and_differs_without() -> None:
    a, b, c = (smooth_field(np.random.default_rng(s), SHAPE, SPACING, 20) for s in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert a.shape == SHAPE
    assert a.dtype == np.float32


def test_smooth_maximum_is_the_maximum_away_from_the_edge() -> None:
    a = np.array([-50.0, 50.0, 0.0], np.float32)
    b = np.array([40.0, -60.0, 0.0], np.float32)
    result = smooth_maximum(a, b, sharpness_mm=5)
    np.testing.assert_allclose(result[:2], [40, 50])
    assert 0 < result[2] <= 5


def test_an_ellipsoid_is_negative_inside_and_zero_on_its_surface() -> None:
    x = np.array([1.0, 11.0, 21.0], np.float32)
    zero = np.zeros_like(x)
    distance = ellipsoid(x, zero, zero, (1.0, 0.0, 0.0), (10.0, 10.0, 10.0))
    np.testing.assert_allclose(distance, [-10, 0, 10], atol=1e-4)
