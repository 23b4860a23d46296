"""Each kind of intensity step gives MONAI's numbers, and says which value air has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import NormalizeIntensity, ScaleIntensity, ScaleIntensityRange, ScaleIntensityRangePercentiles

from BottleneckOODLib.model.bottleneck import occupied_share
from BottleneckOODLib.model.intensity import IntensitySettings, IntensitySteps, read_intensity


def an_mr_image() -> np.ndarray:
    """Exact zeros around a body of positive values, as scanners give it."""
    image = np.random.default_rng(2).gamma(4, 60, (20, 24, 28)).astype(np.float32)
    image[:4], image[:, :5] = 0, 0
    return image


def steps(*entries: dict[str, Any], before: int = 0) -> IntensitySteps:
    read = read_intensity({"steps": list(entries), "before_resampling": before})
    assert isinstance(read, IntensitySteps)
    return read


CASES: list[tuple[dict[str, Any], Any]] = [
    (
        {"kind": "range", "from": [-175, 250], "to": [0, 1], "clip": True},
        ScaleIntensityRange(-175, 250, 0, 1, clip=True),
    ),
    ({"kind": "range", "from": [-57, 164], "to": [-1, 1], "clip": False}, ScaleIntensityRange(-57, 164, -1, 1)),
    (
        {"kind": "percentiles", "from": [0.5, 99.5], "to": [0, 1], "clip": True, "over": "all"},
        ScaleIntensityRangePercentiles(0.5, 99.5, 0, 1, clip=True),
    ),
    ({"kind": "percentiles", "from": [0, 100], "to": [-1, 1], "clip": False, "over": "all"}, ScaleIntensity(-1, 1)),
    ({"kind": "z_score", "over": "nonzero"}, NormalizeIntensity(nonzero=True)),
    ({"kind": "z_score", "over": "all"}, NormalizeIntensity()),
    ({"kind": "z_score", "over": "all", "mean": 90, "deviation": 40}, NormalizeIntensity(90, 40)),
]


@pytest.mark.parametrize(("entry", "upstream"), CASES)
def test_a_step_gives_what_monai_s_transform_gives(entry: dict[str, Any], upstream: Any) -> None:
    image = an_mr_image()
    before = image.copy()
    ours = steps(entry, {"kind": "range", "from": [0, 1], "to": [0, 1], "clip": False}).apply(image)
    theirs = upstream(torch.from_numpy(image.copy())[None])[0].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6 * max(1, np.abs(theirs).max()))
    np.testing.assert_array_equal(image, before)
    assert ours.dtype == np.float32


def test_percentiles_may_leave_zeros_out_and_clip_alone() -> None:
    image = an_mr_image()
    clipped = steps(
        {"kind": "percentiles", "from": [1, 99], "to": None, "clip": True, "over": "nonzero"},
        {"kind": "range", "from": [0, 1], "to": [0, 1], "clip": False},
    ).apply(image)
    low, high = np.percentile(image[image != 0], [1, 99])
    np.testing.assert_allclose(clipped, np.clip(image, low, high))


def test_a_z_score_over_the_foreground_leaves_the_background_at_zero() -> None:
    image = an_mr_image() + np.where(an_mr_image() > 0, 100, 3).astype(np.float32)
    scaled = steps({"kind": "z_score", "over": "foreground"}).apply(image)
    # Air at 3 and tissue from 100 upwards: Otsu's threshold lies between them.
    assert (scaled[:4] == 0).all()
    inside = scaled[scaled != 0]
    assert inside.mean() == pytest.approx(0, abs=1e-5)
    assert inside.std() == pytest.approx(1, abs=1e-5)


def test_steps_before_resampling_are_taken_apart() -> None:
    both = steps(
        {"kind": "range", "from": [0, 10], "to": [0, 1], "clip": True},
        {"kind": "range", "from": [0, 1], "to": [0, 5], "clip": True},
        before=1,
    )
    image = np.array([[[-5.0, 5.0, 50.0]]], dtype=np.float32)
    first = both.apply(image, before=True)
    np.testing.assert_allclose(first, [[[0, 0.5, 1]]])
    np.testing.assert_allclose(both.apply(first), [[[0, 2.5, 5]]])


@pytest.mark.parametrize(
    ("entries", "air"),
    [
        ([{"kind": "range", "from": [-200, 300], "to": [-1, 1], "clip": True}], -1),
        ([{"kind": "percentiles", "from": [1, 99], "to": [0.25, 1], "clip": True, "over": "all"}], 0.25),
        ([{"kind": "z_score", "over": "nonzero"}], 0),
        ([{"kind": "n4"}, {"kind": "z_score", "over": "foreground"}], 0),
        (
            [
                {"kind": "range", "from": [-200, 300], "to": [-200, 300], "clip": True},
                {"kind": "z_score", "over": "all", "mean": 50, "deviation": 100},
            ],
            -2.5,
        ),
        (
            [
                {"kind": "z_score", "over": "nonzero"},
                {"kind": "percentiles", "from": [0, 100], "to": [-1, 1], "clip": False, "over": "all"},
            ],
            -1,
        ),
    ],
)
def test_the_value_of_air_is_fixed_by_the_steps(entries: list[dict[str, Any]], air: float) -> None:
    assert steps(*entries).air == pytest.approx(air)


def test_air_that_was_scaled_has_the_value_that_is_said() -> None:
    image = np.full((4, 4, 4), -1000, dtype=np.float32)
    image[2:] = 60
    fixed = steps(
        {"kind": "range", "from": [-200, 300], "to": [-200, 300], "clip": True},
        {"kind": "z_score", "over": "all", "mean": 37.3, "deviation": 91.7},
    )
    scaled = torch.from_numpy(fixed.apply(image))[None, None]
    assert occupied_share(scaled, torch.Size([2, 1, 1]), fixed.air).flatten().tolist() == [0.0, 1.0]


def test_dark_tissue_counts_although_it_lies_below_air() -> None:
    image = an_mr_image()
    settings = steps({"kind": "z_score", "over": "nonzero"})
    scaled = settings.apply(image)
    assert scaled.min() < settings.air
    share = occupied_share(torch.from_numpy(scaled)[None, None], torch.Size([1, 1, 1]), settings.air)
    assert float(share) == pytest.approx(np.count_nonzero(image) / image.size)


def test_a_bias_field_is_taken_out() -> None:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, 32),) * 3, indexing="ij")
    ball = z**2 + y**2 + x**2 < 0.8
    tissue = np.where(ball, np.where(x > 0, 150.0, 100.0), 2.0) + np.random.default_rng(0).normal(0, 2, x.shape)
    shaded = (tissue * np.exp(0.5 * y)).astype(np.float32)
    corrected = steps({"kind": "n4"}, {"kind": "z_score", "over": "all"}).steps[0].apply(shaded)

    def slope(image: np.ndarray) -> float:
        chosen = ball & (x > 0.1)
        return abs(float(np.polyfit(y[chosen], np.log(image[chosen]), 1)[0]))

    assert slope(shaded) == pytest.approx(0.5, abs=0.05)
    assert slope(corrected) < 0.15


def test_a_plane_without_depth_passes_the_bias_correction_as_it_is() -> None:
    plane = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    settings = steps({"kind": "n4"}, {"kind": "z_score", "over": "all"})
    np.testing.assert_array_equal(settings.steps[0].apply(plane), plane)


@pytest.mark.parametrize("over", ["all", "nonzero", "foreground"])
def test_an_image_of_one_value_stays_finite(over: str) -> None:
    for value in (0.0, 7.0):
        image = np.full((4, 4, 4), value, dtype=np.float32)
        scaled = steps(
            {"kind": "percentiles", "from": [1, 99], "to": [0, 1], "clip": True, "over": over},
            {"kind": "z_score", "over": over},
        ).apply(image)
        assert np.isfinite(scaled).all()


def test_the_old_settings_read_as_they_did() -> None:
    read = read_intensity({"clip": [-200, 300], "scale": [-1, 1]})
    assert read == IntensitySettings((-200.0, 300.0), (-1.0, 1.0))
    assert read.air == -1
    image = np.array([[[-500.0, 50.0, 900.0]]], dtype=np.float32)
    np.testing.assert_array_equal(read.apply(image, before=True), image)
    np.testing.assert_allclose(read.apply(image), [[[-1, 0, 1]]])


@pytest.mark.parametrize(
    "document",
    [
        {"clip": [300, -200], "scale": [0, 1]},
        {"clip": [-200, 300], "scale": [1, 1]},
        {"steps": []},
        {"steps": "all"},
        {"steps": [{"kind": "n4"}]},
        {"steps": [{"kind": "eval", "code": "1"}]},
        {"steps": [{"kind": "range", "from": [1, 0], "to": [0, 1], "clip": True}]},
        {"steps": [{"kind": "range", "from": [0, 1], "to": [0, 1], "clip": "yes"}]},
        {"steps": [{"kind": "range", "from": [0, float("nan")], "to": [0, 1], "clip": True}]},
        {"steps": [{"kind": "percentiles", "from": [-1, 99], "to": [0, 1], "clip": True, "over": "all"}]},
        {"steps": [{"kind": "percentiles", "from": [1, 99], "to": [0, 1], "clip": True, "over": "liver"}]},
        {"steps": [{"kind": "z_score", "over": "all", "mean": 1}]},
        {"steps": [{"kind": "z_score", "over": "all", "mean": 1, "deviation": 0}]},
        {"steps": [{"kind": "z_score", "over": "all"}], "before_resampling": 2},
        {"steps": [{"kind": "z_score", "over": "all"}] * 9},
    ],
)
def test_settings_that_make_no_sense_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_intensity(document)


def test_every_kind_has_words_for_a_card() -> None:
    words = steps(*(entry for entry, _ in CASES), {"kind": "n4"}).words()
    assert words.startswith("-175 to 250 mapped to 0 to 1, then ")
    assert "z-score of the voxels that are not 0" in words
    assert words.endswith("N4 bias field correction")
