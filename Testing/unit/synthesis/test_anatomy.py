from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.synthesis.anatomy import Anatomy, draw_anatomy
from BottleneckOODLib.synthesis.tissues import LIVER_TISSUES, Tissue

COARSE = (8.0, 8.0, 8.0)


def _middle(anatomy: Anatomy, *tissues: Tissue) -> np.ndarray:
    places = np.argwhere(np.isin(anatomy.labels, tissues))
    assert len(places), tissues
    return places.mean(axis=0)


def test_the_same_seed_draws_the_same_body(a_drawn_body: Anatomy) -> None:
    np.testing.assert_array_equal(draw_anatomy(3, spacing_mm=COARSE).labels, a_drawn_body.labels)
    assert not np.array_equal(draw_anatomy(4, spacing_mm=COARSE).labels, a_drawn_body.labels)


@pytest.mark.parametrize("seed", range(6))
def test_every_body_is_the_right_way_round(seed: int) -> None:
    body = draw_anatomy(seed, spacing_mm=COARSE)
    liver, spleen = _middle(body, *LIVER_TISSUES), _middle(body, Tissue.SPLEEN)
    heart, spine = _middle(body, Tissue.MYOCARDIUM), _middle(body, Tissue.SPINAL_CANAL)
    kidneys, urine = _middle(body, Tissue.KIDNEY), _middle(body, Tissue.URINE)
    middle_x = body.labels.shape[2] / 2
    assert liver[2] < middle_x < spleen[2], "the liver lies on the patient's right, the spleen on the left"
    assert heart[2] > middle_x, "the heart leans to the left"
    assert spine[1] > liver[1], "the spine is behind the liver"
    assert heart[0] > liver[0] > kidneys[0] > urine[0], "heart, liver, kidneys, bladder from head to foot"


@pytest.mark.parametrize("seed", range(6))
def test_livers_have_human_volumes(seed: int) -> None:
    body = draw_anatomy(seed, spacing_mm=COARSE)
    millilitres = np.isin(body.labels, LIVER_TISSUES).sum() * np.prod(COARSE) * 1e-3
    assert 600 < millilitres < 3000


def test_livers_differ() -> None:
    counts = [int(np.isin(draw_anatomy(s, spacing_mm=COARSE).labels, LIVER_TISSUES).sum()) for s in range(5)]
    assert max(counts) > 1.2 * min(counts)


def test_medians_are_those_of_the_known_part_only(a_scanned_body: Anatomy) -> None:
    assert a_scanned_body.tissue_medians[Tissue.LIVER] == 55
    assert a_scanned_body.tissue_medians[Tissue.SPLEEN] == 0
    changed = a_scanned_body.intensities.copy()
    changed[10:] = 999
    same = Anatomy(a_scanned_body.labels, a_scanned_body.spacing_mm, changed, a_scanned_body.known)
    np.testing.assert_array_equal(same.tissue_medians, a_scanned_body.tissue_medians)


def test_a_drawn_body_has_no_medians(a_drawn_body: Anatomy) -> None:
    assert not a_drawn_body.tissue_medians.any()
