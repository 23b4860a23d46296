"""Intensity steps where their settings end, and the bias correction held against SimpleITK's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.model.intensity import (
    BiasFieldStep,
    IntensitySettings,
    IntensitySteps,
    PercentilesStep,
    RangeStep,
    ZScoreStep,
    read_intensity,
)

RANGE = {"kind": "range", "from": [0, 1], "to": [0, 1], "clip": False}


def a_shaded_image(size_ijk: tuple[int, int, int], lowest: float = 3.0) -> np.ndarray:
    """A block of tissue in air, brighter along j."""
    shape = tuple(reversed(size_ijk))
    z, y, x = (np.linspace(-1, 1, n) for n in shape)
    inside = (np.abs(z) < 0.9)[:, None, None] & (np.abs(y) < 0.8)[None, :, None] & (np.abs(x) < 0.9)[None, None, :]
    noise = np.random.default_rng(5).uniform(0, 5, shape)
    shaded = np.where(inside, 100 * np.exp(0.4 * y)[None, :, None], 0) + noise
    return (shaded - shaded.min() + lowest).astype(np.float32)


def corrected_by_simpleitk(image: np.ndarray) -> np.ndarray:
    """Lifted so that its smallest value is 1, fitted inside Otsu's foreground on at most 64 voxels along each axis."""
    apart = [int(np.ceil(n / 64)) for n in reversed(image.shape)]
    lifted = sitk.GetImageFromArray(image - image.min() + np.float32(1))
    mask = sitk.Shrink(sitk.OtsuThreshold(sitk.GetImageFromArray(image), 0, 1), apart)
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([50, 50])
    corrector.Execute(sitk.Shrink(lifted, apart), mask)
    field = sitk.GetArrayFromImage(sitk.Exp(corrector.GetLogBiasFieldAsImage(lifted)))
    return np.asarray(sitk.GetArrayFromImage(lifted) / field - 1 + image.min())


@pytest.mark.parametrize("size_ijk", [(64, 12, 6), (65, 12, 6), (6, 130, 5), (12, 12, 12)])
def test_the_bias_correction_is_that_of_simpleitk(size_ijk: tuple[int, int, int]) -> None:
    image = a_shaded_image(size_ijk)
    corrected = BiasFieldStep().apply(image)
    assert np.abs(corrected - image).max() > 1
    np.testing.assert_allclose(corrected, corrected_by_simpleitk(image), atol=0.05)


def test_the_bias_correction_does_not_depend_on_where_the_values_begin() -> None:
    image = a_shaded_image((12, 12, 12))
    lower = BiasFieldStep().apply(image - np.float32(500))
    np.testing.assert_allclose(lower, BiasFieldStep().apply(image) - 500, atol=0.05)


@pytest.mark.parametrize(("depth", "changes"), [(3, False), (4, True)])
def test_a_field_is_fitted_from_four_planes_on(depth: int, changes: bool) -> None:
    image = a_shaded_image((12, 12, depth))
    assert bool((BiasFieldStep().apply(image) != image).any()) == changes


def test_an_image_of_one_value_takes_the_lower_target() -> None:
    flat = np.full((3, 3, 3), 7, dtype=np.float32)
    np.testing.assert_array_equal(PercentilesStep((1, 99), (0.25, 1), True, "all").apply(flat), 0.25)


def test_no_step_comes_before_resampling_unless_it_is_said() -> None:
    steps = (RangeStep((0, 1), (0, 1), False),)
    assert IntensitySettings((0, 1), (0, 1)).before_resampling == 0
    assert IntensitySteps(steps).before_resampling == 0
    assert read_intensity({"steps": [RANGE]}).before_resampling == 0
    assert read_intensity({"steps": [RANGE], "before_resampling": 1}).before_resampling == 1


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (IntensitySettings((-200, 300), (0, 1)), "-200 to 300"),
        (PercentilesStep((0.5, 99.5), None, True, "foreground"), "percentiles 0.5 to 99.5 of the foreground kept"),
        (PercentilesStep((1, 99), (0, 1), True, "all"), "percentiles 1 to 99 of the whole image mapped to 0 to 1"),
        (ZScoreStep("nonzero"), "z-score of the voxels that are not 0"),
        (ZScoreStep("all", 90, 40), "z-score of the whole image with mean 90 and deviation 40"),
    ],
)
def test_the_words_for_a_card(step: Any, words: str) -> None:
    assert step.words() == words


def percentiles(**changes: Any) -> dict[str, Any]:
    return {"kind": "percentiles", "from": [1, 99], "to": [0, 1], "clip": True, "over": "all", **changes}


@pytest.mark.parametrize(
    "document",
    [
        {"clip": [-200, 300], "scale": [1, -1]},
        {"steps": [{**RANGE, "to": [1, 0]}]},
        {"steps": [percentiles(**{"from": [0, 100]})]},
        {"steps": [RANGE, {"kind": "z_score", "over": "all", "mean": 0.5, "deviation": 0.5}]},
        {"steps": [RANGE] * 8},
    ],
)
def test_settings_at_the_limits_are_taken(document: dict[str, Any]) -> None:
    assert np.isfinite(read_intensity(document).air)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"steps": []}, "no list of steps"),
        ({"steps": [RANGE] * 9}, "no list of steps"),
        ({"steps": [RANGE], "before_resampling": 2}, "before_resampling"),
        ({"steps": [RANGE], "before_resampling": -1}, "before_resampling"),
        ({"steps": [RANGE], "before_resampling": True}, "before_resampling"),
        ({"steps": [percentiles(**{"from": [99, 1]})]}, "is no range"),
        ({"steps": [percentiles(**{"from": [1, 150]})]}, "beyond 0 to 100"),
        ({"steps": [percentiles(**{"from": [-1, 99]})]}, "beyond 0 to 100"),
        ({"steps": [{**RANGE, "to": [0, 1, 2]}]}, "where 2 numbers are needed"),
        ({"steps": [{**RANGE, "to": "ab"}]}, "where 2 numbers are needed"),
        ({"steps": [{**RANGE, "from": [1, 0]}]}, "is no range"),
        ({"steps": [{"kind": "z_score", "over": "all", "mean": 1, "deviation": 0}]}, "mean and deviation"),
        ({"steps": [{"kind": "n4"}]}, "what value air has"),
    ],
)
def test_settings_beyond_the_limits_are_refused_for_what_is_wrong(document: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_intensity(document)
