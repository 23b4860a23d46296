from __future__ import annotations

from dataclasses import replace

import numpy as np

from BottleneckOODLib.synthesis.anatomy import Anatomy
from BottleneckOODLib.synthesis.appearance import Style
from BottleneckOODLib.synthesis.blending import mix_with_real
from BottleneckOODLib.synthesis.tissues import Tissue


def _identity(anatomy: Anatomy) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in anatomy.labels.shape], indexing="ij"))


def _mixed(anatomy: Anatomy, seed: int, style: Style) -> np.ndarray:
    painted = np.full(anatomy.labels.shape, 777, np.float32)
    return mix_with_real(anatomy, _identity(anatomy), anatomy.labels, painted, np.random.default_rng(seed), style)


def test_the_painted_body_shows_where_the_scan_ends(a_scanned_body: Anatomy) -> None:
    mixed = _mixed(a_scanned_body, 0, Style())
    assert (mixed[10:] == 777).all()
    assert (mixed[:10] != 777).any()


def test_contrast_is_added_to_a_real_liver(a_scanned_body: Anatomy) -> None:
    inside = (slice(6, 9), slice(9, 15), slice(7, 11))
    plain = [np.median(_mixed(a_scanned_body, s, Style(phase="none"))[inside]) for s in range(30)]
    portal = [np.median(_mixed(a_scanned_body, s, Style(phase="portal"))[inside]) for s in range(30)]
    assert np.mean(portal) > np.mean(plain) + 10
    assert min(portal) < 60, "now and then the scan stays as it was"


def test_an_anatomy_without_a_scan_stays_painted(a_scanned_body: Anatomy) -> None:
    bare = replace(a_scanned_body, intensities=None, known=None)
    assert (_mixed(bare, 0, Style()) == 777).all()


def test_air_stays_air(a_scanned_body: Anatomy) -> None:
    air = a_scanned_body.labels[:8] == Tissue.OUTSIDE
    values = [np.percentile(_mixed(a_scanned_body, s, Style())[:8][air], 50) for s in range(8)]
    assert min(values) <= -990
