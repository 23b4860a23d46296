from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from BottleneckOODLib.synthesis.appearance import PHASES, Style, draw_style, paint, scan, tissue_means
from BottleneckOODLib.synthesis.tissues import Tissue

SPACING = (4.0, 4.0, 4.0)


def _block() -> np.ndarray:
    labels = np.full((16, 20, 20), Tissue.OUTSIDE, np.uint8)
    labels[2:14, 4:16, 4:16] = Tissue.LIVER
    return labels


def test_contrast_makes_vessels_brighter_than_liver_and_no_contrast_does_not() -> None:
    for seed in range(10):
        portal = tissue_means(np.random.default_rng(seed), Style(phase="portal"))
        plain = tissue_means(np.random.default_rng(seed), Style(phase="none"))
        assert portal[Tissue.AORTA] > plain[Tissue.AORTA] + 30
        assert portal[Tissue.KIDNEY] > plain[Tissue.KIDNEY] + 50


@pytest.mark.parametrize("phase", PHASES)
def test_tissues_are_ordered_as_in_every_ct(phase: str) -> None:
    for seed in range(20):
        means = tissue_means(np.random.default_rng(seed), Style(phase=phase))
        assert means[Tissue.OUTSIDE] < means[Tissue.LUNG] < means[Tissue.FAT] < means[Tissue.LIVER]
        assert means[Tissue.MARROW] < means[Tissue.CORTICAL_BONE]


def test_oral_contrast_and_ascites_show() -> None:
    style = Style(phase="none")
    means = tissue_means(np.random.default_rng(0), replace(style, oral_contrast=True, ascites=True))
    assert means[Tissue.GUT_FLUID] > 80
    assert means[Tissue.INNER_FAT] > -30


def test_a_liver_can_be_told_its_density() -> None:
    assert tissue_means(np.random.default_rng(3), Style(liver_hu=-10.0))[Tissue.LIVER] < 30


def test_styles_repeat_with_their_seed_and_cover_all_phases() -> None:
    styles = [draw_style(np.random.default_rng(s)) for s in range(80)]
    assert styles == [draw_style(np.random.default_rng(s)) for s in range(80)]
    assert {s.phase for s in styles} == set(PHASES)
    assert all(0 < s.noise_hu < 40 for s in styles)


def test_painting_leaves_the_labels_alone_and_is_in_hounsfield_units() -> None:
    labels = _block()
    before = labels.copy()
    image = paint(labels, SPACING, np.random.default_rng(0), Style(phase="none"))
    np.testing.assert_array_equal(labels, before)
    assert 0 < image[8, 10, 10] < 120
    assert image[0, 0, 0] < -950


def test_lesions_change_the_liver_only() -> None:
    labels = _block()
    clean = paint(labels, SPACING, np.random.default_rng(0), Style(phase="none"))
    ill = paint(labels, SPACING, np.random.default_rng(0), Style(phase="none", lesions=6))
    changed = clean != ill
    assert changed.any()
    assert (labels[changed] == Tissue.LIVER).all()


def test_noise_has_the_asked_strength() -> None:
    flat = np.zeros((24, 24, 24), np.float32)

    def deviation(style: Style) -> float:
        return float(np.mean([scan(flat, SPACING, np.random.default_rng(s), style).std() for s in range(5)]))

    assert 3.5 < deviation(Style(noise_hu=5, noise_grain=0.0)) < 6.5
    assert 21 < deviation(Style(noise_hu=30, noise_grain=0.9)) < 39


def test_streaks_and_range() -> None:
    flat = np.full((24, 24, 24), 40, np.float32)
    plain = scan(flat, SPACING, np.random.default_rng(0), Style(noise_hu=1))
    metal = scan(flat, SPACING, np.random.default_rng(0), Style(noise_hu=1, streaks=400))
    assert metal.std() > 3 * plain.std()
    assert metal.dtype == np.float32
    assert metal.min() >= -1024
    assert metal.max() <= 3071
