"""MR images that differ by a factor are measured alike; CT is measured as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from BottleneckOODLib.imaging.body import body_mask, intensity_histogram, thinned
from BottleneckOODLib.imaging.brightness import on_a_common_scale
from BottleneckOODLib.imaging.volume import Volume


@pytest.fixture
def an_mr(a_small_ct: Volume) -> Volume:
    """The same body in positive values."""
    return replace(a_small_ct, voxels=np.maximum(a_small_ct.voxels + 300, 0), modality="MR")


def test_a_ct_is_measured_as_it_is(a_small_ct: Volume) -> None:
    assert on_a_common_scale(a_small_ct, "CT") is a_small_ct


def test_two_scans_that_differ_by_a_factor_are_measured_alike(an_mr: Volume) -> None:
    brighter = replace(an_mr, voxels=an_mr.voxels * 7.5)
    ours, theirs = on_a_common_scale(an_mr, "MR"), on_a_common_scale(brighter, "MR")
    np.testing.assert_allclose(ours.voxels, theirs.voxels, rtol=0, atol=1e-2)
    body = body_mask(thinned(an_mr)[0])
    # As they are, the same histograms are far apart: 1.41 is the distance of two that share no bin.
    raw = [intensity_histogram(thinned(v)[0], body) for v in (an_mr, brighter)]
    common = [intensity_histogram(thinned(v)[0], body) for v in (ours, theirs)]
    assert np.linalg.norm(raw[0] - raw[1]) > 0.5
    assert np.linalg.norm(common[0] - common[1]) < 0.01


def test_the_body_s_percentiles_take_their_places(an_mr: Volume) -> None:
    voxels = thinned(on_a_common_scale(an_mr, "MR"))[0][body_mask(thinned(an_mr)[0])]
    assert np.percentile(voxels, [1, 99]) == pytest.approx([-150, 250], abs=0.1)


def test_an_image_of_one_value_is_measured_as_it_is(an_mr: Volume) -> None:
    flat = replace(an_mr, voxels=np.full_like(an_mr.voxels, 3))
    assert on_a_common_scale(flat, "MR") is flat
